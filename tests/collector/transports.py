"""One conversation of an agent and its model as bytes of each transport: the same words, other frames."""

from __future__ import annotations

import json
from collections.abc import Iterable

from collector.http.events import Direction
from collector.plain.streams import PlainChunk, PlainConnection
from polygraph.events import AnyEvent
from tests.agents.script import Answer, ToolCall
from tests.agents.wire import Wire, body
from tests.collector.http.h2_peers import Said
from tests.collector.http.h2_peers import Talk as Http2
from tests.collector.llm.http import PATHS, Json, ask, question, stream, streamed_answer
from tests.collector.llm.test_responses_socket import Socket
from tests.collector.said import ROOT, Talk, repeated, results

Writes = list[tuple[Direction, bytes]]
#: the API that every transport carries
_API: Wire = "openai.responses"
_SAID = (
    Answer(text="I'll run them.", calls=(ToolCall("bash", {"command": "pytest -q"}),)),
    Answer(text="All 3 tests passed. I created a.py."),
)
_PLAIN = PlainConnection(ROOT, 7, 1, json=False, serves=False, standard_input=0)


def _requests() -> list[Json]:
    first = question(_API, True)
    history = [
        {"role": "user", "content": first["input"]},
        *repeated(_API, body(_API, _SAID[0], first, "1")),
        *results(_API, [("call_1_0", "3 passed in 0.1s")]),
    ]
    return [first, first | {"input": history}]


_ASKED = _requests()
_ANSWERS = [streamed_answer(_API, said, str(turn)) for turn, said in enumerate(_SAID, 1)]


def _http1() -> Writes:
    writes: Writes = []
    for asked, answered in zip(_ASKED, _ANSWERS, strict=True):
        writes += [("sent", ask(PATHS[_API], asked)), ("received", stream(answered))]
    return writes


def _http2() -> Writes:
    talk = Http2()
    for asked, answered in zip(_ASKED, _ANSWERS, strict=True):
        talk.say(
            Said(
                path=PATHS[_API],
                body=json.dumps(asked).encode(),
                answer_headers=[("content-type", "text/event-stream")],
                answer=answered,
                piece=1000,
            )
        )
    return [(write.direction, write.data) for write in talk.writes]


def _websocket(compressed: bool) -> Writes:
    socket = Socket(compressed=compressed)
    for asked, said in zip(_ASKED, _SAID, strict=True):
        socket.create(**asked)
        socket.answer(said)
    return [(cut.direction, cut.data) for cut in socket.cuts]


def _proxied() -> Writes:
    """Through a proxy, without TLS within."""
    connect = b"CONNECT api.example:80 HTTP/1.1\r\nHost: api.example:80\r\n\r\n"
    return [("sent", connect), ("received", b"HTTP/1.1 200 X\r\n\r\n"), *_http1()]


#: the conversation by its transport
TRANSPORTS: dict[str, Writes] = {
    "http/1.1": _http1(),
    "h2": _http2(),
    "websocket": _websocket(compressed=False),
    "compressed websocket": _websocket(compressed=True),
    "proxy": _proxied(),
}


def log_of(writes: Iterable[tuple[Direction, bytes]], *, plain: bool = False) -> list[AnyEvent]:
    """The log of a session that says this over TLS, or without."""
    talk = Talk()
    for way, data in writes:
        if plain:
            talk.ts += 1
            talk.pipeline.plain(PlainChunk(_PLAIN, way, 0, data, talk.ts, 0, ROOT))
        else:
            talk.bytes(way, data)
    return talk.log()


def pieces(writes: Writes, sizes: Iterable[int]) -> Writes:
    """The same bytes in reads of these sizes, one after the other; what is left of a write comes at once."""
    given = iter(sizes)
    out: Writes = []
    for way, data in writes:
        at = 0
        while at < len(data):
            size = next(given, len(data))
            out.append((way, data[at : at + size]))
            at += size
    return out
