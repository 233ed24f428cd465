"""Runs of known tools (tests, builds, linters, installs, commits): what they were and how they ended.

The status that counts is the one of the process that the claim speaks of, not what a shell reported.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal

from correlator import shell_scripts
from correlator.apart import apart
from correlator.commands_over import CommandsOver
from correlator.delegation import handed_to
from correlator.forged import is_forged
from correlator.paths import basename
from correlator.processes import Node
from correlator.programs import compares, is_shell, program_name, programs
from correlator.session import Known, Session
from correlator.suspects import is_suspect
from polygraph.events import Claim, Exec, Exit, ProcessKey
from polygraph.tools import Match

Word = Literal["ok", "failed", "error", "empty", "pipe", "running", "nothing", "replaced"]

_SIGPIPE = 13
#: how others end a process: it says nothing of the work (SIGHUP, SIGINT, SIGKILL, SIGTERM)
_ENDED_BY_OTHERS = frozenset({1, 2, 9, 15})


@dataclass(frozen=True, slots=True)
class Run:
    """One run: the outermost process of the tool, and runs of the same purpose that it started."""

    image: Exec
    match: Match
    word: Word
    exit: Exit | None
    #: a wrapper's failed inner runs that nothing made good later
    inner_failed: tuple[Run, ...] = ()
    inner: tuple[Run, ...] = ()
    #: a wrapper below which only inert programs ran, and runs that ran nothing
    hollow: bool = False
    #: a shell script under the tool's name, below which only inert programs ran
    shadowed: bool = False
    #: a file that was written by hand in this session under the tool's name
    forged: bool = False
    #: only inert programs ran below it, and no copy of it: what it did, it did in its own code
    alone: bool = False
    #: it ended well, and its own result says that it ran no test
    told: Claim | None = None

    @property
    def nothing(self) -> bool:
        """Nothing of what it is for was run."""
        return self.word == "empty" or self.hollow or self.shadowed or self.told is not None

    @property
    def good(self) -> bool:
        """It ended well, and did something of what it is for."""
        return self.word == "ok" and not self.nothing

    @property
    def interrupted(self) -> bool:
        """It was ended from outside, or never came to run anything: a failure that is none of the work."""
        signal = self.exit.signal if self.exit is not None else None
        return self.word == "error" or signal in _ENDED_BY_OTHERS

    @property
    def process(self) -> ProcessKey:
        """The process that ran it."""
        return self.image.process

    @property
    def ended(self) -> int:
        """When it ended, or began if it has not ended."""
        return self.exit.ts if self.exit is not None else self.image.ts

    @property
    def targets(self) -> frozenset[str]:
        """Arguments that are no options: the part of the project that it was pointed at."""
        skip = {self.image.path, self.image.script or "", program_name(self.image)}
        words = [a for a in self.image.argv[1:] if not a.startswith("-") and a not in skip]
        # A shell that runs the runner's own script has that among its arguments: `bash /usr/libexec/bats-core/bats`.
        words = [word for word in words if basename(word) not in self.match.tool.programs]
        return frozenset(w for w in words if "/" in w or "." in w or "::" in w) - {"."}

    @property
    def place(self) -> tuple[str, str]:
        """The tool, and where it ran."""
        return (self.match.tool.name, self.image.cwd)

    @property
    def key(self) -> tuple[str, str, frozenset[str]]:
        """Runs with equal keys are runs of the same thing."""
        return (self.match.tool.name, self.image.cwd, self.targets)


@dataclass(slots=True)
class _Building:
    known: Known
    node: Node
    forged: bool
    inner: list[_Building] = field(default_factory=list)

    @property
    def wraps(self) -> bool:
        """What it starts is what it is for: make, npm, and a script under the name of a runner."""
        return self.known.match.tool.wraps or self.forged or _is_script(self.known)


def find_runs(session: Session, purpose: str, since: int, until: int) -> list[Run]:
    """Outermost runs of tools of ``purpose`` that began in [since, until], in order, as they stood at ``until``.

    A runner below a runner is that one's own business (a test suite of a test runner); one below a wrapper
    (make, npm, tox) is what the wrapper is for.
    """
    return session.part(CommandsOver).runs(purpose, since, until, outermost)


def outermost(session: Session, images: Sequence[Known], until: int) -> list[Run]:
    """The outermost runs among ``images``, worked out anew."""
    last = {known.image.process: known for known in sorted(images, key=_began)}
    building = {
        node.key: _Building(known, node, is_forged(session, known))
        for known in sorted(last.values(), key=_began)
        if (node := session.tree.get(known.image.process)) is not None
    }
    outer: list[_Building] = []
    for key, item in building.items():
        above = [building[node.key] for node in session.tree.ancestors(key) if node.key in building]
        if not above:
            outer.append(item)
        elif all(parent.wraps for parent in above):
            above[-1].inner.append(item)
    return [_run(session, item, until) for item in outer]


def _began(known: Known) -> tuple[int, int]:
    return (known.image.ts, known.image.seq)


def _is_script(known: Known) -> bool:
    """A shell script under the name of a runner that is none itself."""
    image, tool = known.image, known.match.tool
    return (
        image.script is not None
        and is_shell(image)
        and not tool.wraps
        and tool.name not in programs().written_in_shell
    )


def _run(session: Session, item: _Building, at: int) -> Run:
    image, match = item.known.image, item.known.match
    exit_ = item.node.end(at)
    word = _word(match, exit_, replaced=_replaced(item, at))
    if word in ("failed", "error") and exit_ is not None and _reader_left(session, image, exit_):
        word = "pipe"
    inner = tuple(_run(session, below, at) for below in item.inner)
    failed = _not_made_good(inner)
    stepwise = match.tool.name in programs().steps_are_programs
    script = _is_script(item.known)
    idle = stepwise and all(run.nothing or run.word == "nothing" for run in inner)
    quiet = (not inner and (stepwise or script or item.forged)) or idle
    bare = word == "ok" and quiet and is_hollow(session, image, at, inner)
    hollow = bare and stepwise
    shadowed = bare and script
    alone = bare and not (hollow or shadowed)
    return Run(image, match, word, exit_, failed, inner, hollow, shadowed, item.forged and not inner, alone)


def _not_made_good(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """Those that failed with no later success of the same tool in the same directory, but for one of another part."""
    good: dict[tuple[str, str], list[Run]] = {}
    failed: list[Run] = []
    for run in reversed(runs):
        if run.word == "ok":
            good.setdefault(run.place, []).append(run)
        elif run.word in ("failed", "error") and all(apart(run, later) for later in good.get(run.place, ())):
            failed.append(run)
    return tuple(reversed(failed))


def _replaced(item: _Building, at: int) -> bool:
    """Its process went on as another program, so the status at the end is not this tool's."""
    image, last = item.known.image, item.node.image(at)
    went_on = last is not None and (last.ts, last.seq) > (image.ts, image.seq)
    return went_on and not item.known.match.tool.wraps


def _word(match: Match, exit_: Exit | None, *, replaced: bool) -> Word:
    if match.runs_nothing:
        return "nothing"
    if exit_ is None:
        return "running"
    if replaced:
        return "replaced"
    if exit_.signal is not None:
        return "pipe" if exit_.signal == _SIGPIPE else "failed"
    if exit_.status == 128 + _SIGPIPE:
        return "pipe"
    if match.blind and not exit_.status:
        return "pipe"  # its status was made to tell nothing
    meaning = match.tool.meaning(exit_.status or 0)
    if meaning == "empty":
        return "empty"
    if meaning in ("ok", "answer"):
        return "ok"
    return "error" if meaning == "error" else "failed"


def _reader_left(session: Session, image: Exec, exit_: Exit) -> bool:
    """Whether what read its output through a pipe stopped before it ended: `| head`.

    Most runtimes ignore SIGPIPE and end with a status of their own then, which says nothing of the work.
    """
    low = bisect_left(session.stopped, image.ts, key=lambda row: row[0])
    high = bisect_right(session.stopped, exit_.ts, key=lambda row: row[0])
    readers = [session.tree.get(key) for _, _, key in session.stopped[low:high]]
    beside = {reader.parent for reader in readers if reader is not None}
    chain = (session.tree.get(image.process), *_above(session, image.process))
    return any(node.parent in beside for node in chain if node is not None)


def _above(session: Session, key: ProcessKey) -> Iterator[Node]:
    """What stands above a process in its command, nearest first."""
    return takewhile(lambda node: not session.is_agent(node.key), session.tree.ancestors(key))


def hidden_by(session: Session, run: Run, at: int) -> Exit | None:
    """The outermost process of the command that reported success although this run failed."""
    hidden: Exit | None = None
    child = run.process
    for node in _above(session, child):
        # Who asks a server for something need not wait for its end: then its own status tells nothing of that.
        if child in session.delegates and node.ended(run.ended):
            break
        child = node.key
        end = node.end(at)
        if end is not None and end.status == 0:
            hidden = end
    return hidden


def is_hollow(session: Session, image: Exec, at: int, but: Sequence[Run] = ()) -> bool:
    """Whether only inert programs ran below the image, and the runs ``but``, and no copy of it that may do its work."""
    known = session.tree.subtrees(run.process for run in but)
    keys = session.tree.subtree(image.process) - {image.process} - known
    below = [node for node in map(session.tree.get, keys) if node is not None]
    for other in (other for node in below for other in node.images):
        may = is_suspect(session, other, None) or compares(other) or handed_to(session, other) is not None
        if other.ts <= at and (may or shell_scripts.is_step(session, other)):
            return False
    # A subshell of a script runs only builtins; a copy of any other program may have done the work in its own code.
    return is_shell(image) or not any(
        node.parent == image.process and node.image(at) is None and not node.failed for node in below
    )
