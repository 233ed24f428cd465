"""JSON that somebody else chose: parsed with bounds, and read by fields that may be anything.

orjson first; it refuses NaN, lone surrogates and invalid UTF-8, which some servers send, so those go through
the standard library. Duplicate keys: the last one counts, as in every SDK. Depth ends at 1024 levels, and a text of
more values than MAX_VALUES is not parsed: two bytes of JSON may become an object of 64.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Protocol

import orjson

from collector.http.sse import SseEvent
from collector.llm.model import ModelResponse

Json = object

#: commas and opening brackets of a JSON text, those inside strings included: a model's whole context, as one array of
#: numbers or as source code, stays below
MAX_VALUES = 2_000_000
#: levels of a value that is written as JSON again: below what any version of the interpreter can do
MAX_DEPTH = 500


class StreamParser(Protocol):
    """Builds the answer out of a stream's events."""

    @property
    def done(self) -> bool:
        """The stream's own end mark was seen: nothing more belongs to the answer."""

    def feed(self, event: SseEvent) -> None:
        """Takes the next event. Never raises; what is not understood is passed over."""

    def result(self, *, ended: bool) -> ModelResponse:
        """What was seen so far. ``ended``: the body is over, and nothing of it is missing."""


def loads(data: bytes) -> Json:
    """The value of ``data``, or None if it is no JSON within bounds."""
    if len(data) > MAX_VALUES and data.count(b",") + data.count(b"[") + data.count(b"{") > MAX_VALUES:
        return None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _loads_lenient(data)


def _loads_lenient(data: bytes) -> Json:
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def dumps(value: Json, *, sort_keys: bool = False) -> str | None:
    """JSON text of a value that :func:`loads` gave; None where it is deeper than MAX_DEPTH."""
    if not _is_shallow(value):
        return None
    try:
        return clean(json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys))
    except (ValueError, RecursionError):
        return None


def _is_shallow(value: Json) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        inside = [
            one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)
        ]
        level = [child for children in inside for child in children]
        if not level:
            return True
    return False


def clean(text: str) -> str:
    """Text that encodes: surrogate halves are joined where they meet (split deltas), else U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def mapping(value: Json) -> dict[str, Json]:
    """``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Json) -> list[Json]:
    """``value`` if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def objects(value: Json) -> Iterator[dict[str, Json]]:
    """The objects of an array."""
    return (item for item in items(value) if isinstance(item, dict))


def string(value: Json) -> str:
    """``value`` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def text_or_none(value: Json) -> str | None:
    """``value`` if it is a string with something in it, cleaned, else None."""
    return clean(string(value)) or None


def count(value: Json) -> int:
    """``value`` as a count of tokens: a whole number from 0 to 2**53 (Cohere writes ``20.0``), else 0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1 << 53 else 0


def whole_number(value: Json) -> int | None:
    """``value`` if it is a number that an exit status can be, else None."""
    fits = isinstance(value, int) and not isinstance(value, bool) and -(1 << 31) <= value < 1 << 31
    return value if fits and isinstance(value, int) else None


def arguments_text(value: Json) -> str | None:
    """What a function is given, as text: some servers send the object itself. None where it is too deep."""
    return clean(value) if isinstance(value, str) else dumps({} if value is None else value)


def visible_text(blocks: Iterable[str | None]) -> str:
    """What the user is shown of an answer's blocks, None for each that is no text.

    Neighbours belong together (citations cut sentences), others are apart.
    """
    runs: list[list[str]] = [[]]
    for text in blocks:
        if text is not None:
            runs[-1].append(text)
        elif runs[-1]:
            runs.append([])
    return clean("\n\n".join(text for run in runs if (text := "".join(run))))


def parts_text(value: Json) -> str:
    """Text of a content field: a string, or the text parts of an array, one per line."""
    if isinstance(value, str):
        return clean(value)
    texts = []
    for part in items(value):
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            texts.append(string(part["text"]))
    return clean("\n".join(texts))
