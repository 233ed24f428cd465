"""Tool calls that write, edit, delete or move files."""

from __future__ import annotations

from correlator.delegation import given_away
from correlator.facts import errno_name
from correlator.outcome import Outcome, combine, refuted, unverifiable, verified
from correlator.paths import basename, common_tail, names, normalise
from correlator.places import is_temporary
from correlator.session import IntentState, Session, Touch
from correlator.windows import Span
from polygraph.events import ExpectedFile, FileState, Intent

#: sizes that differ by no more than this may differ by a line end or a byte order mark only
_LINE_END = 3
#: a look at the file later than this is no look at what the tool call left, ns
_CLOCK_SLACK = 2_000_000_000


def judge(session: Session, state: IntentState, span: Span) -> Outcome:
    """The verdict on a tool call that is to change files."""
    files = [f for f in state.intent.files if f.op != "read"]
    given = given_away(session, state, span.until, files=True)
    if given is not None:
        return unverifiable("handed_off", f"the work was given to {given}, outside the lineage")
    if not files:
        return unverifiable("form_unknown", "which files it would change is not known")
    return combine([_one(session, state, expected, span) for expected in files])


def _one(session: Session, state: IntentState, expected: ExpectedFile, span: Span) -> Outcome:
    told = expected.new_path or expected.path
    look = next((s for s in reversed(state.states) if s.path in (told, expected.path)), None)
    hits = touches_of(session, told, span.early, span.until)
    if look is not None:
        hits += [
            t
            for t in session.inode_writes.get((look.dev, look.ino), ())
            if t not in hits and _within(t, span.early, span.until)
        ]
    gone = [t for t in hits if t.gone]
    if expected.op == "delete":
        return _deleted(session, state, expected, look, gone, span)
    done = [t for t in hits if not t.gone]
    if done:
        return _written(session, state, expected, look, done, gone, span)
    return _untouched(session, state, told, look, span)


def _written(
    session: Session,
    state: IntentState,
    expected: ExpectedFile,
    look: FileState | None,
    done: list[Touch],
    gone: list[Touch],
    span: Span,
) -> Outcome:
    last = max(done, key=lambda t: t.ts)
    observed = f"{last.path} was written"
    events = [t.event for t in done[-3:]]
    if look is None:
        return verified(observed, "strong", *events)
    if look.matches is True:
        return verified(f"{observed} and holds what was declared", "exact", *events, look)
    if not look.exists:
        if any(t.ts >= last.ts for t in gone):
            return unverifiable(
                "ambiguous", f"{observed} and removed again", *events, *(t.event for t in gone[-1:])
            )
        if session.coverage.gate(("file", "process"), span.early, span.until) is None:
            return verified(observed, "strong", *events)  # nobody removed it by then: the look came late
        return unverifiable("ambiguous", f"{observed}, but was not there afterwards", *events, look)
    if look.matches is None or expected.digest is None:
        # An edit's fragment may be re-indented or reformatted by the tool that applies it.
        return verified(observed, "strong", *events, look)
    if expected.size is not None and abs(look.size - expected.size) <= _LINE_END:
        return unverifiable("ambiguous", f"{observed} and differs by line ends or little more", *events, look)
    # The look was taken a moment after its time; the file's own time says until when others may have written.
    changed = look.mtime - session.start.wall_offset if session.start is not None else 0
    seen = max(span.until, look.ts, changed)
    writers = {t.event.process for t in touches_of(session, last.path, span.early, seen)}
    if len(writers) > 1 or _others_declare(session, state.intent, last.path, seen):
        return unverifiable("ambiguous", f"{observed} by more than one process", *events, look)
    gate = session.coverage.gate(("file", "process"), span.early, max(span.until, look.ts))
    if gate is not None:
        return unverifiable(gate, f"{observed} and holds something else now", *events, look)
    return refuted(
        "content_differs", f"{observed}, but holds {look.size} bytes of something else", *events, look
    )


def _untouched(
    session: Session, state: IntentState, told: str, look: FileState | None, span: Span
) -> Outcome:
    result = state.result
    nothing = f"{basename(told)} was not opened for writing"
    if result is None or result.is_error:
        return unverifiable("ambiguous", f"{nothing}, and nobody says that it was")
    if look is not None and look.matches is True:
        return unverifiable("ambiguous", f"{nothing}, and holds what was declared", look)
    if look is None:
        return unverifiable("ambiguous", f"{nothing}, and could not be looked at")
    if changed_outside(session, look, span):
        return unverifiable("handed_off", f"{nothing} by the lineage, but changed in the window", look)
    gate = session.coverage.gate(("file", "process"), span.early, span.until)
    if gate is not None:
        return unverifiable(gate, nothing, look)
    failed = [
        f
        for f in session.failed_files
        if span.holds(f.ts) and names(told, f.new_path or f.path, session.cwd) and f.op != "unlink"
    ]
    if failed:
        return refuted(
            "not_written",
            f"writing {basename(told)} failed with {errno_name(failed[-1].errno)}",
            failed[-1],
            look,
        )
    elsewhere = _elsewhere(session, state.intent, told, span)
    if len(elsewhere) > 1 or (elsewhere and common_tail(elsewhere[0].path, normalise(told, session.cwd)) > 1):
        return unverifiable(
            "ambiguous", "files of that name were written elsewhere", *(t.event for t in elsewhere[:3])
        )
    if elsewhere:
        return refuted("wrong_target", f"{elsewhere[0].path} was written instead", elsewhere[0].event, look)
    if directory_moved(session, told, span.early, span.until):
        return unverifiable("ambiguous", f"{nothing}, but a directory was renamed", look)
    if look.exists and look.matches is None:
        return refuted("not_written", f"{nothing} in the window, and existed", look)
    if look.exists and look.size == 0:
        return unverifiable("ambiguous", f"{nothing}, and is empty", look)
    what = "holds something else" if look.exists else "does not exist"
    return refuted("not_written", f"{nothing} and {what}", look)


def _deleted(
    session: Session,
    state: IntentState,
    expected: ExpectedFile,
    look: FileState | None,
    gone: list[Touch],
    span: Span,
) -> Outcome:
    name = basename(expected.path)
    if gone and (look is None or not look.exists):
        return verified(f"{gone[-1].path} was removed", "strong", gone[-1].event)
    if gone:
        return unverifiable("ambiguous", f"{name} was removed and is there again", gone[-1].event)
    if state.result is None or state.result.is_error or look is None or not look.exists:
        return unverifiable("ambiguous", f"no removal of {name} was seen, and it is not there")
    gate = session.coverage.gate(("file", "process"), span.early, span.until)
    if gate is not None:
        return unverifiable(gate, f"no removal of {name} was seen", look)
    if directory_moved(session, expected.path, span.early, span.until):
        return unverifiable("ambiguous", f"{name} may have been moved with its directory", look)
    return refuted("not_written", f"{name} was not removed and exists", look)


# --- shared with the rules on claims --------------------------------------------------------------------


def changed_outside(session: Session, look: FileState, span: Span) -> bool:
    """Its time of change lies in the window and the lineage did not write it: an editor, a mount."""
    if session.start is None:
        return False
    changed = look.mtime - session.start.wall_offset
    return span.early - _CLOCK_SLACK <= changed <= max(span.until, look.ts) + _CLOCK_SLACK


def touches_of(session: Session, said: str, since: int, until: int) -> list[Touch]:
    """Write effects in [since, until] on every path that ``said`` may mean, in order."""
    if said.startswith("/") and (exact := session.touches.get(normalise(said, ""))) is not None:
        rows = list(exact)
    else:
        rows = [t for path in session.meant_by(said) for t in session.touches.get(path, ())]
    return sorted((t for t in rows if _within(t, since, until)), key=lambda t: (t.ts, t.event.seq))


def _within(touch: Touch, since: int, until: int) -> bool:
    """A record that covers several touches counts by its first and its last one."""
    return (
        since <= touch.ts <= until
        or since <= touch.first <= until
        or (touch.first < since and touch.ts > until)
    )


def _others_declare(session: Session, intent: Intent, path: str, until: int) -> bool:
    return any(
        names(f.new_path or f.path, path, session.cwd)
        for other in session.intents.values()
        if other.intent.intent != intent.intent and other.intent.ts <= until
        for f in other.intent.files
        if f.op != "read"
    )


def _elsewhere(session: Session, intent: Intent, told: str, span: Span) -> list[Touch]:
    found: dict[str, Touch] = {}
    wanted = basename(told)
    for path in session.by_name.get(wanted.lower(), ()):
        if basename(path) != wanted or is_temporary(path):
            continue
        if _others_declare(session, intent, path, span.until):
            continue
        for touch in session.touches.get(path, ()):
            if span.holds(touch.ts) and not touch.gone and touch.event.op != "mkdir":
                found.setdefault(path, touch)
    return [found[path] for path in sorted(found)]


def directory_moved(session: Session, said: str, since: int, until: int) -> bool:
    """Whether a rename may have given the path its file or taken it away, by moving a directory above it.

    The kernel's names of a rename are not followed through links and may be those of another mount namespace, so a
    directory is told by its last component: one that stands above the path. A name that is relative or cut short may
    be any directory.
    """
    above = set(normalise(said, session.cwd).split("/")[:-1])
    return any(
        basename(path) in above or not path.startswith("/") or event.path_truncated
        for event in session.renames
        if since <= event.ts <= until
        for path in (event.path, event.new_path or event.path)
    )
