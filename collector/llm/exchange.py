"""Model calls of one connection: bytes of both directions in, requests and answers out."""

from __future__ import annotations

import re

import msgspec

from collector.http.events import (
    BodyPart,
    ConnectionLost,
    Direction,
    Gap,
    Headers,
    HttpEvent,
    RequestDone,
    ResponseDone,
)
from collector.http.framing import StreamFramer, is_streamed
from collector.http.http1 import Http1Connection
from collector.llm.detect import STREAM_ARRAYS, api_of_path, detect, parse_response, stream_parser
from collector.llm.model import ModelRequest, ModelResponse
from collector.llm.turns import named_answer
from collector.llm.values import StreamParser, loads
from polygraph.events import Api

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context
_WEBSOCKET_PATH = re.compile(r"/(?:responses|realtime)/?(?:\?|\Z)")
_MAX_HOST = 255


class RequestSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A call was asked; ``ts`` is the time of its last byte, ``index`` its number on the connection."""

    index: int
    ts: int
    api: Api
    host: str
    request: ModelRequest
    request_bytes: int
    traceparent: str | None


class ResponseSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A call is over; ``ts`` is when its answer was (its end mark, not the connection's end).

    ``response`` is None for an error status, or when nothing of it could be read. ``status`` 0: there was no
    answer, or its head was lost. ``complete``: all it said was seen, a provider's own error too.
    """

    index: int
    ts: int
    request_ts: int
    api: Api
    host: str
    status: int
    response: ModelResponse | None
    streamed: bool
    complete: bool
    gap_bytes: int
    request_bytes: int
    response_bytes: int
    traceparent: str | None


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """Something that may have been a call could not be read; ``host`` is the last one named on the connection.

    ``cause`` is one of ``collector.http.events``, ``request_incomplete``, ``request_unreadable`` (JSON beyond our
    bounds, or broken), or ``request_unseen``: the answer to a request of before the connection was followed.
    """

    cause: str
    ts: int
    host: str
    missing: int


LlmEvent = RequestSeen | ResponseSeen | Unreadable


class _Call:
    """A call whose answer is to come. ``api`` reads it; ``asked`` is None if the request was not read."""

    def __init__(self, request: RequestDone, api: Api, host: str, asked: ModelRequest | None = None) -> None:
        self.index = request.index
        self.request_ts = request.ts
        self.api: Api = api
        self.asked_api: Api = asked.api if asked else api
        self.model = asked.model if asked else ""
        self.turn = asked.turn if asked else ""
        self.host = host
        self.request_bytes = len(request.body)
        self.traceparent = _traceparent(request.headers)
        self.stream: _Stream | None = None

    def seen(
        self,
        ts: int,
        *,
        status: int = 0,
        response: ModelResponse | None = None,
        complete: bool = False,
        gap: int = 0,
        size: int = 0,
    ) -> ResponseSeen:
        if response is not None:
            # what only the request says: the model, and what calls without ids are called
            if not response.model:
                response = msgspec.structs.replace(response, model=self.model)
            response = named_answer(response, self.turn)
        return ResponseSeen(
            index=self.index,
            ts=ts,
            request_ts=self.request_ts,
            api=response.api if response is not None else self.asked_api,
            host=self.host,
            status=status,
            response=response,
            streamed=self.stream is not None,
            complete=complete,
            gap_bytes=gap,
            request_bytes=self.request_bytes,
            response_bytes=size,
            traceparent=self.traceparent,
        )


class _Stream:
    """A streamed answer: events out of bytes, an answer out of events."""

    def __init__(self, api: Api) -> None:
        self.events = StreamFramer()
        self.parser: StreamParser = stream_parser(api)
        self.size = 0

    def feed(self, data: bytes) -> bool:
        """True once the end mark was seen; what follows it is not looked at."""
        for event in self.events.feed(data):
            self.size = event.end
            self.parser.feed(event)
            if self.parser.done:
                return True
        return False

    def result(self, ended: bool) -> tuple[ModelResponse, bool]:
        """The answer, and whether all of it was seen."""
        whole = not self.events.overflowed
        response = self.parser.result(ended=ended and whole)
        return response, whole and (response.complete or response.error is not None)


class LlmConnection:
    """Calls of one connection. Requests that are no calls pass without an event, their bodies unread."""

    def __init__(self) -> None:
        self._http = Http1Connection(lambda method, target: api_of_path(method, target) is not None)
        self._calls: dict[int, _Call] = {}
        self._host = ""
        self._target = ""
        self._asked = False

    def feed(self, direction: Direction, data: bytes, ts: int, missing: int = 0) -> list[LlmEvent]:
        """What ``data`` completes; ``missing`` bytes were lost just before it. Never raises."""
        return self._read(self._http.feed(direction, data, ts, missing))

    @property
    def held(self) -> int:
        """Bytes that are kept of messages that are not over."""
        return self._http.held

    def close(self, ts: int) -> list[LlmEvent]:
        """The connection is closed: calls without an answer are over."""
        return [*self._read(self._http.close(ts)), *self._unanswered(ts)]

    def _read(self, events: list[HttpEvent]) -> list[LlmEvent]:
        seen: list[LlmEvent] = []
        for event in events:
            if isinstance(event, BodyPart):
                self._part(event, seen)
            elif isinstance(event, RequestDone):
                self._request(event, seen)
            elif isinstance(event, ResponseDone):
                self._response(event, seen)
            else:
                self._lost(event, seen)
        return seen

    def _request(self, event: RequestDone, seen: list[LlmEvent]) -> None:
        self._asked = True
        self._host = _header(event.headers, "host")[:_MAX_HOST]
        self._target = event.target
        api = api_of_path(event.method, event.target)
        if api is None:
            return
        if not event.complete:
            # By its path it is a call; what it carried is unknown, what is answered may still be read.
            self._calls[event.index] = _Call(event, api, self._host)
            seen.append(
                Unreadable(cause="request_incomplete", ts=event.ts, host=self._host, missing=event.missing)
            )
            return
        request = detect(event.method, event.target, event.body)
        if request is None:
            if event.body[:64].lstrip()[:1] == b"{" and loads(event.body) is None:
                # By its path it is a call, and it looks like one: the provider may have read what we do not.
                self._calls[event.index] = _Call(event, api, self._host)
                seen.append(Unreadable(cause="request_unreadable", ts=event.ts, host=self._host, missing=0))
            return
        call = self._calls[event.index] = _Call(event, api, self._host, request)
        seen.append(
            RequestSeen(
                index=event.index,
                ts=event.ts,
                api=request.api,
                host=self._host,
                request=request,
                request_bytes=call.request_bytes,
                traceparent=call.traceparent,
            )
        )

    def _part(self, event: BodyPart, seen: list[LlmEvent]) -> None:
        call = self._calls.get(event.request_index) if event.request_index is not None else None
        if call is None or not _is_success(event.status):
            return
        call.stream = call.stream or _Stream(call.api)
        if call.stream.feed(event.data):
            response, complete = call.stream.result(ended=True)
            seen.append(
                call.seen(
                    event.ts, status=event.status, response=response, complete=complete, size=call.stream.size
                )
            )
            del self._calls[call.index]

    def _response(self, event: ResponseDone, seen: list[LlmEvent]) -> None:
        call = self._calls.pop(event.request_index, None) if event.request_index is not None else None
        if call is None:
            # A server may speak unasked, to say that it waited too long; only an answer tells of a request.
            if event.request_index is None and _is_success(event.status) and not self._asked:
                seen.append(Unreadable(cause="request_unseen", ts=event.ts, host="", missing=event.missing))
            return
        size = len(event.body)
        response: ModelResponse | None = None
        complete = event.complete
        if _is_success(event.status):
            if call.stream is None and is_streamed(event.body, arrays=call.api in STREAM_ARRAYS):
                # served under another content type
                call.stream = _Stream(call.api)
                call.stream.feed(event.body)
            if call.stream is not None:
                response, complete = call.stream.result(ended=event.complete)
                size = call.stream.size
            else:
                response = parse_response(call.api, event.body) if event.complete else None
                complete = response is not None and (response.complete or response.error is not None)
        seen.append(
            call.seen(
                event.ts,
                status=event.status,
                response=response,
                complete=complete,
                gap=event.missing,
                size=size,
            )
        )

    def _lost(self, event: Gap | ConnectionLost, seen: list[LlmEvent]) -> None:
        if isinstance(event, Gap):
            seen.append(Unreadable(cause="gap", ts=event.ts, host=self._host, missing=event.missing))
            return
        seen.extend(self._unanswered(event.ts))
        if event.cause == "upgraded" and not _WEBSOCKET_PATH.search(self._target):
            return  # a socket or tunnel that no known API of a model opens
        seen.append(Unreadable(cause=event.cause, ts=event.ts, host=self._host, missing=event.missing))

    def _unanswered(self, ts: int) -> list[LlmEvent]:
        calls, self._calls = self._calls, {}
        return [call.seen(ts) for call in calls.values()]


def _is_success(status: int) -> bool:
    return status // 100 == 2


def _header(headers: Headers, name: str) -> str:
    return next((value for key, value in headers if key.lower() == name), "")


def _traceparent(headers: Headers) -> str | None:
    value = _header(headers, "traceparent")
    return value if _TRACEPARENT.fullmatch(value) else None
