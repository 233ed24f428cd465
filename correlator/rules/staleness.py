"""Was what a run depended on changed after it? The files that the run opened are what it depended on.

A change elsewhere does not count, nor one by the run itself, by another test run, or of caches and logs.
"""

from __future__ import annotations

from dataclasses import dataclass

from correlator.outcome import Outcome, refuted, unverifiable
from correlator.paths import under
from correlator.places import compiled_source, is_project_file
from correlator.programs import identify, plain, program_name
from correlator.runs import Run
from correlator.session import Session, Touch
from polygraph.events import ProcessKey

#: tools that may write project files without changing what was tested, or that restore them
_UNCERTAIN = frozenset({"build", "install", "server", "deploy", "commit", "push"})


@dataclass(slots=True)
class _Dependencies:
    inodes: dict[tuple[int, int], int]
    paths: dict[str, int]
    #: opened by several, the run perhaps among them
    possible: set[tuple[int, int]]
    python: bool
    #: when the run ended
    end: int
    #: nothing that it opened is known
    unknown: bool = False


def judge(session: Session, run: Run, earlier: list[Run], until: int) -> Outcome | None:
    """``stale`` if a file that the run had opened was changed between its end and ``until``; None if none was."""
    own = session.tree.subtree(run.process)
    needs = _dependencies(session, [r for r in earlier if r.key[:2] == run.key[:2]] + [run], run)
    roots = (*session.roots, run.image.cwd)
    doubt: Touch | None = None
    for path, hits in sorted(session.touches.items()):
        if not is_project_file(path, roots):
            continue
        for touch in hits:
            if (
                not run.ended < touch.ts <= until
                or touch.event.process in own
                or touch.event.op in ("mkdir", "rmdir")
            ):
                continue
            if _written_by_tests(session, touch):
                continue
            certain = _is_needed(session, touch, needs)
            if certain is None:
                continue
            if certain and not _uncertain_writer(session, touch):
                hidden = session.coverage.hidden(("process", "file"), run.image.ts, until)
                if hidden is not None:
                    return unverifiable(hidden, f"{path} was changed after the run", touch.event)
                return refuted(
                    "stale",
                    f"{path}, which the run had opened, was changed afterwards",
                    run.image,
                    touch.event,
                )
            doubt = doubt or touch
    if doubt is not None:
        return unverifiable(
            "ambiguous", f"{doubt.path} was changed after the run, which may depend on it", doubt.event
        )
    return None


def _dependencies(session: Session, runs: list[Run], last: Run) -> _Dependencies:
    needs = _Dependencies({}, {}, set(), False, last.ended)
    processes: set[ProcessKey] = set()
    for run in runs:
        processes |= session.tree.subtree(run.process)
    end = last.ended
    start = min(run.image.ts for run in runs)
    for inode, reads in session.reads.items():
        for read in reads:
            if read.process in processes and read.ts <= end:
                needs.inodes[inode] = max(needs.inodes.get(inode, 0), read.ts)
            elif read.shared and start <= read.ts and read.process not in processes:
                needs.possible.add(inode)
    for path, reads in session.path_reads.items():
        if any(read.process in processes and read.ts <= end for read in reads):
            needs.paths[path] = end
    for inode, read_at in needs.inodes.items():
        for path, named_at in session.inode_paths.get(inode, {}).items():
            if _given_away(session, inode, read_at, named_at):
                continue
            needs.paths[path] = end
            source = compiled_source(path)
            if source is not None:
                needs.paths[source] = end
    needs.unknown = not needs.inodes and not needs.paths
    for image in (i for _, _, i in session.execs if i.process in processes and i.ts <= end):
        needs.python = needs.python or plain(image.path).startswith(("python", "pypy"))
        for file in (image.path, image.script or ""):
            needs.paths.setdefault(file, end)
    return needs


def _is_needed(session: Session, touch: Touch, needs: _Dependencies) -> bool | None:
    """True: the run had opened it. False: it may have. None: it had not."""
    inode = (touch.event.dev, touch.event.ino)
    if touch.gone:
        return False if touch.path in needs.paths else None
    if touch.path in needs.paths:
        return True
    if any(t.event.op == "create" and needs.end < t.ts <= touch.ts for t in session.touches[touch.path]):
        return None  # made after the run
    if (
        touch.event.ino
        and inode in needs.inodes
        and not _given_away(session, inode, needs.inodes[inode], touch.ts)
    ):
        known = session.inode_paths.get(inode, {})
        return len(known) <= 1 or touch.path in known
    if touch.event.ino and inode in needs.possible:
        return False
    if touch.event.op == "rename" and not _seen_before(session, touch):
        return False
    if needs.unknown:
        return False
    if needs.python and touch.path.endswith(".py") and not _compiled_in_session(session, touch):
        return False
    return None


def _given_away(session: Session, inode: tuple[int, int], since: int, until: int) -> bool:
    """The inode number went to another file between the run's reading and a later event."""
    return any(
        touch.event.op in ("create", "unlink", "rename") and since < touch.ts <= until
        for touch in session.inode_writes.get(inode, ())
    )


def _seen_before(session: Session, touch: Touch) -> bool:
    """The file that this rename replaced is known by another inode, so whether the run opened it is known too."""
    here = (touch.event.dev, touch.event.ino)
    return any(inode != here for inode in session.path_inodes.get(touch.path, ()))


def _compiled_in_session(session: Session, touch: Touch) -> bool:
    """Modules beside it were compiled in this session: then their sources were opened, and this one was not."""
    root = next((r for r in session.roots if under(touch.path, r)), touch.path.rpartition("/")[0])
    return any("/__pycache__/" in path and under(path, root) for path in session.touches)


def _uncertain_writer(session: Session, touch: Touch) -> bool:
    node = session.tree.get(touch.event.process)
    if node is None or not node.images:
        return False
    image = node.images[-1]
    if program_name(image) in ("git", "hg", "jj"):
        return True
    match = identify(image)
    return match is not None and match.tool.purpose in _UNCERTAIN


def _written_by_tests(session: Session, touch: Touch) -> bool:
    """Whether another test run wrote it: fixtures and databases are its own business."""
    for node in (session.tree.get(touch.event.process), *session.tree.ancestors(touch.event.process)):
        if node is not None and node.images:
            match = identify(node.images[-1])
            if match is not None and match.tool.purpose == "test":
                return True
    return False
