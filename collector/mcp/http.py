"""MCP and A2A over HTTP: what one connection's messages say, beside what ``collector/llm`` reads of them. Pure.

MCP, "Streamable HTTP" (2025-11-25, and 2026-07-28 without sessions): a request is the body of a POST, its answer the
body or an event of the answer's stream; a stream that broke is gone on with by GET. So calls wait in a book that all
connections of a session share. The same request once more, while it waits, is a retry and no second call.
"""

from __future__ import annotations

from collections.abc import Hashable

import msgspec

from collector.http.events import BodyPart, Headers, HttpEvent, RequestDone, ResponseDone, is_success
from collector.http.sse import SseParser
from collector.llm.values import loads, mapping
from collector.mcp import a2a
from collector.mcp.a2a import A2aSeen, Told
from collector.mcp.calls import Calls, CallSeen
from collector.mcp.jsonrpc import Message, parse
from polygraph.events import ProcessKey

#: headers that only MCP has (``basic/transports``; Mcp-Method and Mcp-Name since 2026-07-28), or A2A
_MARKS = frozenset(
    {"mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name", "a2a-version", "a2a-extensions"}
)
_JSON, _STREAM = "application/json", "text/event-stream"
#: most requests of one connection that are remembered for their answers
_MAX_REQUESTS = 256


def wanted(method: str, target: str, headers: Headers) -> bool:
    """Whether a request may be MCP's or A2A's, by its head: only then are bodies kept."""
    if method not in ("POST", "GET"):
        return False
    named = {key.lower(): value.lower() for key, value in headers}
    if _MARKS & named.keys() or _is_a2a(named):
        return True
    # The first request of MCP before 2026-07-28 has no mark but that it takes both forms of an answer, which it must.
    accepted = named.get("accept", "")
    if method == "POST" and _JSON in named.get("content-type", ""):
        return (_JSON in accepted and _STREAM in accepted) or a2a.operation_of_path(
            method, target
        ) is not None
    return False


def _is_a2a(named: dict[str, str]) -> bool:
    """Whether a request is A2A's for certain, by its headers (names in lower case)."""
    return "a2a-version" in named or any(
        a2a.MEDIA_TYPE in named.get(header, "").lower() for header in ("content-type", "accept")
    )


class _Asked:
    """A request that was MCP's or A2A's, and what its answer said so far."""

    def __init__(self, scope: Hashable) -> None:
        self.scope = scope
        self.stream: SseParser | None = None
        self.operation: A2aSeen | None = None
        #: the answer of the HTTP+JSON binding is no JSON-RPC
        self.rest = False
        #: JSON-RPC's id of the operation
        self.id: str | None = None


class HttpCalls:
    """MCP calls and A2A operations of one connection. ``book`` is that of all connections of a session."""

    def __init__(self, book: Calls, process: ProcessKey) -> None:
        self._book = book
        self._process = process
        self._serves = False
        self._asked: dict[int, _Asked] = {}

    def feed(self, event: HttpEvent) -> list[CallSeen | A2aSeen]:
        """What an event of the connection completes. Never raises."""
        if isinstance(event, RequestDone):
            self._serves = event.direction == "received"
            return self._request(event)
        if isinstance(event, BodyPart):
            return self._part(event)
        if isinstance(event, ResponseDone):
            return self._response(event)
        return []

    def close(self, ts: int) -> list[CallSeen | A2aSeen]:
        """The connection is over: operations without an answer are, too. Calls may be asked again."""
        asked, self._asked = self._asked, {}
        return [
            msgspec.structs.replace(one.operation, ts=ts)
            for one in asked.values()
            if one.operation is not None
        ]

    @property
    def speaks(self) -> bool:
        """Whether something of it waits for an answer."""
        return bool(self._asked)

    # --- requests --------------------------------------------------------------------------------

    def _request(self, event: RequestDone) -> list[CallSeen | A2aSeen]:
        if not event.complete or not wanted(event.method, event.target, event.headers):
            return []
        named = {key.lower(): value for key, value in event.headers}
        asked = _Asked((self._process, named.get("host", ""), named.get("mcp-session-id", "")))
        seen: list[CallSeen | A2aSeen] = []
        messages = parse(event.body)
        for message in messages:
            seen += self._book.asked(
                (asked.scope, message.id),
                message,
                event.ts,
                process=self._process,
                serves=self._serves,
                transport="http",
            )
            self._operation(asked, message, event.ts)
        found = a2a.operation_of_path(event.method, event.target)
        if not messages and found is not None and _is_a2a(named):
            _message, task, context = a2a.ids(mapping(loads(event.body)))
            asked.operation = self._begun(found[0], (_message, found[1] or task, context), event.ts)
            asked.rest = True
        if messages or asked.rest or event.method == "GET":
            self._asked[event.index] = asked
            if len(self._asked) > _MAX_REQUESTS:
                del self._asked[next(iter(self._asked))]
        return seen

    def _operation(self, asked: _Asked, message: Message, ts: int) -> None:
        found = a2a.asked(message)
        if found is not None and asked.operation is None:
            asked.operation = self._begun(found[0], a2a.ids(found[1]), ts)
            asked.id = message.id

    def _begun(self, method: str, ids: tuple[str, str, str], ts: int) -> A2aSeen:
        return A2aSeen(
            ts=ts,
            request_ts=ts,
            process=self._process,
            serves=self._serves,
            method=method,
            message_id=ids[0],
            task_id=ids[1],
            context_id=ids[2],
        )

    # --- answers ---------------------------------------------------------------------------------

    def _part(self, event: BodyPart) -> list[CallSeen | A2aSeen]:
        asked = self._asked.get(event.request_index) if event.request_index is not None else None
        if asked is None:
            return []
        asked.stream = asked.stream or SseParser()
        seen: list[CallSeen | A2aSeen] = []
        for part in asked.stream.feed(event.data):
            seen += self._answer(asked, part.data, event.ts)
        return seen

    def _response(self, event: ResponseDone) -> list[CallSeen | A2aSeen]:
        asked = self._asked.pop(event.request_index, None) if event.request_index is not None else None
        if asked is None:
            return []
        seen = self._answer(asked, event.body, event.ts) if event.body and event.complete else []
        if asked.operation is not None:
            whole = event.complete and (asked.stream is None or not asked.stream.overflowed)
            seen.append(
                msgspec.structs.replace(
                    asked.operation,
                    ts=event.ts,
                    is_error=asked.operation.is_error or not is_success(event.status),
                    complete=whole and event.status != 0,
                )
            )
        return seen

    def _answer(self, asked: _Asked, data: bytes, ts: int) -> list[CallSeen | A2aSeen]:
        if asked.rest:
            self._told(asked, a2a.told(data))
            return []
        seen: list[CallSeen | A2aSeen] = []
        for message in parse(data):
            if message.method:
                continue
            key = (asked.scope, message.id)
            if self._book.waits(key):
                call = self._book.answered(key, self._book.answer(message), ts)
                seen += [call] if call is not None else []
            elif message.id == asked.id and asked.operation is not None:
                if message.error is not None:
                    asked.operation = msgspec.structs.replace(asked.operation, is_error=True)
                self._told(asked, a2a.told_by(message.result))
        return seen

    @staticmethod
    def _told(asked: _Asked, said: Told) -> None:
        if asked.operation is not None:
            asked.operation = msgspec.structs.replace(
                asked.operation,
                task_id=said.task_id or asked.operation.task_id,
                context_id=said.context_id or asked.operation.context_id,
                state=said.state or asked.operation.state,
            )
