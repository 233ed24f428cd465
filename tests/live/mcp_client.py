"""A real MCP client of the live tests: `mcp_client.py MODE URL CALLS`, or a program to start in the place of the URL.

MODE: protocol version, or `legacy` for the one with sessions. Every fifth call fails; the texts grow to 40 kB.
"""

import asyncio
import shlex
import sys

from mcp import Client, StdioServerParameters


async def main(mode: str, server: str, calls: int) -> None:
    """Calls one after the other, then all once more at once."""
    at: str | StdioServerParameters = server
    if not server.startswith("http"):
        program, *arguments = shlex.split(server)
        at = StdioServerParameters(command=program, args=arguments)
    async with Client(at, mode=mode) as client:

        async def call(number: int) -> None:
            text = f"{number} ☃ " * (1 + number * 100)
            answer = await client.call_tool("fail" if number % 5 == 4 else "echo", {"text": text})
            assert bool(answer.is_error) == (number % 5 == 4), answer

        for number in range(calls):
            await call(number)
        await asyncio.gather(*map(call, range(calls)))


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
