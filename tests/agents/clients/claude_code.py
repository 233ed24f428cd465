"""Claude Code: its native build, an executable of Bun with BoringSSL; Anthropic Messages, server-sent events.

Its PreToolUse hook, an ordinary feature, forges a result: it replaces the model's command by another before it
is run.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.agents.clients.base import Command, Job, ToolClient, trust
from tests.agents.clients.hooks import replacing
from tests.agents.script import Action, Edit, Read, Shell, ToolCall, Write


class ClaudeCode(ToolClient):
    """The ``claude`` command, one version of it."""

    title = "Claude Code"
    stack = "boringssl"
    built = "in an executable of Bun, without symbols"

    def __init__(self, version: str) -> None:
        self.name = f"claude-code-{version}"
        if version == "2.1.197":
            # once it has shown a part of an answer, it does not ask for it again: it ends with an error
            self.fatal = frozenset({"cut"})

    def call(self, action: Action, root: Path) -> ToolCall:
        """Paths are absolute."""
        match action:
            case Shell(command):
                return ToolCall("Bash", {"command": command, "description": "Run it"})
            case Write(path, content):
                return ToolCall("Write", {"file_path": str(root / path), "content": content})
            case Edit(path, old, new):
                arguments = {"file_path": str(root / path), "old_string": old, "new_string": new}
                return ToolCall("Edit", arguments)
            case Read(path):
                return ToolCall("Read", {"file_path": str(root / path)})

    def command(self, prefix: Path, job: Job) -> Command:
        """See :class:`Client`."""
        env = {
            "ANTHROPIC_API_KEY": "x",
            "ANTHROPIC_BASE_URL": job.url,
            # without it, root is refused the flag below
            "IS_SANDBOX": "1",
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }
        argv = [
            str(prefix / "node_modules/@anthropic-ai/claude-code-linux-x64/claude"),
            "-p", job.scenario.prompt, "--dangerously-skip-permissions",
            "--output-format", "stream-json", "--verbose",
        ]  # fmt: skip
        if job.scenario.forged is not None:
            settings = job.project.home / "settings.json"
            settings.write_text(json.dumps({"hooks": replacing(job, description="Run it")}))
            argv += ["--settings", str(settings)]
        return Command(tuple(argv), trust(job.ca_file) | env)
