"""Heads of HTTP/1.1 messages (RFC 9112), read strictly: the ambiguous is refused."""

from __future__ import annotations

import re
from typing import NamedTuple

from collector.http.events import Headers
from polygraph.text import from_bytes

#: most bytes of a head, its final empty line included (servers commonly stop at 8 to 64 KiB)
MAX_HEAD = 64 * 1024
MAX_HEADERS = 256

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
# Methods in use are capitals; any token would take the middle of a text for the beginning of a request.
_START = re.compile(rb"[A-Z][A-Z-]{0,23}(?: .*)?", re.DOTALL)
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb"{1,24}) ([^\x00-\x20\x7f]+) HTTP/([0-9]\.[0-9])")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n\x00]*)?")
_FIELD = re.compile(rb"(" + _TOKEN + rb"+):[ \t]*([^\x00\r\n]*)")
_LENGTH = re.compile(r"[0-9]{1,15}")
_RESPONSE_PREFIX = b"HTTP/1."

REQUEST_START = re.compile(rb"[A-Z]{3,7} (?:/|https?://)")
RESPONSE_START = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}")


class HttpError(Exception):
    """The connection cannot be followed; ``cause`` is a word of :class:`ConnectionLost`."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Head(NamedTuple):
    """A request's or a response's head. ``status`` 0 for a request; ``method`` empty for a response."""

    method: str
    target: str
    status: int
    old: bool
    headers: Headers

    def all(self, name: str) -> list[str]:
        """Every value of the header ``name`` (lower case), comma lists split, in lower case."""
        found = [value for key, value in self.headers if key.lower() == name]
        return [item.strip().lower() for value in found for item in value.split(",") if item.strip()]


#: of a message whose head was lost
NO_HEAD = Head("", "", 0, False, ())


def looks_like_response(prefix: bytes) -> bool | None:
    """Does a stream that begins so carry responses? None: too early to say."""
    known = prefix[:5]
    if known == b"HTTP/"[: len(known)]:
        return True if len(known) == 5 else None
    return False


def check_start(buffer: bytes, response: bool) -> None:
    """Raises HttpError("not_http") as soon as ``buffer`` cannot be the beginning of a head."""
    line, end, _ = buffer[: 16 * 1024].partition(b"\r\n")
    if response:
        begun = buffer[: len(_RESPONSE_PREFIX)]
        fits = _RESPONSE_PREFIX.startswith(begun) and (not end or _STATUS_LINE.fullmatch(line))
    else:
        fits = _START.fullmatch(buffer[:32]) and (not end or _REQUEST_LINE.fullmatch(line))
    if not fits:
        raise HttpError("not_http")


def parse_head(raw: bytes, response: bool) -> Head:
    """The head of ``raw`` (without its final empty line). Raises HttpError."""
    lines = raw.split(b"\r\n")
    if len(lines) - 1 > MAX_HEADERS:
        raise HttpError("head_too_large")
    headers = []
    for line in lines[1:]:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise HttpError("malformed_head")
        headers.append((field[1].decode("ascii"), from_bytes(field[2].rstrip(b" \t"))))
    if response:
        status = _STATUS_LINE.fullmatch(lines[0])
        if status is None:
            raise HttpError("not_http")
        return Head("", "", int(status[2]), status[1] == b"0", tuple(headers))
    request = _REQUEST_LINE.fullmatch(lines[0])
    if request is None:
        raise HttpError("not_http")
    if request[3] == b"2.0":
        raise HttpError("http2")
    if request[3] not in (b"1.0", b"1.1"):
        raise HttpError("not_http")
    return Head(request[1].decode("ascii"), from_bytes(request[2]), 0, request[3] == b"1.0", tuple(headers))


def body_length(head: Head) -> int | str | None:
    """Bytes of the body, ``"chunked"``, or None where the head names neither. Raises HttpError."""
    codings = head.all("transfer-encoding")
    if not codings:
        return content_length(head)
    if head.all("content-length") or head.old:
        raise HttpError("ambiguous_length")
    if codings != ["chunked"]:
        raise HttpError("unsupported_transfer_encoding")
    return "chunked"


def content_length(head: Head) -> int | None:
    """What ``content-length`` says, None where it says nothing. Raises HttpError("ambiguous_length")."""
    lengths = set(head.all("content-length"))
    if not lengths:
        return None
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length):
        raise HttpError("ambiguous_length")
    return int(length)
