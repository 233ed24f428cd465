"""Programs that run another command: the table data/wrappers.toml and the search through their arguments."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple

import msgspec

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


class Wrapper(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row; the columns are explained in the table."""

    values: tuple[str, ...] = ()
    positionals: int = 0
    assignments: bool = False
    sub: tuple[str, ...] = ()
    text: str | None = None
    joined: bool = False
    marker: tuple[str, ...] = ()
    extra: bool = False
    maybe: bool = False
    first: bool = False
    splits: str | None = None
    chdir: tuple[str, ...] = ()
    background: bool = False
    hand_off: str | None = None
    hand_off_sub: tuple[str, ...] = ()
    keep: bool = False
    scripts: str | None = None


class _Shell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    shells: frozenset[str]
    builtins: frozenset[str]
    reads_variable: frozenset[str]


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which arguments of a program are files that it changes; the columns are explained in the table."""

    files: Literal["all", "last", "after_first"]
    options: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    script: tuple[str, ...] = ()


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of data/wrappers.toml."""

    wrapper: dict[str, Wrapper]
    shell: _Shell
    changes: dict[str, Change]


class Inner(NamedTuple):
    """What a wrapper runs: ``argv``, or shell ``text``. Both None: the wrapper runs nothing that is known."""

    argv: tuple[str, ...] | None = None
    text: str | None = None
    hand_off: str | None = None
    #: name of a project script, for :attr:`Wrapper.scripts`
    script: str | None = None


@cache
def table() -> Table:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(
        resources.files("collector.intents").joinpath("data/wrappers.toml").read_text("utf-8")
    )
    return msgspec.convert(raw, Table)


def look_through(wrapper: Wrapper, args: Sequence[str]) -> list[Inner]:
    """The commands that ``args`` of ``wrapper`` hold (several only for ``find -exec``)."""
    if wrapper.hand_off is not None:
        words = _plain(args, wrapper.values)
        if not wrapper.hand_off_sub or (words and words[0] in wrapper.hand_off_sub):
            return [Inner(hand_off=wrapper.hand_off)]
        return []
    if wrapper.marker:
        return _marked(wrapper, args)
    if wrapper.splits:
        text = _option(wrapper.splits, args)
        if text is not None:
            return [Inner(text=" ".join((text, *args[args.index(text) + 1 :])))]
    if wrapper.text is not None:
        text = _option(wrapper.text, args)
        return [Inner(text=text)] if text is not None else []
    rest = _after_options(args, wrapper.values, wrapper.assignments)
    if wrapper.scripts is not None:
        script = _project_script(rest)
        if script is not None:
            return [Inner(script=script)]
    if wrapper.sub:
        matched = _after_sub(rest, wrapper)
        if matched is None:
            return []
        rest = matched
    rest = rest[wrapper.positionals :]
    if wrapper.positionals and rest and rest[0] == "--":
        rest = rest[1:]
    if not rest:
        return []
    if wrapper.joined:
        return [Inner(text=" ".join(rest))]
    extra = ("\x00",) if wrapper.extra else ()
    return [Inner(argv=(*rest, *extra))]


def changed(name: str, args: Sequence[str]) -> list[str]:
    """Files that ``args`` make a program of the table [changes] write, move or remove: ``sed -i``, ``mv``, ``rm``."""
    change = table().changes.get(name)
    if change is None:
        return []
    if change.options and not any(a.startswith(option) for a in args for option in change.options):
        return []
    words = _plain(args, (*change.values, *change.script))
    if change.files == "last":
        return words[-1:] if len(words) > 1 else []
    if change.files == "after_first" and not any(a in change.script for a in args):
        words = words[1:]
    return words[:64]


def only_asks(name: str, args: Sequence[str]) -> bool:
    """``command -v x``, ``sudo -l``, ``env --version``: nothing is run."""
    first = args[0]
    if name == "command":
        return first.startswith("-") and ("v" in first or "V" in first)
    if first in ("--version", "--help"):
        return True
    return name in ("sudo", "doas") and first in ("-l", "--list", "-v", "-k", "-K", "-V", "-h")


def moved(wrapper: Wrapper, args: Sequence[str]) -> str | None:
    """The directory that the command is run in, where an option says so."""
    for position, argument in enumerate(args):
        if argument == "--" or (not argument.startswith("-") and argument not in wrapper.sub):
            previous = args[position - 1] if position else ""
            if argument != "--" and previous in wrapper.values:
                continue
            return None
        for option in wrapper.chdir:
            if argument == option:
                return args[position + 1] if position + 1 < len(args) else None
            if argument.startswith(option + "="):
                return argument[len(option) + 1 :]
    return None


def loses_path(name: str, args: Sequence[str]) -> bool:
    """``env -i``, ``env PATH=/x``: the command may not be found."""
    if name not in ("env", "sudo"):
        return False
    for argument in args:
        if argument in ("-i", "-", "--ignore-environment") and name == "env":
            return True
        if argument.startswith("PATH="):
            return True
        if not argument.startswith("-") and "=" not in argument:
            return False
    return False


def _after_options(args: Sequence[str], values: Sequence[str], assignments: bool) -> Sequence[str]:
    position = 0
    while position < len(args):
        argument = args[position]
        if argument == "--":
            position += 1
            while assignments and position < len(args) and _ASSIGNMENT.match(args[position]):
                position += 1
            break
        if argument.startswith("-") and len(argument) > 1:
            position += 2 if argument in values else 1
        elif assignments and _ASSIGNMENT.match(argument):
            position += 1
        else:
            break
    return args[position:]


def _after_sub(rest: Sequence[str], wrapper: Wrapper) -> Sequence[str] | None:
    for sub in wrapper.sub:
        words = sub.split()
        if list(rest[: len(words)]) == words:
            return _after_options(rest[len(words) :], wrapper.values, wrapper.assignments)
    return None


def _project_script(rest: Sequence[str]) -> str | None:
    """``npm run X``, ``npm test``, ``yarn run X``: the name of the script."""
    if not rest:
        return None
    if rest[0] in ("run", "run-script"):
        names = _plain(rest[1:], ())
        return names[0] if names else None
    if rest[0] in ("test", "t", "tst"):
        return "test"
    return "start" if rest[0] == "start" else None


def _marked(wrapper: Wrapper, args: Sequence[str]) -> list[Inner]:
    found: list[Inner] = []
    position = 0
    while position < len(args):
        if args[position] in wrapper.marker:
            end = position + 1
            while end < len(args) and args[end] not in (";", "+"):
                end += 1
            argv = tuple(word.replace("{}", "\x00") for word in args[position + 1 : end])
            if argv:
                found.append(Inner(argv=argv))
            position = end
        position += 1
    return found


def _option(name: str, args: Sequence[str]) -> str | None:
    for position, argument in enumerate(args[:-1]):
        if argument == name or (len(name) == 2 and re.fullmatch(r"-[a-z]*" + name[1], argument)):
            return args[position + 1]
    return None


def _plain(args: Sequence[str], values: Sequence[str]) -> list[str]:
    words: list[str] = []
    skip = False
    for argument in args:
        if skip:
            skip = False
        elif argument.startswith("-"):
            skip = argument in values
        else:
            words.append(argument)
    return words
