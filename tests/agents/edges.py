"""What the causal graph says of a client's session: what belongs to nothing, and how runs of tests are joined."""

from __future__ import annotations

from collections.abc import Iterable

from correlator.programs import identify
from correlator.session import Session
from polygraph import events as e

#: effects of an honest session that belong to nothing, by client: the beginning of what `unexplained` says, and why
UNEXPLAINED: dict[str, dict[str, str]] = {
    "qwen-code": {"connect /run/dbus/": "what it asks the system bus is not known"},
    "crewai": {
        "write ": "a library in somebody's program is not told by its file; it keeps a database in the home"
    },
}

#: the grade of runs of tests, where it is not exact: code mode runs commands out of a program in JavaScript
GRADES = {"codex-code-mode": "weak"}


def session_of(events: Iterable[e.AnyEvent]) -> Session:
    """The session of a log."""
    rows = list(events)
    session = Session(rows[0].session)
    for event in rows:
        session.add(event)
    return session


def unexplained(client: str, events: tuple[e.AnyEvent, ...]) -> list[str]:
    """Writes and connections that belong to nothing, those of `UNEXPLAINED` left out."""
    session = session_of(events)
    found = [
        f"{event.op} {event.address}" if isinstance(event, e.Net) else f"write {event.new_path or event.path}"
        for event in events
        if (isinstance(event, e.Net) and event.op == "connect")
        or (isinstance(event, e.File) and event.op != "read" and event.errno == 0)
        if session.graph.of(event).cause == "nothing"
    ]
    known = tuple(UNEXPLAINED.get(client, {}))
    return [what for what in found if not (known and what.startswith(known))]


def grades_of_tests(events: tuple[e.AnyEvent, ...]) -> list[str | None]:
    """The grade of the edge of each run of tests."""
    session = session_of(events)
    return [
        session.graph.of(event).grade
        for event in events
        if isinstance(event, e.Exec)
        and (match := identify(event)) is not None
        and match.tool.purpose == "test"
    ]
