"""Arguments of a Gemini function call that are streamed: values at JSON paths (RFC 9535) to one object.

Only the paths that such a stream has are known: names and places, ``$.edits[0].text`` or ``$['a key'][2]``. A path of
another form, a place that skips one, or a value where a container stands makes the whole unknown: nothing is guessed.
"""

from __future__ import annotations

import re

from collector.llm.values import Json, mapping, objects

_STEP = re.compile(r"\.([^.\[\]'\"*]+)|\[(\d{1,6})\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")
_ESCAPED = re.compile(r"\\(['\"\\/])")
#: most steps of a path, and most pieces of one call
_MAX_STEPS = 64
_MAX_PIECES = 1 << 20

_Path = tuple[str | int, ...]


class PartialArguments:
    """Pieces in, the object out."""

    def __init__(self) -> None:
        #: values in the order in which their paths were first named; texts as their pieces
        self._values: dict[_Path, Json] = {}
        self._texts: dict[_Path, list[str]] = {}
        self._pieces = 0
        self._broken = False

    def add(self, pieces: Json) -> None:
        """The ``partialArgs`` of one chunk."""
        for piece in objects(pieces):
            self._pieces += 1
            path = _path(piece.get("jsonPath"))
            if path is None or self._pieces > _MAX_PIECES:
                self._broken = True
            elif isinstance(piece.get("stringValue"), str):
                self._texts.setdefault(path, []).append(str(piece["stringValue"]))
                self._values.setdefault(path, None)
            elif path in self._texts:
                self._broken = self._broken or _value(piece) is not None
            else:
                self._values[path] = _value(piece)

    def value(self) -> dict[str, Json] | None:
        """The whole; None if the pieces do not make one."""
        root: dict[str, Json] = {}
        for path, value in self._values.items():
            texts = self._texts.get(path)
            if self._broken or not _put(root, path, value if texts is None else "".join(texts)):
                return None
        return None if self._broken else root


def _value(piece: dict[str, Json]) -> Json:
    number = piece.get("numberValue")
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return number if number is not None else piece.get("boolValue")


def _path(text: Json) -> _Path | None:
    if not isinstance(text, str) or not text.startswith("$"):
        return None
    steps: list[str | int] = []
    at = 1
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None or len(steps) >= _MAX_STEPS:
            return None
        name, place, single, double = step.groups()
        quoted = single if single is not None else double
        if place is not None:
            steps.append(int(place))
        else:
            steps.append(name if quoted is None else _ESCAPED.sub(r"\1", quoted))
        at = step.end()
    return tuple(steps) or None


def _put(root: dict[str, Json], path: _Path, value: Json) -> bool:
    """Puts a value into its place, with the containers on the way; False if there is no such place."""
    inside: Json = root
    for step, following in zip(path, [*path[1:], None], strict=True):
        new: Json = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(step, int):
            if not isinstance(inside, list) or step > len(inside):
                return False
            if step == len(inside):
                inside.append(new)
            elif following is None:
                return False
            inside = inside[step]
        else:
            if not isinstance(inside, dict) or (following is None and step in inside):
                return False
            inside = mapping(inside).setdefault(step, new)
    return True
