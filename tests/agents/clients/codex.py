"""Codex CLI: its native build, with rustls; OpenAI Responses over WebSocket, HTTP/1.1 or HTTP/2.

With its built-in provider it speaks WebSocket with permessage-deflate; a provider of one's own is asked over HTTP,
and over HTTP/2 where the server offers that. Its newest models have one tool, ``exec``, which runs a program in
JavaScript that calls the tools (*code mode*); the others are offered the tools themselves.

Its PreToolUse hook, an ordinary feature, forges a result: it replaces the model's command by another before it
is run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.agents.clients.base import Command, Job, ToolClient, trust
from tests.agents.clients.hooks import replacing
from tests.agents.model import Transport
from tests.agents.script import Action, Edit, Read, Shell, ToolCall, Write

BINARY = "node_modules/@openai/codex/vendor/x86_64-unknown-linux-musl/bin/codex"
#: the newest model whose tools are called one by one, and the default one
_DIRECT, _CODE_MODE = "gpt-5.5", "gpt-6.1-sol"


class Codex(ToolClient):
    """``codex exec``, in one of the forms above."""

    stack = "rustls"
    built = "static, without symbols"

    def __init__(self, name: str, title: str, transport: Transport, *, code_mode: bool = False) -> None:
        self.name = name
        self.title = title
        self.transport = transport
        if transport == "http/1.1":
            self.offers = ("http/1.1",)  # it takes the other one where it can
        else:
            # over WebSocket it takes a 429 for the end of its tries
            self.fatal = frozenset({"rate_limited"}) if transport == "websocket" else frozenset()
        self._code_mode = code_mode

    @property
    def package(self) -> str:
        """See :class:`Client`."""
        return "codex"

    def call(self, action: Action, root: Path) -> ToolCall:
        """Reading is a shell command; files are written by patches."""
        match action:
            case Shell(command):
                # it ends a command's process group with the command, what runs in the background as well, unless that
                # had time to leave the group
                return self._exec_command(f"setsid {command} sleep 1" if command.endswith("&") else command)
            case Read(path):
                return self._exec_command(f"cat {path}")
            case Write(path, content):
                lines = "".join(f"+{line}\n" for line in content.splitlines())
                return self._apply_patch(f"*** Add File: {path}\n{lines}")
            case Edit(path, old, new):
                return self._apply_patch(f"*** Update File: {path}\n@@\n-{old}\n+{new}\n")

    def _exec_command(self, command: str) -> ToolCall:
        # a login shell would set PATH anew, and the project's Python would not be in it
        arguments = {"cmd": command, "login": False, "yield_time_ms": 30000}
        if self._code_mode:
            return _program(f"text(await tools.exec_command({json.dumps(arguments)}));")
        return ToolCall("exec_command", arguments)

    def _apply_patch(self, body: str) -> ToolCall:
        patch = f"*** Begin Patch\n{body}*** End Patch"
        if self._code_mode:
            return _program(f"text(await tools.apply_patch({json.dumps(patch)}));")
        return ToolCall("apply_patch", patch)

    def is_main(self, request: dict[str, Any]) -> bool:
        """All: what it is to itself, it asks elsewhere. In code mode, tools are offered within the input."""
        return "input" in request

    def command(self, prefix: Path, job: Job) -> Command:
        """See :class:`Client`."""
        folder = job.project.home / ".codex"
        folder.mkdir(exist_ok=True)
        settings: dict[str, Any] = {
            "model": _CODE_MODE if self._code_mode else _DIRECT,
            "check_for_update_on_startup": False,
            "analytics": {"enabled": False},
        }
        if self.transport == "websocket":
            settings["openai_base_url"] = f"{job.url}/v1"
        else:
            settings["model_provider"] = "own"
            settings["model_providers"] = {
                "own": {
                    "name": "own",
                    "base_url": f"{job.url}/v1",
                    "wire_api": "responses",
                    "env_key": "CODEX_API_KEY",
                }
            }
        if job.scenario.forged is not None:
            settings["hooks"] = replacing(job)
        (folder / "config.toml").write_text(_toml(settings))
        argv = (
            str(prefix / BINARY), "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox",
            "--dangerously-bypass-hook-trust", job.scenario.prompt,
        )  # fmt: skip
        env = {"CODEX_API_KEY": "x", "CODEX_CA_CERTIFICATE": str(job.ca_file)}
        return Command(argv, trust(job.ca_file) | env)


def _program(text: str) -> ToolCall:
    return ToolCall("exec", text)


def _toml(value: Mapping[str, Any]) -> str:
    """A table as TOML: every value inline, since JSON's scalars are TOML's."""
    return "".join(f"{key} = {_inline(item)}\n" for key, item in value.items())


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value)
