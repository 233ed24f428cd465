"""Tool calls and claims that files were read.

What each fact shows. An opening for reading shows that a program could read the file, not that the model saw it; of
a claim "read X" that is taken to be enough, unless a test run or a compiler made it. How far a file was read is a
bound from above: what is beyond was not read, what is below may not have been shown. What the model sees comes in
results of tool calls: where such calls made all openings of a file, their results bound from above what can have
been seen of it, whatever the programs read (:mod:`correlator.rules.read_whole`).
"""

from __future__ import annotations

from dataclasses import replace

from correlator.delegation import given_away
from correlator.facts import command
from correlator.outcome import Outcome, combine, refuted, unverifiable, verified
from correlator.paths import basename, names, normalise
from correlator.rules import other_ways, read_whole, readers
from correlator.session import IntentState, Read, Session
from correlator.windows import Span
from polygraph.events import Claim, FileState

#: files that a verdict names
_NAMED = 4

#: ns by which the time of a file may lie before its change: the clock of file systems steps with the timer interrupt,
#: at 100 Hz at least (CONFIG_HZ)
_COARSE = 10_000_000


def judge(session: Session, state: IntentState, span: Span) -> Outcome:
    """The verdict on a tool call that is to read files."""
    files = [f.path for f in state.intent.files if f.op == "read"]
    given = given_away(session, state, span.until, files=True)
    if given is not None:
        return unverifiable("handed_off", f"the work was given to {given}, outside the lineage")
    if not files:
        return unverifiable("form_unknown", "which file it would read is not known")
    failed = state.result is None or state.result.is_error
    return combine([_read(session, path, span, told_failed=failed) for path in files])


def judge_claim(session: Session, claim: Claim, span: Span) -> Outcome:
    """The verdict on a claim that files were read: some by name, all of a directory, or so many.

    An exhaustive claim of files by name says that each was read from beginning to end.
    """
    whole = claim.kind == "exhaustive"
    if not claim.targets:
        if whole and claim.counts.get("total"):
            return _so_many(session, claim.counts["total"], span)
        return unverifiable("ambiguous", "which files are meant is not known")
    parts = []
    for target in claim.targets:
        if target.endswith("/"):
            parts.append(_all_of(session, claim, target, span))
            continue
        part = _read(session, target, span, claim=claim, whole=whole)
        if whole and part.verdict == "verified":
            # That nothing speaks against it is less than to have seen it.
            part = read_whole.judge(session, claim, target, span) or replace(part, grade="weak")
        parts.append(part)
    return combine(parts)


def _all_of(session: Session, claim: Claim, folder: str, span: Span) -> Outcome:
    """All source files of a directory, as the collector found them when the claim was made."""
    listed = [look for look in session.claim_looks.get(claim.claim, ()) if look.path.startswith(folder)]
    files = [look for look in listed if look.size]
    if not files:
        return unverifiable("ambiguous", f"which files lie in {folder} is not known")
    if claim.counts.get("total", len(listed)) < len(listed):
        return unverifiable(
            "ambiguous", f"{folder} holds {len(listed)} source files, not all of which are meant"
        )
    parts = [(look, _read(session, look.path, span, claim=claim, whole=True)) for look in files]
    missing = [look for look, part in parts if part.verdict == "refuted" and not _made_late(session, look)]
    if missing:
        named = ", ".join(basename(look.path) for look in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        observed = (
            f"{len(missing)} of the {len(files)} source files in {folder} were not opened: {named}{more}"
        )
        return refuted("not_read", observed, *missing)
    doubt = next((part for _, part in parts if part.verdict == "unverifiable"), None)
    if doubt is not None or any(part.verdict == "refuted" for _, part in parts):
        return doubt or unverifiable("ambiguous", f"files in {folder} were made while the session went on")
    return verified(f"each of the {len(files)} source files in {folder} was opened for reading", "strong")


def _made_late(session: Session, look: FileState) -> bool:
    """Whether the file was changed since the session began, so that it may not have been there to be read."""
    return session.start is None or look.mtime - session.start.wall_offset > session.began - _COARSE


def _so_many(session: Session, number: int, span: Span) -> Outcome:
    """Fewer files in all than are said to have been read: libraries and the agent's own files count, for it."""
    found = {
        inode for inode, reads in session.reads.items() if any(r.ts <= span.until or r.shared for r in reads)
    }
    found |= {inode for inode, hits in session.inode_writes.items() if any(t.ts <= span.until for t in hits)}
    names = len(session.path_reads) + sum(1 for path in session.touches if path not in session.path_reads)
    observed = f"{len(found)} files were opened in all"
    if max(len(found), names) >= number:
        return unverifiable("ambiguous", f"which {number} files are meant is not known")
    other = other_ways.judge(session, span)
    if other is not None:
        return other
    gate = session.coverage.gate(("file", "process"), session.began, span.until)
    if gate is not None:
        return unverifiable(gate, observed)
    return refuted("not_read", observed)


def _read(
    session: Session,
    said: str,
    span: Span,
    *,
    told_failed: bool = False,
    claim: Claim | None = None,
    whole: bool = False,
) -> Outcome:
    """Of a ``claim`` what counts is what the model can have seen, not that the tool call had an effect."""
    paths = [p for p in session.meant_by(said) if session.inodes_of(p, span.until)]
    reads = reads_of(session, said, span.until)
    name = basename(said)
    inside = [r for r in reads if span.early <= r.ts <= span.until]
    tools = [readers.for_itself(session, r) for r in inside] if claim is not None else []
    if inside and not (tools and all(tools)):
        return verified(f"{name} was opened for reading", "strong" if len(paths) <= 1 else "weak")
    tool = next(iter(tools), None)
    if tool is not None and not whole:
        return unverifiable("ambiguous", f"{name} was opened by {command(tool)} only", tool)
    if told_failed:
        return unverifiable("ambiguous", f"no opening of {name} was seen, and nobody says that it was read")
    if reads and tool is None:
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
    if not all(session.is_device(dev) for dev, _ in session.inodes_of(paths[0], span.until)):
        return unverifiable("ambiguous", f"the kernel may have other numbers for {name} than stat(2) tells")
    if claim is not None and not any(
        names(look.path, paths[0], session.cwd) for look in session.claim_looks.get(claim.claim, ())
    ):
        return unverifiable("ambiguous", f"{name} was not looked at: it may stand in the conversation")
    other = other_ways.judge(session, span) if claim is not None else None
    if other is not None:
        return other
    gate = session.coverage.gate(("file", "process"), session.began, span.until)
    if gate is not None:
        return unverifiable(gate, f"no opening of {name} was seen")
    look = next(
        (s for s in session.file_states if s.ts <= span.until and names(s.path, paths[0], session.cwd)), None
    )
    who = f"opened by {command(tool)} only" if tool is not None else "not opened"
    evidence = [event for event in (look, tool) if event is not None]
    return refuted("not_read", f"{normalise(paths[0], session.cwd)} was {who}", *evidence)


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
    found.extend(read for path in paths for read in session.read_as(path))
    return [read for read in found if read.ts <= until or read.shared]
