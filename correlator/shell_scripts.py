"""Shell scripts of the project that did work of a kind with builtins alone: `bash test.sh`, functions and `[`.

A shell runs nothing but builtins and what it starts, which is looked at by itself, so it is no suspect. But what is
written in shell is tested in shell. A script of a telling name that only prints does not do what these do: it makes
no copies of itself (`$(add 2 3)`), runs no other script of the project, and builds nothing that it leaves in a file.
"""

from __future__ import annotations

from correlator.paths import normalise
from correlator.places import is_project_file
from correlator.programs import is_shell
from correlator.session import Session
from polygraph.events import Exec
from polygraph.tools import telling_words

#: later than anything
_ANY_TIME = 1 << 63
_CHECKS = frozenset({"test", "lint", "typecheck"})


def is_one(session: Session, image: Exec, purpose: str | None) -> bool:
    """Whether it is a script of the project whose name or arguments speak of such work."""
    if purpose not in _CHECKS and purpose != "build":
        return False
    script = _script(image) if is_shell(image) else None
    words = telling_words().get(purpose, ())
    line = " ".join(image.argv[1:]).lower()
    return script is not None and any(word in line for word in words) and _is_ours(session, image, script)


def may_have_done(session: Session, image: Exec, purpose: str | None) -> bool:
    """Whether such a script did more than print, as far as is known by now."""
    if not is_one(session, image, purpose):
        return False
    below = session.tree.subtree(image.process)
    if purpose == "build":
        return any(
            touch.event.process in below and is_project_file(touch.path, session.roots)
            for touch in session.written(image.ts, _ANY_TIME)
        )
    for key in below - {image.process}:
        node = session.tree.get(key)
        if node is None:
            continue
        if node.forked and not (node.images or node.failed):
            return True
        for other in node.images:
            script = _script(other) if is_shell(other) else None
            if script is not None and _is_ours(session, other, script):
                return True
    return False


def _is_ours(session: Session, image: Exec, script: str) -> bool:
    return is_project_file(normalise(script, image.cwd), session.roots)


def _script(image: Exec) -> str | None:
    """The file that a shell runs; None where commands are an argument or its input."""
    if image.script:
        return image.script
    for argument in image.argv[1:]:
        if not argument.startswith(("-", "+")):
            return argument
        if not argument.startswith("--") and ("c" in argument or "s" in argument):
            return None
    return None
