"""What a connection tells of model calls: asked, answered, or not readable."""

from __future__ import annotations

import msgspec

from collector.llm.model import ModelRequest, ModelResponse
from polygraph.events import Api, Fate, Transport


class RequestSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A call was asked; ``ts`` is the time of its last byte, ``index`` its number on the connection.

    ``digest`` is of the body, without what a client changes when it sends the same request again; ``again``:
    it says itself that it does. ``follows``: the answer that ``previous_response_id`` names was seen.
    ``prewarm``: the provider is to prepare itself and say nothing; no :class:`ResponseSeen` follows as long
    as it says nothing.
    """

    index: int
    ts: int
    api: Api
    host: str
    request: ModelRequest
    request_bytes: int
    traceparent: str | None
    digest: bytes
    again: bool = False
    follows: bool = False
    prewarm: bool = False


class ResponseSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A call is over; ``ts`` is when its answer was (its end mark, not the connection's end).

    ``response`` is None for an error status, or when nothing of it could be read. ``status`` 0: there was no
    answer, or its head was lost. ``complete``: all it said was seen, a provider's own error too. ``resumes``:
    the id of an earlier answer, which this one goes on with or ends; all that it said before is in
    ``response`` again.
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
    transport: Transport
    fate: Fate
    resumes: str | None = None


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """Something that may have been a call could not be read; ``host`` is the last one that was named.

    ``cause`` is one of ``collector.http.events``, ``request_incomplete``, ``request_unreadable`` (JSON beyond
    our bounds, or broken), ``answer_unreadable`` (a message that is no event), or ``request_unseen``: the
    answer to a request that was not seen. ``upgraded`` is a WebSocket of OpenAI's Realtime API, which is not
    read. ``lasts``: a connection or socket that carried calls is not read any more, and its client goes on
    with it, so calls that follow are not seen either.
    """

    cause: str
    ts: int
    host: str
    missing: int
    lasts: bool = False


LlmEvent = RequestSeen | ResponseSeen | Unreadable
