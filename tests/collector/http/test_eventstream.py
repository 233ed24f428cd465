"""Amazon event stream messages, however cut, their sums checked, within bounds."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.http.eventstream import MessageParser

#: a message that botocore 1.44.8 reads as one header, "content-type: application/json", and {'foo':'bar'}
KNOWN = bytes.fromhex(
    "0000003d0000002007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e7b"
    "27666f6f273a27626172277d8d9c08b1"
)


def header(name: str, kind: int, value: bytes) -> bytes:
    """A header; the value as it is on the wire."""
    return bytes([len(name)]) + name.encode() + bytes([kind]) + value


def text(name: str, value: str) -> bytes:
    """A header whose value is text."""
    return header(name, 7, struct.pack(">H", len(value)) + value.encode())


def message(payload: bytes, headers: bytes = b"") -> bytes:
    """A message, its sums right."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    framed = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return framed + struct.pack(">I", zlib.crc32(framed))


EVENT = text(":message-type", "event") + text(":event-type", "chunk")


def events(stream: bytes, step: int = 1 << 30, limit: int = 1 << 20) -> tuple[list[tuple[str, bytes]], bool]:
    """What is read, and whether something is missing."""
    parser = MessageParser(limit)
    out = []
    for start in range(0, len(stream), step):
        out += parser.feed(stream[start : start + step])
    return [(event.event, event.data) for event in out], parser.overflowed


def test_a_known_message_is_read() -> None:
    assert events(KNOWN) == ([("", b"{'foo':'bar'}")], False)
    assert message(b"{'foo':'bar'}", text("content-type", "application/json")) == KNOWN


@pytest.mark.parametrize("step", [1, 5, 64])
def test_events_exceptions_and_errors_are_told_apart(step: int) -> None:
    stream = b"".join(
        [
            message(b"{}", EVENT),
            message(
                b"x", text(":message-type", "exception") + text(":exception-type", "throttlingException")
            ),
            message(b"", text(":message-type", "error") + text(":error-code", "500")),
            message(b"y"),
        ]
    )
    expected = [("chunk", b"{}"), ("!throttlingException", b"x"), ("!500", b""), ("", b"y")]
    assert events(stream, step) == (expected, False)


def test_headers_of_every_type_are_passed_over() -> None:
    headers = b"".join(
        [
            header("t", 0, b""),
            header("f", 1, b""),
            header("byte", 2, b"1"),
            header("short", 3, b"12"),
            header("int", 4, b"1234"),
            header("long", 5, b"12345678"),
            header("bytes", 6, b"\x00\x03abc"),
            header("time", 8, b"12345678"),
            header("uuid", 9, b"1234567812345678"),
            EVENT,
        ]
    )
    assert events(message(b"{}", headers)) == ([("chunk", b"{}")], False)


def test_the_end_of_an_event_is_where_its_message_ends() -> None:
    one = message(b"{}", EVENT)
    assert [event.end for event in MessageParser().feed(one * 3)] == [len(one) * n for n in (1, 2, 3)]


@given(st.integers(0, len(message(b"{}", EVENT)) - 1), st.integers(1, 255), st.integers(1, 40))
def test_a_damaged_message_ends_the_reading_and_is_told(at: int, change: int, step: int) -> None:
    one = message(b"{}", EVENT)
    damaged = one[:at] + bytes([one[at] ^ change]) + one[at + 1 :]
    assert events(one + damaged + one, step) == ([("chunk", b"{}")], True)


@pytest.mark.parametrize(
    "headers",
    [b"\x05ab", b"\x01a", b"\x01a\x07\x00", b"\x01a\x07\x00\x09x", b"\x01a\x05\x01", b"\x01a\x63"],
)
def test_headers_that_are_none_end_the_reading(headers: bytes) -> None:
    assert events(message(b"{}", headers)) == ([], True)


@pytest.mark.parametrize(("total", "headers"), [(15, 0), (20, 8), (1 << 31, 1 << 30), (0, 0)])
def test_lengths_that_cannot_be_end_the_reading(total: int, headers: int) -> None:
    prelude = struct.pack(">II", total, headers)
    assert events(prelude + struct.pack(">I", zlib.crc32(prelude)) + bytes(64)) == ([], True)


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_a_message_that_is_too_large_is_passed_over_and_the_next_one_read(step: int) -> None:
    stream = message(b"a", EVENT) + message(bytes(500), EVENT) + message(b"b", EVENT)
    assert events(stream, step, limit=200) == ([("chunk", b"a"), ("chunk", b"b")], True)


@given(st.lists(st.binary(max_size=40) | st.just(message(b"{}", EVENT)), max_size=8))
def test_any_bytes_give_the_same_in_any_cuts_and_never_raise(parts: list[bytes]) -> None:
    whole, cut = MessageParser(), MessageParser()
    assert whole.feed(b"".join(parts)) == [event for part in parts for event in cut.feed(part)]
    assert whole.overflowed == cut.overflowed
