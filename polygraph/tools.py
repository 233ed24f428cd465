"""What a process is, by its program and arguments: test runner, build tool, linter…

The knowledge is data/tools.toml and data/interpreters.toml; this module is their only reader. The same
function recognises an expected :class:`polygraph.events.Execution` (``program`` and ``args``) and an
observed :class:`polygraph.events.Exec` (path, script and argv as the kernel saw them), so that both sides of
a join use one notion of "the same tool".

``None`` means "not known", never "not a test runner": see the reason ``form_unknown``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec

Purpose = Literal[
    "test", "build", "lint", "typecheck", "install", "commit", "push", "fetch", "deploy", "server", "query"
]
Meaning = Literal["ok", "failed", "empty", "error", "answer"]

#: Multi-call binaries: the kernel resolves their links, so only argv[0] says which tool was meant.
_MULTI_CALL = frozenset(
    {"busybox", "toybox", "coreutils", "rustup", "rustup-init", "volta-shim", "mise", "asdf"}
)
#: letters alone: a free text is told by a digest, which may have a "c" in it
_BUNDLED_C = re.compile(r"-(?=[A-Za-z]{2})[A-Za-z]*c[A-Za-z]*")
_VERSION = re.compile(r"[-.]?\d+(?:\.\d+)*$")
_EXTENSIONS = (".js", ".mjs", ".cjs", ".py", ".rb", ".pl", ".sh", ".exe", ".phar", ".bat", ".cmd")
#: beginnings of paths below which a system has its programs
HOME_OF_PROGRAMS = ("/usr/", "/bin/", "/sbin/", "/opt/", "/nix/", "/snap/", "/lib/", "/lib64/")
#: folders in which scripts are installed
_INSTALLED = frozenset(
    (
        ".bin",
        "bin",
        "dist",
        "dist-packages",
        "lib",
        "libexec",
        "node_modules",
        "share",
        "site-packages",
        "vendor",
    )
)
#: arguments looked at; a longer command line selects files, it does not change what the tool is
_MAX_ARGS = 512


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of data/tools.toml; the columns are explained there."""

    purpose: Purpose
    examples: tuple[str, ...]
    name: str = ""
    programs: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    mains: tuple[str, ...] = ()
    jars: tuple[str, ...] = ()
    sub: tuple[str, ...] = ()
    sub_of: dict[str, tuple[str, ...]] = {}
    goals: tuple[str, ...] = ()
    goals_nothing: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    any_flag: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    nothing: tuple[str, ...] = ()
    letters: str = ""
    blind: tuple[str, ...] = ()
    passes_on: bool = False
    subset: tuple[str, ...] = ()
    subset_ends: tuple[str, ...] = ()
    subset_has: tuple[str, ...] = ()
    subset_positionals: bool = False
    whole: tuple[str, ...] = ()
    exits: dict[str, Meaning] = {}
    otherwise: Meaning = "failed"
    hand_off: str | None = None
    wraps: bool = False
    inner: str | None = None

    def meaning(self, status: int) -> Meaning:
        """What exit ``status`` says about the work: 5 of pytest is ``empty``, 1 of grep is ``answer``."""
        if (found := self.exits.get(str(status))) is not None:
            return found
        return "ok" if status == 0 else self.otherwise


class Match(NamedTuple):
    """A recognised process."""

    tool: Tool
    #: with these arguments it does nothing of what it is for (``--collect-only``, ``--version``, ``-n``)
    runs_nothing: bool
    #: the arguments select a part (``-k``, one file)
    subset: bool
    #: with these arguments its exit status does not tell how it went (``--exit-zero``)
    blind: bool = False
    #: arguments that are no options, without the words that say which tool it is
    places: tuple[str, ...] = ()
    #: not only the places select a part, but an option (``-k``) or a text that is told by its digest alone
    by_option: bool = False


class _Interpreter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    values: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    file: tuple[str, ...] = ()
    module: str | None = None
    jar: str | None = None
    main: bool = False


class _What(NamedTuple):
    """What is really run: ``names`` to look up (best first), in which column, and its arguments.

    ``given``: ``script`` is an argument of its interpreter.
    """

    column: Literal["programs", "modules", "mains", "jars"]
    names: tuple[str, ...]
    args: Sequence[str]
    script: str | None = None
    given: bool = False


@cache
def tools() -> dict[str, Tool]:
    """All rows by name, in order. Raises msgspec.ValidationError when the table is malformed."""
    rows = msgspec.convert(_load("tools.toml"), dict[str, Tool])
    return {name: msgspec.structs.replace(tool, name=name) for name, tool in rows.items()}


def recognise(path: str, script: str | None, argv: Sequence[str]) -> Match | None:
    """The tool that a process is, or None if it is none that is known.

    Args:
        path: the program: a base name, or the file that the kernel resolved.
        script: the script that the kernel ran through ``#!``, if it did.
        argv: the whole argument vector, ``argv[0]`` included.
    """
    what = _what(path, script, argv[:_MAX_ARGS])
    return _match(what) if what is not None else None


def purpose_of(path: str, script: str | None, argv: Sequence[str]) -> Purpose | None:
    """Purpose of :func:`recognise`'s row, unless the arguments make it run nothing."""
    match = recognise(path, script, argv)
    return match.tool.purpose if match is not None and not match.runs_nothing else None


def values_of(interpreter: str) -> tuple[str, ...]:
    """Options of an interpreter, by its name without version, that take the next argument (``-X`` of ``python``)."""
    found = _interpreters().get(interpreter)
    return found.values if found is not None else ()


def program_names(path: str) -> tuple[str, ...]:
    """Names a path goes by: its base name, then without extension, then without version."""
    base = path.rsplit("/", 1)[-1].lstrip("-")
    names = [base]
    names.extend(
        base[: -len(extension)]
        for extension in _EXTENSIONS
        if base.endswith(extension) and len(base) > len(extension)
    )
    plain = _VERSION.sub("", names[-1])
    if plain and plain not in names:
        names.append(plain)
    return tuple(names)


# --- what is run ---------------------------------------------------------------------------------------


def _what(path: str, script: str | None, argv: Sequence[str]) -> _What | None:
    names = program_names(path)
    if argv and (not names[0] or _MULTI_CALL.intersection(names)):
        names = program_names(argv[0])
    interpreter = _interpreter(names)
    args = argv[1:]
    if script is not None:
        return _script(script, _after(script, args))
    if interpreter is None:
        return _What("programs", names, args, path)
    found = _interpreted(interpreter, args)
    # `node --test` and the like: the interpreter itself is the tool
    return found if found is not None else _What("programs", names, args)


def _interpreter(names: Sequence[str]) -> _Interpreter | None:
    table = _interpreters()
    return next((table[name] for name in names if name in table), None)


def _interpreted(interpreter: _Interpreter, args: Sequence[str]) -> _What | None:
    """The script, module or class in an interpreter's arguments; None when there is none."""
    position = 0
    while position < len(args):
        argument = args[position]
        rest = args[position + 1 :]
        if argument == interpreter.module:
            return _What("modules", (rest[0],), rest[1:]) if rest else None
        if argument == interpreter.jar:
            return _What("jars", (rest[0].rsplit("/", 1)[-1],), rest[1:]) if rest else None
        if argument in interpreter.stop or (interpreter.stop == ("-c",) and _bundled_c(argument)):
            return None
        if argument == "--test":
            return None  # node's own runner
        if argument in interpreter.file:
            return _script(rest[0], rest[1:], given=True) if rest else None
        if argument in interpreter.values:
            position += 2
            continue
        if argument.startswith(("-", "+")) and len(argument) > 1:
            if interpreter.module == "-m" and re.fullmatch(r"-[bBdEhiIOqsSuvx]+m", argument) and rest:
                return _What("modules", (rest[0],), rest[1:])
            position += 1
            continue
        if interpreter.main:
            return _What("mains", (argument,), rest)
        return _script(argument, rest, given=True)
    return None


def _bundled_c(argument: str) -> bool:
    """``-lc``, ``-ec``: short options that end the options with program text."""
    return _BUNDLED_C.fullmatch(argument) is not None


def _script(script: str, args: Sequence[str], *, given: bool = False) -> _What:
    return _What("programs", program_names(script), args, script, given)


def _after(script: str, args: Sequence[str]) -> Sequence[str]:
    """Arguments after the script: the kernel passes its path right after the interpreter's one option."""
    base = script.rsplit("/", 1)[-1]
    for position, argument in enumerate(args[:8]):
        if argument.rsplit("/", 1)[-1] == base:
            return args[position + 1 :]
    return args


# --- which row -----------------------------------------------------------------------------------------


class _Index(NamedTuple):
    programs: Mapping[str, tuple[Tool, ...]]
    modules: Mapping[str, tuple[Tool, ...]]
    mains: Mapping[str, tuple[Tool, ...]]
    scripts: Mapping[str, tuple[tuple[str, Tool], ...]]
    jars: tuple[tuple[str, Tool], ...]


def _candidates(what: _What) -> list[tuple[str, Tool]]:
    """Rows that could be meant, with the name under which."""
    index = _index()
    if what.column == "jars":
        return [(what.names[0], tool) for prefix, tool in index.jars if what.names[0].startswith(prefix)]
    table: Mapping[str, tuple[Tool, ...]] = getattr(index, what.column)
    found: list[tuple[str, Tool]] = []
    for name in what.names:
        if name in table:
            found = [(name, tool) for tool in table[name] if not _is_another(what, name, tool)]
            break
    if what.script is not None and "/" in what.script:
        base = what.script.rsplit("/", 1)[-1]
        known = {tool.name for _, tool in found}
        for suffix, tool in index.scripts.get(base, ()):
            here = what.script.endswith("/" + suffix) or what.script == suffix
            if here and tool.name not in known:
                found.append((what.names[-1], tool))
    return found


def _is_another(what: _What, name: str, tool: Tool) -> bool:
    """Whether a project's own program only has the tool's name: ``./test``, ``node test.js``, ``python3 serve.py``.

    One of a runner's name is held for that runner: correlator/forged.py looks at what it is.
    """
    if what.script is None or what.column != "programs" or tool.purpose == "test":
        return False
    if tool.purpose == "query":
        return what.given or ("/" in what.script and not what.script.startswith(HOME_OF_PROGRAMS))
    return what.given and name != what.names[0] and _INSTALLED.isdisjoint(what.script.split("/"))


#: an argument that is free text, or what stands for it below content level ``redacted``: at no level it is a place
_TEXT = re.compile(r"\s|(?:^|=)text:[0-9a-f]{16}")


def _match(what: _What) -> Match | None:
    best: Match | None = None
    best_score = -1
    for name, tool in _candidates(what):
        words = _positionals(what.args, tool.values)
        score, rest = _fit(tool, name, words, what.args)
        if score <= best_score:
            continue
        if tool.inner is not None:
            inner = _inner(tool, what.args)
            if inner is not None:
                best, best_score = inner, score
                continue
        best_score = score
        best = Match(
            tool,
            _runs_nothing(tool, what.args, rest),
            _subset(tool, what.args, rest),
            any(_has_flag(flag, what.args, tool) for flag in tool.blind),
            tuple(word for word in rest if not _TEXT.search(word)),
            _by_option(tool, what.args) or any(map(_TEXT.search, rest)),
        )
    return best


def _fit(tool: Tool, name: str, words: list[str], args: Sequence[str]) -> tuple[int, list[str]]:
    """How specific a row that applies is (-1: it does not), and the positional words after its ``sub``."""
    if any(flag not in args for flag in tool.flags):
        return -1, words
    if tool.any_flag and not any(flag in args for flag in tool.any_flag):
        return -1, words
    score = 5 * (len(tool.flags) + bool(tool.any_flag))
    if words and words[0].startswith("+"):
        words = words[1:]  # cargo +nightly
    subs = tool.sub_of.get(name, tool.sub)
    rest = words
    if subs:
        length = -1
        for sub in subs:
            if sub.startswith("-"):  # pacman -S
                length = max(length, 0 if sub in args else -1)
                continue
            wanted = sub.split()
            if (wanted == words[: len(wanted)] if wanted else not words) and len(wanted) > length:
                length = len(wanted)
        if length < 0:
            return -1, words
        score += 10 * max(length, 1)
        rest = words[length:]
    if tool.goals:
        if not any(word.rsplit(":", 1)[-1].rsplit(".", 1)[-1] in tool.goals for word in words):
            return -1, words
        score += 5
    if tool.goals_nothing and words and all(word in tool.goals_nothing or "=" in word for word in words):
        return -1, words
    return score, rest


def _inner(tool: Tool, args: Sequence[str]) -> Match | None:
    """``coverage run -m pytest``: the module runs in the same process, so it is what the process is."""
    interpreter = _interpreters()[str(tool.inner)]
    for position, argument in enumerate(args):
        if argument in tool.sub:
            what = _interpreted(interpreter, args[position + 1 :])
            return _match(what) if what is not None else None
    return None


def _positionals(args: Sequence[str], values: Sequence[str]) -> list[str]:
    words: list[str] = []
    skip = False
    for argument in args:
        if skip:
            skip = False
        elif argument.startswith("-") and len(argument) > 1:
            skip = argument in values
        else:
            words.append(argument)
    return words


def _runs_nothing(tool: Tool, args: Sequence[str], rest: Sequence[str]) -> bool:
    for flag in tool.nothing:
        if " " in flag:
            first, second = flag.split(" ", 1)
            if any(pair == (first, second) for pair in pairwise(args)):
                return True
        elif flag.startswith("-"):
            if _has_flag(flag, args, tool):
                return True
        elif rest and rest[0] == flag:
            return True
    return False


def _by_option(tool: Tool, args: Sequence[str]) -> bool:
    flags = (flag for flag in tool.subset if flag.startswith(("-", ":")))
    return any(_has_flag(flag, args, tool, takes_value=True) for flag in flags)


def _subset(tool: Tool, args: Sequence[str], rest: Sequence[str]) -> bool:
    if _by_option(tool, args):
        return True
    for word in rest:
        if word in tool.whole:
            continue
        if tool.subset_positionals or word in tool.subset:
            return True
        if word.endswith(tool.subset_ends) or any(part in word for part in tool.subset_has):
            return True
    return False


#: values with which an option is off
_OFF = frozenset({"false", "no", "none", "off", "0"})


def _has_flag(flag: str, args: Sequence[str], tool: Tool, *, takes_value: bool = False) -> bool:
    previous = ""
    for argument in args:
        if argument == "--" and not tool.passes_on:
            return False
        is_value = previous in tool.values and previous != flag
        previous = argument
        if is_value:
            continue
        if argument == flag:
            return True
        if argument.startswith(flag + "=") and argument[len(flag) + 1 :].lower() not in _OFF:
            return True
        if tool.letters and len(flag) == len("-k") and _stands_with_others(flag, argument, tool, takes_value):
            return True
    return False


def _stands_with_others(flag: str, argument: str, tool: Tool, takes_value: bool) -> bool:
    """Whether ``argument`` has the option among others of one letter: -n in ``-sn``, but not in ``-Cbin``.

    ``takes_value``: what follows it may be its value (``-qkfast``).
    """
    before, found, after = argument[1:].partition(flag[1])
    others = before if takes_value else before + after
    single = argument[:1] == "-" and argument[1:2] != "-"
    return single and bool(found) and all(letter in tool.letters for letter in others)


@cache
def _index() -> _Index:
    programs: dict[str, list[Tool]] = {}
    modules: dict[str, list[Tool]] = {}
    mains: dict[str, list[Tool]] = {}
    scripts: dict[str, list[tuple[str, Tool]]] = {}
    jars: list[tuple[str, Tool]] = []
    for tool in tools().values():
        for table, names in ((programs, tool.programs), (modules, tool.modules), (mains, tool.mains)):
            for name in names:
                table.setdefault(name, []).append(tool)
        for suffix in tool.scripts:
            scripts.setdefault(suffix.rsplit("/", 1)[-1], []).append((suffix, tool))
        jars.extend((prefix, tool) for prefix in tool.jars)
    return _Index(
        {name: tuple(rows) for name, rows in programs.items()},
        {name: tuple(rows) for name, rows in modules.items()},
        {name: tuple(rows) for name, rows in mains.items()},
        {name: tuple(rows) for name, rows in scripts.items()},
        tuple(jars),
    )


@cache
def telling_words() -> dict[str, tuple[str, ...]]:
    """For each purpose, words that stand in the command line of an unknown program that does such work."""
    return msgspec.convert(_load("telling_words.toml"), dict[str, tuple[str, ...]])


@cache
def _interpreters() -> dict[str, _Interpreter]:
    return msgspec.convert(_load("interpreters.toml"), dict[str, _Interpreter])


def _load(name: str) -> dict[str, object]:
    return tomllib.loads(resources.files("polygraph").joinpath("data", name).read_text("utf-8"))
