"""OTLP: verdicts as spans to any OpenTelemetry receiver. docs/otlp.md says what is sent."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan

from exporters import transport
from exporters.endpoint import receiver
from exporters.spans import session_spans
from exporters.transport import Answer, Sender
from polygraph.events import SessionStart
from polygraph.verdicts import Verdict

#: spans per request: with every string at its limit that is still below gRPC's default of 4 MiB
BATCH = 64
#: seconds before the second and the third try of a request
_PAUSES = (0.2, 0.8)


class ExportResult(NamedTuple):
    """Spans taken by the receiver, spans that were not, and why (with advice) for the first that were not."""

    sent: int
    failed: int
    error: str


class OtlpExporter:
    """Sends to one receiver. Sending the same verdicts again sends the same bytes."""

    def __init__(self, url: str, *, timeout: float = 10.0, environ: Mapping[str, str] | None = None) -> None:
        """``timeout`` in seconds bounds a whole :meth:`export`.

        Of the environment, ``OTEL_EXPORTER_OTLP_[TRACES_]HEADERS`` and ``_CERTIFICATE`` are used. Raises
        PolygraphError when ``url``, a header or the certificate file is none.
        """
        self._receiver = receiver(url, os.environ if environ is None else environ)
        self._timeout = timeout

    def export(self, start: SessionStart, verdicts: Sequence[Verdict]) -> ExportResult:
        """Sends one session: its span and one for each verdict.

        Failures of the network or the receiver are counted and said, never raised; after a request that
        failed nothing more is tried.
        """
        spans = list(session_spans(start, verdicts))
        deadline = time.monotonic() + self._timeout
        sender = transport.connect(self._receiver)
        sent, error = 0, ""
        try:
            for first in range(0, len(spans), BATCH):
                batch = spans[first : first + BATCH]
                answer = _send(sender, batch, deadline)
                error = error or answer.message
                if not answer.delivered:
                    break
                sent += len(batch) - min(answer.rejected, len(batch))
        finally:
            sender.close()
        return ExportResult(sent, len(spans) - sent, error)


def _send(sender: Sender, batch: Sequence[ReadableSpan], deadline: float) -> Answer:
    """One request, tried again after a passing failure as long as there is time."""
    request = encode_spans(batch)
    pauses = iter(_PAUSES)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return Answer(delivered=False, message=f"out of time; {transport.LISTENING}")
        answer = sender.send(request, left)
        pause = next(pauses, None)
        if answer.delivered or not answer.retry or pause is None or time.monotonic() + pause >= deadline:
            return answer
        time.sleep(pause)
