"""Kinds of effect: what another effect must share with one to be nothing new. Pure.

The same operation on the same file, the same program, its same end, the same host. What changes from run to run and
is no content (temporary files, caches, ports that the kernel gives away) is of no kind.
"""

from __future__ import annotations

from functools import lru_cache

from correlator.paths import basename
from correlator.places import is_content, is_project_file, is_temporary
from correlator.programs import script_of
from correlator.session import Session
from polygraph.events import Exec, ExecFailed, Exit, File, Net

EffectKind = tuple[object, ...]
Effect = File | Exec | Exit | ExecFailed | Net
#: the same, for ``isinstance``: a tuple is quicker than a union
EFFECTS = (File, Exec, Exit, ExecFailed, Net)

#: kinds of effect that are remembered: as many at least, twice as many at most; one that was forgotten is new again
MAX_KINDS = 8192

#: places of the kernel and of daemons, whose names change from run to run
_STATE = ("/dev/", "/proc/", "/sys/", "/run/", "/var/run/")
#: from here on the kernel chooses a port by itself
_EPHEMERAL = 32768


class Kinds:
    """When an effect of each kind was seen last, in numbers that only grow."""

    def __init__(self) -> None:
        # Two halves, of which the older one is dropped whole: quicker than to keep an order.
        self._young: dict[EffectKind, int] = {}
        self._old: dict[EffectKind, int] = {}

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def before(self, session: Session, event: Effect, now: int) -> int:
        """When one of its kind was seen before, 0 if it was not; ``now`` if ``event`` says nothing."""
        kind = _kind_of(session, event)
        if kind is None:
            return now
        before = self._young.get(kind)
        if before is None:
            before = self._old.get(kind, 0)
            if not before and isinstance(event, File) and not _counts(_path(event), session.roots):
                return now
        if before != now:
            if len(self._young) >= MAX_KINDS:
                self._old, self._young = self._young, {}
            self._young[kind] = now
        return before


def _kind_of(session: Session, event: Effect) -> EffectKind | None:
    """The kind of an effect that ``session`` has taken in; None for what says nothing."""
    match event:
        case File():
            if event.memfd or (event.op == "read" and (event.errno or event.sensitive is None)):
                return None
            return (event.op, _path(event), event.errno)
        case Exec():
            return ("exec", _name(event))
        case Exit():
            image = session.tree.image(event.process, event.ts)
            return ("exit", _name(image), event.status, event.signal) if image is not None else None
        case ExecFailed():
            return ("exec_failed", event.path, event.errno)
        case Net():
            if event.family == "unix" or session.is_agent(event.process, event.ts):
                return None  # the agent's own connections go to whichever address of the provider answers
            port = event.port if event.port < _EPHEMERAL else 0
            return ("net", event.op, event.address, port, event.errno)


def _path(event: File) -> str:
    return event.new_path or event.path


@lru_cache(maxsize=MAX_KINDS)
def _counts(path: str, roots: tuple[str, ...]) -> bool:
    """Whether a file is content, of the project or elsewhere, and none of caches, state or temporary files."""
    if is_project_file(path, roots):
        return True
    return (
        path.startswith("/")
        and not path.startswith(_STATE)
        and not is_temporary(path)
        and is_content(path[1:])
    )


def _name(image: Exec) -> str:
    """The program; a script in a temporary directory, whose name may be another each time, by its interpreter."""
    what = script_of(image) or image.path
    return basename(image.path) if is_temporary(what) else what
