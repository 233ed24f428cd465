"""Claims that a command was run, a server started or a URL fetched."""

from __future__ import annotations

from correlator.delegation import given_away
from correlator.facts import ran
from correlator.matching import is_named
from correlator.outcome import Outcome, combine, refuted, unverifiable, verified
from correlator.programs import identify, programs
from correlator.rules.network import listening, reached
from correlator.session import Session
from correlator.suspects import could_have_done
from correlator.windows import Span
from polygraph.events import Claim, Exec


def judge_command(session: Session, claim: Claim, span: Span) -> Outcome:
    """``command_run``: the claim names a program or a known tool."""
    wanted = claim.tool or (claim.targets[0].split(" ", 1)[0] if claim.targets else None)
    if wanted is None:
        return unverifiable("ambiguous", "which command is meant is not known")
    wanted = wanted.rpartition("/")[2]
    images = [image for image in session.executed(span.early, span.until) if _is(image, wanted)]
    if images:
        return _ended(session, claim, images[-1], span)
    nothing = f"{wanted} was not executed"
    if wanted in programs().builtins:
        return unverifiable("form_unknown", f"{wanted} needs no program of its own")
    said = [s.intent for s in session.intents.values() if s.intent.ts <= span.until]
    if any(intent.kind in ("shell", "other") and not intent.parsed for intent in said):
        return unverifiable("form_unknown", f"{nothing} by this name, and a command could not be read whole")
    shells = [i for i in session.executed(span.early, span.until) if not session.is_agent_image(i)]
    suspect = could_have_done(session, None, span.early, span.until, well=False)
    if suspect is not None:
        return suspect
    gate = session.coverage.gate(("process",), span.early, span.until)
    if gate is not None:
        return unverifiable(gate, nothing)
    if shells and not _known_tool(wanted):
        return unverifiable(
            "form_unknown", f"{nothing} by this name: it may be a function or an alias", shells[-1]
        )
    return refuted("no_execution", nothing)


def _ended(session: Session, claim: Claim, image: Exec, span: Span) -> Outcome:
    exit_ = session.tree.end(image.process, span.until)
    observed = ran(image, exit_)
    if claim.outcome is None:
        return verified(observed, "strong", image, *([exit_] if exit_ else []))
    if exit_ is None:
        return unverifiable("still_running", observed, image)
    match = identify(image)
    status = exit_.status if exit_.status is not None else 128 + (exit_.signal or 0)
    good = status == 0 or (match is not None and match.tool.meaning(status) in ("ok", "answer"))
    if good == (claim.outcome == "ok"):
        return verified(observed, "strong", image, exit_)
    hidden = session.coverage.hidden(("process",), image.ts, span.until)
    if claim.outcome == "failed" or status == 141 or match is None:
        # What a status other than 0 means is the program's own affair when it is not known.
        return unverifiable("ambiguous", observed, image, exit_)
    if hidden is not None:
        return unverifiable(hidden, observed, image, exit_)
    return refuted("failed", observed, image, exit_)


def judge_server(session: Session, claim: Claim, span: Span) -> Outcome:
    """``server_started``: something began to listen."""
    sockets = listening(session, span.until)
    if sockets:
        last = sockets[-1]
        return verified(f"a process listens on {last.address}:{last.local_port or last.port}", "strong", last)
    nothing = "nothing of the lineage began to listen"
    suspect = could_have_done(session, "server", span.early, span.until, well=True)
    if suspect is not None:
        return suspect
    gate = session.coverage.gate(("network", "process"), span.early, span.until)
    if gate is not None:
        return unverifiable(gate, nothing)
    return refuted("no_execution", nothing)


def judge_fetch(session: Session, claim: Claim, span: Span) -> Outcome:
    """``url_fetched``: each host that is named was connected."""
    hosts = [t for t in claim.targets if t]
    if not hosts:
        return unverifiable("ambiguous", "which URL is meant is not known")
    given = next(
        (
            to
            for s in session.intents.values()
            if s.intent.ts <= span.until and (to := given_away(session, s, span.until))
        ),
        None,
    )
    outcome = combine([reached(session, host, span, told_failed=claim.outcome == "failed") for host in hosts])
    if outcome.verdict == "refuted" and given is not None:
        return unverifiable("handed_off", f"{outcome.observed}, but work was given to {given}")
    return outcome


def _is(image: Exec, wanted: str) -> bool:
    match = identify(image)
    if match is not None and match.tool.name == wanted:
        return True
    return is_named(image, wanted)


def _known_tool(wanted: str) -> bool:
    from polygraph.tools import recognise

    return recognise(wanted, None, (wanted,)) is not None
