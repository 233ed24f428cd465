"""A message whose head was read: its body decoded and kept, and the event that tells of it."""

from __future__ import annotations

from collector.http.encoding import Decoder, EncodingError
from collector.http.events import BodyPart, Direction, RequestDone, ResponseDone
from collector.http.framing import STREAMED_TYPES
from collector.http.head import Head


class Message:
    """``index`` is its request's number on the connection, None if the request was not seen.

    ``wanted`` False: the body is neither decoded nor kept. ``parts`` False: it never comes as
    :class:`BodyPart`.
    """

    def __init__(
        self, head: Head, first_ts: int, index: int | None, wanted: bool, parts: bool = True
    ) -> None:
        self.head = head
        self.first_ts = first_ts
        self.index = index
        self.wanted = wanted
        self.as_parts = parts and wanted and bool(head.status) and _is_event_stream(head)
        self.body = bytearray()  # and no list: chunks may be of two bytes each
        self.size = 0
        self.missing = 0
        self.cause: str | None = None
        #: its event was given already; what still comes is skipped
        self.reported = False
        self.decoder: Decoder | None = None
        if not wanted:
            return
        try:
            self.decoder = Decoder(head.all("content-encoding"))
        except EncodingError as error:
            self.cause = error.cause

    def take(self, data: bytes) -> bytes:
        """Decoded bytes of ``data``, nothing once the body is damaged or told; kept unless given in parts."""
        if self.cause is not None or self.decoder is None or self.reported:
            return b""
        try:
            plain = self.decoder.feed(data)
        except EncodingError as error:
            self.fail(error.cause)
            return b""
        self.size += len(plain)
        if not self.as_parts:
            self.body += plain
        return plain

    def fail(self, cause: str) -> None:
        """It is incomplete; the first cause stands."""
        self.cause = self.cause or cause
        self.decoder = None

    def ended(self) -> None:
        """All its bytes have come: incomplete if a coding has not reached its end mark."""
        if self.decoder is not None and not self.decoder.whole():
            self.fail("encoding")

    def part(self, data: bytes, ts: int) -> BodyPart:
        return BodyPart(
            data=data, ts=ts, request_index=self.index, status=self.head.status, first_ts=self.first_ts
        )

    def request_done(self, ts: int, direction: Direction) -> RequestDone:
        """The event of a request; its body is kept no longer."""
        self.reported = True
        assert self.index is not None
        body = bytes(self.body)
        self.body.clear()
        return RequestDone(
            direction=direction,
            method=self.head.method,
            target=self.head.target,
            headers=self.head.headers,
            body=body,
            ts=ts,
            index=self.index,
            first_ts=self.first_ts,
            complete=self.cause is None,
            missing=self.missing,
            cause=self.cause,
        )

    def response_done(self, ts: int) -> ResponseDone:
        """The event of a response."""
        self.reported = True
        return ResponseDone(
            status=self.head.status,
            headers=self.head.headers,
            body=bytes(self.body),
            ts=ts,
            request_index=self.index,
            first_ts=self.first_ts,
            complete=self.cause is None,
            missing=self.missing,
            cause=self.cause,
        )


def _is_event_stream(head: Head) -> bool:
    return any(value.partition(";")[0].strip() in STREAMED_TYPES for value in head.all("content-type"))
