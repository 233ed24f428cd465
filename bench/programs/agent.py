"""The smallest coding agent: asks a model over TLS, does what it says, sends back what came of it, until it is done.

    agent.py URL CA_FILE

The Chat Completions API, by the standard library alone: what the traced process costs is as little as an agent can
cost, so the ratio is as hard as it can be. The history that goes along is the last exchange only.
"""

import http.client
import json
import ssl
import subprocess
import sys
import urllib.parse
from pathlib import Path

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("bash", "read_file", "write_file")
]


def run(name, arguments):
    """The result of a tool call as text."""
    if name == "bash":
        done = subprocess.run(
            ["bash", "-c", arguments["command"]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return f"{done.stdout.decode(errors='replace')[-8000:]}\nexit code: {done.returncode}"
    if name == "read_file":
        return Path(arguments["path"]).read_text()
    Path(arguments["path"]).write_text(arguments["content"])
    return f"wrote {arguments['path']}"


def main():
    url, authority = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2]
    context = ssl.create_default_context(cafile=authority)
    connection = http.client.HTTPSConnection(url.hostname, url.port, context=context)
    first = {"role": "user", "content": "Do the work."}
    last = []
    while True:
        request = {"model": "scripted", "messages": [first, *last], "tools": TOOLS}
        body = json.dumps(request).encode()
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        answer = json.loads(connection.getresponse().read())["choices"][0]["message"]
        calls = answer.get("tool_calls") or []
        if not calls:
            return
        last = [answer]
        for call in calls:
            result = run(call["function"]["name"], json.loads(call["function"]["arguments"]))
            last.append({"role": "tool", "tool_call_id": call["id"], "content": result})


if __name__ == "__main__":
    main()
