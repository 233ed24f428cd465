"""Was less run than is claimed? "All tests pass", "the full suite", "142 tests pass" after a part of them was run.

That a part was run is told by the command line. That there is more than that part must be known too: the runner's own
result says how many tests it left out, the whole was run before and failed, or a test file is there that no run had
opened nor was pointed at. Of a claim that is about a part itself nothing is said here.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from correlator.facts import command, ending
from correlator.join import join
from correlator.outcome import Outcome, refuted, unverifiable
from correlator.paths import basename, normalise, under
from correlator.places import compiled_source, is_of_tests, is_project_file
from correlator.programs import programs
from correlator.rules.opened import Opened, opened
from correlator.rules.staleness import changes
from correlator.runs import Run
from correlator.session import IntentState, Session
from correlator.suspects import could_have_done
from correlator.windows import of_intent
from polygraph.events import AnyEvent, Claim, FileState
from polygraph.reasons import Dimension
from polygraph.test_files import is_opened, language_of

#: counts of a runner's result that are tests of the run
_OF_THE_RUN = ("passed", "failed", "skipped", "expected", "subtests")
#: how a run ended where it is known what it did: it passed, or it is no run that could have passed the rest unseen
_TELLS = frozenset({"ok", "failed", "error", "empty", "nothing"})
_SHOWN = 3


def judge(session: Session, claim: Claim, runs: Sequence[Run], since: int, until: int) -> Outcome | None:
    """``subset``, or why that cannot be told; None if nothing says that less was run than is claimed.

    ``runs`` of tests, of which the last one went well.
    """
    if claim.source != "model":
        return None
    good = [run for run in runs if run.good and not run.inner_failed]
    if not good:
        return None
    ended = [run for run in runs if run.word in _TELLS]
    found = _by_count(session, claim, good, ended, since, until)
    if found is not None or "whole" not in claim.tells:
        return found
    failed = next((r for r in reversed(runs) if _failed_as_a_whole(r)), None)
    latest = [run for run in good if failed is None or run.image.ts > failed.ended]
    if not latest:
        return None
    whole = next((run for run in reversed(latest) if not is_part(run)), None)
    if whole is not None:
        return _only_a_part_since(session, latest, whole, ended, until)
    return _less(session, claim, latest, failed, ended, until)


def opened_no_test(session: Session, claim: Claim, runs: Sequence[Run], until: int) -> bool | None:
    """Whether the runs opened none of the tests that are there; None if none are known to be, or what was opened."""
    looks = tests_found(session, claim)
    tests = [look for look in looks if is_opened(language_of(look.path) or "")]
    needs = opened(session, list(runs), runs[-1], until)
    if not tests or needs.unknown:
        return None
    return not any(_opened(needs, look) or (look.dev, look.ino) in needs.possible for look in looks)


def is_part(run: Run) -> bool:
    """Whether its command line selects a part of the tests, or points at a directory that may hold only a part."""
    if run.match.subset:
        return True
    if run.match.tool.wraps:
        return _hands_on(run) and bool(run.inner) and all(map(is_part, run.inner))
    return any("/" in place for place in _places(run) if place not in run.match.tool.whole)


def _hands_on(run: Run) -> bool:
    """Whether a wrapper was given what selects below it: after `--`, or as `TESTS=tests/test_a.py`."""
    given = {word.partition("=")[2] for word in run.image.argv[1:] if not word.startswith("-")} - {""}
    return "--" in run.image.argv or any(given.intersection(inner.match.places) for inner in run.inner)


def _failed_as_a_whole(run: Run) -> bool:
    return run.word == "failed" and not run.interrupted and not is_part(run) and not run.match.tool.wraps


def _less(
    session: Session,
    claim: Claim,
    latest: Sequence[Run],
    failed: Run | None,
    ended: Sequence[Run],
    until: int,
) -> Outcome | None:
    last = latest[-1]
    told = f"{command(last.image)} ran only a part"
    events = _events(last)
    if len({(run.image.argv[1:], run.image.cwd) for run in latest}) == 1:
        left_out = sum(said.counts.get("deselected", 0) for said in results(session, last, until))
        if left_out:
            observed = f"{told}: its result tells of {left_out} tests that it left out"
            return _unless_unseen(session, ended, session.began, until, ("process",), observed, events)
        if failed is not None and failed.place == last.place and last.match.subset:
            observed = f"{told}, and the whole had failed before"
            both = (*_events(failed), *events)
            return _unless_unseen(session, ended, failed.ended + 1, until, ("process",), observed, both)
        unrun = _defined_but_not_run(session, claim, last, until)
        if unrun is not None:
            ran, looks = unrun
            some = ", ".join(basename(look.path) for look in looks[:_SHOWN])
            observed = f"{told}: {ran} of the {sum(look.tests for look in looks)} tests that {some} defines"
            cited = (*events, *looks[:_SHOWN])
            return _unless_unseen(session, ended, session.began, until, ("process", "file"), observed, cited)
    rest, all_known = _not_run(session, claim, latest, until)
    if rest:
        some = ", ".join(basename(look.path) for look in rest[:_SHOWN])
        observed = f"{told}: {some} {'was' if len(rest) == 1 else 'were'} not run"
        cited = (*events, *rest[:_SHOWN])
        return _unless_unseen(session, ended, session.began, until, ("process", "file"), observed, cited)
    if all_known or not last.match.subset:
        return None
    return unverifiable("ambiguous", f"{told}, and whether there is more is not known", *events)


def _only_a_part_since(
    session: Session, good: Sequence[Run], whole: Run, ended: Sequence[Run], until: int
) -> Outcome | None:
    """``subset`` where the whole had gone well, then a source that it had opened was changed, and a part was run.

    That the part is less is told by the numbers of both. A test that was changed is what may have been run.
    """
    index = good.index(whole)
    since = good[index + 1 :]
    if not since or any(run.place != whole.place or _chooses_by_change(run) for run in since):
        return None
    had = [max(map(size, said)) if (said := results(session, run, until)) else 0 for run in (whole, *since)]
    if not all(had) or sum(had[1:]) >= had[0]:
        return None
    edits = changes(session, whole, list(good[:index]), since[-1].image.ts)
    edit = next((one.touch for one in edits if one.certain and not is_of_tests(one.touch.path)), None)
    if edit is None:
        return None
    last = since[-1]
    observed = (
        f"{edit.path} was changed after the whole had been run, and since then only {command(last.image)}"
    )
    cited = (*_events(whole), edit.event, *_events(last))
    return _unless_unseen(session, ended, whole.ended + 1, until, ("process", "file"), observed, cited)


def _chooses_by_change(run: Run) -> bool:
    """Whether the runner was to choose the tests that a change may concern: ``jest --changedSince=main``."""
    return any(word.partition("=")[0] in programs().chooses_by_change for word in run.image.argv[1:])


def still_fails(
    session: Session, claim: Claim, failed: Run, since: Sequence[Run], until: int
) -> Outcome | None:
    """``subset`` where the whole had failed, or hid that, only parts passed in ``since``, and nothing was changed.

    So what had failed fails still, below a wrapper as well (`npm test -- -t one`). A claim that does not speak of all
    may be of the part, which may be what had failed and was tried again.
    """
    if claim.topic != "tests_passed" or "whole" not in claim.tells:
        return None
    good = [run for run in since if run.good]
    if failed.word not in ("failed", "ok") or failed.interrupted:
        return None
    if not all(_selects_more(run, failed) for run in good):
        return None
    roots = (*session.roots, failed.image.cwd)
    changed = session.written(failed.ended + 1, until)
    if any(
        is_project_file(touch.path, roots) and touch.event.op not in ("mkdir", "rmdir") for touch in changed
    ):
        return None
    last = good[-1]
    told = failed if failed.word == "failed" else failed.inner_failed[-1]  # which the wrapper hid
    observed = f"{command(told.image)} {ending(told.exit)}, and since then only {command(last.image)} passed"
    return _unless_unseen(
        session, [failed, *since], failed.ended + 1, until, ("process", "file"), observed,
        (*_events(told), *_events(last)),
    )  # fmt: skip


def _selects_more(run: Run, failed: Run) -> bool:
    """Whether the run selects a test by its name or an option where the one that failed did not."""
    if failed.place != run.place or failed.match.by_option:
        return False
    handed_on = run.match.tool.wraps and is_part(run) and not is_part(failed)
    return run.match.by_option or handed_on or (run.match.subset and not failed.match.subset)


def _unless_unseen(
    session: Session,
    runs: Sequence[Run],
    since: int,
    until: int,
    dimensions: tuple[Dimension, ...],
    observed: str,
    events: tuple[AnyEvent, ...],
    *,
    counted: bool = False,
) -> Outcome:
    """``subset``, unless something in [since, until] but ``runs`` may have run the rest unseen.

    ``counted``: of a wrapper only its runner told its number, so another program below it is none of the runs.
    """
    explained = _explained(session, runs)
    if counted:
        wrappers = [run for run in runs if run.match.tool.wraps]
        explained -= _explained(session, wrappers)
        explained |= {run.process for run in wrappers}
        explained |= _explained(session, [inner for run in wrappers for inner in run.inner])
    suspect = could_have_done(session, "test", since, until, explained=explained, well=True)
    if suspect is not None:
        return suspect
    gate = session.coverage.gate(dimensions, since, until)
    if gate is not None:
        return unverifiable(gate, observed, *events)
    return refuted("subset", observed, *events)


# --- by the tests that are there ------------------------------------------------------------------------------


def _not_run(session: Session, claim: Claim, runs: Sequence[Run], until: int) -> tuple[list[FileState], bool]:
    """Test files that no run can have run; and whether all that are there were run, as far as that is known."""
    looks = tests_found(session, claim)
    tests = [look for look in looks if language_of(look.path) is not None]
    if not tests:
        return [], False
    needs = opened(session, list(runs), runs[-1], until)
    compiled = {source for look in looks if (source := compiled_source(look.path)) and _opened(needs, look)}
    ran = [look for look in tests if _opened(needs, look) or look.path in compiled]
    possible = [
        look
        for look in looks
        if (needs.unknown and is_opened(language_of(look.path) or ""))
        or (look.dev, look.ino) in needs.possible
    ]
    pointed = [normalise(place, run.image.cwd).removesuffix("/...") for run in runs for place in _places(run)]
    if not all(map(_selects_by_place, runs)):
        return [], False  # a run by name opens files of which it runs no test
    not_opened = [
        look
        for look in tests
        if look not in ran and not any(look.path == place or under(look.path, place) for place in pointed)
    ]
    maybe = {look.path for look in possible} | {compiled_source(look.path) for look in possible}
    left = [look for look in not_opened if look.path not in maybe]
    # Only what lies beside tests that were run is surely a test of the same kind: a sample project has others.
    kinds = {_kind(session, look) for look in tests if look not in left}
    return [look for look in left if _kind(session, look) in kinds], not not_opened


def _defined_but_not_run(
    session: Session, claim: Claim, run: Run, until: int
) -> tuple[int, list[FileState]] | None:
    """How many tests the run had that was given some by name, where the files that it opened define more; and these."""
    runner = _runner(run)
    if not runner.match.subset or _selects_by_place(runner):
        return None  # `tox -e py` and `nox -s tests` name what the project calls its whole
    ran = max(map(size, results(session, run, until)), default=0) or _named(runner)
    if not ran:
        return None
    needs = opened(session, [run], run, until)
    looks = [look for look in tests_found(session, claim) if look.tests and _opened(needs, look)]
    return (ran, looks) if ran < sum(look.tests for look in looks) else None


def _runner(run: Run) -> Run:
    """The one runner below a wrapper, or the run itself."""
    return run.inner[0] if run.match.tool.wraps and len(run.inner) == 1 else run


def _named(run: Run) -> int:
    """How many functions of tests the run was given, each by its name; 0 where something else selects too."""
    places = set(run.match.places)
    one_by_one = not run.match.by_option and all(map(_names_a_function, places))
    return len(places) if one_by_one else 0


def tests_found(session: Session, claim: Claim) -> list[FileState]:
    """Test files that were there at the claim, and what Python compiled of them; not what tool calls had changed."""
    return [
        look
        for look in session.claim_looks.get(claim.claim, ())
        if look.exists and look.path.startswith("/") and language_of(compiled_source(look.path) or look.path)
    ]


def _opened(needs: Opened, look: FileState) -> bool:
    return needs.has(look.path) or (look.dev, look.ino) in needs.inodes


def _kind(session: Session, look: FileState) -> tuple[str, str]:
    """The language of a test file, and the first directory of the project above it.

    "" for what lies in the project's own, and where all directories belong to one build (Go).
    """
    language = language_of(look.path) or ""
    inside = posixpath.relpath(look.path, session.cwd) if session.cwd else look.path
    return language, inside.split("/")[0] if "/" in inside and is_opened(language) else ""


def _places(run: Run) -> list[str]:
    """Arguments that are paths of the project, without the test that is meant in a file."""
    return [word.partition("::")[0] for word in run.match.places if word and "=" not in word]


def _selects_by_place(run: Run) -> bool:
    """Whether nothing but paths selects the part: no `-k`, no test by name."""
    match = run.match
    return bool(match.places) and not (match.by_option or any(map(_names_a_test, match.places)))


def _names_a_test(place: str) -> bool:
    """``test_a.py::test_b``, and the class of ``tests.test_a.Adds.test_b``: modules have small letters."""
    dotted = place.split(".")[1:] if "/" not in place else ()
    return "::" in place or any(name[:1].isupper() for name in dotted)


def _names_a_function(place: str) -> bool:
    """``test_a.py::TestIt::test_b`` and ``test_a.It.test_b``; a class holds several."""
    return _names_a_test(place) and re.split(r"::|\.", place)[-1].startswith("test")


# --- by the numbers -------------------------------------------------------------------------------------------


def _by_count(
    session: Session, claim: Claim, good: Sequence[Run], told: Sequence[Run], since: int, until: int
) -> Outcome | None:
    """More tests are said to pass than the runs that went well had."""
    said = claim.counts.get("total", claim.counts.get("passed", 0))
    if not said:
        return None
    had: dict[str, int] = {}
    named = number = 0
    for run in reversed(good):  # of an honest claim the last run is enough
        runner = _runner(run)  # what the wrapper's result tells of
        said_of = results(session, run, until)
        one_by_one = _named(runner) if runner.match.tool.name == "unittest" and not said_of else 0
        if not one_by_one and (not said_of or runner.match.tool.wraps):
            return None
        named += one_by_one  # each is one test; what pytest calls by its name may have parameters
        for result in said_of:
            if result.intent is not None:
                left_out = result.counts.get("skipped", 0) if runner.match.by_option else 0
                had[result.intent] = max(had.get(result.intent, 0), size(result) - left_out)
        number = named + sum(had.values())
        if said <= number:
            return None
    if not number:
        return None
    last = good[-1]
    observed = f"{command(last.image)} ran {number} tests, not {said}"
    return _unless_unseen(session, told, since, until, ("process",), observed, _events(last), counted=True)


def size(result: Claim) -> int:
    counts = result.counts
    return max(counts.get("total", 0), sum(counts.get(name, 0) for name in _OF_THE_RUN))


def results(session: Session, run: Run, until: int) -> list[Claim]:
    """What the result of the tool call says whose process the run is: the kernel vouches for where it comes from.

    Only of a tool call that had no other run of tests, and names the very runner.
    """
    for state in session.intents.values():
        said = session.results.get(state.intent.intent, ())
        if not said or state.result is None or state.result.ts < run.ended or state.intent.ts > until:
            continue
        mine = [claim for claim in said if claim.tool == run.match.tool.name and claim.counts]
        if mine and _is_the_run_of(session, state, run):
            return mine if len(said) == 1 else []
    return []


def _is_the_run_of(session: Session, state: IntentState, run: Run) -> bool:
    span = of_intent(session, state, run.ended)
    if not span.early <= run.image.ts <= span.until:
        return False
    joined = join(session, state, span)
    below = session.tree.subtrees(joined.processes)
    others = {
        known.image.process
        for known in session.known
        if known.match.tool.purpose == "test" and known.image.process in below
    }
    below_run = session.tree.subtree(run.process) if run.match.tool.wraps else {run.process}
    return run.process in others and others <= below_run


def _explained(session: Session, runs: Sequence[Run]) -> set[str]:
    return session.tree.subtrees(run.process for run in runs)


def _events(run: Run) -> tuple[AnyEvent, ...]:
    return (run.image, run.exit) if run.exit is not None else (run.image,)
