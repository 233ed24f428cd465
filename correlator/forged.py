"""Is a runner the one that was installed, or was it written in this session by the agent's hand?

A file under a runner's name that the agent wrote itself, or that a shell of its own wrote for it, is no installed
program; what an installer, a build, git or an unknown program put there may be one. What such a file does when it is
run is another question: it may go on as the real runner.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from correlator.hands import by_agent
from correlator.paths import normalise
from correlator.programs import is_shell, program_name, programs, script_of, shell_file
from correlator.session import Known, Session, Touch
from polygraph.events import Exec

_COPIES = frozenset({"cp", "install"})
_MADE = frozenset({"create", "write", "truncate"})


def is_forged(session: Session, known: Known) -> bool:
    """Whether the file that ran under the name of a known tool was written by hand in this session, before it ran."""
    if known.match.tool.name in programs().project_scripts:
        return False
    image = known.image
    path = _file(image)
    if path is not None:
        return _made_by_hand(session, path, image)
    return any(
        _made_by_hand(session, path, image) and _opened(session, path, image) for path in _modules(known)
    )


class Doubt(NamedTuple):
    """The files that decide whether a runner is the installed one, and whether one of them was written by hand."""

    files: tuple[str, ...]
    found: bool


def may_be_forged(session: Session, known: Known) -> Doubt:
    """Whether it is, or may turn out to be when more is known of what was read; more writes leave a no as it is."""
    path = _file(known.image)
    files = (path,) if path is not None else tuple(_modules(known))
    return Doubt(files, any(_made_by_hand(session, path, known.image) for path in files))


def _file(image: Exec) -> str | None:
    """The file that makes the process what it is; None if it is a module of an interpreter."""
    script = script_of(image)
    if script is not None:
        return normalise(script, image.cwd)
    return None if image.argv[1:2] == ("-m",) or "-m" in image.argv else image.path


def _modules(known: Known) -> Iterator[str]:
    """Where Python finds the module of ``-m`` first: in the working directory."""
    folder = known.image.cwd.rstrip("/")
    for module in known.match.tool.modules:
        name = module.replace(".", "/")
        yield f"{folder}/{name}.py"
        yield f"{folder}/{name}/__main__.py"
        yield f"{folder}/{name}/__init__.py"


def _opened(session: Session, path: str, image: Exec) -> bool:
    inodes = session.inodes_of(path, image.ts)
    return any(inode in inodes for inode, _ in session.process_reads.get(image.process, ()))


def _made_by_hand(session: Session, path: str, image: Exec) -> bool:
    made = [touch for touch in session.touches.get(path, ()) if touch.first < image.ts]
    # What ran below a script tells nothing of a runner that is one itself; so a copy of one is looked at closer.
    copies = program_name(image) in programs().written_in_shell
    return bool(made) and all(_by_hand(session, touch, copies=copies) for touch in made)


def _by_hand(session: Session, touch: Touch, *, copies: bool) -> bool:
    """Whether the agent itself wrote it, or a shell of a command of its own, or what only copies its input.

    What was written before a model was asked is the harness's own business. ``copies``: `cp` is a hand as well.
    """
    if session.startup_end is None or touch.first <= session.startup_end:
        return False
    process = touch.event.process
    if touch.event.op not in _MADE:
        # An editor's own save is a rename; `mv` and `ln` may bring the real one.
        return touch.event.op == "rename" and session.is_agent(process, touch.first)
    copying = programs().copy_input | programs().wrappers | (_COPIES if copies else frozenset())

    def only_copies(image: Exec) -> bool:
        if not is_shell(image):
            return program_name(image) in copying
        file = script_of(image) or shell_file(image)
        # else a script that somebody else may have written
        return file is None or _of_the_agent(session, normalise(file, image.cwd), image)

    return by_agent(session, touch, only_copies)


def _of_the_agent(session: Session, path: str, image: Exec) -> bool:
    """Whether the agent itself wrote the script: some hand a command to a shell that way."""
    made = [touch for touch in session.touches.get(path, ()) if touch.first < image.ts]
    return bool(made) and all(session.is_agent(touch.event.process, touch.first) for touch in made)
