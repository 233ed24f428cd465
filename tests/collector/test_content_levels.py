"""What leaves the collector at each level, field by field, whatever is said: the table of polygraph/content.py holds.

Random conversations, with prose and credentials planted wherever somebody can choose something, go through the
pipeline, the correlator, the store on disk, the OTLP spans and the report page.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from collector.file_states import FileLook
from console.report import ReportInput, render
from correlator.engine import Engine
from exporters.spans import session_spans
from polygraph import verdicts as verdict_codec
from polygraph.content import FIELDS, KINDS, LEVELS, ContentLevel
from polygraph.events import (
    AnyEvent,
    Api,
    BlindSpot,
    Exec,
    ExecFailed,
    Exit,
    File,
    LlmCall,
    Name,
    Net,
    SessionEnd,
    SessionStart,
)
from polygraph.log.store import Store
from polygraph.verdicts import Verdict
from tests.agents.script import Answer, ToolCall
from tests.collector.said import ROOT, Talk
from tests.collector.test_pipeline import APIS, CHILD

#: prose: one word of it never stands in the vocabulary, so it is found in any encoding
PROSE = "the patient zebracrossing has a fever"
WORD = "zebracrossing"
#: credentials by their form, their name, their place; the part that must be found nowhere
SECRETS = {
    "sk-ant-api03-abcdefgh1234wxyz": "abcdefgh1234wxyz",
    "ghp_0123456789abcdefQRST0123": "abcdefQRST0123",
    "Authorization: Basic dXNlcjpwYXNzd29yZDE=": "dXNlcjpwYXNzd29yZDE",
    "https://u:hunter2secretword@h.example/x": "hunter2secretword",
    "https://h.example/x?api_key=q1w2e3r4t5y6u7": "q1w2e3r4t5y6u7",
    "Cookie: sid=a1s2d3f4g5h6j7": "a1s2d3f4g5h6j7",
    'OPENAI_API_KEY="z1x2c3v4b5n6m7"': "z1x2c3v4b5n6m7",
    "AKIAIOSFODNN7ABCDEFG": "IOSFODNN7ABCDEFG",
}

_secret = st.sampled_from(sorted(SECRETS))
_said = st.sampled_from(
    [
        f"All 3 tests passed, said {PROSE}.",
        f"I created /repo/a.py for {PROSE}.",
        "I ran the tests and all 3 passed.",
        PROSE,
        "Done.",
    ]
) | st.builds("{} and all tests passed with {}".format, st.just(PROSE), _secret)
_call = st.one_of(
    st.builds(
        lambda t, s: ToolCall("bash", {"command": f"echo '{t}' '{s}' && pytest -q"}), st.just(PROSE), _secret
    ),
    st.builds(
        lambda s: ToolCall("bash", {"command": f'git commit -m "{PROSE}" && curl -H "{s}" http://h/'}),
        _secret,
    ),
    st.builds(lambda s: ToolCall("bash", {"command": f"python3 - <<'X'\n# {PROSE}\nk = '{s}'\nX"}), _secret),
    st.builds(lambda s: ToolCall("write_file", {"path": "/repo/a.py", "content": f"{PROSE} {s}"}), _secret),
    st.builds(
        lambda s: ToolCall("edit", {"path": "/repo/a.py", "old_string": PROSE, "new_string": s}), _secret
    ),
    st.builds(lambda s: ToolCall("WebFetch", {"url": s, "prompt": PROSE}), _secret),
    st.builds(lambda s: ToolCall(f"ask {PROSE}", {"question": f"{PROSE} {s}", s: PROSE}), _secret),
)
_result = st.builds(
    "{}\n{}\n{}".format,
    st.just(PROSE),
    _secret,
    st.sampled_from(["3 passed in 0.1s", "1 failed", "ok", "exit code: 0"]),
)
_turns = st.lists(st.tuples(_said, st.lists(_call, max_size=2), _result), min_size=1, max_size=4)


def converse(
    level: ContentLevel, api: Api, turns: list[tuple[str, list[ToolCall], str]], secrets: Sequence[str]
) -> list[AnyEvent]:
    """The log of a conversation, with prose and secrets in what the kernel saw as well."""
    talk = Talk(
        level,
        api,
        {"/repo/a.py": FileLook(True, 3, 1, 2, 3, PROSE.encode())},
        session="0123456789abcdef",
        argv=("agent", "-p", PROSE, *secrets),
    )
    for number, (said, calls, result) in enumerate(turns):
        if level != "off":  # no plaintext is captured then (collector/collect.py, PG_SESSION_NO_TLS)
            idents = talk.says(Answer(text=said, calls=tuple(calls)))
            talk.results([(ident, result) for ident in idents])
        secret = secrets[number % len(secrets)]
        for argv in (
            ("sh", "-c", f"echo {PROSE} {secret}"),
            ("git", "commit", f"--message={PROSE}", "-m", secret),
        ):
            talk.effect(Exec, process=CHILD, parent=ROOT, path=f"/bin/{argv[0]}", argv=argv, cwd="/repo")
        talk.effect(
            Exec, process=CHILD, parent=ROOT, path="/usr/bin/pytest", argv=("pytest", "-q"), cwd="/repo"
        )
        talk.effect(File, process=CHILD, op="write", path="/repo/a.py", dev=2, ino=3)
        talk.effect(ExecFailed, process=CHILD, path=f"/usr/bin/{secret}", errno=2)
        talk.effect(
            Net, process=CHILD, op="connect", family="unix", protocol="unix", address=f"/run/{secret}"
        )
        talk.effect(Name, process=CHILD, source="dns", name=f"{secret}.example", addresses=("192.0.2.1",))
        talk.effect(BlindSpot, dimension="tls", name="gnutls", detail=secret)
        talk.effect(Exit, process=CHILD, status=0)
    if level != "off":
        talk.says(Answer(text=f"I ran pytest on {PROSE} and all 3 tests passed. All tests passed."))
    talk.effect(SessionEnd)
    return talk.log()


def judged(events: Sequence[AnyEvent]) -> list[Verdict]:
    engine = Engine()
    return [verdict for event in events for verdict in engine.feed(event).verdicts]


def strings(value: Any) -> Iterator[str]:
    """Every text in a value that is made of plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("latin-1")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings(item)


def held(struct: msgspec.Struct) -> Iterator[tuple[str, str, Any]]:
    """(class, field, value) of a struct and of those in it."""
    name = type(struct).__name__
    for field in struct.__struct_fields__:
        value = getattr(struct, field)
        inner = (
            value
            if isinstance(value, tuple)
            else tuple(value.values())
            if isinstance(value, dict)
            else (value,)
        )
        structs = [item for item in inner if isinstance(item, msgspec.Struct)]
        for item in structs:
            yield from held(item)
        if not structs:
            yield name, field, value


@settings(max_examples=40)
@given(st.sampled_from(APIS), st.sampled_from(LEVELS), _turns, st.lists(_secret, min_size=1, max_size=3))
def test_each_field_holds_what_the_table_says(
    api: Api, level: ContentLevel, turns: list[tuple[str, list[ToolCall], str]], secrets: list[str]
) -> None:
    events = converse(level, api, turns, secrets)
    for struct in (*events, *judged(events)):
        for name, field, value in held(struct):
            kind = FIELDS[name][field]
            first = KINDS[kind].free_text
            may = first is not None and LEVELS.index(level) >= LEVELS.index(first)
            assert may or not any(WORD in text for text in strings(value)), (name, field, value)
            for secret in SECRETS.values():
                assert not any(secret in text for text in strings(value)), (name, field, value)


def written(events: Sequence[AnyEvent]) -> dict[str, bytes]:
    """Everything that a session leaves: the files of the store, verdicts as lines, spans, the page."""
    start = next(event for event in events if isinstance(event, SessionStart))
    verdicts = judged(events)
    with tempfile.TemporaryDirectory() as folder:
        with Store(Path(folder)) as store:
            store.append(events)
            store.add(verdicts)
        files = {path.name: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
    left = {
        name: zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
        if name.endswith(".zst")
        else data
        for name, data in files.items()
        if name != "key"
    }
    left["verdicts"] = b"\n".join(map(verdict_codec.encode, verdicts))
    left["otlp"] = encode_spans(list(session_spans(start, verdicts))).SerializeToString()
    left["report"] = render(ReportInput(events=list(events), verdicts=verdicts)).encode()
    return left


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(APIS), st.sampled_from(LEVELS), _turns, st.lists(_secret, min_size=1, max_size=2))
def test_nothing_that_is_written_holds_more(
    api: Api, level: ContentLevel, turns: list[tuple[str, list[ToolCall], str]], secrets: list[str]
) -> None:
    for name, data in written(converse(level, api, turns, secrets)).items():
        for secret in SECRETS.values():
            assert secret.encode() not in data, name
            assert base64.b64encode(secret.encode())[:-4] not in data, name
        if level in ("off", "metadata"):
            assert WORD.encode() not in data, name


@pytest.mark.parametrize("level", ["redacted", "full"])
def test_the_levels_above_do_hold_it(level: ContentLevel) -> None:
    """The two properties above can fail: the text is there where it may be."""
    turns = [("All 3 tests passed.", [ToolCall("bash", {"command": f"echo {PROSE}"})], PROSE)]
    left = written(converse(level, "openai.chat", turns, ["x"]))
    assert all(
        WORD.encode() in left[name] for name in ("0123456789abcdef.jsonl.zst", "verdicts", "otlp", "report")
    )


@pytest.mark.parametrize("api", APIS)
def test_at_off_nothing_is_said(api: Api) -> None:
    events = converse("off", api, [(PROSE, [], "ok")], ["x"])
    assert not [event for event in events if isinstance(event, LlmCall)] and not judged(events)


def bare(verdict: Verdict) -> Verdict:
    """What is decided and on which grounds, without the words in which it is told."""
    subject = msgspec.structs.replace(verdict.subject, text=None, tool=None)
    evidence = tuple(msgspec.structs.replace(item, fact="") for item in verdict.evidence)
    return msgspec.structs.replace(verdict, subject=subject, evidence=evidence, declared="", observed="")


@settings(max_examples=40)
@given(st.sampled_from(APIS), _turns, st.lists(_secret, min_size=1, max_size=3))
def test_verdicts_are_the_same_at_every_level_that_has_some(
    api: Api, turns: list[tuple[str, list[ToolCall], str]], secrets: list[str]
) -> None:
    told = [list(map(bare, judged(converse(level, api, turns, secrets)))) for level in LEVELS[1:]]
    assert told[0] == told[1] == told[2] and told[0]
