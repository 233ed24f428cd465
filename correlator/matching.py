"""Whether an executed image is a program that was named, or that a tool call expects."""

from __future__ import annotations

from correlator.programs import identify, plain, program_name
from polygraph.events import Exec, Execution

#: what a shell changes in a word before the program gets it
_CHANGED = frozenset("$*?[]{}~`'\"\\<>")


def is_of(expected: Execution, image: Exec) -> bool:
    """Whether the image is the expected program: the same tool, or the same name."""
    match = identify(image) if expected.tool is not None else None
    if match is not None:
        return match.tool.name == expected.tool
    return is_named(image, expected.program)


def is_named(image: Exec, name: str) -> bool:
    """Whether it is what a person calls so: by its file, its script or its first argument, whatever their versions."""
    return plain(name) in map(plain, (program_name(image), image.path, *image.argv[:1]))


def arguments_agree(expected: Execution, image: Exec) -> bool:
    """Whether every expected argument that the shell would not have changed stands in argv."""
    return {a for a in expected.args if a and _CHANGED.isdisjoint(a)}.issubset(image.argv)
