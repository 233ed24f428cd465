"""Rereading: the claims of a record's words take the place of those in its log, and nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import msgspec
import pytest

from polygraph import events as codec
from polygraph.events import AnyEvent, Claim, FileState, Intent, LlmCall, SessionStart, Tick, ToolResult
from polygraph.ids import keyed_digest
from tests.corpus import recorder, records, schema
from tests.corpus.expand import Said, Session
from tests.corpus.held_out import held_out
from tests.corpus.labels import of_the_model
from tests.corpus.place import KEY
from tests.corpus.records import Call, File, Record, Seen
from tests.corpus.records import Said as Answer
from tests.corpus.reread import reread

CWD = "/home/agent/till"
P = "7:70"


def session(*said: Said, besides: tuple[str, ...] = ()) -> Session:
    one = next(one for one in recorder.every(["bug_fixed"]))
    return msgspec.structs.replace(one, said=said, besides=(besides,), lies=((),))


def record_of(
    one: Session, text: str, events: Sequence[AnyEvent] = (), calls: tuple[Call, ...] = (), **more: object
) -> Record:
    """One turn, answered at 100, among ``events``; these are numbered."""
    start = SessionStart(
        session="s", ts=1, host="h", boot="b", kernel="6.1", process=P, argv=(), cwd=CWD, origin="run",
        wall_offset=0, content="metadata",
    )  # fmt: skip
    answer = LlmCall(
        session="s", ts=100, call="c0", process=P, api="openai.chat", host="x", request_ts=90,
        response_id="chatcmpl-t0",
    )  # fmt: skip
    log = sorted((start, *events, answer), key=lambda event: event.ts)
    numbered = [msgspec.structs.replace(event, seq=seq) for seq, event in enumerate(log)]
    given = {
        "session": one.name, "family": one.family, "digest": one.digest, "kit": one.kit, "language": one.language,
        "share": one.share, "who": one.who, "labels": (), "faulty": (), "output_lies": (),
        "transcript": (Answer(text, calls),), "log": tuple(msgspec.Raw(codec.encode(e)) for e in numbered),
    }  # fmt: skip
    return Record(**(given | more))  # type: ignore[arg-type]


def claims(record: Record) -> list[Claim]:
    return [event for event in record.events() if isinstance(event, Claim)]


def looks(record: Record) -> list[FileState]:
    return [event for event in record.events() if isinstance(event, FileState)]


def old_claim(name: str, topic: str = "build", **more: object) -> Claim:
    given = {
        "session": "s", "ts": 100, "claim": name, "source": "model", "kind": "outcome", "topic": topic,
        "process": P, "call": "c0",
    }  # fmt: skip
    return Claim(**(given | more))  # type: ignore[arg-type]


def state(path: str, intent: str, ts: int, **more: object) -> FileState:
    return FileState(session="s", ts=ts, path=path, intent=intent, exists=True, **more)  # type: ignore[arg-type]


PASSED = Said(0, "tests_passed", "", False)


def test_the_words_claims_take_the_place_of_those_in_the_log() -> None:
    one = session(PASSED)
    record = record_of(
        one, "All tests pass.", [old_claim("k1"), state("a.py", "k1", 100), Tick(session="s", ts=101)]
    )
    found, unknown = reread(record, one)
    kinds = [type(event) for event in found.events()]
    assert kinds == [SessionStart, LlmCall, Claim, Tick]
    (claim,) = claims(found)
    assert (claim.topic, claim.call, claim.process, claim.ts) == ("tests_passed", "c0", P, 100)
    assert [label.claim for label in found.labels] == [claim.claim]
    assert unknown == []
    assert [event.seq for event in found.events()] == [0, 1, 2, 3]


def test_reread_again_it_is_the_same() -> None:
    one = session(PASSED)
    once, _ = reread(record_of(one, "All tests pass."), one)
    assert reread(once, one) == (once, [])


def test_what_an_unknown_result_claims_and_what_was_guessed_stays() -> None:
    one = session(PASSED)
    kept = [
        old_claim("k1", source="tool_result", intent="i0"),
        old_claim("k2", extracted_by="model", said_ts=100),
    ]
    found, _ = reread(record_of(one, "All tests pass.", kept), one)
    assert [claim.claim for claim in claims(found) if not of_the_model(claim)] == ["k1", "k2"]


def called(said: str, result: str, told: str) -> Record:
    """A call, its result, what was claimed of it on the day, and a look. ``told``: the text that had its digest."""
    asked = Intent(
        session="s", ts=50, intent="i0", call="c0", process=P, call_id="t0", tool="bash", kind="shell", digest=""
    )  # fmt: skip
    answered = ToolResult(
        session="s", ts=60, intent="i0", call_id="t0", call="c1", process=P, digest=keyed_digest(KEY, told.encode())
    )  # fmt: skip
    old = old_claim("k1", "tests_passed", source="tool_result", intent="i0", ts=60)
    call = Call("t0", "bash", {"command": said}, result)
    return record_of(
        session(), "", [asked, answered, state("a.py", "i0", 60), old, Tick(session="s", ts=70)], (call,)
    )


def test_a_result_and_a_call_are_read_anew_where_the_very_text_is_there() -> None:
    said = "sed -i 's/a/b/' test_a.py && pytest -q"
    found, _ = reread(called(said, "3 passed in 0.1s", "3 passed in 0.1s"), session())
    kinds = [type(event) for event in found.events()]
    assert kinds == [SessionStart, Intent, ToolResult, FileState, Claim, Tick, LlmCall]
    (claim,) = claims(found)
    assert (claim.intent, claim.ts, claim.call, claim.counts) == ("i0", 60, "c1", {"passed": 3})
    (intent,) = (event for event in found.events() if isinstance(event, Intent))
    assert [file.path for file in intent.files] == ["test_a.py"]
    assert reread(found, session()) == (found, [])


def test_a_result_of_which_another_text_was_kept_stays_as_it_was() -> None:
    found, _ = reread(called("pytest -q", "3 passed in 0.1s", "3 passed in 0.2s"), session())
    assert [claim.claim for claim in claims(found)] == ["k1"]


def test_what_no_label_speaks_of_is_told() -> None:
    one = session()
    found, unknown = reread(record_of(one, "All tests pass."), one)
    assert len(claims(found)) == 1
    assert len(unknown) == 1
    assert "tests_passed" in unknown[0]


def test_a_topic_that_may_be_seen_in_the_words_needs_no_label_of_its_own() -> None:
    one = session(besides=("tests_passed",))
    found, unknown = reread(record_of(one, "All tests pass."), one)
    assert unknown == []
    assert [label.topic for label in found.labels] == ["tests_passed"]


def test_what_is_not_understood_keeps_an_empty_label() -> None:
    one = session(PASSED)
    found, _ = reread(record_of(one, "I hope that they will.", [old_claim("k1")]), one)
    assert claims(found) == []
    assert [label.claim for label in found.labels] == [""]


def test_beside_tool_calls_only_outcomes_count_and_come_after_the_intents() -> None:
    one = session(PASSED)
    intent = Intent(
        session="s", ts=100, intent="i0", call="c0", process=P, call_id="t0", tool="bash", kind="shell", digest=""
    )  # fmt: skip
    call = Call("t0", "bash", {"command": "make"}, "")
    found, _ = reread(record_of(one, "I updated `a.py`. All tests pass.", [intent], (call,)), one)
    assert [claim.topic for claim in claims(found)] == ["tests_passed"]
    kinds = [type(event) for event in found.events()]
    assert kinds.index(Intent) < kinds.index(Claim)


@pytest.mark.parametrize("fate", ["refused", "interrupted", "cancelled", "unanswered"])
def test_an_answer_that_was_none_claims_nothing(fate: str) -> None:
    one = session(PASSED)
    record = record_of(one, "All tests pass.")
    log = [
        msgspec.structs.replace(event, fate=fate) if isinstance(event, LlmCall) else event
        for event in record.events()
    ]
    record = msgspec.structs.replace(record, log=tuple(msgspec.Raw(codec.encode(event)) for event in log))
    assert claims(reread(record, one)[0]) == []


def test_what_a_sub_agent_was_asked_is_heard_afterwards() -> None:
    """Its "all tests" may be those of the part that it was asked about."""
    one = session(PASSED)
    one = msgspec.structs.replace(one, besides=((), ()), lies=((), ()))
    asked = (Call("t0", "task", {"prompt": "Run only the tests of the parser."}, ""),)
    record = record_of(one, "", transcript=(Answer("", asked), Answer("All tests pass.")))
    log = [
        msgspec.structs.replace(event, response_id="chatcmpl-t1") if isinstance(event, LlmCall) else event
        for event in record.events()
    ]
    record = msgspec.structs.replace(record, log=tuple(msgspec.Raw(codec.encode(event)) for event in log))
    (claim,) = claims(reread(record, one)[0])
    assert claim.tells == ("part",)


# --- looks at files -------------------------------------------------------------------------------------

CREATED = Said(0, "file_created", "a.md", False)


def made(**more: object) -> File:
    return msgspec.convert(
        {"path": f"{CWD}/a.md", "size": 5, "mtime": 6, "dev": 7, "ino": 8, "digest": "d"} | more, File
    )


def test_the_files_of_the_record_answer_the_look_at_a_claim() -> None:
    one = session(CREATED)
    found, _ = reread(record_of(one, "I created `a.md`.", seen=(Seen((made(),), ()),)), one)
    (look,) = looks(found)
    assert look == state(
        "a.md", claims(found)[0].claim, 100, size=5, mtime=6, dev=7, ino=8, digest="d", seq=look.seq
    )


def test_a_file_that_was_not_there_is_known_not_to_have_been() -> None:
    one = session(CREATED)
    found, _ = reread(record_of(one, "I created `a.md`.", seen=(Seen((), ()),)), one)
    assert [look.exists for look in looks(found)] == [False]


def test_what_lies_where_nobody_looked_stays_unknown() -> None:
    one = session(Said(0, "file_created", "/srv/a.md", False))
    found, _ = reread(record_of(one, "I created `/srv/a.md`.", seen=(Seen((), ()),)), one)
    assert len(claims(found)) == 1
    assert looks(found) == []


def test_the_tests_of_the_record_are_those_of_the_project() -> None:
    one = session(PASSED)
    test = made(path=f"{CWD}/test_a.py")
    found, _ = reread(record_of(one, "All tests pass.", seen=(Seen((made(), test), (test.path,)),)), one)
    assert [(look.path, look.ino, look.digest) for look in looks(found)] == [(test.path, 8, None)]


def test_without_them_a_look_of_the_log_is_taken() -> None:
    one = session(CREATED)
    before = state(f"{CWD}/a.md", "i0", 50, size=5, digest="d")
    found, _ = reread(record_of(one, "I created `a.md`.", [before]), one)
    assert [(look.ts, look.size, look.digest) for look in looks(found)] == [(50, 5, "d"), (100, 5, "d")]


@pytest.mark.parametrize(("changed", "taken"), [(60, False), (40, True), (110, True)])
def test_a_look_of_the_log_is_taken_only_if_nothing_changed_since(changed: int, taken: bool) -> None:
    one = session(CREATED)
    before = state(f"{CWD}/a.md", "i0", 50)
    write = codec.File(session="s", ts=changed, process=P, op="write", path=f"{CWD}/a.md")
    found, _ = reread(record_of(one, "I created `a.md`.", [before, write]), one)
    assert len(looks(found)) == 1 + taken


# --- the records in the tree ----------------------------------------------------------------------------


@cache
def defined() -> dict[str, Session]:
    return {one.name: one for one in recorder.every()}


def test_a_record_of_another_session_is_refused() -> None:
    one = session(PASSED)
    with pytest.raises(ValueError, match="record it again"):
        reread(record_of(one, "All tests pass.", digest="of another"), one)


@pytest.mark.parametrize("family", [name for name in schema.families() if records.path(name).exists()])
def test_every_record_is_reread_and_no_claim_is_left_without_a_label(family: str) -> None:
    told = [
        f"{record.session}: {one}"
        for record in records.load(family)
        for one in reread(record, defined()[record.session])[1]
    ]
    assert len(told) == 0, "not shown: held out" if held_out(family) else told
