"""Embedded mode's middle: events into the store and the correlator, what it says into the store and the views."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from console.live import LiveView, Summary
from console.words import counted, silence
from correlator.engine import Engine
from polygraph import verdicts as codec
from polygraph.commands._content import Audited
from polygraph.events import AnyEvent, BlindSpot, LlmCall, SessionStart
from polygraph.findings import Finding
from polygraph.log.store import Store
from polygraph.verdicts import Verdict


class Recorder:
    """Feeds one correlator. A disk that is full costs history, which is counted and said; never a verdict."""

    def __init__(
        self,
        store: Store,
        live: LiveView | None,
        json_file: IO[bytes] | None,
        audited: Audited | None = None,
    ) -> None:
        """``json_file`` gets each verdict as a line; it is closed at the end. ``audited``: told of each session."""
        self._audited = audited
        self._store = store
        self._live = live
        self._engine = Engine()
        self._starts: dict[str, SessionStart] = {}
        self._verdicts: dict[str, list[Verdict]] = {}
        self._calls: Counter[str] = Counter()
        self._blind: dict[str, set[str]] = {}
        self._unsaved = 0
        self.refuted = 0
        self._json = json_file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._json is not None:
            self._json.close()
            self._json = None

    def take(self, events: Sequence[AnyEvent]) -> None:
        """Stores and judges events. Raises AuditError when a session may not be captured unnoted."""
        if not events:
            return
        if self._audited is not None:  # before anything of a session is on the disk
            for event in events:
                if isinstance(event, SessionStart):
                    self._audited.session(event)
        self._save(events)
        for event in events:
            if isinstance(event, SessionStart):
                self._starts[event.session] = event
                if self._live is not None:
                    self._live.began(event)
            elif isinstance(event, LlmCall):
                self._calls[event.session] += event.attempt == 1
            elif isinstance(event, BlindSpot):
                self._blind.setdefault(event.session, set()).add(event.name)
            self._give(*self._engine.feed(event))

    def end(self, session: str, ended: int, status: int | None) -> None:
        """Notes how the session ended: Unix time in ns, exit status of its root."""
        try:
            self._store.finish(session, ended, status, self._unsaved)
        except sqlite3.Error as error:
            self.note(f"the store could not be updated: {error}")
        if self._audited is not None:
            self._audited.session_end(session)

    def note(self, text: str) -> None:
        """A line for the person who watches."""
        if self._live is not None:
            self._live.note(text)

    def summary(self, session: str, status: int, took: int, report: Path | None) -> None:
        """Closes the live view; ``took`` in ns."""
        if self._live is not None:
            notes = (f"{self._unsaved} events did not reach the disk",) if self._unsaved else ()
            page = str(report) if report is not None else None
            start = self._starts.get(session)
            why = silence(
                self._calls[session], start.content if start else None, self._blind.get(session, set())
            )
            self._live.finish(
                Summary(session=session, status=status, took=took, report=page, notes=notes, silence=why)
            )

    def export(self, session: str, url: str) -> None:
        """Sends the session's verdicts over OTLP; says what could not be sent."""
        from exporters.otlp import OtlpExporter

        result = OtlpExporter(url).export(self._starts[session], self._verdicts.get(session, []))
        if result.sent:
            self.note(f"otlp: {counted(result.sent, 'span')} sent to {url}")
        if result.failed:
            self.note(f"otlp: {counted(result.failed, 'span')} not sent to {url}: {result.error}")

    def _give(self, verdicts: Sequence[Verdict], findings: Sequence[Finding]) -> None:
        if not verdicts and not findings:
            return
        for verdict in verdicts:
            self._verdicts.setdefault(verdict.session, []).append(verdict)
            self.refuted += verdict.verdict == "refuted"
            if self._live is not None:
                self._live.verdict(verdict)
        if self._live is not None:
            for finding in findings:
                self._live.finding(finding)
        try:
            self._store.add(verdicts)
            self._store.add_findings(findings)
        except sqlite3.Error as error:
            self.note(f"verdicts could not be stored: {error}")
        if self._json is not None:
            try:
                self._json.write(b"".join(codec.encode(verdict) + b"\n" for verdict in verdicts))
            except OSError as error:
                self.note(f"verdicts could not be written: {error.strerror}")
                self._json = None

    def _save(self, events: Sequence[AnyEvent]) -> None:
        try:
            self._store.append(events)
        except (OSError, sqlite3.Error) as error:
            if not self._unsaved:
                self.note(f"events are not being stored any more: {error}; verdicts are given all the same")
            self._unsaved += len(events)
