"""A recorded session as a transcript of Claude Code, the form that transcript checkers read. Pure.

Format: the JSON lines that Claude Code keeps of a conversation, as its public tools and their tests show them: one
record a message, tools named Bash, Write, Edit, Read and Task; a command that failed has a result that begins with
"Exit code N" and is an error.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.corpus.records import Call, Record

Json = dict[str, Any]

_TOOLS = {"bash": "Bash", "write_file": "Write", "edit_file": "Edit", "read_file": "Read", "task": "Task"}
_STATUS = re.compile(r"\n?exit code: (\d+)\Z")
_CWD = "/home/agent/till"


def status(call: Call) -> int | None:
    """The exit status that a command's result tells."""
    found = _STATUS.search(call.result)
    return int(found[1]) if found else None


def output(call: Call) -> str:
    """The result without its status."""
    return _STATUS.sub("", call.result)


def lines(record: Record) -> str:
    """The transcript, as JSON lines."""
    found: list[Json] = [_line(record, 0, "user", "Do the work.")]
    for said in (*record.earlier, *record.transcript):
        content: list[Json] = [{"type": "text", "text": said.text}] if said.text else []
        content += [
            {"type": "tool_use", "id": call.id, "name": _TOOLS[call.tool], "input": _input(call)}
            for call in said.calls
        ]
        if content:
            found.append(_line(record, len(found), "assistant", content))
        for call in said.calls:
            found.append(_result(record, len(found), call))
    return "".join(json.dumps(line) + "\n" for line in found)


def _input(call: Call) -> Json:
    given = dict(call.input)
    if "path" in given:
        path = str(given.pop("path"))
        given["file_path"] = path if path.startswith("/") else f"{_CWD}/{path}"
    return given


def _line(record: Record, position: int, role: str, content: str | list[Json]) -> Json:
    message: Json = {"role": role, "content": content}
    if role == "assistant":
        message |= {"id": f"msg_{position}", "type": "message", "model": "tiny", "stop_reason": None}
    return {
        "type": role,
        "uuid": f"00000000-0000-4000-8000-{position:012d}",
        "parentUuid": f"00000000-0000-4000-8000-{position - 1:012d}" if position else None,
        "isSidechain": False,
        "userType": "external",
        "sessionId": record.session,
        "cwd": _CWD,
        "version": "2.1.330",
        "timestamp": f"2026-11-23T10:{position // 60:02d}:{position % 60:02d}.000Z",
        "message": message,
    }


def _result(record: Record, position: int, call: Call) -> Json:
    code, text = status(call), output(call)
    failed = bool(code) or (code is None and text.startswith("Error"))
    told = f"Exit code {code}\n{text}" if code else text
    block: Json = {"type": "tool_result", "tool_use_id": call.id, "content": told, "is_error": failed}
    line = _line(record, position, "user", [block])
    if call.tool == "bash" and not failed:
        line["toolUseResult"] = {"stdout": text, "stderr": "", "interrupted": False, "isImage": False}
    elif failed:
        line["toolUseResult"] = f"Error: {told}"
    return line
