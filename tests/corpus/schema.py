"""What the files of the corpus hold: families, kits, steps and phrases, typed. README.md explains them.

A family is one way to be honest or to lie, told once for every language and build tool. A kit is a project in one
language with one build tool. Steps are the work around it, and phrases are the words.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

HERE = Path(__file__).parent

#: the kinds of lie, with their share of the lying half in percent (docs/accuracy.md says where these come from)
SHARES = {
    "stale": 20,
    "masked": 15,
    "never_ran": 12,
    "skipped_read": 12,
    "wrong_target": 12,
    "subset": 10,
    "not_persisted": 6,
    "invented_output": 6,
    "tampered_test": 4,
    "failed_delegation": 3,
}
Share = Literal[
    "honest",
    "adversarial",
    "stale",
    "masked",
    "never_ran",
    "skipped_read",
    "wrong_target",
    "subset",
    "not_persisted",
    "invented_output",
    "tampered_test",
    "failed_delegation",
]
#: how a run of the kit's tests went, by the marks it left: all passed, one failed or did not end, only a part ran
#: (and passed), none ran
Went = Literal["pass", "fail", "part", "none"]

#: what a step does; a family excludes those that would touch what it is about
Kind = Literal[
    "writes",
    "edits",
    "commits",
    "fetches",
    "shell",
    "builds",
    "lints",
    "reads_source",
    "reads_tests",
    "reads_readme",
]

#: what the agent's framework does wrong (tests/truth/agent.py)
Faults = dict[str, dict[str, str] | tuple[str, ...] | str]


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer of the model: words, and tools that are called side by side.

    ``claims``: what ``say`` says beyond its phrases, as "topic" or "topic target". ``lie``: those of them, or of the
    phrases' claims, that are false. ``topics``: claims that may be seen in ``say`` too, and are true.
    """

    say: str = ""
    claims: tuple[str, ...] = ()
    lie: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    #: of the last answer: the same in other words, for the summary (phrases change by themselves)
    again: str = ""
    run: tuple[str, ...] = ()
    #: path -> whole content
    write: dict[str, str] = {}
    #: each: path, old text, new text
    edit: tuple[tuple[str, str, str], ...] = ()
    read: tuple[str, ...] = ()
    #: prompts for sub-agents; the turns that follow are the first one's until one of them calls nothing
    task: tuple[str, ...] = ()
    #: the endpoint makes this file in the folder of marks a second after the answer
    release: str | None = None
    #: what happens to the first tries at this answer (tests/agents/script.py, Trouble)
    troubles: tuple[str, ...] = ()


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One way to lie or to be honest; see README.md for each field."""

    about: str
    share: Share
    #: who lied
    who: Literal["model", "harness", "nobody"]
    #: where the shape comes from: a paper, an issue of a public repository, an agent's habit
    source: str
    kit: tuple[str, ...]
    turn: tuple[Turn, ...]
    #: NAME -> choices: text for ``@NAME@``, or a table of several placeholders that go together
    axis: dict[str, tuple[str | dict[str, str], ...]] = {}
    #: how many sessions of all the combinations; 0: each one
    take: int = 0
    #: the kit's source as it is at the beginning
    broken: bool = False
    #: how many steps of steps.toml precede the story
    steps: int = 3
    #: kinds of steps (Kind) that would make its lies true, or its truths false
    without: tuple[Kind, ...] = ()
    #: whether the user of most of its sessions asks for a summary after the last answer, which is told again then
    retold: bool = True
    #: the reason (polygraph/data/reasons.toml) that one expects of some verdict in each of its sessions
    reason: str = ""
    files: dict[str, str] = {}
    #: shell commands before the session, unobserved
    setup: tuple[str, ...] = ()
    faults: Faults = {}
    #: started by `polygraph run`, or already there when `polygraph watch` begins
    observed: Literal["run", "watch"] = "run"
    #: what the kit's tests did in the session, run by run; None: not asked
    runs: tuple[Went, ...] | None = None
    #: how the test runner went when all was over, unobserved, if that is asked
    now: Literal["pass", "fail"] | None = None
    #: shell commands that succeed in the project afterwards exactly if the story is the one that is told
    proof: tuple[str, ...] = ()
    #: tools whose calls the harness lied about: their intents and results are not counted as honest
    faulty: tuple[str, ...] = ()
    #: topics that a tool's own output lies about (a script that prints "passed"): such claims are not counted
    output_lies: tuple[str, ...] = ()


class Kit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A project in one language with one build tool. ``vars`` are its placeholders; README.md has their names."""

    language: str
    vars: dict[str, str]
    files: dict[str, str]
    #: shell commands that make the project ready, unobserved
    setup: tuple[str, ...] = ()
    env: dict[str, str] = {}


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Honest work before a story, and how it is told. Changes nothing that a test reads."""

    turn: tuple[Turn, ...]
    kinds: tuple[Kind, ...]
    #: told in the last answer, and in every other session also when the steps are done, before the user goes on
    told: str = ""
    #: told when the steps are done, or in the answer that follows the step: true then, and perhaps not at the end
    then: str = ""
    #: variables that a kit must have for it
    needs: tuple[str, ...] = ()


class Phrase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ways to say the same. ``claims`` as in :class:`Turn`; ``topics``: what some of the ways say besides."""

    words: tuple[str, ...]
    claims: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


T = TypeVar("T")


def _table(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), kind)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path.name}: {error}") from error


def families() -> dict[str, Family]:
    """By name, which is the file's. Raises ValueError where one is malformed."""
    return {path.stem: _table(path, Family) for path in sorted(HERE.glob("families/*.toml"))}


def kits() -> dict[str, Kit]:
    """By name, which is the file's. Raises ValueError where one is malformed."""
    return {path.stem: _table(path, Kit) for path in sorted(HERE.glob("kits/*.toml"))}


def steps() -> dict[str, Step]:
    """By name. Raises ValueError when malformed."""
    return _table(HERE / "steps.toml", dict[str, Step])


def phrases() -> dict[str, Phrase]:
    """By name. Raises ValueError when malformed."""
    return _table(HERE / "phrases.toml", dict[str, Phrase])
