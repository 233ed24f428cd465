"""The content level of a capture: the option, where it was set, and its entries in the audit log.

At ``redacted`` and ``full``, and where words are sent for a second opinion, nothing is captured that the audit log
does not know of: where the entry cannot be written the capture does not begin, and ``watch`` takes in no further
session. An agent that ``run`` has started already is left alone. Otherwise no free text is kept or sent: observation
goes on, and the gap is said.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import click

from polygraph.content import DEFAULT_LEVEL, LEVELS, ContentLevel

if TYPE_CHECKING:
    from polygraph.audit import AuditLog, What
    from polygraph.events import SessionStart
    from polygraph.log.store import Store

VARIABLE = "POLYGRAPH_CONTENT"

C = TypeVar("C", bound=Callable[..., object])


def content_option(command: C) -> C:
    """``--content``, by default the level of the environment."""
    return click.option(
        "--content",
        type=click.Choice(LEVELS),
        default=DEFAULT_LEVEL,
        envvar=VARIABLE,
        show_default=True,
        help="How much of the LLM traffic may leave the collector.",
    )(command)


def source_of_level() -> str:
    """Where the level of the running command comes from: ``flag``, ``environment`` or ``default``."""
    source = click.get_current_context().get_parameter_source("content")
    names = {"COMMANDLINE": "flag", "ENVIRONMENT": "environment"}
    return names.get(source.name if source is not None else "", "default")


def exports_of(
    otlp: str | None = None, json: Path | None = None, report: Path | None = None
) -> tuple[str, ...]:
    """Where verdicts go besides the store, as the audit log says it."""
    named = {"otlp": otlp, "json": json, "report": report}
    return tuple(f"{name} {target}" for name, target in named.items() if target is not None)


class Audited:
    """One capture's entries: as a context manager it begins and ends the capture."""

    def __init__(
        self,
        store: Store,
        by: str,
        level: ContentLevel,
        *,
        scope: tuple[str, ...] = (),
        exports: tuple[str, ...] = (),
        second_opinion: str | None = None,
        note: Callable[[str], None] = lambda text: click.echo(f"polygraph: {text}", err=True),
    ) -> None:
        """``by``: the command; ``note`` says what could not be written where that does not end the capture.

        ``second_opinion``: where words of the conversation are sent, if they are.
        """
        from polygraph.audit import AuditLog

        self._log: AuditLog = AuditLog(store.root)
        self._store = store
        self._by = by
        self._level = level
        self._scope = scope
        self._exports = exports
        self._second_opinion = second_opinion
        #: words of the conversation are kept or sent: nothing of that goes unnoted
        self._words = level in ("redacted", "full") or second_opinion is not None
        self._note = note
        self._sessions: set[str] = set()
        self._musts = {"level_changed", "capture_begin", *(["session_begin"] if by != "run" else [])}

    def __enter__(self) -> Self:
        """Before anything is captured. Applies the limits of the store. Raises AuditError, PolygraphError."""
        self._begin()
        self._prune()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._append("capture_end")  # nothing is captured any more, however that came

    def _begin(self) -> None:
        from collector.redact import redact
        from polygraph.audit import AuditError

        before: str | None = None
        try:
            before = self._log.level_before()
        except AuditError:
            if self._words:
                raise
        if before is not None and before != self._level:
            self._append("level_changed", before=before)
        self._append(
            "capture_begin",
            scope=tuple(map(redact, self._scope)),
            exports=tuple(map(redact, self._exports)),
            source=source_of_level(),
            second_opinion=self._second_opinion,
        )

    def _prune(self) -> None:
        from polygraph.audit import AuditError
        from polygraph.log.retention import limits_of, prune

        limits = limits_of(os.environ)
        if limits.any:
            try:
                prune(self._store, limits, time.time_ns(), self._by)
            except (AuditError, OSError, sqlite3.Error) as error:
                self._note(f"the limits of the store could not be applied: {error}")

    def session(self, start: SessionStart) -> None:
        """A session has begun; it is noted once. Raises AuditError (``watch`` at ``redacted`` and ``full``)."""
        if start.session not in self._sessions:
            self._sessions.add(start.session)
            command = start.argv[:1]  # its arguments are content
            self._append("session_begin", session=start.session, host=start.host, command=command)

    def session_end(self, session: str) -> None:
        """A session is over."""
        self._sessions.discard(session)
        self._append("session_end", session=session)

    def _append(self, what: What, **fields: object) -> None:
        from polygraph.audit import AuditError

        try:
            self._log.append(what, by=self._by, level=self._level, **fields)
        except AuditError as error:
            if self._words and what in self._musts:
                raise
            self._note(f"{error}; {self._level} goes on without")
