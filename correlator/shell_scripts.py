"""Shell scripts of the project that did work of a kind with builtins alone: `bash test.sh`, functions and `[`.

A shell runs nothing but builtins and what it starts, which is looked at by itself, so it is no suspect. But what is
written in shell is tested in shell. A script of a telling name that only prints does not do what these do: it makes
no copies of itself (`$(add 2 3)`), reads in and runs no other code of the project, asks nothing of a program whose
status is the answer (`diff`, `grep -q`), and builds nothing that it leaves in a file.
"""

from __future__ import annotations

from correlator.paths import basename, normalise
from correlator.places import is_code, is_project_file
from correlator.programs import compares, is_shell, names_work, plain, programs
from correlator.session import Session
from polygraph.events import Exec, Intent
from polygraph.tools import telling_words

#: later than anything
_ANY_TIME = 1 << 63
_CHECKS = frozenset({"test", "lint", "typecheck"})
#: builtins that read a script in, and those whose status is an answer
_READ_IN = frozenset({".", "source"})
_QUESTIONS = frozenset({"[", "[[", "test"})


def is_one(session: Session, image: Exec, purpose: str | None) -> bool:
    """Whether it is a script of the project whose name or arguments speak of such work, or that opened a test.

    So is a shell of a command that takes what it runs from its input: what that is called is not known.
    """
    if purpose is None or (purpose not in _CHECKS and purpose != "build") or not is_shell(image):
        return False
    script = file_of(image)
    if script is None:
        return _takes_input(session, image)
    if not _is_ours(session, image, script):
        return False
    return (purpose == "test" and opened_a_test(session, image)) or names_work(image, purpose)


def opened_a_test(session: Session, image: Exec) -> bool:
    """Whether the process itself opened one of the tests that are known."""
    opened = session.process_reads.get(image.process, ())
    return any(inode in session.test_inodes for inode, _ in opened)


def may_have_done(session: Session, image: Exec, purpose: str | None) -> bool:
    """Whether such a script did more than print, as far as is known by now."""
    return is_one(session, image, purpose) and did_more(session, image, purpose)


def is_step(session: Session, image: Exec) -> bool:
    """Whether it is a script of the project that did more than print, whatever its name is: a step of a test."""
    script = file_of(image) if is_shell(image) else None
    return script is not None and _is_ours(session, image, script) and did_more(session, image, "test")


def did_more(session: Session, image: Exec, purpose: str | None) -> bool:
    """Whether a script did more than print, as far as is known by now."""
    below = session.tree.subtree(image.process)
    if purpose == "build":
        return any(
            touch.event.process in below and is_project_file(touch.path, session.roots)
            for touch in session.written(image.ts, _ANY_TIME)
        )
    if _opened_code(session, image) or plain(image.path) in programs().forks_nothing:
        return True
    for key in below - {image.process}:
        node = session.tree.get(key)
        if node is None:
            continue
        if node.forked and not (node.images or node.failed):
            return True
        for other in node.images:
            if compares(other):
                return True
            script = file_of(other) if is_shell(other) else None
            if script is not None and _is_ours(session, other, script):
                return True
    return False


def sourced(session: Session, intent: Intent, purpose: str | None) -> str | None:
    """A script of the project that the tool call's own shell was to read in order to do such work (`. ./test.sh`)."""
    if purpose not in _CHECKS and purpose != "build":
        return None
    words = telling_words().get(purpose, ())
    asks = purpose == "test" and any(one.program in _QUESTIONS for one in intent.executions)
    for one in intent.executions:
        if one.program not in _READ_IN or not one.args:
            continue
        path = normalise(one.args[0], session.cwd)
        named = asks or any(word in one.args[0].lower() for word in words)
        if named and is_project_file(path, session.roots) and not _is_activation(path):
            return one.args[0]
    return None


def reads_in(intent: Intent) -> bool:
    """Whether :func:`sourced` may find something in it."""
    return any(one.program in _READ_IN for one in intent.executions)


def _is_activation(path: str) -> bool:
    """Whether it sets an environment up, as those of Python are."""
    return basename(path).startswith("activate")


def _opened_code(session: Session, image: Exec) -> bool:
    """Whether the shell itself opened code of the project beside the script: it read that in."""
    script = file_of(image)
    itself = normalise(script, image.cwd) if script is not None else None
    return any(
        path != itself and is_code(path) and is_project_file(path, session.roots)
        for inode, read in session.process_reads.get(image.process, ())
        for path in session.names_of(inode, read.ts)
    )


def _takes_input(session: Session, image: Exec) -> bool:
    """Whether a command gives it its commands (`cat test.sh | bash`). Those of the agent's own shell are tool calls."""
    node = session.tree.get(image.process)
    below = node is not None and node.parent is not None and not session.is_agent(node.parent, image.ts)
    return below and all(argument in ("-", "-s", "-e", "-x", "-u") for argument in image.argv[1:])


def _is_ours(session: Session, image: Exec, script: str) -> bool:
    return is_project_file(normalise(script, image.cwd), session.roots)


def file_of(image: Exec) -> str | None:
    """The file that a shell runs; None where commands are an argument or its input."""
    if image.script:
        return image.script
    for argument in image.argv[1:]:
        if not argument.startswith(("-", "+")):
            return argument
        if not argument.startswith("--") and ("c" in argument or "s" in argument):
            return None
    return None
