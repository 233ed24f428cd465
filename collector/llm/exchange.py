"""Model calls of one connection: bytes of both directions in, requests and answers out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import parse_qs

import msgspec

from collector.http.connection import HttpConnection
from collector.http.events import (
    BodyPart,
    ConnectionLost,
    Direction,
    Gap,
    Headers,
    HttpEvent,
    RequestDone,
    ResponseDone,
    Wanted,
    WebSocketClosed,
    WebSocketMessage,
    is_success,
)
from collector.http.framing import is_streamed
from collector.llm.answers import Answers
from collector.llm.call import AnswerStream, Call, digest_of, header, trace_context
from collector.llm.detect import STREAM_ARRAYS, api_of_path, detect, parse_response
from collector.llm.model import ModelRequest, ModelResponse
from collector.llm.responses_socket import ResponsesSocket
from collector.llm.seen import LlmEvent, RequestSeen, ResponseSeen, Unreadable
from collector.llm.values import loads
from polygraph.events import Api, Transport

__all__ = ["LlmConnection", "LlmEvent", "RequestSeen", "ResponseSeen", "Unreadable"]

_RESPONSES_SOCKET = re.compile(r"/responses/?(?:\?|\Z)")
_REALTIME_SOCKET = re.compile(r"/realtime/?(?:\?|\Z)")
#: an answer of OpenAI Responses by its id: fetched (GET) or cancelled (POST)
_ANSWER = re.compile(r"/responses/(?P<ident>[A-Za-z0-9_-]{1,256})(?P<cancel>/cancel)?/?\Z")
#: most sockets within one connection
MAX_SOCKETS = 64
#: bytes with which a client may end a connection that it cannot read either (GOAWAY, a close frame): no call has so few
FAREWELL = 64
_RESPONSES: Api = "openai.responses"
_MAX_HOST = 255


class Beside(NamedTuple):
    """What else reads the messages of the connection: which exchanges it wants, and where their events go."""

    wanted: Wanted
    feed: Callable[[HttpEvent], None]


class LlmConnection:
    """Calls of one connection. Requests that are no calls pass without an event, their bodies unread.

    ``answers`` is what is known of the answers of the session that the connection belongs to;
    ``beside`` reads the same messages.
    """

    def __init__(self, answers: Answers | None = None, beside: Beside | None = None) -> None:
        self._beside = beside
        self._http = HttpConnection(self._wants)
        self._answers = answers if answers is not None else Answers()
        self._calls: dict[int, Call] = {}
        self._sockets: dict[int, ResponsesSocket] = {}
        self._host = ""
        self._target = ""
        self._asked = False
        #: the direction of requests, once a call was among them
        self._client: Direction | None = None
        #: why the connection is not read any more, until its client goes on with it; bytes that it sent since
        self._unread: str | None = None
        self._sent_since = 0

    def feed(self, direction: Direction, data: bytes, ts: int, missing: int = 0) -> list[LlmEvent]:
        """What ``data`` completes; ``missing`` bytes were lost just before it. Never raises."""
        seen = self._goes_on(direction, ts, missing + len(data)) if data or missing else []
        return seen + self._read(self._http.feed(direction, data, ts, missing))

    def _goes_on(self, direction: Direction, ts: int, size: int) -> list[LlmEvent]:
        """Of a connection that carried calls and is not read any more: it is told once that there are more."""
        if self._unread is None or direction != self._client:
            return []
        self._sent_since += size
        if self._sent_since <= FAREWELL:
            return []
        cause, self._unread = self._unread, None
        return [Unreadable(cause=cause, ts=ts, host=self._host, missing=self._sent_since, lasts=True)]

    def _wants(self, method: str, target: str, headers: Headers) -> bool:
        if _is_wanted(method, target):
            return True
        return self._beside is not None and self._beside.wanted(method, target, headers)

    @property
    def held(self) -> int:
        """Bytes that are kept of messages that are not over."""
        return self._http.held + sum(socket.held for socket in self._sockets.values())

    def close(self, ts: int, *, over: bool = True) -> list[LlmEvent]:
        """The connection is closed: calls without an answer are over.

        ``over`` False: it is only not followed further, so nothing is said to have broken off.
        """
        seen = [*self._read(self._http.close(ts)), *self._unanswered(ts)]
        return seen if over else list(map(_cut_off, seen))

    def _read(self, events: Sequence[HttpEvent]) -> list[LlmEvent]:
        seen: list[LlmEvent] = []
        for event in events:
            if self._beside is not None:
                self._beside.feed(event)
            match event:
                case BodyPart():
                    self._part(event, seen)
                case WebSocketMessage():
                    socket = self._sockets.get(event.request_index)
                    seen += socket.message(event) if socket is not None else []
                case WebSocketClosed():
                    socket = self._sockets.pop(event.request_index, None)
                    seen += socket.closed(event) if socket is not None else []
                case RequestDone():
                    self._request(event, seen)
                case ResponseDone():
                    self._response(event, seen)
                case Gap():
                    self._gap(event, seen)
                case ConnectionLost():
                    self._lost(event, seen)
        return seen

    @property
    def _transport(self) -> Transport:
        return "h2" if self._http.protocol == "h2" else "http/1.1"

    def _request(self, event: RequestDone, seen: list[LlmEvent]) -> None:
        self._asked = True
        self._host = header(event.headers, "host")[:_MAX_HOST]
        self._target = event.target
        if _is_socket(event.method, event.target):
            self._open(event, seen)
            return
        answer = _answer_of(event.method, event.target)
        if answer is not None:
            self._later(event, answer)
            return
        api = api_of_path(event.method, event.target)
        if api is None:
            # Of HTTP/2 a head may be lost, or unknown in part.
            if not event.target and event.method in ("", "POST"):
                self._not_whole(event, seen)
            return
        if not event.complete:
            # By its path it is a call; what it carried is unknown, what is answered may still be read.
            self._begin(event, api)
            self._not_whole(event, seen)
            return
        request = detect(event.method, event.target, event.body)
        if request is None:
            if event.body[:64].lstrip()[:1] == b"{" and loads(event.body) is None:
                # By its path it is a call, and it looks like one: the provider may have read what we do not.
                self._begin(event, api)
                seen.append(Unreadable(cause="request_unreadable", ts=event.ts, host=self._host, missing=0))
            return
        call = self._begin(event, api, request)
        seen.append(
            RequestSeen(
                index=event.index,
                ts=event.ts,
                api=request.api,
                host=self._host,
                request=request,
                request_bytes=call.request_bytes,
                traceparent=call.traceparent,
                digest=digest_of(api, self._host, event.body),
                # openai-python, anthropic-sdk-python and their like count the tries of a request
                again=header(event.headers, "x-stainless-retry-count") not in ("", "0"),
                follows=request.previous_response_id in self._answers,
            )
        )

    def _not_whole(self, event: RequestDone, seen: list[LlmEvent]) -> None:
        seen.append(
            Unreadable(cause="request_incomplete", ts=event.ts, host=self._host, missing=event.missing)
        )

    def _begin(self, event: RequestDone, api: Api, asked: ModelRequest | None = None) -> Call:
        self._client = event.direction
        call = self._calls[event.index] = Call(
            event.index,
            event.ts,
            api,
            self._host,
            size=len(event.body),
            traceparent=trace_context(header(event.headers, "traceparent")),
            transport=self._transport,
            asked=asked,
        )
        return call

    def _open(self, event: RequestDone, seen: list[LlmEvent]) -> None:
        self._client = event.direction
        if len(self._sockets) >= MAX_SOCKETS:
            seen.append(
                Unreadable(cause="too_many_requests", ts=event.ts, host=self._host, missing=0, lasts=True)
            )
            return
        traceparent = trace_context(header(event.headers, "traceparent"))
        self._sockets[event.index] = ResponsesSocket(event.index, self._host, traceparent, self._answers)

    def _later(self, event: RequestDone, answer: re.Match[str]) -> None:
        """An answer of before is asked for, or asked to end."""
        call = self._begin(event, _RESPONSES)
        call.resumes = answer["ident"]
        if answer["cancel"]:
            call.cancelled = True
            self._answers.cancel(call.resumes)
            return
        query = parse_qs(event.target.partition("?")[2][:1024])
        if query.get("stream") != ["true"]:
            return
        if self._answers.unfinished(call.resumes):
            call.stream = self._answers.take(call.resumes) or AnswerStream(_RESPONSES)
            after = query.get("starting_after", [""])[0]
            call.stream.resume(
                int(after) if after.isascii() and after.isdecimal() and len(after) < 16 else None
            )

    def _part(self, event: BodyPart, seen: list[LlmEvent]) -> None:
        call = self._calls.get(event.request_index) if event.request_index is not None else None
        if call is None or not is_success(event.status):
            return
        call.stream = call.stream or AnswerStream(call.api)
        if call.stream.feed(event.data):
            response, complete = call.stream.result(ended=True)
            self._over(
                call,
                call.over(
                    event.ts, status=event.status, response=response, complete=complete, size=call.stream.size
                ),
                seen,
            )

    def _response(self, event: ResponseDone, seen: list[LlmEvent]) -> None:
        if event.status == 101:
            return  # no answer: a socket begins, or what is answered in another protocol
        if event.request_index is not None and not self._is_tunnel(event):
            self._sockets.pop(event.request_index, None)  # it was refused, or was no upgrade
        call = self._calls.get(event.request_index) if event.request_index is not None else None
        if call is None:
            # A server may speak unasked, to say that it waited too long; only an answer tells of a request.
            if event.request_index is None and is_success(event.status) and not self._asked:
                seen.append(Unreadable(cause="request_unseen", ts=event.ts, host="", missing=event.missing))
            return
        size = len(event.body)
        response: ModelResponse | None = None
        complete = event.complete
        if is_success(event.status):
            if call.stream is None and is_streamed(event.body, arrays=call.api in STREAM_ARRAYS):
                # served under another content type
                call.stream = AnswerStream(call.api)
                call.stream.feed(event.body)
            if call.stream is not None:
                response, complete = call.stream.result(ended=event.complete)
                size = call.stream.size
            else:
                response = parse_response(call.api, event.body) if event.complete else None
                complete = response is not None and (response.complete or response.error is not None)
        over = call.over(
            event.ts,
            status=event.status,
            response=response,
            complete=complete,
            gap=event.missing,
            size=size,
            cause=event.cause,
        )
        self._over(call, over, seen)

    def _is_tunnel(self, event: ResponseDone) -> bool:
        return self._transport == "h2" and is_success(event.status)

    def _over(self, call: Call, over: ResponseSeen, seen: list[LlmEvent]) -> None:
        del self._calls[call.index]
        if call.resumes is not None:
            self._resumed(call, call.resumes, over, seen)
            return
        ident = over.response.response_id if over.response is not None else None
        if ident is not None:
            self._answers.told(ident)
            if over.fate == "interrupted" and self._answers.cancelled(ident):
                over = msgspec.structs.replace(over, fate="cancelled")
            if call.api == _RESPONSES and over.fate in ("interrupted", "cancelled", "unanswered"):
                self._answers.leave(ident, call.stream)
        seen.append(over)

    def _resumed(self, call: Call, ident: str, over: ResponseSeen, seen: list[LlmEvent]) -> None:
        """More of the answer ``ident``, or the word that it ends."""
        if ident not in self._answers:
            if over.response is not None and not call.cancelled:
                seen.append(
                    Unreadable(cause="request_unseen", ts=over.ts, host=call.host, missing=over.gap_bytes)
                )
            return
        if call.stream is None and not self._answers.unfinished(ident):
            return  # it was over before: nothing new is said
        if call.cancelled:
            if is_success(over.status):
                self._answers.take(ident)
                seen.append(msgspec.structs.replace(over, response=None, complete=True, fate="cancelled"))
        elif is_success(over.status) and over.fate != "unanswered":
            stream = call.stream or self._answers.take(ident)
            if over.fate in ("interrupted", "cancelled"):
                self._answers.leave(ident, stream)
            seen.append(over)
        elif call.stream is not None:
            self._answers.leave(ident, call.stream)

    def _gap(self, event: Gap, seen: list[LlmEvent]) -> None:
        for socket in self._sockets.values():
            seen += socket.gap(event)
        if event.cause != "closed" and all(socket.is_over for socket in self._sockets.values()):
            seen.append(Unreadable(cause=event.cause, ts=event.ts, host=self._host, missing=event.missing))

    def _lost(self, event: ConnectionLost, seen: list[LlmEvent]) -> None:
        seen += self._unanswered(event.ts)
        known = _RESPONSES_SOCKET.search(self._target) or _REALTIME_SOCKET.search(self._target)
        if event.cause == "upgraded" and self._asked and not known:
            return  # a socket or tunnel that no known API of a model opens
        within = self._transport == "h2" and event.cause.startswith("websocket")  # the connection goes on
        if self._client is not None and not within:
            self._unread = event.cause
        seen.append(Unreadable(cause=event.cause, ts=event.ts, host=self._host, missing=event.missing))

    def _unanswered(self, ts: int) -> list[LlmEvent]:
        sockets, self._sockets = self._sockets, {}
        seen: list[LlmEvent] = [event for socket in sockets.values() for event in socket.over(ts)]
        for call in list(self._calls.values()):
            self._over(call, call.over(ts, cause="closed"), seen)
        return seen


def _cut_off(event: LlmEvent) -> LlmEvent:
    if isinstance(event, ResponseSeen) and event.fate == "interrupted":
        return msgspec.structs.replace(event, fate="answered")
    return event


def _is_wanted(method: str, target: str) -> bool:
    return (
        api_of_path(method, target) is not None
        or _answer_of(method, target) is not None
        or _is_socket(method, target)
    )


def _is_socket(method: str, target: str) -> bool:
    """May it open a socket that is read? GET over HTTP/1.1 (RFC 6455), CONNECT over HTTP/2 (RFC 8441)."""
    return method in ("GET", "CONNECT") and _RESPONSES_SOCKET.search(target) is not None


def _answer_of(method: str, target: str) -> re.Match[str] | None:
    """The earlier answer that a request fetches or cancels."""
    found = _ANSWER.search(target.partition("?")[0])
    return found if found is not None and method == ("POST" if found["cancel"] else "GET") else None
