"""Untrusted bytes to text and back, and text to a terminal.

Paths and arguments are bytes that an observed process chose. Inside polygraph they are ``str`` that any
JSON encoder takes, without loss: a byte that is not part of valid UTF-8 becomes the private character
U+EF80 + (byte - 0x80), and the (very rare) valid characters of that range U+EF80..U+EFFF become their
three bytes, each mapped likewise, so the mapping is one to one (MirBSD's OPTU-8 does the same).
"""

from __future__ import annotations

import re

_RAW = 0xEF00  # U+EF80..U+EFFF stand for the bytes 0x80..0xFF
_SPECIAL = re.compile("[\udc80-\udcff\uef80-\uefff]")
_RAW_CHAR = re.compile("[\uef80-\uefff]+")
# C0 and C1 controls, DEL, bidi controls, zero-width and line/paragraph separators, raw bytes
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff\uef80-\uefff]"
)


def from_bytes(raw: bytes) -> str:
    """Text of any bytes, without loss and without lone surrogates."""
    text = raw.decode("utf-8", "surrogateescape")
    return text if text.isascii() else _SPECIAL.sub(_to_private, text)


def from_os(text: str) -> str:
    """The same of what Python gives for bytes of the operating system (sys.argv, os.getcwd): lone surrogates."""
    return text if text.isascii() else from_bytes(text.encode("utf-8", "surrogateescape"))


def to_bytes(text: str) -> bytes:
    """The bytes that :func:`from_bytes` was given."""
    if text.isascii():
        return text.encode()
    pieces: list[bytes] = []
    position = 0
    for match in _RAW_CHAR.finditer(text):
        pieces.append(text[position : match.start()].encode("utf-8", "surrogatepass"))
        pieces.append(bytes(ord(char) - _RAW for char in match.group()))
        position = match.end()
    pieces.append(text[position:].encode("utf-8", "surrogatepass"))
    return b"".join(pieces)


def printable(text: str, limit: int | None = None) -> str:
    """Text safe to print on one line of a terminal: controls, bidi marks and raw bytes shown as escapes.

    At most ``limit`` characters, an ellipsis where it was cut.
    """
    shown = _UNSAFE.sub(_escape, text)
    if limit is not None and len(shown) > limit:
        return shown[: limit - 1] + "…"
    return shown


def _to_private(match: re.Match[str]) -> str:
    char = match.group()
    raw = char.encode("utf-8", "surrogateescape")
    return "".join(chr(_RAW + byte) for byte in raw)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code in (0x09, 0x0A, 0x0D):
        return {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}[code]
    if _RAW + 0x80 <= code <= _RAW + 0xFF:
        return f"\\x{code - _RAW:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
