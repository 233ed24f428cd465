"""What is said on a session's connections beside LLM calls: MCP calls and A2A operations, as events. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from collector.containers import Created, creates
from collector.http.connection import TLS_HANDSHAKE
from collector.http.events import (
    ConnectionLost,
    Direction,
    Headers,
    HttpEvent,
    RequestDone,
    ResponseDone,
    is_success,
)
from collector.llm.answers import Answers
from collector.llm.exchange import Beside, LlmConnection, LlmEvent, Unreadable
from collector.mcp.a2a import A2aSeen
from collector.mcp.calls import Calls, CallSeen, Digest
from collector.mcp.http import HttpCalls, wanted
from collector.mcp.stdio import StdioCalls
from polygraph.events import A2aMessage, McpCall, ProcessKey

#: causes of what cannot be read that speak of a call, by its path
_OF_A_CALL = frozenset({"request_incomplete", "request_unreadable"})


def _wanted(method: str, target: str, headers: Headers) -> bool:
    return wanted(method, target, headers) or creates(method, target, headers)


class Followed:
    """One connection: its LLM calls, and the MCP calls and A2A operations beside them."""

    def __init__(
        self,
        process: ProcessKey,
        answers: Answers,
        book: Calls,
        *,
        plain: bool,
        serves: bool,
        socket: int = 0,
    ) -> None:
        self.llm = LlmConnection(answers, Beside(_wanted, self._http))
        self.plain = plain
        #: without TLS: requests come in here
        self.serves = serves
        #: its last request came in, without TLS or within
        self._asked = serves
        #: inode number of its socket, where that is known
        self.socket = socket
        #: it carries calls: what of it cannot be read matters
        self.wanted = False
        #: TLS goes through it, or it is no HTTP after all
        self.left = False
        self._beside: list[CallSeen | A2aSeen] = []
        self._calls = HttpCalls(book, process)
        #: containers that its server made
        self.created = Created()
        self._connecting = self._tunnel = False

    def feed(self, direction: Direction, data: bytes, ts: int, missing: int) -> list[LlmEvent]:
        """What ``data`` completes of LLM calls. Never raises."""
        if self._tunnel and data:
            self.left = self.left or data[0] == TLS_HANDSHAKE
            self._tunnel = False
        return self.llm.feed(direction, data, ts, missing)

    def matters(self, seen: LlmEvent) -> bool:
        """Whether what was read of it is to be told: of what has no TLS much is HTTP and nothing to do with a model.

        Who is asked is no model of this session's, whatever it answers: others may ask, who are not observed.
        """
        if not isinstance(seen, Unreadable):
            self.wanted = self.wanted or not self._asked
            return not self._asked
        if seen.cause in _OF_A_CALL:
            self.wanted = self.wanted or not self.serves
        return not self.serves and (self.wanted or not self.plain)

    def _http(self, event: HttpEvent) -> None:
        self._beside += self._calls.feed(event)
        if self.plain:
            self.created.feed(event)
        self.wanted = self.wanted or self._calls.speaks
        if isinstance(event, RequestDone):
            self._asked = self.serves or event.direction == "received"
            self._connecting = event.method == "CONNECT"
        elif isinstance(event, ResponseDone):
            self._tunnel = self._connecting and is_success(event.status)
        elif isinstance(event, ConnectionLost):
            self.left = event.cause == "not_http"

    def taken(self) -> list[CallSeen | A2aSeen]:
        """What was over beside LLM calls since the last time."""
        beside, self._beside = self._beside, []
        return beside

    def closed(self, ts: int) -> list[CallSeen | A2aSeen]:
        """The same, the connection being over: after ``llm`` was closed."""
        return [*self.taken(), *self._calls.close(ts)]


class Spoken:
    """Calls and operations of a session. ``name`` and ``ident`` make what others chose fit to be told."""

    def __init__(
        self, session: str, digest: Digest, name: Callable[[str], str], ident: Callable[[str], str]
    ) -> None:
        self._session = session
        self._name = name
        self._ident = ident
        #: over HTTP, of all connections
        self.book = Calls(digest)
        self.stdio = StdioCalls(digest)

    def events(self, seen: Sequence[CallSeen | A2aSeen], socket: int = 0) -> list[McpCall | A2aMessage]:
        """What was seen, as it is told; ``socket``: inode number of the one that it went over."""
        return [
            self._call(one, socket) if isinstance(one, CallSeen) else self._operation(one) for one in seen
        ]

    def finish(self, ts: int) -> list[McpCall | A2aMessage]:
        """The session is over: calls that wait were not answered."""
        return self.events([*self.stdio.finish(ts), *self.book.give_up(ts)])

    def _call(self, seen: CallSeen, socket: int) -> McpCall:
        return McpCall(
            session=self._session,
            ts=seen.ts,
            process=seen.process,
            side=_side(seen),
            transport=seen.transport,
            tool=self._name(seen.tool),
            request_ts=seen.request_ts,
            id_digest=seen.id_digest,
            arguments_digest=seen.arguments_digest,
            arguments_size=seen.arguments_size,
            result_digest=seen.result_digest,
            result_size=seen.result_size,
            is_error=seen.is_error,
            complete=seen.complete,
            peer=seen.peer,
            socket=socket,
        )

    def _operation(self, seen: A2aSeen) -> A2aMessage:
        return A2aMessage(
            session=self._session,
            ts=seen.ts,
            process=seen.process,
            side=_side(seen),
            method=seen.method,
            request_ts=seen.request_ts,
            message_id=self._ident(seen.message_id),
            task_id=self._ident(seen.task_id),
            context_id=self._ident(seen.context_id),
            state=self._name(seen.state),
            is_error=seen.is_error,
            complete=seen.complete,
        )


def _side(seen: CallSeen | A2aSeen) -> Literal["client", "server"]:
    return "server" if seen.serves else "client"
