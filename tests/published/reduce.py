"""Makes a fixture of a published capture: ``python -m tests.published.reduce ssl_data_only.json data/NAME.json.xz``.

What goes: fields that repeat others, bodies and queries of telemetry, what a client tells its model of itself (system
prompts, reminders, forms of tools), ids of accounts, projects and sessions, and the middle of every text that is long.
What stays is as it was, byte for byte: every response, with its chunks and their times, and of each request the
conversation, of which what the model said is whole. The name of the person who recorded it is another one of the same
length, so that chunks keep theirs.
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path
from typing import Any

#: characters of a text that are kept of its beginning and of its end, where it is longer than both and a note
_HEAD, _TAIL = 400, 100
_LEFT_OUT = "(left out)"
_TELEMETRY = ("/v1/rgstr", "/log", "/api/")
#: said by the client to its model, or about its user
_GONE = frozenset({"system", "systemInstruction", "metadata", "project", "session_id"})
_KEPT = ("type", "timestamp", "method", "path", "body", "status_code", "status_text")
#: the person's name, whole and where two deltas part it
_NAMES = (("yunwei37", "somebody"), ("/home/yun", "/home/som"), ('":"wei37', '":"ebody'))


def reduced(capture: dict[str, Any]) -> dict[str, Any]:
    """The capture without what is said above."""
    return {"data_timeline": [_message(row) for row in capture["data_timeline"]]}


def _message(row: dict[str, Any]) -> dict[str, Any]:
    kept = {name: row[name] for name in _KEPT if name in row}
    if row["type"] == "request":
        kept["path"], _, query = row["path"].partition("?")
        if kept["path"].startswith(_TELEMETRY):
            kept["path"] = "/api/envelope/" if kept["path"].startswith("/api/") else kept["path"]
            kept["body"] = "{}"
        else:
            kept["path"] = row["path"] if query else kept["path"]
            kept["body"] = json.dumps(_value(json.loads(row["body"])), ensure_ascii=False)
    elif "sse_raw_chunks" in row:
        kept["sse_raw_chunks"] = [
            {"timestamp": piece["timestamp"], "raw_data": _renamed(piece["raw_data"])}
            for piece in row["sse_raw_chunks"]
        ]
    kept["body"] = _renamed(kept["body"])
    return kept


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [_value(item) for item in value]
    if isinstance(value, dict):
        own = value.get("role") in ("assistant", "model")
        return {name: _field(name, item, own) for name, item in value.items()}
    return value


def _field(name: str, value: Any, own: bool) -> Any:
    if name == "tools":
        return _tools(value)
    if name in _GONE:
        return _LEFT_OUT
    if own and name in ("content", "parts"):  # what the model said
        return [part if "text" in part else _value(part) for part in value]
    return _value(value)


def _text(text: str) -> str:
    if text.startswith("<system-reminder>"):
        return _LEFT_OUT
    gone = len(text) - _HEAD - _TAIL
    return text if gone <= _TAIL else f"{text[:_HEAD]}\n({gone} characters left out)\n{text[-_TAIL:]}"


def _tools(tools: Any) -> Any:
    """Only what they are called."""
    if isinstance(tools, list):
        return [_tools(tool) for tool in tools]
    if "functionDeclarations" in tools:
        return {"functionDeclarations": _tools(tools["functionDeclarations"])}
    return {"name": tools["name"]}


def _renamed(text: str) -> str:
    for name, other in _NAMES:
        text = text.replace(name, other)
    return text


def main(source: str, target: str) -> None:
    """Reduces the file ``source`` to ``target``."""
    whole = json.loads(Path(source).read_bytes())
    text = json.dumps(reduced(whole), ensure_ascii=False, separators=(",", ":"))
    Path(target).write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main(*sys.argv[1:])
