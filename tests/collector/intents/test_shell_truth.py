"""collector/intents/shell.py against bash itself: what is expected in any case really happens.

Texts of a small grammar, and a list of forms that agents use, are executed with stub programs. Where the plan says
"in any case", the stub's marker must be there; where it says "not masked", a failure must be reported; where it says
"parsed", no stub may have run that it does not have.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.collector.intents.truth import Bash, accusations, unforeseen


@pytest.fixture(scope="module")
def bash(tmp_path_factory: pytest.TempPathFactory) -> Bash:
    return Bash(tmp_path_factory.mktemp("bash"))


#: forms that agents use, and those that have misled a parser of shell text; divided by lines of "%%"
FORMS = Path(__file__).with_name("forms.txt").read_bytes().decode().removesuffix("\n").split("\n%%\n")


@pytest.mark.parametrize("text", FORMS)
def test_forms(bash: Bash, text: str) -> None:
    happened = bash.run(text)
    assert accusations(text, happened) == []
    assert unforeseen(text, happened) == []


#: "@" becomes a number of its own, so that each marker tells where in the text it comes from
_SIMPLE = st.sampled_from(
    [
        "alpha @", "alpha @", "beta @ x", "bad @", "bad @", "fail @", "pytest -q @", "true", "false", ":", "echo x",
        "cd a", "cd nowhere", "cd ..", "cd a/c", "exit", "exit 0", "exit 3", "return", "return 1", "break", "continue",
        "[ -d a ]", "[ -f missing ]", "[[ -d a ]]", "test -d missing", "((1))", "((0))", "set -e", "set +e", "set -u",
        "set -o pipefail", "set -eu -o pipefail", "X=1", "X='b c'", "X=$(alpha @)", "X=$(bad @)", "unset X",
        "export X=$(bad @)", "alpha @ $X", 'alpha @ "$X"', "alpha @ $UNSET", 'beta @ "$(alpha @)"', "alpha @ `bad @`",
        "alpha @ > out@", "bad @ > a/log 2>&1", "alpha @ < missing", "beta @ > nodir/x", "alpha @ 2>/dev/null",
        "echo hi > f@", "echo $X > f@", "cat <<< hi > f@", "alpha @ | tee f@", "timeout 5 alpha @", "env A=1 bad @",
        "nice -n 1 alpha @", "nohup alpha @", "setsid -w bad @", "time alpha @", "command bad @", "stdbuf -oL beta @",
        "bash -c 'alpha @; bad @'", "bash -ec 'bad @; alpha @'", "sh -c 'cd a && alpha @'", "bash -c 'bad @ || exit 3'",
        "timeout 5 bash -c 'alpha @'", "eval 'alpha @'", "eval 'exit 3'", "eval 'X=2; bad @'", "trap 'beta @' EXIT",
        "trap 'exit 0' EXIT", "trap 'alpha @' ERR", "exec alpha @", "exec 2>&1", "source missing", "f", "g", "f | cat",
        "xargs alpha @ < /dev/null", "find a -maxdepth 0 -exec alpha @ {} \\;", "alpha @ {1,2}", "alpha @ *", "wait",
        "PATH=/nowhere alpha @", "env -i alpha @", "alpha @ ${X:-d}", "alpha @ ${X?}", "alpha @ $((1/0))", "let X=2",
        "env -C a alpha @", "exec alpha @ > nodir/x", "pushd a", "popd", "alias alpha=beta", "shift 9", "read X",
    ]
)  # fmt: skip


def _wrapped(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    sequence = st.lists(inner, min_size=1, max_size=3).map(_sequence)
    pair = st.tuples(inner, inner)
    return st.one_of(
        pair.map(" && ".join),
        pair.map(" || ".join),
        pair.map(" | ".join),
        st.tuples(inner, inner, inner).map(lambda t: f"{t[0]} && {t[1]} || {t[2]}"),
        inner.map(lambda s: f"{s} || exit 1"),
        inner.map(lambda s: f"{s} &"),
        inner.map(lambda s: f"! {s}"),
        sequence.map(lambda s: f"({s})"),
        sequence.map(lambda s: f"{{ {_closed(s)} }}"),
        sequence.map(lambda s: f"{{ {_closed(s)} }} > out@"),
        sequence.map(lambda s: f"f() {{ {_closed(s)} }}"),
        sequence.map(lambda s: f"g() ( {s} )"),
        st.tuples(inner, sequence).map(lambda t: f"if {_closed(t[0])} then {_closed(t[1])} fi"),
        st.tuples(inner, sequence, sequence).map(
            lambda t: f"if {_closed(t[0])} then {_closed(t[1])} else {_closed(t[2])} fi"
        ),
        sequence.map(lambda s: f"for i in 1 2; do {_closed(s)} done"),
        sequence.map(lambda s: f"for i in $(echo 1 2); do alpha @ $i; {_closed(s)} done"),
        sequence.map(lambda s: f'W=; while [ -z "$W" ]; do W=1; {_closed(s)} done'),
        st.tuples(inner, inner).map(lambda t: f"case x in x) {t[0]};; *) {t[1]};; esac"),
    )


def _closed(statement: str) -> str:
    return statement if statement.endswith("&") else f"{statement};"


def _sequence(statements: list[str]) -> str:
    return " ".join([*(_closed(statement) for statement in statements[:-1]), statements[-1]])


def _numbered(text: str) -> str:
    numbers: Iterator[int] = itertools.count()
    return "".join(f"n{next(numbers)}" if char == "@" else char for char in text)


_STATEMENT = st.recursive(_SIMPLE, _wrapped, max_leaves=6)
PROGRAMS = st.tuples(st.lists(_STATEMENT, min_size=1, max_size=5), st.sampled_from(["; ", "\n"])).map(
    lambda t: _numbered("\n".join(t[0]) if t[1] == "\n" else _sequence(t[0]))
)


@settings(max_examples=200, deadline=None)
@given(PROGRAMS)
def test_what_is_expected_in_any_case_happens(bash: Bash, text: str) -> None:
    happened = bash.run(text)
    assert accusations(text, happened) == []
    assert unforeseen(text, happened) == []


@st.composite
def broken_programs(draw: st.DrawFn) -> str:
    """A program with some of its words left out, doubled or exchanged: mostly no shell text any more."""
    words = draw(PROGRAMS).split(" ")
    for _ in range(draw(st.integers(1, 2))):
        at, other = draw(st.integers(0, len(words) - 1)), draw(st.integers(0, len(words) - 1))
        match draw(st.sampled_from(["drop", "double", "swap"])):
            case "drop" if len(words) > 1:
                del words[at]
            case "double":
                words.insert(at, words[at])
            case _:
                words[at], words[other] = words[other], words[at]
    return " ".join(words)


@settings(max_examples=100, deadline=None)
@given(broken_programs())
def test_a_text_that_the_shell_does_not_understand_accuses_nobody(bash: Bash, text: str) -> None:
    assert accusations(text, bash.run(text)) == []
