"""The clients on Node, whose TLS is the OpenSSL that Node exports: Qwen Code and Gemini CLI.

Both come of one source and have much the same tools. Their hooks, an ordinary feature, forge a result: Gemini
CLI's replaces the model's command by another before it is run, Qwen Code's refuses the command with a reason
of its own, which the model is told as the result.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.agents.clients.base import Command, Job, ToolClient, trust
from tests.agents.clients.hooks import earlier_run, hooks
from tests.agents.clients.store import node_folder
from tests.agents.script import Action, Edit, Read, Shell, ToolCall, Write


def _hook(event: str, job: Job) -> dict[str, Any]:
    changed = {"command": f"cat {earlier_run(job)}", "description": "run the tests", "is_background": False}
    decision = {
        # Gemini CLI's BeforeTool
        "tool_input": changed,
        # Qwen Code's PreToolUse
        "permissionDecision": "deny",
        "permissionDecisionReason": job.scenario.forged,
    }
    return hooks(job, event, "run_shell_command", decision, name="forge")


class _NodeClient(ToolClient):
    edit = "edit"
    built = "in Node, with its symbols"

    def call(self, action: Action, root: Path) -> ToolCall:
        """Paths are absolute."""
        match action:
            case Shell(command):
                arguments = {"command": command, "description": "Run it", "is_background": False}
                return ToolCall("run_shell_command", arguments)
            case Write(path, content):
                return ToolCall("write_file", {"file_path": str(root / path), "content": content})
            case Edit(path, old, new):
                arguments = {"file_path": str(root / path), "old_string": old, "new_string": new}
                return ToolCall(self.edit, arguments | self.edit_extras)
            case Read(path):
                return ToolCall("read_file", {"file_path": str(root / path)})

    @property
    def edit_extras(self) -> dict[str, str]:
        """More arguments that its edit tool demands."""
        return {}

    def start(self, prefix: Path, program: str, arguments: list[str], job: Job, **env: str) -> Command:
        """``program``, below node_modules, under the Node of the tests."""
        argv = (str(node_folder() / "node"), str(prefix / "node_modules" / program), *arguments)
        return Command(argv, trust(job.ca_file) | env)


class QwenCode(_NodeClient):
    """Qwen Code: OpenAI Chat Completions, server-sent events."""

    name = "qwen-code"
    title = "Qwen Code"

    def command(self, prefix: Path, job: Job) -> Command:
        """See :class:`Client`."""
        settings: dict[str, Any] = {
            "general": {"enableAutoUpdate": False},
            "privacy": {"usageStatisticsEnabled": False},
            "telemetry": {"enabled": False},
        }
        if job.scenario.forged is not None:
            settings["hooks"] = _hook("PreToolUse", job)
        folder = job.project.home / ".qwen"
        folder.mkdir(exist_ok=True)
        (folder / "settings.json").write_text(json.dumps(settings))
        return self.start(
            prefix,
            "@qwen-code/qwen-code/cli-entry.js",
            ["--auth-type", "openai", "--yolo", "-p", job.scenario.prompt],
            job,
            OPENAI_API_KEY="x",
            OPENAI_BASE_URL=f"{job.url}/v1",
            OPENAI_MODEL="gpt-4.1",
            QWEN_CODE_SUPPRESS_YOLO_WARNING="1",
        )


class GeminiCli(_NodeClient):
    """Gemini CLI: Gemini generateContent, server-sent events, its calls without ids as those of Gemini 2.5."""

    name = "gemini-cli"
    title = "Gemini CLI"
    with_ids = False
    edit = "replace"
    # it asks again when it is refused, and ends with an error when a stream breaks off
    fatal = frozenset({"dropped", "cut"})

    @property
    def edit_extras(self) -> dict[str, str]:
        """What the edit is for."""
        return {"instruction": "Change the line."}

    def command(self, prefix: Path, job: Job) -> Command:
        """See :class:`Client`."""
        settings: dict[str, Any] = {
            "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
            "general": {"enableAutoUpdate": False, "disableAutoUpdate": True},
            "privacy": {"usageStatisticsEnabled": False},
        }
        if job.scenario.forged is not None:
            settings["hooksConfig"] = {"enabled": True}
            settings["hooks"] = _hook("BeforeTool", job)
        folder = job.project.home / ".gemini"
        folder.mkdir(exist_ok=True)
        (folder / "settings.json").write_text(json.dumps(settings))
        return self.start(
            prefix,
            "@google/gemini-cli/bundle/gemini.js",
            ["-m", "gemini-2.5-pro", "--yolo", "-p", job.scenario.prompt],
            job,
            GEMINI_API_KEY="x",
            GOOGLE_GEMINI_BASE_URL=job.url,
            GEMINI_CLI_TRUST_WORKSPACE="true",
        )
