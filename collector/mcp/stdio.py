"""MCP over standard input and output: messages of JSON-RPC, one a line (``basic/transports``, "stdio"). Pure.

A client writes requests to the pipe or socket that its server has as standard input; the server writes the answers to
its standard output. The kernel joins the two: it notes what a program had as input and output when it was executed
(bpf/plain.h). Without that word no answer is given to a question.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import NamedTuple

from collector.http.events import Direction, other
from collector.mcp.calls import Answer, Calls, CallSeen, Digest
from collector.mcp.jsonrpc import Message, parse
from polygraph.events import ProcessKey

#: bytes of one message; a longer one is passed over
MAX_LINE = 8 << 20
#: bytes of unfinished lines of all streams; the longest is passed over beyond it
MAX_HELD = 64 << 20
#: directions that are followed at once; the one that was silent longest is forgotten beyond it
MAX_STREAMS = 1024
#: lines of something else that a server may write before its first message
MAX_OTHERS = 8
#: answers that came before their question: a write that two processes see in the other order
MAX_EARLY = 64


class Stream(NamedTuple):
    """One direction of one use of a connection. ``standard_input``: the connection that its writer reads, or 0."""

    connection: int
    generation: int
    direction: Direction
    standard_input: int = 0


class _Response(NamedTuple):
    """An answer, as small as it may be kept. ``peer``: who wrote it, where that was seen."""

    stream: Stream
    id: str
    answer: Answer
    ts: int
    peer: ProcessKey | None


class _Lines:
    """Lines of a stream; what a hole damaged is passed over up to the next line's end."""

    def __init__(self) -> None:
        self.held = bytearray()
        self.skipping = False
        #: messages of JSON-RPC, and lines that are none
        self.messages = 0
        self.others = 0

    def feed(self, data: bytes, missing: int) -> list[bytes]:
        if missing:
            self.held.clear()
            self.skipping = True
        *lines, tail = data.split(b"\n")
        found = []
        for line in lines:
            if not self.skipping:
                found.append(bytes(self.held) + line if self.held else line)
            self.held.clear()
            self.skipping = False
        if not self.skipping:
            self.held += tail
            if len(self.held) > MAX_LINE:
                self.drop()
        return found

    def drop(self) -> None:
        self.held.clear()
        self.skipping = True


class StdioCalls:
    """Tool calls of all stdio servers of a session."""

    def __init__(self, digest: Digest) -> None:
        self._calls = Calls(digest)
        self._streams: OrderedDict[Stream, _Lines] = OrderedDict()
        self._held = 0
        self._early: deque[_Response] = deque(maxlen=MAX_EARLY)

    def feed(
        self, stream: Stream, data: bytes, ts: int, missing: int, process: ProcessKey
    ) -> tuple[list[CallSeen], bool | None]:
        """What ``data`` completes, and whether the stream is JSON-RPC; None: not known yet. Never raises.

        ``process`` sent or received it. ``missing`` bytes were lost just before it.
        """
        lines = self._streams.get(stream)
        if lines is None:
            lines = self._streams[stream] = _Lines()
            if len(self._streams) > MAX_STREAMS:
                self._held -= len(self._streams.popitem(last=False)[1].held)
        self._streams.move_to_end(stream)
        self._held -= len(lines.held)
        seen: list[CallSeen] = []
        for line in lines.feed(data, missing):
            messages = parse(line) if line.strip() else []
            lines.messages += len(messages)
            lines.others += bool(line.strip()) and not messages
            for message in messages:
                seen += self._message(stream, message, ts, process)
        self._held += len(lines.held)
        if self._held > MAX_HELD:
            longest = max(self._streams.values(), key=lambda one: len(one.held))
            self._held -= len(longest.held)
            longest.drop()
        return seen, True if lines.messages else False if lines.others > MAX_OTHERS else None

    def finish(self, ts: int) -> list[CallSeen]:
        """Nothing more will come: calls without an answer are over."""
        return self._calls.give_up(ts)

    def _message(self, stream: Stream, message: Message, ts: int, process: ProcessKey) -> list[CallSeen]:
        sent = stream.direction == "sent"
        if not message.method:
            answer = self._calls.answer(message)
            return self._response(_Response(stream, message.id or "", answer, ts, process if sent else None))
        seen = self._calls.asked(
            (stream.connection, stream.direction, message.id),
            message,
            ts,
            process=process,
            serves=not sent,
            transport="stdio",
        )
        for one in self._early:
            if one.id == message.id and one.stream.standard_input == stream.connection:
                self._early.remove(one)
                return seen + self._response(one._replace(ts=max(ts, one.ts)))
        return seen

    def _response(self, response: _Response) -> list[CallSeen]:
        """Of the conversation whose requests its writer reads; it waits for its question if that was not seen yet."""
        stream, ident, answer, ts, peer = response
        # Last, both ways of one socket pair: what is answered went the other way.
        asked: tuple[tuple[int, Direction], ...] = (
            (stream.standard_input, "sent"),
            (stream.standard_input, "received"),
            (stream.connection, other(stream.direction)),
        )
        for connection, direction in asked:
            found = self._calls.answered((connection, direction, ident), answer, ts, peer)
            if found is not None:
                return [found]
        self._early.append(response)
        return []
