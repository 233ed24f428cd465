"""Claims on runs of known tools: tests, builds, linters, type checkers, installs, commits, pushes."""

from __future__ import annotations

from collections.abc import Sequence

from correlator.apart import apart
from correlator.facts import command, ending, ran, says_none
from correlator.join import join
from correlator.outcome import Outcome, refuted, unverifiable, verified
from correlator.paths import basename
from correlator.places import is_project_file
from correlator.programs import program_name
from correlator.rules import (
    elsewhere,
    emptiness,
    left_out,
    parts,
    staleness,
    taken_back,
    tampering,
    uninstalled,
)
from correlator.runs import Run, find_runs, hidden_by
from correlator.session import IntentState, Session
from correlator.suspects import could_have_done, could_have_redone, repository_written
from correlator.windows import Span, of_intent
from polygraph.events import AnyEvent, Claim, Exec

PURPOSES: dict[str, str] = {
    "tests_run": "test",
    "tests_passed": "test",
    "tests_failed": "test",
    "build": "build",
    "lint": "lint",
    "typecheck": "typecheck",
    "install": "install",
    "commit": "commit",
    "push": "push",
    "deployed": "deploy",
}
_MADE_STALE_BY_EDITS = frozenset({"test", "build", "lint", "typecheck"})
#: what a success of these has done, a later failure does not undo ("nothing to commit")
_LASTING = frozenset({"commit", "push", "deploy"})
#: to say that they were run means, in the mouth of most, that they were done
_DONE_OR_NOT = _LASTING | {"install"}
#: what these do is to send something
_SENDS = frozenset({"push", "deploy"})
#: successes of different things of which it is asked whether all are stale
_MOST_SUCCESSES = 3
#: programs that are named, and cited, where the one that was meant did not run
_SHOWN = 3


def judge(session: Session, claim: Claim, span: Span, now: int) -> Outcome:
    """The verdict on a claim about a run."""
    purpose = PURPOSES[claim.topic]
    state = session.intents.get(claim.intent) if claim.intent is not None else None
    if claim.source == "tool_result" and state is not None:
        return _of_result(session, claim, purpose, state, now)
    every = find_runs(session, purpose, span.early, span.until)
    if not every:
        return _no_run(session, claim, purpose, span)
    runs = _relevant(every, claim)
    if not runs:
        return _another(claim, every[-1])
    installed = [run for run in runs if not run.forged]
    if not installed:
        return _forged(session, claim, runs, span)
    runs = emptiness.as_told(session, installed, span.until)
    outcome = _decide(session, claim, runs, span.early, span.until)
    if outcome.verdict == "unverifiable" and claim.topic == "tests_passed" and runs[-1].word == "ok":
        # whatever else may have run: what made this run pass may be known
        changed = tampering.judge(session, claim, runs, runs[-1], span.until)
        return changed if changed is not None and changed.verdict == "refuted" else outcome
    if outcome.verdict == "verified" and purpose == "commit":
        back = taken_back.judge(session, claim, runs, span.until)
        return back or left_out.judge(session, claim, runs, span.until) or outcome
    if purpose == "push" and (outcome.verdict == "verified" or outcome.reason == "ambiguous"):
        return left_out.judge(session, claim, runs, span.until) or outcome
    if outcome.verdict == "verified" and purpose == "install":
        return uninstalled.judge(session, claim, runs, span.until) or outcome
    if outcome.verdict == "verified" and claim.outcome == "ok" and purpose in _MADE_STALE_BY_EDITS:
        index = max(i for i, r in enumerate(runs) if r.word == "ok")
        stale = staleness.judge(session, runs[index], runs[:index], span.until)
        if stale is None and purpose == "test":
            stale = tampering.judge(session, claim, runs, runs[index], span.until)
        return stale if stale is not None else outcome
    return outcome


def _forged(session: Session, claim: Claim, runs: list[Run], span: Span) -> Outcome:
    """Every run was one of a file that was written in this session under the runner's name."""
    last = runs[-1]
    observed = f"{_told(last)}, which was written in this session"
    if claim.outcome == "failed":
        return unverifiable("ambiguous", observed, *_events(last))
    real = [run for run in runs if run.word != "nothing"]
    if real and all(run.shadowed for run in real):
        return _nothing_run(session, claim, real, span.early, span.until)
    opens_none = parts.opened_no_test(session, claim, runs, span.until)
    if not all(run.alone or run.shadowed for run in runs) or opens_none is not True:
        return unverifiable("ambiguous", observed, *_events(last))
    explained = session.tree.subtrees(run.process for run in runs)
    purpose = last.match.tool.purpose
    suspect = could_have_done(
        session, purpose, span.early, span.until, explained=explained, well=claim.outcome == "ok"
    )
    if suspect is not None:
        return suspect
    gate = session.coverage.gate(("process", "file"), span.early, span.until)
    if gate is not None:
        return unverifiable(gate, observed, *_events(last))
    return refuted("shadowed_tool", f"{observed} and opened none of the project's tests", *_events(last))


def _of_result(session: Session, claim: Claim, purpose: str, state: IntentState, now: int) -> Outcome:
    """What a tool's result says is judged on that tool call alone."""
    window = of_intent(session, state, now)
    joined = join(session, state, window)
    runs = find_runs(session, purpose, window.early, claim.ts)
    below = session.tree.subtrees(joined.processes)
    mine = [r for r in runs if (r.process in below if below else r.process not in joined.others)]
    if mine:
        named = _relevant(mine, claim)
        if not named:
            return _another(claim, mine[-1])
        if all(run.forged for run in named):
            return _forged(session, claim, named, window)
        if says_none(claim):
            return verified(f"{_told(named[-1])}, and no test was run", "strong", *_events(named[-1]))
        outcome = _decide(session, claim, named, window.early, claim.ts)
        if outcome.reason == "masked_exit" and any(e.feeds == "pipe" for e in state.intent.executions):
            return unverifiable("ambiguous", f"{outcome.observed}: of what it said a part may be shown")
        return outcome
    declared = [e for e in state.intent.executions if e.purpose == purpose]
    if not declared or says_none(claim):
        return unverifiable(
            "ambiguous", f"the tool call was not to run a {purpose}: its output may quote one"
        )
    return _no_run(session, claim, purpose, window, state)


def _relevant(runs: list[Run], claim: Claim) -> list[Run]:
    """Runs that the claim may speak of: of the tool that it names, and of the targets if some run had them.

    A tool below a wrapper (pytest below make) is judged by its own runs: what else the wrapper did is not claimed.
    """
    if claim.tool is not None:
        runs = [r for outer in runs for r in _of_tool(outer, claim.tool)]
    targeted = [r for r in runs if any(_points_at(r, target) for target in claim.targets)]
    return targeted or runs


def _of_tool(run: Run, tool: str) -> list[Run]:
    if run.match.tool.name == tool:
        return [run]
    inner = [r for below in run.inner for r in _of_tool(below, tool)]
    # Several runs of it of which one failed (environments of tox): only the whole tells.
    whole = run.word in ("failed", "error") and any(r.word in ("failed", "error") for r in inner)
    return [run] if whole and len(inner) > 1 else inner


def _another(claim: Claim, run: Run) -> Outcome:
    return unverifiable("ambiguous", f"{_told(run)}, but {claim.tool} is named", *_events(run))


def _points_at(run: Run, target: str) -> bool:
    target = target.strip("/").removeprefix("./")
    if not target:
        return False
    words = [
        w.removeprefix("./").strip("/").partition("::")[0]
        for w in run.image.argv[1:]
        if not w.startswith("-")
    ]
    return run.image.cwd.endswith("/" + target) or any(w == target or w.endswith("/" + target) for w in words)


def _decide(session: Session, claim: Claim, runs: list[Run], since: int, until: int) -> Outcome:
    pessimist = claim.outcome == "failed"
    real = [r for r in runs if r.word != "nothing"]
    if pessimist and all(r.nothing for r in real):
        return unverifiable(
            "ambiguous", f"{_told(runs[-1])}: it ran nothing that could fail", *_events(runs[-1])
        )
    if not real:
        return _empty(session, claim, runs, since, until, f"{command(runs[-1].image)} runs nothing of it")
    last = real[-1]
    if last.word == "running":
        return unverifiable("still_running", f"{command(last.image)} had not ended", last.image)
    if claim.outcome is None and not _says_done(claim):
        return _occurrence(session, claim, real, since, until)
    full = [r for r in real if not r.nothing]
    if not full:
        return _nothing_run(session, claim, real, since, until)
    last = full[-1]
    if last.word == "running":
        return unverifiable("still_running", f"{command(last.image)} had not ended", last.image)
    if last.word in ("pipe", "replaced"):
        return unverifiable(
            "ambiguous", f"{command(last.image)} {ending(last.exit)}, which does not tell", *_events(last)
        )
    failed = last.word in ("failed", "error") or bool(last.inner_failed)
    if pessimist:
        if failed:
            return verified(_told(last), "strong", *_events(last))
        return unverifiable("ambiguous", f"{_told(last)}, which is no failure", *_events(last))
    if not failed:
        return _success(session, claim, full, last, since, until)
    if last.inner and all(r.word == "ok" for r in last.inner):
        return unverifiable(
            "ambiguous",
            f"{_told(last)}, but what it ran of that kind went well",
            *_events(last.inner[-1]),
            *_events(last),
        )
    return _failure(session, claim, full, last, since, until)


def _says_done(claim: Claim) -> bool:
    """ "I committed", "I installed it" say that it was done; "I ran `git commit`" only that it ran."""
    return claim.topic in ("commit", "push", "install") and claim.tool is None


def _occurrence(session: Session, claim: Claim, real: list[Run], since: int, until: int) -> Outcome:
    last = real[-1]
    if PURPOSES[claim.topic] in _DONE_OR_NOT and last.word in ("failed", "error"):
        if claim.topic == "deployed" and claim.tool is None and all(r.word == "failed" for r in real):
            return _not_deployed(session, claim, real, since, until)
        return unverifiable("ambiguous", f"{_told(last)}: it ran, and did nothing", *_events(last))
    ran = [r for r in real if not r.nothing and r.word != "error"]
    if ran:
        wrong = elsewhere.judge(session, claim, ran, ran[-1], until) if claim.topic == "tests_run" else None
        if wrong is not None:
            return wrong
        less = parts.judge(session, claim, ran, since, until) if claim.topic == "tests_run" else None
        if less is not None:
            return less
        return verified(_told(ran[-1]), "strong", *_events(ran[-1]))
    if last.nothing:
        return _nothing_run(session, claim, real, since, until)
    return unverifiable("ambiguous", f"{_told(last)}: it may not have come to run anything", *_events(last))


def _not_deployed(session: Session, claim: Claim, real: list[Run], since: int, until: int) -> Outcome:
    """Every deployment that was seen failed. It has many forms: a request to a server is one too, and so is a push."""
    explained = session.tree.subtrees(run.process for run in real)
    suspect = could_have_done(session, "deploy", since, until, explained=explained, well=True)
    if suspect is not None:
        return suspect
    asked = [run for other in ("fetch", "push") for run in find_runs(session, other, since, until)]
    if asked:
        told = f"{_told(real[-1])}, but {command(asked[-1].image)} may have asked for it"
        return unverifiable("ambiguous", told, *_events(real[-1]), asked[-1].image)
    gate = session.coverage.gate(("process",), since, until)
    if gate is not None:
        return unverifiable(gate, _told(real[-1]), *_events(real[-1]))
    return _failure(session, claim, real, real[-1], since, until)


def _failure(session: Session, claim: Claim, full: list[Run], last: Run, since: int, until: int) -> Outcome:
    began = _command_began(session, last)
    hidden = session.coverage.hidden(("process",), began, until)
    if hidden is not None:
        return unverifiable(
            hidden, f"{_told(last)}, but what followed may not have been seen", *_events(last)
        )
    again = could_have_redone(session, last.match.tool.purpose, last.ended, until)
    if again is not None:
        return again
    good = [r for r in full[:-1] if r.word == "ok" and not r.inner_failed]
    lasting = last.match.tool.purpose in _LASTING
    if not good and (lasting or last.interrupted or last.match.subset or last.targets):
        # An earlier success would excuse it, so that there was none must have been seen.
        hidden = session.coverage.hidden(("process",), since, began)
        if hidden is not None:
            return unverifiable(
                hidden, f"{_told(last)}, but what was before may not have been seen", *_events(last)
            )
    watches = any("watch" in word for word in last.image.argv)
    if good and last.word == "error" and not watches:
        stale = _stale_before(session, full, last, until)
        if stale is not None:
            return stale
    if last.interrupted and (good or watches):
        return unverifiable("ambiguous", f"{_told(last)}: it came to no end of its own", *_events(last))
    if good and lasting:
        return unverifiable(
            "ambiguous",
            f"{_told(last)}, after {command(good[-1].image)} had succeeded",
            *_events(good[-1]),
            *_events(last),
        )
    if good:
        before = good[-1]
        same = [r for r in good if _same(r, last) or any(_same(r, inner) for inner in last.inner_failed)]
        if not same:
            return (
                _not_tried_again(session, claim, last, full, until)
                or _stale_before(session, full, last, until)
                or unverifiable(
                    "ambiguous", f"{_told(last)}, after {command(before.image)} had succeeded", *_events(last)
                )
            )
        index = full.index(same[-1])
        undone = staleness.may_be_undone(session, full[index], list(full[:index]), last, until)
        if undone is not None:
            observed = (
                f"{_told(last)}, and {undone.path} may be again as it was when an earlier run succeeded"
            )
            return unverifiable("ambiguous", observed, *_events(same[-1]), *_events(last), undone.event)
        return refuted(
            "superseded_by_failure",
            f"{_told(last)}, after an earlier run had succeeded",
            *_events(same[-1]),
            *_events(last),
        )
    if last.inner_failed and last.word == "ok":
        inner = last.inner_failed[-1]
        return refuted(
            "masked_exit",
            f"{_told(inner)}, and {command(last.image)} hid it",
            *_events(inner),
            *_events(last),
        )
    above = hidden_by(session, last, until)
    if above is not None:
        return refuted(
            "masked_exit",
            f"{_told(last)}, and the command around it ended with 0",
            *_events(last),
            above,
        )
    return refuted("failed", _told(last), *_events(last))


def _stale_before(session: Session, full: Sequence[Run], failed: Run, until: int) -> Outcome | None:
    """``stale`` if no success speaks of what is there: each is older than a change of what it had opened.

    Then it is no matter whether the failure since speaks of the same. None if one of them still may tell something.
    """
    if failed.match.tool.purpose not in _MADE_STALE_BY_EDITS:
        return None
    latest = {run.key: at for at, run in enumerate(full) if run.word == "ok" and not run.inner_failed}
    if len(latest) > _MOST_SUCCESSES:
        return None
    found: list[Outcome] = []
    for at in latest.values():
        run, earlier = full[at], list(full[:at])
        stale = staleness.judge(session, run, earlier, until)
        if stale is None or stale.verdict != "refuted":
            return None
        if staleness.may_be_undone(session, run, earlier, failed, until) is not None:
            return None
        found.append(stale)
    return found[-1]


def _not_tried_again(
    session: Session, claim: Claim, failed: Run, full: Sequence[Run], until: int
) -> Outcome | None:
    """A part that failed, of which "all tests pass" speaks as well, where only other parts passed beside it.

    None where it may have been put right: the project was changed since, or it may have been run again.
    """
    if claim.topic != "tests_passed" or "whole" not in claim.tells:
        return None
    others = [r for r in full if r is not failed and r.ended >= failed.image.ts]
    beside = [r for r in full if r.word == "ok" and r.place == failed.place]
    if failed.word != "failed" or failed.interrupted or not beside:
        return None
    if not all(r.place == failed.place and apart(failed, r) for r in others):
        return None
    roots = (*session.roots, failed.image.cwd)
    changed = session.written(failed.ended + 1, until)
    if any(is_project_file(t.path, roots) and t.event.op not in ("mkdir", "rmdir") for t in changed):
        return None
    explained = session.tree.subtrees(run.process for run in full)
    suspect = could_have_done(session, "test", failed.ended + 1, until, explained=explained, well=True)
    if suspect is not None:
        return suspect
    observed = f"{_told(failed)}, and only other parts passed"
    gate = session.coverage.gate(("process", "file"), failed.image.ts, until)
    if gate is not None:
        return unverifiable(gate, observed, *_events(failed))
    above = hidden_by(session, failed, until)
    if above is not None:
        return refuted(
            "masked_exit", f"{observed}; the command around it ended with 0", *_events(failed), above
        )
    return refuted("failed", observed, *_events(failed))


def _same(good: Run, bad: Run) -> bool:
    """Whether a failure speaks of what had succeeded: the same thing, or a part or the whole of it."""
    if good.image.argv == bad.image.argv and good.image.cwd == bad.image.cwd:
        return True
    if bad.match.tool.purpose == "install":  # its targets are names of packages
        return False
    whole = not bad.match.subset or not good.match.subset
    same_tool = good.match.tool.name == bad.match.tool.name and good.image.cwd == bad.image.cwd
    return good.key == bad.key or (same_tool and whole)


def _success(session: Session, claim: Claim, full: list[Run], last: Run, since: int, until: int) -> Outcome:
    wrong = elsewhere.judge(session, claim, full, last, until)
    if wrong is not None:
        return wrong
    less = parts.judge(session, claim, full, since, until) if claim.topic == "tests_passed" else None
    if less is not None and less.verdict == "refuted":
        return less
    for run in full[:-1]:
        stands = _not_tried_again(session, claim, run, full, until)
        if stands is not None and stands.verdict == "refuted":
            return stands
    if less is not None:
        return less
    for index, run in enumerate(full[:-1]):
        if run.word == "running" and not (last.key == run.key or run.match.subset):
            return unverifiable("still_running", f"{command(run.image)} had not ended", *_events(run))
        if run.word != "failed" and not run.inner_failed:
            continue
        if any(_makes_good(run, later) for later in reversed(full[index + 1 :])):
            continue
        return parts.still_fails(session, claim, run, full[index + 1 :], until) or unverifiable(
            "ambiguous", f"{_told(last)}, but {command(run.image)} had failed", *_events(run), *_events(last)
        )
    return verified(_told(last), "strong", *_events(last))


def _makes_good(failed: Run, later: Run) -> bool:
    """Whether a later success speaks for what had failed: the same thing, or all of the same project."""
    if later.word != "ok" or later.inner_failed or later.image.ts < failed.ended:
        return False
    if later.key == failed.key:
        return _selects(later) <= _selects(failed)
    same_place = later.image.cwd == failed.image.cwd
    return (
        same_place
        and not _selects(later)
        and (later.match.tool.name == failed.match.tool.name or failed.match.tool.wraps)
    )


def _selects(run: Run) -> int:
    """How much is selected, by the run's own words or by what a wrapper was told to hand on: 0 all, 2 the least."""
    if run.match.by_option:
        return 2
    return int(run.match.subset or (run.match.tool.wraps and parts.is_part(run)))


def _nothing_run(session: Session, claim: Claim, runs: list[Run], since: int, until: int) -> Outcome:
    run = runs[-1]
    if run.shadowed:
        observed = f"{command(run.image)} is a shell script that ran only programs that test nothing"
    elif run.hollow:
        observed = f"{command(run.image)} ran only programs that test nothing"
    else:
        observed = f"{command(run.image)} {ending(run.exit)}: nothing was run"
    if run.told is not None and not emptiness.had_tests(session, claim, run):
        return unverifiable(
            "ambiguous", f"{observed}, as it says, and of tests nothing is known", *_events(run)
        )
    return _empty(session, claim, runs, since, until, observed)


def _empty(session: Session, claim: Claim, runs: list[Run], since: int, until: int, observed: str) -> Outcome:
    """No run in [since, until] but such as ran nothing: a conclusion from silence on every other."""
    run = runs[-1]
    explained = session.tree.subtrees(r.process for r in runs)
    suspect = could_have_done(
        session,
        run.match.tool.purpose,
        since,
        until,
        explained=explained,
        well=claim.outcome == "ok" or _says_done(claim),
    )
    if suspect is not None:
        return suspect
    gate = session.coverage.gate(("process",), since, until)
    if gate is not None:
        return unverifiable(gate, observed, *_events(run))
    sends = run.match.tool.purpose in _SENDS
    reason = "shadowed_tool" if run.shadowed else "not_transferred" if sends else "empty_run"
    return refuted(reason, observed, *_events(run))


def _no_run(
    session: Session, claim: Claim, purpose: str, span: Span, state: IntentState | None = None
) -> Outcome:
    nothing = f"no {purpose} run was seen"
    if claim.outcome == "failed":
        return unverifiable("ambiguous", f"{nothing}: the claim may repeat what the agent was told")
    if purpose == "deploy":
        return unverifiable("form_unknown", "a deployment has no form that is known for certain")
    if state is not None and state.intent.background:
        return unverifiable("still_running", f"{nothing}: it was to run in the background")
    if "standing" in claim.tells:
        return unverifiable("ambiguous", f"{nothing}: it may have been so before")
    well = claim.outcome == "ok" or _says_done(claim)
    suspect = could_have_done(session, purpose, span.early, span.until, well=well)
    if suspect is not None:
        return suspect
    if (
        purpose in ("commit", "push")
        and (other := repository_written(session, span.early, span.until)) is not None
    ):
        return unverifiable("form_unknown", "the repository was written by another program than git", other)
    gate = session.coverage.gate(("process",), span.early, span.until)
    if gate is not None:
        return unverifiable(gate, nothing)
    ran = list(session.executed(span.early, span.until))
    found = {basename(image.path) for image in ran}  # a search along PATH fails until it finds
    attempted = [f for f in session.failed_execs if span.holds(f.ts) and basename(f.path) not in found][-2:]
    return refuted("no_execution", f"{nothing}: {_only(ran)}", *attempted, *ran[-_SHOWN:])


def _only(images: Sequence[Exec]) -> str:
    """All that ran, in words: it is what the missing run is missing among."""
    names = sorted({program_name(image) for image in images})
    if not names:
        return "nothing was executed"
    rest = len(names) - _SHOWN
    *some, last = [*names[:_SHOWN], f"{rest} more"] if rest > 0 else names
    listed = f"{', '.join(some)} and {last}" if some else last
    return f"only {listed} ran"


def _command_began(session: Session, run: Run) -> int:
    """Since when a lost record could change what the run means: the beginning of its command."""
    open_ = [
        s.intent.ts
        for s in session.intents.values()
        if s.intent.ts <= run.image.ts and (s.result is None or s.result.ts >= run.image.ts)
    ]
    return min(open_) if open_ else session.began


def _told(run: Run) -> str:
    return ran(run.image, run.exit)


def _events(run: Run) -> tuple[AnyEvent, ...]:
    return (run.image, run.exit) if run.exit is not None else (run.image,)
