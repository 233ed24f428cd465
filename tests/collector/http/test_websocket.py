"""collector/http/websocket.py: what two real ends said is read, or is called missing; never guessed."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

from collector.http import websocket as websocket_module
from collector.http.events import (
    ConnectionLost,
    Direction,
    Gap,
    Headers,
    WebSocketClosed,
    WebSocketEvent,
    WebSocketMessage,
)
from collector.http.websocket import WebSocketConnection

OFFER: Headers = (("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),)
AGREED = {
    "none": "",
    "context": "permessage-deflate",
    "no context": "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    "client's only": "permessage-deflate; server_no_context_takeover; client_max_window_bits=10",
    "small windows": 'permessage-deflate; client_max_window_bits="9"; server_max_window_bits=9',
}
MODES = list(AGREED)


class Cut(NamedTuple):
    """Bytes of one direction, with a loss before them."""

    direction: Direction
    data: bytes
    missing: int = 0


def accepted(mode: str) -> Headers:
    return (("sec-websocket-extensions", AGREED[mode]),) if AGREED[mode] else ()


class Ends:
    """A client and a server as wsproto writes them, in ``mode``."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.client = Connection(ConnectionType.CLIENT, self._extensions(mode))
        self.server = Connection(ConnectionType.SERVER, self._extensions(mode))

    @staticmethod
    def _extensions(mode: str) -> list[PerMessageDeflate]:
        if not AGREED[mode]:
            return []
        extension = PerMessageDeflate()
        extension.finalize(AGREED[mode].replace('"', ""))
        return [extension]

    def says(self, direction: Direction, message: str | bytes, cuts: int = 1) -> list[Cut]:
        """A message in ``cuts`` fragments, a ping between them; a cut of bytes each."""
        end = self.client if direction == "sent" else self.server
        kind = TextMessage if isinstance(message, str) else BytesMessage
        size = max(1, -(-len(message) // cuts))
        parts = [message[at : at + size] for at in range(0, len(message), size)] or [message]
        out: list[Cut] = []
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            out.append(Cut(direction, end.send(kind(data=part, message_finished=last))))
            if not last:
                out.append(Cut(direction, end.send(Ping(b"between"))))
        return out

    def reader(self) -> WebSocketConnection:
        return WebSocketConnection(3, OFFER, accepted(self.mode))


def read(connection: WebSocketConnection, cuts: Iterable[Cut], close: bool = True) -> list[WebSocketEvent]:
    seen: list[WebSocketEvent] = []
    for cut in cuts:
        seen += connection.feed(cut.direction, cut.data, 7, cut.missing)
    return seen + (connection.close(7) if close else [])


def said(events: Iterable[WebSocketEvent]) -> list[tuple[str, str | bytes]]:
    return [
        (event.direction, event.data.decode() if event.text else event.data)
        for event in events
        if isinstance(event, WebSocketMessage)
    ]


def single(cuts: Iterable[Cut]) -> list[Cut]:
    return [Cut(cut.direction, cut.data[at : at + 1]) for cut in cuts for at in range(len(cut.data))]


TALK: list[tuple[Direction, str | bytes, int]] = [
    ("sent", '{"type":"response.create","input":"naïve 🦊"}', 1),
    ("received", '{"type":"response.created"}', 1),
    ("received", "a" * 300, 3),
    ("received", "", 1),
    ("sent", b"\x00\xff" * 40_000, 2),
    ("received", '{"type":"response.completed"}', 4),
]


def talk(ends: Ends) -> list[Cut]:
    return [cut for direction, message, cuts in TALK for cut in ends.says(direction, message, cuts)]


# --- real ends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_what_two_ends_say_is_read_whole(mode: str) -> None:
    ends = Ends(mode)
    events = read(ends.reader(), talk(ends))
    assert said(events) == [(direction, message) for direction, message, _ in TALK]
    assert len(events) == len(TALK)
    assert {event.request_index for event in events if isinstance(event, WebSocketMessage)} == {3}


@pytest.mark.parametrize("mode", MODES)
def test_the_observed_process_may_be_the_server(mode: str) -> None:
    ends = Ends(mode)
    turned = [Cut("received" if cut.direction == "sent" else "sent", cut.data) for cut in talk(ends)]
    assert [message for _, message in said(read(ends.reader(), turned))] == [
        message for _, message, _ in TALK
    ]


@pytest.mark.parametrize("mode", MODES)
def test_one_byte_at_a_time_gives_the_same(mode: str) -> None:
    ends = Ends(mode)
    cuts = talk(ends)
    assert read(ends.reader(), single(cuts)) == read(ends.reader(), cuts)


@given(st.data())
def test_any_messages_in_any_cuts_give_the_same(data: st.DataObject) -> None:
    ends = Ends(data.draw(st.sampled_from(MODES)))
    ways: st.SearchStrategy[Direction] = st.sampled_from(("sent", "received"))
    messages = data.draw(
        st.lists(
            st.tuples(ways, st.text(max_size=300) | st.binary(max_size=300), st.integers(1, 4)), max_size=8
        )
    )
    cuts = [cut for way, message, parts in messages for cut in ends.says(way, message, parts)]
    cut_up: list[Cut] = []
    for cut in cuts:
        places = sorted(data.draw(st.lists(st.integers(0, len(cut.data)), max_size=4)))
        for begin, end in zip([0, *places], [*places, len(cut.data)], strict=True):
            cut_up.append(Cut(cut.direction, cut.data[begin:end]))
    assert said(read(ends.reader(), cut_up)) == [(way, message) for way, message, _ in messages]


@pytest.mark.parametrize("mode", MODES)
def test_every_single_cut_gives_the_same(mode: str) -> None:
    ends = Ends(mode)
    cuts = [*ends.says("received", "delta " * 20, 2), *ends.says("received", "delta " * 20)]
    whole = b"".join(cut.data for cut in cuts)
    for at in range(len(whole) + 1):
        halves = [Cut("received", whole[:at]), Cut("received", whole[at:])]
        assert said(read(ends.reader(), halves)) == [("received", "delta " * 20)] * 2


def test_messages_have_the_time_of_their_first_and_their_last_byte() -> None:
    ends = Ends("none")
    first, ping, last = ends.says("sent", "abcdef", 2)
    connection = ends.reader()
    (message,) = [
        event
        for ts, cut in enumerate((first, ping, last))
        for event in connection.feed(cut.direction, cut.data, 10 + ts)
    ]
    assert isinstance(message, WebSocketMessage)
    assert (message.first_ts, message.ts, message.data) == (10, 12, b"abcdef")


@pytest.mark.parametrize(("code", "told"), [(1000, 1000), (1011, 1011), (None, 1005)])
def test_a_close_is_told_once_with_its_code_and_ends_its_direction(code: int | None, told: int) -> None:
    ends = Ends("context")
    closing = (
        ends.client.send(CloseConnection(code=code, reason="x"))
        if code is not None
        else bytes.fromhex("888000000000")
    )
    cuts = [Cut("sent", closing), Cut("sent", b"garbage"), *ends.says("received", "late")]
    events = read(ends.reader(), single(cuts))
    assert events[0] == WebSocketClosed(direction="sent", code=told, ts=7, request_index=3)
    assert said(events) == [("received", "late")] and len(events) == 2


def test_pongs_and_pings_are_not_messages() -> None:
    ends = Ends("context")
    cuts = [Cut("sent", ends.client.send(Ping(b"x" * 125))), Cut("received", ends.server.send(Pong(b"")))]
    assert read(ends.reader(), cuts) == []


@pytest.mark.parametrize("ends_in_between", [1, 2])
def test_a_message_may_have_last_blocks_and_go_on(ends_in_between: int) -> None:
    """RFC 7692, 7.2.3.5: a block that calls itself the last, and a zero byte; the context stays."""
    window = b""
    cuts = []
    for text in (b"one and the same text", b"one and the same text again"):
        payload = b""
        for _ in range(ends_in_between):
            packer = zlib.compressobj(wbits=-15, zdict=window)
            payload += packer.compress(text) + packer.flush(zlib.Z_FINISH)
            window += text
        payload += b"\x00"
        cuts.append(Cut("received", bytes((0xC1, len(payload))) + payload))
    events = read(WebSocketConnection(0, OFFER, accepted("context")), cuts)
    assert said(events) == [
        ("received", "one and the same text" * ends_in_between),
        ("received", "one and the same text again" * ends_in_between),
    ]


# --- loss --------------------------------------------------------------------------------------------------


def with_loss(cuts: Sequence[Cut], of: int, begin: int, size: int) -> list[Cut]:
    """The cuts, ``size`` bytes from ``begin`` of cut number ``of`` missing."""
    hit = cuts[of]
    lossy = [Cut(hit.direction, hit.data[:begin]), Cut(hit.direction, hit.data[begin + size :], size)]
    return [*cuts[:of], *lossy, *cuts[of + 1 :]]


@pytest.mark.parametrize(
    ("mode", "kept"),
    [("none", [0, 2, 3]), ("no context", [0, 2, 3]), ("client's only", [0, 2, 3]), ("context", [0])],
)
def test_a_loss_inside_a_frame_costs_that_message_and_those_that_need_it(mode: str, kept: list[int]) -> None:
    ends = Ends(mode)
    messages = [f"{{'number': {number}, 'text': 'the same in each'}}" for number in range(4)]
    cuts = [cut for message in messages for cut in ends.says("received", message)]
    asked = ends.says("sent", "the other direction goes on")
    events = read(ends.reader(), [*with_loss(cuts, 1, 5, 6), *asked])
    told = [("received", messages[number]) for number in kept]
    assert said(events) == [*told, ("sent", "the other direction goes on")]
    gaps = [event for event in events if isinstance(event, Gap)]
    assert len(gaps) == 4 - len(kept) and gaps[0].missing == 6
    assert {gap.direction for gap in gaps} == {"received"}


def test_the_end_of_a_frame_may_be_what_is_missing() -> None:
    ends = Ends("none")
    first, second = ends.says("received", "x" * 50)[0], ends.says("received", "next")[0]
    cuts = [Cut("received", first.data[:20]), Cut("received", b"", len(first.data) - 20), second]
    assert said(read(ends.reader(), cuts)) == [("received", "next")]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("begin", [0, 1])
def test_a_loss_that_may_hide_the_beginning_of_a_frame_costs_the_direction(mode: str, begin: int) -> None:
    ends = Ends(mode)
    cuts = [*ends.says("received", "one"), *ends.says("received", "two"), *ends.says("received", "three")]
    events = read(ends.reader(), [*with_loss(cuts, 1, begin, 2), *ends.says("sent", "heard")])
    assert said(events) == [("received", "one"), ("sent", "heard")]
    assert len([event for event in events if isinstance(event, Gap)]) == 3  # the loss, and each read after it


@given(st.data())
def test_after_any_loss_nothing_is_read_that_was_not_said(data: st.DataObject) -> None:
    ends = Ends(data.draw(st.sampled_from(MODES)))
    texts = [f"message {number} " * data.draw(st.integers(1, 30)) for number in range(6)]
    stream = b"".join(cut.data for text in texts for cut in ends.says("received", text))
    begin = data.draw(st.integers(0, len(stream) - 1))
    size = data.draw(st.integers(1, len(stream) - begin))
    events = read(
        ends.reader(), [Cut("received", stream[:begin]), Cut("received", stream[begin + size :], size)]
    )
    heard = [message for _, message in said(events)]
    places = [texts.index(str(message)) for message in heard]
    assert places == sorted(set(places)) and len(heard) < len(texts)
    assert any(isinstance(event, Gap) for event in events)


def test_a_connection_that_ends_within_a_message_says_so() -> None:
    ends = Ends("none")
    (cut,) = ends.says("received", "x" * 50)
    for end in range(1, len(cut.data)):
        (gap,) = read(ends.reader(), [Cut("received", cut.data[:end])])
        assert isinstance(gap, Gap) and gap.cause == "closed"


# --- what an observed process may choose -------------------------------------------------------------------


@pytest.mark.parametrize(
    "extensions",
    [
        "permessage-deflate, permessage-deflate",
        "x-webkit-deflate-frame",
        "permessage-deflate; unheard_of",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits",
        "permessage-bzip2",
    ],
)
def test_an_extension_that_is_not_known_ends_the_reading(extensions: str) -> None:
    connection = WebSocketConnection(0, OFFER, (("Sec-WebSocket-Extensions", extensions),))
    lost = ConnectionLost(cause="websocket_extension", missing=0, ts=7)
    assert read(connection, [Cut("received", b"\x81\x02hi"), Cut("received", b"\x81\x02hi")]) == [lost]


def test_compression_that_was_not_offered_ends_the_reading() -> None:
    connection = WebSocketConnection(0, (), accepted("context"))
    assert read(connection, [Cut("received", b"\x81\x02hi")])[0] == ConnectionLost(
        cause="websocket_extension", missing=0, ts=7
    )


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param("9100", id="reserved bit"),
        pytest.param("c100", id="compressed though nothing was agreed"),
        pytest.param("8300", id="reserved kind of frame"),
        pytest.param("8b00", id="reserved kind of control frame"),
        pytest.param("8000", id="goes on with nothing"),
        pytest.param("0100 8100", id="a message inside another"),
        pytest.param("0900", id="a control frame in fragments"),
        pytest.param("897e0080", id="a control frame of 128 bytes"),
        pytest.param("817fffffffffffffffff", id="a length beyond what is allowed"),
        pytest.param("8100 818000000000", id="masked, and not"),
    ],
)
def test_frames_that_an_end_must_refuse_end_the_reading(frames: str) -> None:
    events = read(WebSocketConnection(0, (), ()), single([Cut("received", bytes.fromhex(frames))]))
    assert [event.cause for event in events if isinstance(event, ConnectionLost)] == ["websocket_malformed"]
    assert isinstance(events[-1], ConnectionLost)


def test_two_directions_that_both_claim_the_client_end_the_reading() -> None:
    masked = bytes.fromhex("818000000000")
    events = read(WebSocketConnection(0, (), ()), [Cut("sent", masked), Cut("received", masked)])
    assert [type(event) for event in events] == [WebSocketMessage, ConnectionLost]


def test_a_message_beyond_the_limit_is_not_kept_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_module, "MAX_BODY", 1000)
    ends = Ends("none")
    connection = ends.reader()
    most = 0
    events: list[WebSocketEvent] = []
    for cut in single([*ends.says("sent", "x" * 5000, 3), *ends.says("sent", "small")]):
        events += connection.feed(cut.direction, cut.data, 7)
        most = max(most, connection.held)
    assert [event.cause for event in events if isinstance(event, Gap)] == ["too_large"]
    assert said(events) == [("sent", "small")] and most <= 1000 and connection.held == 0


def test_a_frame_may_call_itself_as_long_as_it_likes() -> None:
    connection = WebSocketConnection(0, (), ())
    head = bytes((0x82, 127)) + (1 << 62).to_bytes(8)
    assert connection.feed("received", head + b"x" * 100, 7) == []
    assert connection.held == 100
    assert [type(event) for event in connection.close(8)] == [Gap]


@pytest.mark.parametrize("mode", ["context", "no context"])
def test_a_bomb_is_stopped_before_it_fills_the_memory(mode: str) -> None:
    packer = zlib.compressobj(wbits=-15)
    payload = packer.compress(bytes(50_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH)
    frame = bytes((0xC2, 127)) + (len(payload) - 4).to_bytes(8) + payload[:-4]
    connection = WebSocketConnection(0, OFFER, accepted(mode))
    tracemalloc.start()
    events = connection.feed("received", frame, 7)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert events == [Gap(direction="received", missing=0, ts=7, cause="bomb")]
    assert peak < 16_000_000
    packer = zlib.compressobj(wbits=-15)
    small = (packer.compress(b"hi") + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    after = connection.feed("received", bytes((0xC1, len(small))) + small, 7)
    assert said(after) == ([] if mode == "context" else [("received", "hi")])


def test_endless_last_blocks_end_with_their_message() -> None:
    payload = b"\x03\x00" * 60_000
    frame = bytes((0xC2, 127)) + len(payload).to_bytes(8) + payload
    events = read(WebSocketConnection(0, OFFER, accepted("context")), [Cut("received", frame)])
    assert events == [Gap(direction="received", missing=0, ts=7, cause="encoding")]


_WAYS: st.SearchStrategy[Direction] = st.sampled_from(("sent", "received"))


@given(
    st.sampled_from(MODES),
    st.lists(
        st.builds(
            Cut,
            _WAYS,
            st.binary(max_size=40)
            | st.sampled_from(
                [cut.data for mode in MODES for cut in talk(Ends(mode)) if len(cut.data) < 999]
            ),
            st.sampled_from([0, 0, 0, 3, 1 << 40]),
        ),
        max_size=12,
    ),
)
def test_any_bytes_and_any_loss_never_raise_and_give_the_same_in_any_cut(mode: str, cuts: list[Cut]) -> None:
    once = [event for event in read(Ends(mode).reader(), cuts) if not isinstance(event, Gap)]
    split: list[Cut] = []
    for cut in cuts:
        split += [Cut(cut.direction, b"", cut.missing)] if cut.missing else []
        split += single([Cut(cut.direction, cut.data)])
    again = [event for event in read(Ends(mode).reader(), split) if not isinstance(event, Gap)]
    strip = [(type(event), getattr(event, "data", None), getattr(event, "cause", None)) for event in again]
    assert strip == [
        (type(event), getattr(event, "data", None), getattr(event, "cause", None)) for event in once
    ]
