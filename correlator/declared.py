"""What was said, in polygraph's words: made of typed facts only, never of the agent's text."""

from __future__ import annotations

from polygraph.events import Claim, Intent
from polygraph.text import printable

_TOPICS: dict[str, str] = {
    "tests_run": "tests were run",
    "tests_passed": "tests passed",
    "tests_failed": "tests failed",
    "build": "the build was run",
    "lint": "the linter was run",
    "typecheck": "types were checked",
    "install": "an installation was run",
    "commit": "a commit was made",
    "push": "commits were pushed",
    "file_created": "created",
    "file_changed": "changed",
    "file_deleted": "deleted",
    "file_read": "read",
    "server_started": "a server was started",
    "url_fetched": "fetched",
    "deployed": "it was deployed",
    "command_run": "a command was run",
    "nothing_else_changed": "nothing else was changed",
}
_LIMIT = 200


def of_claim(claim: Claim) -> str:
    """``tests passed (3 passed) with pytest``."""
    words = [_TOPICS[claim.topic]]
    if claim.outcome is not None and claim.topic not in ("tests_passed", "tests_failed"):
        words.append("and went well" if claim.outcome == "ok" else "and failed")
    if claim.counts:
        words.append("(" + ", ".join(f"{claim.counts[k]} {k}" for k in sorted(claim.counts)) + ")")
    if claim.tool is not None:
        words.append(f"with {claim.tool}")
    if claim.targets:
        words.append(
            ": " + _few(claim.targets) if not claim.topic.startswith("file_") else _few(claim.targets)
        )
    return printable(" ".join(words), _LIMIT)


def of_intent(intent: Intent) -> str:
    """``run pytest, ruff``; ``write a.py``."""
    programs = [e.tool or e.program for e in intent.executions if not e.builtin]
    if programs:
        return printable(f"run {_few(tuple(programs))}", _LIMIT)
    if intent.files:
        return printable(", ".join(f"{f.op} {f.new_path or f.path}" for f in intent.files[:5]), _LIMIT)
    if intent.hosts:
        return printable(f"fetch from {_few(intent.hosts)}", _LIMIT)
    return printable(
        f"{intent.kind} with {intent.tool}" if intent.kind != "shell" else "run a command", _LIMIT
    )


def _few(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
