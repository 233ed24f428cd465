"""A real MCP server of the live tests, by the official SDK: `mcp_server.py stdio`, or `mcp_server.py http PORT`."""

import sys

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("echo")


@server.tool()
def echo(text: str) -> str:
    """Says it again."""
    return text


@server.tool()
def fail(text: str) -> str:
    """Never works."""
    raise ToolError(text)


if sys.argv[1] == "stdio":
    server.run("stdio")
else:
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
