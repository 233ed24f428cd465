"""Tool calls and claims that files were read."""

from __future__ import annotations

from correlator.outcome import Outcome, combine, refuted, unverifiable, verified
from correlator.paths import basename, names, normalise
from correlator.session import IntentState, Read, Session
from correlator.windows import Span
from polygraph.events import Claim, FileState

#: ns by which the time of a file may lie before its change: the clock of file systems steps with the timer interrupt,
#: at 100 Hz at least (CONFIG_HZ)
_COARSE = 10_000_000


def judge(session: Session, state: IntentState, span: Span) -> Outcome:
    """The verdict on a tool call that is to read files."""
    files = [f.path for f in state.intent.files if f.op == "read"]
    if state.intent.hand_off is not None:
        return unverifiable(
            "handed_off", f"the work was given to {state.intent.hand_off}, outside the lineage"
        )
    if not files:
        return unverifiable("form_unknown", "which file it would read is not known")
    failed = state.result is None or state.result.is_error
    return combine([_read(session, path, span, told_failed=failed) for path in files])


def judge_claim(session: Session, claim: Claim, span: Span) -> Outcome:
    """The verdict on a claim that files were read. Without their names nothing can be told."""
    if not claim.targets:
        return unverifiable("ambiguous", "which files are meant is not known")
    return combine([_read(session, path, span) for path in claim.targets])


def _read(session: Session, said: str, span: Span, *, told_failed: bool = False) -> Outcome:
    paths = [p for p in session.meant_by(said) if session.inodes_of(p, span.until)]
    reads = reads_of(session, said, span.until)
    name = basename(said)
    inside = [r for r in reads if span.early <= r.ts <= span.until]
    if inside:
        return verified(f"{name} was opened for reading", "strong" if len(paths) <= 1 else "weak")
    if told_failed:
        return unverifiable("ambiguous", f"no opening of {name} was seen, and nobody says that it was read")
    if reads:
        return unverifiable("ambiguous", f"{name} was opened at another time, so its content may be known")
    if any(t.ts <= span.until for p in session.meant_by(said) for t in session.touches.get(p, ())):
        return unverifiable("ambiguous", f"{name} was written by the lineage, so its content was known")
    if any(
        _looked_late(session, state) for p in session.meant_by(said) for state in session.looks.get(p, ())
    ):
        return unverifiable(
            "ambiguous", f"{name} was changed before it could be looked at: which it was is not known"
        )
    if len(paths) != 1:
        return unverifiable("ambiguous", f"which file {name} is, is not known to the kernel's records")
    gate = session.coverage.gate(("file", "process"), session.began, span.until)
    if gate is not None:
        return unverifiable(gate, f"no opening of {name} was seen")
    look = next(
        (s for s in session.file_states if s.ts <= span.until and names(s.path, paths[0], session.cwd)), None
    )
    return refuted(
        "not_read", f"{normalise(paths[0], session.cwd)} was not opened", *([look] if look else [])
    )


def _looked_late(session: Session, state: FileState) -> bool:
    """Whether the look at a file may have found what was put in its place after the time of the look."""
    return session.start is not None and state.mtime - session.start.wall_offset > state.ts - _COARSE


def reads_of(session: Session, said: str, until: int) -> list[Read]:
    """Every opening for reading, by ``until``, of the files that ``said`` may mean.

    A record that covers several openings has the time of the last: the first may have been before ``until``.
    """
    paths = session.meant_by(said)
    found = [r for path in paths for r in session.path_reads.get(path, ())]
    for inode in sorted({i for path in paths for i in session.inodes_of(path, until)}):
        found.extend(session.reads.get(inode, ()))
    return [read for read in found if read.ts <= until or read.shared]
