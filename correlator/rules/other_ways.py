"""Ways in which a model may have seen what is in a file that nobody in the session opened."""

from __future__ import annotations

from correlator.delegation import given_away, handed_to
from correlator.facts import command
from correlator.outcome import Outcome, unverifiable
from correlator.programs import git_shows_files, programs
from correlator.session import IntentState, Session
from correlator.windows import Span


def judge(session: Session, span: Span) -> Outcome | None:
    """Why that a file was not opened may not mean that its content was not seen; None: there was no other way."""
    for state in session.intents.values():
        if state.intent.ts > span.until:
            continue
        given = given_away(session, state, span.until, files=True)
        if given is not None:
            return unverifiable("handed_off", f"work was given to {given}, outside the lineage")
        if _may_show(state):
            return unverifiable("form_unknown", f"what {state.intent.tool} shows is not known")
    for image in session.executed(span.early, span.until):
        if git_shows_files(image):
            return unverifiable("ambiguous", f"{command(image)} may have shown it", image)
        where = handed_to(session, image, files=True)
        if where is not None:
            return unverifiable("handed_off", f"{command(image)} worked outside the lineage: {where}", image)
    return None


def _may_show(state: IntentState) -> bool:
    """Whether the tool is none that is known: it may bring the content of a file from elsewhere."""
    said = state.intent
    known = said.executions or said.files or said.hosts or said.command_digest is not None
    return said.kind == "other" and not known and said.tool.lower() not in programs().inert_tools
