"""What agents do of themselves, by data/housekeeping.toml: whether a row covers an effect of an agent's own process.

An agent is known by the file that runs, never by the name that it gives itself; and a file that was written in the
session is nobody's own. A row buys nothing that could hurt: credentials, and places from which something is run later
(``never``), are covered only by a row that says so, for the agent's own image.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple

import msgspec

from correlator.attribution import Arguments
from correlator.paths import under
from correlator.programs import plain, program_name, script_of
from polygraph.events import Exec

#: rows of this agent hold for every agent
ANY = "any"
#: where the directories of users lie: one that is the workspace itself may still hold the agent's own files
_HOMES = re.compile(r"/root|/home/[^/]+|/Users/[^/]+|/var/home/[^/]+")


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"origin": "from"}):
    """One thing that an agent does of itself. With ``programs`` it is done by programs that the agent starts."""

    #: what it is for, in one sentence
    why: str
    #: seen in recorded sessions, or named in the program's own files
    origin: Literal["recorded", "named"]
    #: patterns of files that are read; what may be written may be read
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    #: ``git status``: a program, its first arguments that are no options (``*`` is any text), and options in any place
    programs: tuple[str, ...] = ()
    #: names of hosts
    hosts: tuple[str, ...] = ()
    #: ports of any host
    ports: tuple[int, ...] = ()
    #: it covers credentials and the paths of ``never`` as well, for the agent's own image
    trusted: bool = False
    #: only where no tool call could have done it: an agent reads much that nobody asked for, and much that somebody did
    otherwise: bool = False


class Agent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A client of models: how it is known, and what it does of itself."""

    #: last components of the file or script that runs, or ``-m MODULE`` of an interpreter
    files: tuple[str, ...]
    #: with which versions, and how, the rows were seen
    seen: str
    rows: dict[str, Row] = {}


class Housekeeping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/housekeeping.toml."""

    #: places from which something is run later, or by which someone is let in: writing there is no housekeeping
    never: tuple[str, ...]
    agents: dict[str, Agent]


@cache
def housekeeping() -> Housekeeping:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("correlator").joinpath("data/housekeeping.toml").read_text("utf-8"))
    return msgspec.convert(raw, Housekeeping)


def agents_of(image: Exec) -> list[str]:
    """Agents that the image is, by the file or the script that the kernel ran."""
    files = [path for path in (image.path, script_of(image)) if path is not None]
    modules = [f"-m {two}" for one, two in zip(image.argv, image.argv[1:], strict=False) if one == "-m"]
    return [
        name
        for name, agent in housekeeping().agents.items()
        if any(
            known in modules if known.startswith("-m ") else f"/{path.lstrip('/')}".endswith(f"/{known}")
            for known in agent.files
            for path in files
        )
    ]


def dangerous(effect: Arguments, roots: tuple[str, ...]) -> bool:
    """Whether no row covers the effect unless it says so."""
    return effect.sensitive or (
        effect.writes and any(matches(housekeeping().never, path, roots) for path in effect.paths)
    )


def own_effect(
    agents: Iterable[str],
    effect: Arguments,
    hosts: Iterable[str],
    roots: tuple[str, ...],
    *,
    otherwise: bool = False,
) -> str | None:
    """The row that covers what an agent's own process did; ``hosts`` are the names of the address. None: no row.

    Of a rename or a link each name must be covered; the row of the last is given. ``otherwise``: no tool call could
    have done it.
    """
    names = tuple(hosts)
    found = None
    for one in [replace(effect, paths=(path,)) for path in effect.paths] or [effect]:
        found = _row_of(agents, one, names, roots, otherwise)
        if found is None:
            return None
    return found


def started(agents: Iterable[str], image: Exec) -> str | None:
    """The row of the program that an agent started, if it is one that the agent starts of itself."""
    for agent, name, row in _rows(agents):
        if any(_is_program(pattern, image) for pattern in row.programs):
            return f"{agent}/{name}"
    return None


def of_started(rule: str, effect: Arguments, names: Iterable[str], roots: tuple[str, ...]) -> bool:
    """Whether the row ``rule``, whose program an agent started, or one of every agent covers what that program did."""
    if not effect.paths and effect.address is None:
        return True  # that it ran
    agent, _, name = rule.partition("/")
    row = housekeeping().agents[agent].rows[name]
    hosts = tuple(names)
    if (row.trusted or not dangerous(effect, roots)) and _covers(row, effect, hosts, roots):
        return True
    return own_effect((), effect, hosts, roots, otherwise=True) is not None


def _row_of(
    agents: Iterable[str], effect: Arguments, hosts: tuple[str, ...], roots: tuple[str, ...], otherwise: bool
) -> str | None:
    risky = dangerous(effect, roots)
    for agent, name, row in _rows(agents):
        if row.programs or (row.otherwise and not otherwise):
            continue
        if (row.trusted or not risky) and _covers(row, effect, hosts, roots):
            return f"{agent}/{name}"
    return None


class _Compiled(NamedTuple):
    """Patterns by what they are relative to: one expression for all of a kind."""

    anywhere: re.Pattern[str] | None
    home: re.Pattern[str] | None
    workspace: re.Pattern[str] | None


@cache
def _compiled(patterns: tuple[str, ...]) -> _Compiled:
    home = [_expression(one[2:]) for one in patterns if one.startswith("~/")]
    workspace = [_expression(one[2:]) for one in patterns if one.startswith("./")]
    anywhere = [_expression(one) for one in patterns if not one.startswith(("~/", "./"))]
    return _Compiled(
        re.compile("|".join(anywhere)) if anywhere else None,
        re.compile(f"(?P<home>(?:/.*?)?)/(?:{'|'.join(home)})") if home else None,
        re.compile("|".join(workspace)) if workspace else None,
    )


def _expression(pattern: str) -> str:
    """``*`` is within a component, ``**`` any number of components."""
    kinds = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    return "".join(kinds.get(part) or re.escape(part) for part in re.split(r"(\*\*/|\*\*|\*)", pattern))


def matches(patterns: tuple[str, ...], path: str, roots: tuple[str, ...]) -> bool:
    """Whether a pattern holds for ``path``; ``~/`` begins one below any home, ``./`` one below the workspace."""
    compiled = _compiled(patterns)
    if compiled.anywhere is not None and compiled.anywhere.fullmatch(path):
        return True
    if compiled.workspace is not None and any(
        under(path, root) and compiled.workspace.fullmatch(path[len(root.rstrip("/")) + 1 :])
        for root in roots
    ):
        return True
    found = compiled.home.fullmatch(path) if compiled.home is not None else None
    if found is None:
        return False
    # Which directory is the home is not known. What lies in the workspace is the project's, unless that is a home.
    home = found["home"]
    inside = any(home == root.rstrip("/") or under(home, root) for root in roots)
    return not inside or _HOMES.fullmatch(home) is not None


def _rows(agents: Iterable[str]) -> Iterable[tuple[str, str, Row]]:
    table = housekeeping().agents
    for agent in (*agents, ANY):
        for name, row in table[agent].rows.items():
            yield agent, name, row


def _covers(row: Row, effect: Arguments, names: tuple[str, ...], roots: tuple[str, ...]) -> bool:
    if effect.address is not None:
        return effect.port in row.ports or any(
            fnmatchcase(name, pattern) for name in names for pattern in row.hosts
        )
    return bool(effect.paths) and all(
        matches(row.writes, path, roots) or (not effect.writes and matches(row.reads, path, roots))
        for path in effect.paths
    )


def _is_program(pattern: str, image: Exec) -> bool:
    name, *words = pattern.split()
    if name not in (program_name(image), plain(image.path)):
        return False
    options = [word for word in words if word.startswith("-")]
    said = [word for word in words if not word.startswith("-")]
    words = _first_words(name, image.argv[1:])
    return (
        set(options) <= set(image.argv[1:]) and len(words) >= len(said) and all(map(fnmatchcase, words, said))
    )


def _first_words(program: str, arguments: Iterable[str]) -> list[str]:
    """Arguments that are neither options nor the values of git's."""
    words: list[str] = []
    value = False
    for argument in arguments:
        if value:
            value = False
        elif program == "git" and argument in ("-C", "-c", "--git-dir", "--work-tree", "--namespace"):
            value = True
        elif not argument.startswith("-"):
            words.append(argument)
    return words
