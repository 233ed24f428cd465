"""collector/tls/rustls.py: each byte in the connection that it was said in, or a hole where that is not certain."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector.tls.rustls import MAX_PLACES, MAX_WAITING, RustlsConnections
from collector.tls.streams import Chunk, ConnectionKey, Direction

P = "10:20"
GET = b"GET /v1/responses HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /v1/responses HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME = b"\x8a\x8c\x00\x37masked"


def place(number: int, process: str = P) -> ConnectionKey:
    return ConnectionKey(process, number, number, "rustls")


def upgrade(key: bytes) -> bytes:
    return b"GET /v1/responses HTTP/1.1\r\nUpgrade: websocket\r\nsec-websocket-key: " + key + b"\r\n\r\n"


def accepts(accept: bytes) -> bytes:
    return b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"


#: RFC 6455, section 1.3
KEY, ACCEPT = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#: another pair, made by hand of the same rule
KEY_2, ACCEPT_2 = b"x3JJHMbDL1EzLkh9GBhXDw==", b"HSmrc0sMlYUkAGmm5OPpG2HaGWk="


class Program:
    """Says things at addresses and counts the bytes of each, as the kernel side does."""

    def __init__(self) -> None:
        self.follower = RustlsConnections()
        self.counts: dict[tuple[ConnectionKey, Direction], int] = {}
        self.streams: dict[tuple[ConnectionKey, Direction], bytes] = {}
        self.holes: list[tuple[ConnectionKey, int]] = []
        self.over: list[ConnectionKey] = []

    def says(self, key: ConnectionKey, data: bytes, way: Direction = "sent", missing: int = 0) -> Chunk:
        offset = self.counts.get((key, way), 0) + missing
        self.counts[key, way] = offset + len(data)
        steps = self.follower.follow(Chunk(key, way, offset, data, 5, missing))
        for step in steps:
            if not isinstance(step, Chunk):
                self.over.append(step)
                continue
            if step.missing:
                self.holes.append((step.connection, step.missing))
            known = self.streams.get((step.connection, step.direction), b"")
            whole = known + b"?" * step.missing + step.data
            assert step.offset == len(whole) - len(step.data)
            self.streams[step.connection, step.direction] = whole
        assert isinstance(steps[-1], Chunk)
        return steps[-1]

    def hears(self, key: ConnectionKey, data: bytes) -> Chunk:
        return self.says(key, data, "received")


def test_requests_of_one_connection_before_the_answer_stay_together() -> None:
    program = Program()
    program.says(place(1), POST)
    program.says(place(1), b"body")
    program.says(place(1), GET)
    program.hears(place(1), ANSWER)
    assert program.streams == {(place(1), "sent"): POST + b"body" + GET, (place(1), "received"): ANSWER}
    assert program.over == []


def test_a_request_after_an_answer_may_be_another_connections() -> None:
    """Of keep-alive and of an address that was used again the first bytes are the same: either is read right so."""
    program = Program()
    program.says(place(1), POST)
    program.hears(place(1), ANSWER + b"half of an ans")
    second = program.says(place(1), GET)
    program.hears(place(1), ANSWER)
    again = place(1)._replace(life=1)
    assert second.connection == again and second.offset == 0
    assert program.over == [place(1)]
    assert program.streams[again, "received"] == ANSWER


def test_a_preface_begins_a_connection_whatever_was_there() -> None:
    program = Program()
    for number in range(3):
        told = program.says(place(1), PREFACE)
        assert told.connection.life == number
        program.says(place(1), b"frame")
    assert program.over == [place(1), place(1)._replace(life=1)]


def test_a_body_within_http2_that_looks_like_a_request_begins_nothing() -> None:
    program = Program()
    program.says(place(1), PREFACE)
    program.hears(place(1), b"settings")
    assert program.says(place(1), POST).connection == place(1)


def test_a_body_that_goes_on_with_what_looks_like_a_request_begins_nothing() -> None:
    """The kernel side cuts a call after 16 KiB, wherever that is."""
    program = Program()
    program.says(place(1), POST)
    program.hears(place(1), b"HTTP/1.1 100 Continue\r\n\r\n")
    program.says(place(1), b"x" * 16384)
    assert program.says(place(1), GET).connection == place(1)


def test_a_websocket_is_followed_to_where_it_moved() -> None:
    program = Program()
    program.says(place(1), GET)
    program.hears(place(1), SWITCH)
    program.hears(place(1), b"ping")
    program.says(place(2), FRAME)
    program.hears(place(2), b"message")
    program.says(place(2), FRAME)
    assert program.streams == {
        (place(1), "sent"): GET + FRAME + FRAME,
        (place(1), "received"): SWITCH + b"ping" + b"message",
    }
    assert program.over == [] and program.holes == []


def test_the_address_that_it_left_is_another_connections_from_then_on() -> None:
    program = Program()
    program.says(place(1), GET)
    program.hears(place(1), SWITCH)
    program.says(place(2), FRAME)
    told = program.says(place(1), POST)
    program.hears(place(1), ANSWER)
    assert told.connection == place(1)._replace(life=1) and told.offset == 0
    program.hears(place(2), b"message")
    assert program.over == []
    assert program.streams[place(1), "received"] == SWITCH + b"message"
    assert program.streams[told.connection, "received"] == ANSWER


def test_a_websocket_that_stays_is_not_looked_for_elsewhere() -> None:
    program = Program()
    program.says(place(1), GET)
    program.hears(place(1), SWITCH)
    program.says(place(1), FRAME)
    assert program.says(place(2), FRAME).connection == place(2)
    assert program.streams[place(1), "sent"] == GET + FRAME


PING = b"\x89\x0cstill there?"


def at_rest(program: Program, stack: int, heap: int, key: bytes, accept: bytes) -> None:
    """A WebSocket whose handshake was at one address, and which speaks at another."""
    program.says(place(stack), upgrade(key))
    program.hears(place(stack), accepts(accept))
    program.says(place(heap), FRAME)
    program.hears(place(heap), b"\x81\x02ok")


def test_a_websocket_that_moved_to_where_one_had_ended_is_not_glued_to_it() -> None:
    """What Codex CLI does when a stream breaks off: the allocator gives the next connection the same memory."""
    for first, way in ((FRAME, "sent"), (PING, "received")):
        program = Program()
        at_rest(program, 1, 2, KEY, ACCEPT)
        program.says(place(3), upgrade(KEY_2))
        program.hears(place(3), accepts(ACCEPT_2))
        told = program.says(place(2), first, way)  # type: ignore[arg-type]
        assert told.connection == place(3) and program.over == [place(1)]
        program.says(place(2), FRAME)
        assert program.streams[place(3), "sent"].startswith(upgrade(KEY_2) + FRAME)
        assert program.streams[place(1), "sent"] == upgrade(KEY) + FRAME
        assert program.holes == []


def test_a_websocket_that_speaks_while_another_is_opened_goes_on() -> None:
    program = Program()
    at_rest(program, 1, 2, KEY, ACCEPT)
    program.says(place(3), upgrade(KEY_2))
    program.hears(place(2), PING)  # after the other one asked: it lives
    program.hears(place(3), accepts(ACCEPT_2))
    assert program.says(place(2), FRAME).connection == place(1)
    assert program.says(place(4), FRAME).connection == place(3)
    assert program.over == [] and program.holes == []


def test_another_protocol_at_the_address_goes_on() -> None:
    """A frame of HTTP/2, or the rest of a body, is none of a WebSocket."""
    program = Program()
    program.says(place(2), PREFACE)
    program.says(place(1), upgrade(KEY))
    program.hears(place(1), accepts(ACCEPT))
    assert program.says(place(2), b"\x00\x00\x05\x00\x00\x00\x00\x00\x01hello").connection == place(2)
    assert program.says(place(3), FRAME).connection == place(1)


def test_of_two_that_may_have_moved_both_are_given_up_with_a_hole() -> None:
    program = Program()
    for number in (1, 2):
        program.says(place(number), GET)
        program.hears(place(number), SWITCH)
    assert program.says(place(3), FRAME).connection == place(3)
    assert program.holes == [(place(1), len(FRAME)), (place(2), len(FRAME))]
    assert program.over == [place(1), place(2)]
    assert program.says(place(4), FRAME).connection == place(4)
    assert len(program.holes) == 2


def test_an_answer_to_a_websocket_is_joined_by_its_key_wherever_it_comes() -> None:
    """The handshake is made on the stack of whichever thread goes on with it."""
    program = Program()
    program.says(place(1), upgrade(KEY))
    program.hears(place(2), accepts(ACCEPT))
    program.says(place(3), FRAME)
    assert program.streams == {
        (place(1), "sent"): upgrade(KEY) + FRAME,
        (place(1), "received"): accepts(ACCEPT),
    }
    assert program.over == [] and program.holes == []


def test_two_handshakes_in_turn_at_one_address_are_two() -> None:
    program = Program()
    program.says(place(1), upgrade(KEY))
    second = program.says(place(1), upgrade(KEY_2)).connection
    assert program.hears(place(1), accepts(ACCEPT)).connection == place(1)
    program.says(place(3), FRAME)
    assert program.hears(place(1), accepts(ACCEPT_2)).connection == second
    program.says(place(4), FRAME + FRAME)
    assert program.streams == {
        (place(1), "sent"): upgrade(KEY) + FRAME,
        (place(1), "received"): accepts(ACCEPT),
        (second, "sent"): upgrade(KEY_2) + FRAME + FRAME,
        (second, "received"): accepts(ACCEPT_2),
    }
    assert program.over == [] and program.holes == []


def test_a_refusal_elsewhere_is_that_of_the_only_one_who_asked() -> None:
    program = Program()
    program.says(place(1), upgrade(KEY))
    assert program.hears(place(2), b"HTTP/1.1 401 Unauthorized\r\n\r\n").connection == place(1)
    program.says(place(3), upgrade(KEY))
    program.says(place(4), upgrade(KEY_2))
    program.hears(place(5), b"HTTP/1.1 401 Unauthorized\r\n\r\n")
    assert {key for key, _size in program.holes} == {place(3), place(4)} == set(program.over)


def test_a_beginning_that_was_lost_is_nobodys() -> None:
    program = Program()
    program.says(place(1), GET)
    program.hears(place(1), SWITCH)
    told = program.says(place(2), FRAME, missing=7)
    assert told.connection == place(2) and told.missing == 7
    assert (place(1), 7 + len(FRAME)) in program.holes


def test_another_process_is_another_matter() -> None:
    program = Program()
    program.says(place(1), GET)
    program.hears(place(1), SWITCH)
    other = place(2, "30:40")
    assert program.says(other, FRAME).connection == other
    assert program.holes == []


def test_a_switch_in_the_middle_of_an_answer_is_none() -> None:
    program = Program()
    program.says(place(1), GET)
    program.hears(place(1), ANSWER)
    program.hears(place(1), SWITCH)
    assert program.says(place(2), FRAME).connection == place(2)


def test_the_end_of_a_process_ends_its_connections() -> None:
    program = Program()
    program.says(place(1), GET)
    program.hears(place(1), SWITCH)
    program.says(place(2), FRAME)
    program.says(place(5, "30:40"), GET)
    assert set(program.follower.exited(P)) == {place(1)}
    assert program.follower.exited(P) == []
    assert program.follower.exited("30:40") == [place(5, "30:40")]


def test_memory_is_bounded() -> None:
    program = Program()
    for number in range(MAX_PLACES + 10):
        program.says(place(number), GET)
    assert len(program.follower.exited(P)) == MAX_PLACES
    for number in range(MAX_WAITING + 10):
        program.says(place(1), upgrade(b"%d" % number))
    # those that wait, and the one that is still at the address
    assert len(program.follower.exited(P)) == MAX_WAITING


_WORDS = st.sampled_from(
    [
        GET,
        POST,
        PREFACE,
        FRAME,
        ANSWER,
        SWITCH,
        b"",
        b"x" * 16384,
        upgrade(KEY),
        accepts(ACCEPT),
        upgrade(KEY_2),
    ]
)
_SAID = st.tuples(
    st.integers(1, 4),
    st.sampled_from(["sent", "received"]),
    _WORDS | st.binary(max_size=9),
    st.integers(0, 1),
)


@given(st.lists(_SAID, max_size=40))
def test_whatever_is_said_no_byte_is_lost_or_told_twice(
    said: list[tuple[int, Direction, bytes, int]],
) -> None:
    """``Program.says`` checks that each connection's offsets count every byte and every hole."""
    program = Program()
    for number, way, data, missing in said:
        program.says(place(number), data, way, missing)
    told = sum(len(data) for data in program.streams.values()) - sum(size for _key, size in program.holes)
    assert told == sum(len(data) for _number, _way, data, _missing in said)
