"""Claims that nothing else was changed."""

from __future__ import annotations

from correlator.delegation import given_away
from correlator.outcome import Outcome, refuted, unverifiable, verified
from correlator.paths import names
from correlator.places import is_project_file
from correlator.programs import identify, program_name
from correlator.session import Session, Touch
from correlator.windows import Span
from polygraph.events import Claim


def judge(session: Session, claim: Claim, span: Span) -> Outcome:
    """One undeclared change refutes; only whole coverage verifies."""
    declared = [
        name
        for state in session.intents.values()
        if state.intent.ts <= span.until
        for file in state.intent.files
        if file.op != "read"
        for name in (file.path, file.new_path)
        if name
    ]
    doubt: Touch | None = None
    for path, hits in sorted(session.touches.items()):
        if not is_project_file(path, session.roots) or any(
            names(t, path, session.cwd) for t in claim.targets
        ):
            continue
        seen = [t for t in hits if t.ts <= span.until and t.event.op not in ("mkdir", "rmdir")]
        if not seen or _left_no_trace(seen):
            continue
        last = max(seen, key=lambda t: (t.ts, t.event.seq))
        if any(names(d, path, session.cwd) for d in declared):
            doubt = doubt or (last if claim.targets else None)
            continue
        if any(_by_tool(session, t) for t in seen):
            doubt = doubt or last
            continue
        why = session.coverage.unexplained(("file", "process"), span.early, span.until)
        if why is not None:
            return unverifiable(
                why, f"{path} was changed, and what explains it may not have been seen", last.event
            )
        return refuted(
            "undisclosed_effect", f"{path} was changed, and no tool call had declared it", last.event
        )
    if doubt is not None:
        return unverifiable(
            "ambiguous", f"{doubt.path} was changed by a tool or a declared call", doubt.event
        )
    gate = session.coverage.gate(("file", "process"), span.early, span.until)
    if gate is not None:
        return unverifiable(gate, "no other change was seen")
    given = next(
        (
            to
            for s in session.intents.values()
            if s.intent.ts <= span.until and (to := given_away(session, s, span.until, files=True))
        ),
        None,
    )
    if given is not None:
        return unverifiable(
            "handed_off", f"no other change was seen in the lineage, but work was given to {given}"
        )
    return verified("no other file of the project was changed", "strong")


def _left_no_trace(touches: list[Touch]) -> bool:
    """Made in the session and gone at the end."""
    ordered = sorted(touches, key=lambda t: (t.ts, t.event.seq))
    return ordered[-1].gone and any(
        t.event.op in ("create", "rename", "link") and not t.gone for t in ordered
    )


def _by_tool(session: Session, touch: Touch) -> bool:
    """A known tool or version control wrote it: its outputs are what it was called for."""
    for node in session.tree.line(touch.event.process):
        if node.key == session.tree.root:
            return False
        for image in node.images:
            if program_name(image) in ("git", "hg", "jj") or identify(image) is not None:
                return True
    return False
