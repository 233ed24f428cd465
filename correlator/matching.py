"""Whether an executed image is a program that a tool call expects."""

from __future__ import annotations

from correlator.programs import identify, plain, program_name
from polygraph.events import Exec, Execution


def is_of(expected: Execution, image: Exec) -> bool:
    """Whether the image is the expected program: the same tool, or the same name."""
    if expected.tool is not None:
        match = identify(image)
        if match is not None:
            return match.tool.name == expected.tool
    name = expected.program.rpartition("/")[2]
    names = {program_name(image), image.path.rpartition("/")[2]}
    if image.argv:
        names.add(image.argv[0].rpartition("/")[2])
    return name in names or plain(name) in {plain(n) for n in names}


def arguments_agree(expected: Execution, image: Exec) -> bool:
    """Whether every expected argument that the shell would not have changed stands in argv."""
    literal = [a for a in expected.args if a and not any(c in a for c in "$*?[]{}~`'\"\\<>")]
    return set(literal) <= set(image.argv)
