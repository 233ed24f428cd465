"""What an executed image is: a known tool, an inert program, a hand-off, the agent's own, or unknown."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib import resources

import msgspec

from correlator.paths import basename, normalise
from polygraph.events import Exec
from polygraph.tools import HOME_OF_PROGRAMS, Match, recognise, telling_words, values_of

_VERSION = re.compile(r"[-.]?\d[\d.]*$")
#: bytes and words of a command line that is remembered with what it is: a bound for what a process can make us keep
_SHORT, _FEW = 4096, 64


class Programs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/programs.toml."""

    inert: frozenset[str]
    wrappers: frozenset[str]
    shells: frozenset[str]
    builtins: frozenset[str]
    interpreters: frozenset[str]
    inert_modules: frozenset[str]
    steps_are_programs: frozenset[str]
    tests_are_programs: frozenset[str]
    compilers: frozenset[str]
    not_files: frozenset[str]
    change_no_content: frozenset[str]
    written_in_shell: frozenset[str]
    forks_nothing: frozenset[str]
    installed: frozenset[str]
    brought: frozenset[str]
    taken_in: frozenset[str]
    built_into: frozenset[str]
    archives: frozenset[str]
    assembles: frozenset[str]
    copy_input: frozenset[str]
    project_scripts: frozenset[str]
    places_are_paths: frozenset[str]
    places_are_packages: frozenset[str]
    places_are_patterns: frozenset[str]
    options_alone: frozenset[str]
    chooses_by_change: frozenset[str]
    inert_tools: frozenset[str]
    git_only_looks: frozenset[str]
    git_shows: frozenset[str]
    git_brings_in: frozenset[str]
    git_changes: frozenset[str]
    git_keeps_nothing: frozenset[str]
    git_shows_with: dict[str, tuple[str, ...]]
    opens_for_itself: frozenset[str]
    stop_reading: dict[str, tuple[str, ...]]
    inline: dict[str, tuple[str, ...]]
    asked_about_itself: dict[str, tuple[str, ...]]
    only_parsed: dict[str, tuple[str, ...]]
    runs_what_is_in: dict[str, tuple[str, ...]]
    compares: dict[str, tuple[str, ...]]
    sends: dict[str, tuple[str, ...]]
    names: dict[str, str]
    hand_off: dict[str, str]
    also: dict[str, frozenset[str]]


@cache
def programs() -> Programs:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("correlator").joinpath("data/programs.toml").read_text("utf-8"))
    return msgspec.convert(raw, Programs)


def plain(name: str) -> str:
    """A program's base name without version: ``python3.11`` -> ``python``, ``-bash`` -> ``bash``."""
    name = basename(name).lstrip("-")
    return _VERSION.sub("", name) or name


def is_shell(image: Exec) -> bool:
    """Whether the image is a command shell."""
    return plain(image.path) in programs().shells or (
        plain(image.path) == "busybox" and bool(image.argv) and plain(image.argv[0]) in programs().shells
    )


def script_of(image: Exec) -> str | None:
    """The script that an interpreter runs: the kernel's word, else its first argument that is no option."""
    if image.script:
        return image.script
    if plain(image.path) not in programs().interpreters:
        return None
    values = values_of(plain(image.path))
    is_value = False
    for argument in image.argv[1:]:
        if is_value:
            is_value = False
        elif argument in values:
            is_value = True
        elif argument in ("-c", "-m", "-e", "-p", "--eval", "--print"):
            return None
        elif not argument.startswith("-"):
            return argument
    return None


def shell_file(image: Exec) -> str | None:
    """The file that a shell runs: its argument, where it was not told to take commands from there or its input."""
    first = image.argv[1] if len(image.argv) > 1 else None
    return None if first is None or (first.startswith("-") and ("c" in first or "s" in first)) else first


def is_inline(image: Exec) -> bool:
    """Whether an interpreter's whole program stands in its arguments: nothing but single letters came before it."""
    flags = programs().inline.get(plain(image.path), ())
    for argument in image.argv[1:-1]:
        if argument in flags:
            return True
        if len(argument) != len("-c") or argument[0] != "-":
            return False
    return False


def may_speak_of(image: Exec, words: Sequence[str]) -> bool:
    """Whether the arguments hold one of the words, or say that the work stands elsewhere; or were not seen whole."""
    line = " ".join(image.argv[1:]).lower()
    return image.argv_truncated or any(word in line for word in (*words, *telling_words()["elsewhere"]))


def _is_asked_about_itself(image: Exec) -> bool:
    """Whether an interpreter is only to tell its version, and runs no program."""
    return len(image.argv) > 1 and all(
        a in programs().asked_about_itself.get(plain(image.path), ()) for a in image.argv[1:]
    )


def only_parses(image: Exec) -> bool:
    """Whether an interpreter is only to look whether programs can be read (`node --check a.js`)."""
    first, *rest = (*image.argv[1:], "")
    return first in programs().only_parsed.get(plain(image.path), ()) and not any(
        argument.startswith("-") for argument in rest
    )


def program_name(image: Exec) -> str:
    """The name that a person would give to what runs: the script's, the applet's, else the file's."""
    script = script_of(image)
    if script is not None:
        return basename(script)
    name = basename(image.path)
    if name in ("busybox", "toybox", "coreutils") and image.argv:
        return basename(image.argv[0])
    return name


def identify(image: Exec) -> Match | None:
    """The row of data/tools.toml that the image is, if any."""
    if image.argv_bytes > _SHORT or len(image.argv) > _FEW:
        return recognise(image.path, image.script, image.argv)
    return _recognised(image.path, image.script, image.argv)


@lru_cache(maxsize=1024)  # rules ask for the same image again and again, and agents run the same commands
def _recognised(path: str, script: str | None, argv: tuple[str, ...]) -> Match | None:
    return recognise(path, script, argv)


def hand_off_to(image: Exec) -> str | None:
    """Where the work of this program happens, when it is not in the lineage."""
    return programs().hand_off.get(program_name(image))


def is_inert(image: Exec, roots: tuple[str, ...]) -> bool:
    """Whether the image is known to run nothing by itself: what it starts is seen as an exec of its own.

    A program of a known name that lies where none is installed is not the known one, nor is a script of one: what
    counts is where that is, not its interpreter. Nor is one that is given a program of somebody else (`jq -f a.jq`).
    """
    table = programs()
    if is_shell(image) or _is_asked_about_itself(image):
        return _is_installed(image.path, roots)
    name = program_name(image)
    if not (name in table.inert or name in table.wrappers or plain(name) in table.shells):
        return False
    if any(argument in table.runs_what_is_in.get(name, ()) for argument in image.argv[1:]):
        return False
    script = script_of(image)
    return _is_installed(image.path if script is None else normalise(script, image.cwd), roots)


def _is_installed(path: str, roots: tuple[str, ...]) -> bool:
    """Whether a program of a known name that lies there is the known one."""
    if path.startswith(HOME_OF_PROGRAMS):
        return True
    folders = path.split("/")[:-1]
    if any(path.startswith(root.rstrip("/") + "/") for root in (*roots, "/tmp", "/var/tmp")):
        return not programs().brought.isdisjoint(folders)
    return not programs().installed.isdisjoint(folders)


def compares(image: Exec) -> bool:
    """Whether it is an inert program whose status is the answer to a question: of a test it may be the whole."""
    flags = programs().compares.get(program_name(image))
    return flags is not None and (not flags or any(a.startswith(flags) for a in image.argv[1:]))


def sends(image: Exec) -> bool:
    """Whether it is an inert program that may send to a server what it is to keep (`curl -X PUT`)."""
    flags = programs().sends.get(program_name(image), ())
    return any(argument.startswith(flags) for argument in image.argv[1:] if flags)


def names_work(image: Exec, purpose: str) -> bool:
    """Whether the command line has a word of such work, or the name of a file that is called after it (`./t`)."""
    line = " ".join(image.argv).lower()
    if any(word in line for word in telling_words().get(purpose, ())):
        return True
    pattern = programs().names.get(purpose)
    return pattern is not None and any(re.fullmatch(pattern, argument) for argument in image.argv)


def changes_no_content(image: Exec, roots: tuple[str, ...]) -> bool:
    """Whether the image opens files for writing and leaves their content as it is (touch)."""
    return program_name(image) in programs().change_no_content and is_inert(image, roots)


def may_stop_reading(image: Exec) -> bool:
    """Whether the image may leave a pipe before its end (`head`), so that who writes to it fails."""
    flags = programs().stop_reading.get(plain(image.path))
    return flags is not None and (not flags or any(a.startswith(flags) for a in image.argv[1:]))


def compiles(image: Exec) -> bool:
    """Whether it is a compiler's or a linker's own program as it is installed, by any triple before its name."""
    name = plain(image.path)
    known = programs().compilers
    installed = image.path.startswith(HOME_OF_PROGRAMS)
    return installed and image.script is None and (name in known or name.rpartition("-")[2] in known)


def git_may_publish(image: Exec) -> bool:
    """Whether this is a git whose subcommand may make or send a commit under another name (merge, an alias)."""
    subcommand, _ = git_subcommand(image)
    return bool(subcommand) and subcommand not in programs().git_only_looks


def git_shows_files(image: Exec) -> bool:
    """Whether this is a git that may show what is in a file without opening it."""
    subcommand, arguments = git_subcommand(image)
    table = programs()
    if subcommand in table.git_shows_with:
        return any(a.startswith(table.git_shows_with[subcommand]) for a in arguments)
    known = table.git_only_looks | table.git_changes
    return subcommand in table.git_shows or (bool(subcommand) and subcommand not in known)


def git_takes_in(image: Exec) -> bool:
    """Whether this is a git that opens changed files in order to commit them: `git add`, `git commit -a`."""
    subcommand, arguments = git_subcommand(image)
    if subcommand in ("add", "stage"):
        return True
    flags = [a for a in arguments if a.startswith("-")]
    return subcommand == "commit" and any(
        a == "--all" or (a[1:2] != "-" and "a" in a.partition("m")[0]) for a in flags
    )


def git_brings_in(image: Exec) -> bool:
    """Whether this is a git that takes changes of others into the work tree (merge, cherry-pick)."""
    subcommand, arguments = git_subcommand(image)
    return subcommand in programs().git_brings_in and not any(
        a.startswith(("--abort", "--quit", "--continue", "--skip")) for a in arguments
    )


def git_subcommand(image: Exec) -> tuple[str, tuple[str, ...]]:
    """The subcommand of a git and its arguments; empty for every other program."""
    if program_name(image) != "git":
        return "", ()
    skip = False
    for at, argument in enumerate(image.argv[1:], 2):
        if skip:
            skip = False
        elif argument in ("-C", "-c", "--git-dir", "--work-tree", "--namespace"):
            skip = True
        elif not argument.startswith("-"):
            return argument, image.argv[at:]
    return "", ()


def image_key(image: Exec) -> tuple[str, ...]:
    """What makes two images the same program at work, for telling an agent's own processes.

    An interpreter or a shell is what its whole command line says; any other program is its file.
    """
    if is_shell(image):
        return (image.path, *image.argv)
    if plain(image.path) in programs().interpreters:
        script = script_of(image)
        return (image.path, script) if script is not None else (image.path, *image.argv)
    return (image.path,)
