"""OpenAI Responses over a WebSocket: https://platform.openai.com/docs/guides/websocket-mode.

The client's ``response.create`` is a request's body in a message, the server's messages are the events of a
stream, one each. Calls follow one another; those of another ``stream_id`` go on beside them. ``generate:
false`` only warms up. Field names as in openai-python, ``types/responses/responses_client_event.py`` and
``responses_server_event.py``.
"""

from __future__ import annotations

from collections import deque

from collector.http.encoding import MAX_BODY
from collector.http.events import Direction, Gap, WebSocketClosed, WebSocketMessage
from collector.llm import openai_responses
from collector.llm.answers import MAX_ID, Answers
from collector.llm.call import AnswerStream, Call, digest_of, trace_context
from collector.llm.model import ModelRequest
from collector.llm.seen import LlmEvent, RequestSeen, Unreadable
from collector.llm.values import Json, clean, loads, mapping, string, whole_number
from polygraph.events import Api

_API: Api = "openai.responses"
_CLIENT_EVENTS = frozenset({"response.create", "response.cancel", "response.steer"})
#: codex puts what would be a header of the request into its metadata
_TRACE_KEYS = ("ws_request_header_traceparent", "traceparent")
#: most calls that wait for their answer at once
MAX_WAITING = 64
_INDEX_BITS = 32


class _Call(Call):
    """A call of a lane. ``begun``: its answer has."""

    def __init__(self, index: int, ts: int, host: str, size: int, traceparent: str | None, lane: str) -> None:
        super().__init__(index, ts, _API, host, size=size, traceparent=traceparent, transport="websocket")
        self.answer = self.stream = AnswerStream(_API)
        self.lane = lane
        self.begun = False
        self.ident: str | None = None


class ResponsesSocket:
    """The calls of one WebSocket that was opened by request ``index`` of its connection."""

    def __init__(self, index: int, host: str, traceparent: str | None, answers: Answers) -> None:
        self._index = index
        self._host = host
        self._traceparent = traceparent
        self._answers = answers
        self._client: Direction | None = None
        #: calls without a whole answer, in the order in which they were asked
        self._calls: deque[_Call] = deque()
        self._asked = 0
        #: the client gave more to say to an answer, which another one may follow unasked
        self._steered = False
        #: messages of the server are missing since the last one that was read
        self._deaf = False
        self._over = False
        #: why its messages are not read any more, until the client goes on with them
        self._gave_up: str | None = None
        self._seen: list[LlmEvent] = []

    @property
    def held(self) -> int:
        """Bytes of answers that are not over."""
        return sum(call.answer.size for call in self._calls)

    @property
    def is_over(self) -> bool:
        """Nothing more is read of it."""
        return self._over

    def message(self, event: WebSocketMessage) -> list[LlmEvent]:
        """What a message completes. Never raises."""
        if self._over:
            if self._gave_up is not None and event.direction == self._client:
                self._unread(self._gave_up, event.ts, lasts=True)
                self._gave_up = None
            return self._take()
        data = mapping(loads(event.data))
        kind = string(data.get("type"))
        if self._client is None and kind in _CLIENT_EVENTS:
            self._client = event.direction
        if event.direction != self._client:
            self._server(kind, data, event)
        elif kind == "response.create":
            self._create(data, event)
        elif kind == "response.cancel":
            ident = data.get("response_id")
            for call in self._calls:
                call.cancelled = call.cancelled or ident is None or ident == call.ident
        elif kind == "response.steer":
            self._steered = True
        elif not data:
            self._unread("request_unreadable", event.ts)
        return self._take()

    def gap(self, event: Gap) -> list[LlmEvent]:
        """A message was lost. Whose, only the direction tells: each answer that waits may be the one."""
        if self._over:
            return []
        if self._client is not None and event.direction == self._client:
            self._unread(
                event.cause if event.cause != "closed" else "request_incomplete", event.ts, event.missing
            )
        elif event.cause != "closed":
            if not self._deaf or not self._calls:
                self._unread(event.cause, event.ts, event.missing)
            self._deaf = True
            for call in self._calls:
                call.answer.damaged()
                call.missing += event.missing
        return self._take()

    def closed(self, event: WebSocketClosed) -> list[LlmEvent]:
        """One end says that it is over; what the client did not wait for, it cancelled."""
        for call in self._calls:
            call.cancelled = call.cancelled or event.direction == self._client
        return self.over(event.ts)

    def over(self, ts: int) -> list[LlmEvent]:
        """The socket is closed or not followed further: so are its calls."""
        self._end(ts, "closed")
        return self._take()

    # --- what the client says --------------------------------------------------------------------

    def _create(self, data: dict[str, Json], event: WebSocketMessage) -> None:
        if self._deaf:  # the ends of the answers were among what is missing, else it would not go on
            while self._calls:
                self._finish(self._calls[0], event.ts, "gap")
            self._deaf = False
        if len(self._calls) >= MAX_WAITING:
            self._give_up("too_many_requests", event.ts)
            return
        metadata = mapping(data.get("client_metadata"))
        traced = next(
            filter(None, (trace_context(metadata.get(key)) for key in _TRACE_KEYS)), self._traceparent
        )
        call = self._begin(event.ts, len(event.data), string(data.get("stream_id"))[:MAX_ID], traced)
        call.prewarm = data.get("generate") is False
        request = openai_responses.parse_request(event.data) or ModelRequest(
            api=_API, model=clean(string(data.get("model")))
        )
        self._seen.append(
            RequestSeen(
                index=call.index,
                ts=event.ts,
                api=_API,
                host=self._host,
                request=request,
                request_bytes=call.request_bytes,
                traceparent=traced,
                digest=digest_of(_API, self._host, event.data),
                follows=request.previous_response_id in self._answers,
                prewarm=call.prewarm,
            )
        )

    def _begin(self, ts: int, size: int, lane: str, traceparent: str | None) -> _Call:
        self._asked += 1
        # Beyond every number that a request of the connection may have.
        index = (self._asked << _INDEX_BITS) | self._index
        call = _Call(index, ts, self._host, size, traceparent, lane)
        self._calls.append(call)
        return call

    # --- what the server says --------------------------------------------------------------------

    def _server(self, kind: str, data: dict[str, Json], event: WebSocketMessage) -> None:
        if not data or kind in _CLIENT_EVENTS:
            if self._client is not None:  # else it may be a socket of something else
                self._unread("answer_unreadable", event.ts)
            for call in self._calls:
                call.answer.damaged()
            return
        self._deaf = False
        lane = string(data.get("stream_id"))[:MAX_ID]
        waiting = [call for call in self._calls if call.lane == lane]
        if kind == "response.created":
            self._created(waiting, mapping(data.get("response")), lane, event.ts)
            waiting = [call for call in self._calls if call.lane == lane]
        if not waiting:
            return
        call = waiting[0]
        if kind == "error" and call.begun and "sequence_number" not in data:
            # No event of the answer that is being made: the latest request was refused.
            call = waiting[-1]
        call.begun = True
        done = call.answer.message(event.data)
        if call.answer.size > MAX_BODY:
            call.answer.damaged()
            self._give_up("too_large", event.ts)
        elif done:
            status = whole_number(data.get("status")) if kind == "error" else None
            self._finish(call, event.ts, None, status if status is not None and 100 <= status <= 599 else 200)

    def _created(self, waiting: list[_Call], response: dict[str, Json], lane: str, ts: int) -> None:
        ident = string(response.get("id"))
        if waiting and waiting[0].begun:
            # The next answer begins: of the one before, the end was not said.
            self._finish(waiting.pop(0), ts, "closed")
        if not waiting:
            if not self._steered:
                self._unread("request_unseen", ts)
                return
            waiting = [self._begin(ts, 0, lane, self._traceparent)]
        waiting[0].begun = True
        waiting[0].ident = ident
        self._answers.told(ident)

    def _finish(self, call: _Call, ts: int, cause: str | None, status: int = 200) -> None:
        self._calls.remove(call)
        response, complete = call.answer.result(ended=cause is None)
        if response.response_id is not None:
            self._answers.told(response.response_id)
        if call.prewarm and not response.text and not response.tool_calls:
            return
        call.cancelled = call.cancelled or self._answers.cancelled(call.ident)
        over = call.over(
            ts,
            status=status if call.begun else 0,
            response=response if call.begun else None,
            complete=complete,
            gap=call.missing,
            size=call.answer.size,
            cause=cause,
        )
        if call.ident is not None and over.fate in ("interrupted", "cancelled"):
            self._answers.leave(call.ident, call.answer)
        self._seen.append(over)

    def _give_up(self, cause: str, ts: int) -> None:
        self._unread(cause, ts)
        self._gave_up = cause
        self._end(ts, cause)

    def _end(self, ts: int, cause: str) -> None:
        while self._calls:
            self._finish(self._calls[0], ts, cause)
        self._over = True

    def _unread(self, cause: str, ts: int, missing: int = 0, *, lasts: bool = False) -> None:
        self._seen.append(Unreadable(cause=cause, ts=ts, host=self._host, missing=missing, lasts=lasts))

    def _take(self) -> list[LlmEvent]:
        seen, self._seen = self._seen, []
        return seen
