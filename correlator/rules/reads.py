"""Tool calls and claims that files were read."""

from __future__ import annotations

from correlator.outcome import Outcome, combine, refuted, unverifiable, verified
from correlator.paths import basename, names, normalise
from correlator.session import IntentState, Read, Session
from correlator.windows import Span
from polygraph.events import Claim


def judge(session: Session, state: IntentState, span: Span, now: int) -> Outcome:
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
    paths = [p for p in session.path_inodes if names(said, p, session.cwd)]
    reads = reads_of(session, said)
    name = basename(said)
    inside = [r for r in reads if span.early <= r.ts <= span.until]
    if inside:
        return verified(f"{name} was opened for reading", "strong" if len(paths) <= 1 else "weak")
    if told_failed:
        return unverifiable("ambiguous", f"no opening of {name} was seen, and nobody says that it was read")
    if any(r.ts <= span.until for r in reads):
        return unverifiable("ambiguous", f"{name} was opened before, so its content was known")
    if any(names(said, p, session.cwd) for p in session.touches):
        return unverifiable("ambiguous", f"{name} was written by the lineage, so its content was known")
    inodes = {inode for p in paths for inode in session.path_inodes[p]}
    if len(paths) != 1 or not inodes:
        return unverifiable("ambiguous", f"which file {name} is, is not known to the kernel's records")
    gate = session.coverage.gate(("file", "process"), session.began, span.until)
    if gate is not None:
        return unverifiable(gate, f"no opening of {name} was seen")
    look = next(
        (s for s in session.file_states if names(s.path, paths[0], session.cwd) or s.path == said), None
    )
    return refuted(
        "not_read", f"{normalise(paths[0], session.cwd)} was not opened", *([look] if look else [])
    )


def reads_of(session: Session, said: str) -> list[Read]:
    """Every opening for reading of the files that ``said`` may mean."""
    found = [r for path, rows in session.path_reads.items() if names(said, path, session.cwd) for r in rows]
    inodes = {i for p, rows in session.path_inodes.items() if names(said, p, session.cwd) for i in rows}
    for inode in sorted(inodes):
        found.extend(session.reads.get(inode, ()))
    return found
