"""A call that is under way: what was asked, what came of its answer, and what became of it."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress

import msgspec
import orjson

from collector.http.events import RESET_BY_CLIENT, Headers, is_success
from collector.http.framing import StreamFramer
from collector.http.sse import SseEvent
from collector.llm import openai_responses
from collector.llm.detect import stream_parser
from collector.llm.model import ModelRequest, ModelResponse
from collector.llm.seen import ResponseSeen
from collector.llm.turns import named_answer
from collector.llm.values import StreamParser, loads
from polygraph.events import Api, Fate, Transport

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context
#: the field of a body that differs between tries of one request (Codex: times, trace context)
_METADATA = "client_metadata"
#: the provider works on the answer, which is to be fetched later (OpenAI's background mode)
_WORKING = frozenset({"queued", "in_progress"})
#: causes of an unfinished answer that are the end of its connection or stream, not of our sight
_ENDED = frozenset({None, "closed", "reset", RESET_BY_CLIENT})


class AnswerStream:
    """A streamed answer: events out of bytes, an answer out of events."""

    def __init__(self, api: Api) -> None:
        self._events = StreamFramer()
        self._parser: StreamParser = stream_parser(api)
        self._whole = True
        self._before = 0
        #: bytes of the events that were taken
        self.size = 0

    def feed(self, data: bytes) -> bool:
        """Takes bytes of a body. True once the end mark was seen; what follows it is not looked at."""
        for event in self._events.feed(data):
            self.size = self._before + event.end
            self._parser.feed(event)
            if self._parser.done:
                return True
        return False

    def message(self, data: bytes) -> bool:
        """Takes an event that came as a message of its own. True once the end mark was seen."""
        self.size += len(data)
        self._parser.feed(SseEvent("", data, self.size))
        return self._parser.done

    def damaged(self) -> None:
        """Something of the answer is missing."""
        self._whole = False

    def resume(self, after: int | None) -> None:
        """The rest comes in another body, asked for from after event ``after`` on (None: from the first)."""
        self._whole = self.whole
        self._events = StreamFramer()
        self._before = self.size
        assert isinstance(self._parser, openai_responses.StreamParser)
        self._parser.resume(after)

    @property
    def done(self) -> bool:
        """Its end mark was seen."""
        return self._parser.done

    @property
    def whole(self) -> bool:
        """Nothing of what came was left out."""
        return self._whole and not self._events.overflowed

    def result(self, ended: bool) -> tuple[ModelResponse, bool]:
        """The answer, and whether all of it was seen."""
        response = self._parser.result(ended=ended and self.whole)
        return response, self.whole and (response.complete or response.error is not None)


class Call:
    """What is known of a call whose answer is not over."""

    def __init__(
        self,
        index: int,
        ts: int,
        api: Api,
        host: str,
        *,
        size: int,
        traceparent: str | None,
        transport: Transport,
        asked: ModelRequest | None = None,
    ) -> None:
        self.index = index
        self.request_ts = ts
        #: what its answer is read by; it may turn out to be of another (Bedrock's InvokeModel)
        self.api: Api = api
        self._asked_api: Api = asked.api if asked is not None else api
        #: what only the request says: the model, and what calls without ids are called
        self._model = asked.model if asked is not None else ""
        self._turn = asked.turn if asked is not None else ""
        self.host = host
        self.request_bytes = size
        self.traceparent = traceparent
        self.transport: Transport = transport
        self.stream: AnswerStream | None = None
        #: the id of the earlier answer that is asked for again
        self.resumes: str | None = None
        self.prewarm = False
        #: the client was seen to end it
        self.cancelled = False
        self.missing = 0

    def over(
        self,
        ts: int,
        *,
        status: int = 0,
        response: ModelResponse | None = None,
        complete: bool = False,
        gap: int = 0,
        size: int = 0,
        cause: str | None = None,
    ) -> ResponseSeen:
        """The answer is over. ``cause``: what ended it before its time, as ``ResponseDone`` has it."""
        if response is not None:
            if not response.model:
                response = msgspec.structs.replace(response, model=self._model)
            response = named_answer(response, self._turn)
        working = response is not None and response.finish in _WORKING and self.stream is None
        return ResponseSeen(
            index=self.index,
            ts=ts,
            request_ts=self.request_ts,
            api=response.api if response is not None else self._asked_api,
            host=self.host,
            status=status,
            response=response,
            streamed=self.stream is not None,
            complete=complete or working,
            gap_bytes=gap,
            request_bytes=self.request_bytes,
            response_bytes=size,
            traceparent=self.traceparent,
            transport=self.transport,
            fate="unanswered" if working else self._fate(status, response, complete, cause),
            resumes=self.resumes,
        )

    def _fate(self, status: int, response: ModelResponse | None, complete: bool, cause: str | None) -> Fate:
        answered = complete and response is not None and response.error is None
        if not answered and (self.cancelled or cause == RESET_BY_CLIENT):
            return "cancelled"
        if response is not None and response.finish == "cancelled":
            return "cancelled"
        if not status:
            return "unanswered"
        if not is_success(status) or (response is not None and response.error is not None):
            return "refused"
        whole = self.stream is None or (self.stream.whole and not self.stream.done)
        if not complete and cause in _ENDED and whole and (cause is not None or self.stream is not None):
            return "interrupted"
        return "answered"


def header(headers: Headers, name: str) -> str:
    """The first value of the header ``name`` (lower case)."""
    return next((value for key, value in headers if key.lower() == name), "")


def trace_context(value: object) -> str | None:
    """``value`` if it is a traceparent."""
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else None


def digest_of(api: Api, host: str, body: bytes) -> bytes:
    """What tries of one request have in common. SDKs send the same body again: what they change is in headers."""
    if _METADATA.encode() in body:
        value = loads(body)
        if isinstance(value, dict):
            value.pop(_METADATA, None)
            with suppress(orjson.JSONEncodeError):  # beyond its bounds: the body as it is
                body = orjson.dumps(value)
    return hashlib.blake2b(b"\0".join((api.encode(), host.encode(), body)), digest_size=16).digest()
