"""Header blocks of HTTP/2 (RFC 7541; RFC 9113, 8), read also where the beginning of a connection was not seen.

The decoder's dynamic table is a function of every block of its direction. Where some were missed, its older entries
are unknown and stand as such: positions are counted from the newest entry, so those that were seen keep theirs. An
entry that is kept longer than the sender keeps it does no harm, because the sender never names it.

How large the table may be is said inside the blocks themselves: SETTINGS only bound it (RFC 7541, 4.2 and 6.3).

`hpack` has the static table and the Huffman code. Its own decoder knows no entry that is unknown, and writes every
field to its log, credentials among them.
"""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

from hpack import HPACKError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from collector.http.events import Headers
from collector.http.head import MAX_HEAD, Head, HttpError
from polygraph.text import from_bytes

#: stands for a name or value that was said before the connection was followed; no valid field has it
UNKNOWN = b"\0"
#: bytes of entries that are kept, as RFC 7541 counts them; browsers use 64 KiB, libraries 4 or 16
KEPT = 64 * 1024
#: more than any size that a sender can name
_ANY_SIZE = 1 << 40
_OVERHEAD = 32
_STATIC = HeaderTable.STATIC_TABLE

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"[^\x00\r\n]*")
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,24}")
_TARGET = re.compile(rb"[^\x00-\x20\x7f]+")
_STATUS = re.compile(rb"[1-9][0-9]{2}")
_REQUEST_PSEUDO = frozenset({b":method", b":path", b":scheme", b":authority", b":protocol"})
_RESPONSE_PSEUDO = frozenset({b":status"})

Fields = list[tuple[bytes, bytes]]


class _Table:
    """Static and dynamic entries (RFC 7541, 2.3), of which older ones may be unknown."""

    def __init__(self) -> None:
        #: the newest first
        self.entries: deque[tuple[bytes, bytes]] = deque()
        #: no entry is unknown
        self._whole = True
        #: what the sender said that they take at most, and what those that are known take
        self._said = HeaderTable.DEFAULT_SIZE
        self._size = 0

    def forget(self) -> None:
        """What it holds, and how large it may be, is unknown."""
        self.entries.clear()
        self._size = 0
        self._said = _ANY_SIZE
        self._whole = False

    def get(self, index: int) -> tuple[bytes, bytes]:
        """Raises IndexError if there can be no such entry."""
        if 0 < index <= len(_STATIC):
            return _STATIC[index - 1]
        position = index - len(_STATIC) - 1
        beyond = position - len(self.entries)
        if position < 0 or (
            beyond >= 0 and (self._whole or beyond >= (self._said - self._size) // _OVERHEAD)
        ):
            raise IndexError(index)
        return (UNKNOWN, UNKNOWN) if beyond >= 0 else self.entries[position]

    def add(self, name: bytes, value: bytes) -> None:
        size = _entry_size(name, value)
        if size > self._said:  # an entry too large empties the table
            self.entries.clear()
            self._size = 0
            self._whole = True
            return
        self.entries.appendleft((name, value))
        self._size += size
        self._evict()

    def resize(self, size: int) -> None:
        self._said = size
        self._evict()

    def _evict(self) -> None:
        while self._size > self._said or self._size > KEPT:
            # The sender's own eviction takes what is unknown first; what only we drop becomes unknown.
            self._whole = self._size > self._said
            self._size -= _entry_size(*self.entries.pop())
        if self._said - self._size < _OVERHEAD:
            self._whole = True


class FieldDecoder:
    """Header blocks of one direction, in order."""

    def __init__(self) -> None:
        self._table = _Table()
        #: a block was read
        self.used = False

    def forget(self) -> None:
        """A block was missed: every entry of the table is unknown from here on."""
        self._table.forget()

    def decode(self, block: bytes) -> Fields:
        """The fields of a block, unknown ones as :data:`UNKNOWN`. Raises HttpError; then it is of no more use."""
        self.used = True
        try:
            return self._fields(block)
        except (HPACKError, IndexError) as error:
            raise HttpError("header_compression") from error

    def _fields(self, block: bytes) -> Fields:
        table = self._table
        fields: Fields = []
        size = position = 0
        while position < len(block):
            first = block[position]
            if first & 0x80:  # an entry
                index, position = _integer(block, position, 0x7F)
                field = table.get(index)
            elif first & 0xE0 == 0x20:  # the table's size, before any field
                if fields:
                    raise HttpError("header_compression")
                index, position = _integer(block, position, 0x1F)
                table.resize(index)
                continue
            else:  # a literal, which becomes an entry or not
                index, position = _integer(block, position, 0x3F if first & 0x40 else 0x0F)
                if index:
                    name = table.get(index)[0]
                else:
                    name, position = _string(block, position)
                value, position = _string(block, position)
                field = (name, value)
                if first & 0x40:
                    table.add(name, value)
            size += _OVERHEAD + len(field[0]) + len(field[1])
            if size > MAX_HEAD:
                raise HttpError("head_too_large")
            fields.append(field)
        return fields


def _integer(block: bytes, position: int, mask: int) -> tuple[int, int]:
    """A number with a prefix of ``mask`` (RFC 7541, 5.1), and where it ends. Raises IndexError beyond the block."""
    value = block[position] & mask
    position += 1
    if value < mask:
        return value, position
    for shift in range(0, 35, 7):
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise HttpError("header_compression")


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    """A string (RFC 7541, 5.2), and where it ends."""
    packed = block[position] & 0x80
    length, start = _integer(block, position, 0x7F)
    end = start + length
    if end > len(block):
        raise HttpError("header_compression")
    raw = block[start:end]
    return decode_huffman(raw) if packed else raw, end


def _entry_size(name: bytes, value: bytes) -> int:
    """As RFC 7541, 4.1 counts it; of an entry whose name is unknown the least that it may be."""
    return _OVERHEAD + len(value) + (0 if name == UNKNOWN else len(name))


class FieldSection(NamedTuple):
    """The fields of a head or of trailers; ``protocol`` is that of an extended CONNECT (RFC 8441).

    ``unknown``: there are fields whose names are unknown. ``cause``: why it does not do as a head
    (``header_unknown``, ``malformed_head``); what it says otherwise stands in ``head``.
    """

    head: Head
    protocol: str
    unknown: bool
    cause: str | None


def is_request(fields: Fields) -> bool | None:
    """Whose head is it? None: it cannot be told, or it is none."""
    names = {name for name, _ in fields}
    if names & _REQUEST_PSEUDO:
        return True
    return False if names & _RESPONSE_PSEUDO else None


def read_head(fields: Fields, response: bool) -> FieldSection:
    """A request's or response's head; ``:authority`` becomes the ``host`` header, first of all."""
    pseudo, headers, unknown, valid = _sort(fields, _RESPONSE_PSEUDO if response else _REQUEST_PSEUDO)
    protocol = _text(pseudo.get(b":protocol"))
    if response:
        status = pseudo.get(b":status")
        given = status is not None
        valid = valid and (status is None or _STATUS.fullmatch(status) is not None)
        head = Head("", "", int(status) if status is not None and valid else 0, False, headers)
    else:
        method, target = pseudo.get(b":method"), pseudo.get(b":path")
        authority = pseudo.get(b":authority")
        if method == b"CONNECT" and b":protocol" not in pseudo:  # RFC 9113, 8.5
            target = authority
        given = method is not None and target is not None
        valid = (
            valid
            and (method is None or _METHOD.fullmatch(method) is not None)
            and (target is None or _TARGET.fullmatch(target) is not None)
        )
        if authority is not None:
            headers = (("host", from_bytes(authority)), *(pair for pair in headers if pair[0] != "host"))
        head = Head(_text(method), _text(target), 0, False, headers)
    if not valid:
        return FieldSection(head, protocol, unknown, "malformed_head")
    if not given:
        return FieldSection(head, protocol, unknown, "header_unknown" if unknown else "malformed_head")
    return FieldSection(head, protocol, unknown, None)


def read_trailers(fields: Fields) -> FieldSection:
    """Fields after a body."""
    pseudo, headers, unknown, valid = _sort(fields, frozenset())
    cause = None if valid and not pseudo else "malformed_head"
    return FieldSection(Head("", "", 0, False, headers), "", unknown, cause)


def _text(value: bytes | None) -> str:
    return "" if value is None else from_bytes(value)


def _sort(fields: Fields, allowed: frozenset[bytes]) -> tuple[dict[bytes, bytes], Headers, bool, bool]:
    """Pseudo-header fields, the others, whether some are unknown, and whether all are well-formed (RFC 9113, 8.2)."""
    pseudo: dict[bytes, bytes] = {}
    headers: list[tuple[str, str]] = []
    unknown = False
    valid = True
    for name, value in fields:
        if name == UNKNOWN:
            unknown = True
        elif not _VALUE.fullmatch(value):
            valid = False
        elif name in allowed and name not in pseudo and not headers:
            pseudo[name] = value
        elif not _NAME.fullmatch(name) or name == b"transfer-encoding":
            valid = False
        else:
            headers.append((name.decode("ascii"), from_bytes(value)))
    return pseudo, tuple(headers), unknown, valid
