"""The process tree as flat rows with drawn branches, so that no lineage is too deep for a browser."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from console.report.model import Limits, Process, Session
from console.report.timeline import outcome, program
from console.words import command, counted, duration, errno_name, words
from polygraph.text import printable

#: levels that are drawn; deeper ones keep the last indentation and say their level
_DEPTH = 16
#: siblings of the same program and outcome, without children, from which on they become one row
_ALIKE = 5


class TreeRow(NamedTuple):
    """``branch``: the drawn lines before the name; ``number``: process, -1 for an aggregate."""

    number: int
    branch: str
    level: int
    argv: str
    detail: str
    outcome: str
    bad: bool
    took: str
    effects: str
    failed: list[str]
    verdicts: str
    refuted: bool
    many: int


class Tree(NamedTuple):
    rows: list[TreeRow]
    total: int
    aggregated: int
    hidden: int


class _Todo(NamedTuple):
    group: list[Process]
    level: int
    prefix: str
    last: bool


def tree(session: Session, limits: Limits) -> Tree:
    """Rows in order of the tree, at most ``limits.tree``; what failed or is evidence is the last to go."""
    rows: list[tuple[TreeRow, int]] = []
    todo = [_Todo(group, 0, "", True) for group in reversed(_groups(session, session.roots))]
    while todo:
        item = todo.pop()
        branch = "" if item.level == 0 else item.prefix + ("└─ " if item.last else "├─ ")
        rows.append((_row(session, item.group, item.level, branch, limits), len(item.group)))
        if len(item.group) > 1:
            continue
        deeper = (
            item.prefix
            if item.level == 0 or item.level >= _DEPTH
            else item.prefix + ("   " if item.last else "│  ")
        )
        groups = _groups(session, item.group[0].children)
        for place, group in reversed(list(enumerate(groups))):
            todo.append(_Todo(group, item.level + 1, deeper, place == len(groups) - 1))
    kept = _keep([row for row, _ in rows], limits.tree)
    shown = [row for (row, _), keep in zip(rows, kept, strict=True) if keep]
    return Tree(
        rows=shown,
        total=len(session.processes),
        aggregated=sum(row.many for row in shown if row.many > 1),
        hidden=sum(size for (_, size), keep in zip(rows, kept, strict=True) if not keep),
    )


def _groups(session: Session, processes: list[Process]) -> list[list[Process]]:
    def plain(process: Process) -> tuple[object, ...] | None:
        if process.children or process.failed or process.key in session.process_verdicts:
            return None
        return program(process), process.status, process.signal, process.end is None

    kinds = [plain(process) for process in processes]
    sizes = Counter(kind for kind in kinds if kind is not None)
    groups: list[list[Process]] = []
    open_groups: dict[tuple[object, ...], list[Process]] = {}
    for process, kind in zip(processes, kinds, strict=True):
        if kind is None or sizes[kind] < _ALIKE:
            groups.append([process])
        elif kind in open_groups:
            open_groups[kind].append(process)
        else:
            open_groups[kind] = [process]
            groups.append(open_groups[kind])
    return groups


def _keep(rows: list[TreeRow], limit: int) -> list[bool]:
    """Which rows to show where not all fit: the remarkable ones with their ancestors, then the first ones."""
    if len(rows) <= limit:
        return [True] * len(rows)
    keep = [False] * len(rows)
    left = limit
    path: list[int] = []
    for place, row in enumerate(rows):
        del path[row.level :]
        path.append(place)
        if row.verdicts or row.bad:
            missing = [at for at in path if not keep[at]]
            if len(missing) <= left:
                left -= len(missing)
                for at in missing:
                    keep[at] = True
    # a row may stand only below a row that stands: the first ones do, in order of the tree
    shown: list[int] = []
    for place, row in enumerate(rows):
        del shown[row.level :]
        parent = row.level == 0 or (len(shown) == row.level and keep[shown[-1]])
        if not keep[place] and left > 0 and parent:
            keep[place] = True
            left -= 1
        shown.append(place)
    return keep


def _row(session: Session, group: list[Process], level: int, branch: str, limits: Limits) -> TreeRow:
    first = group[0]
    places = session.process_verdicts.get(first.key, [])
    earlier = [command(run.argv, 120) for run in first.execs[:-1]]
    detail = [f"pid {printable(first.pid, 20)}"] if len(group) == 1 else []
    if first.execs and len(group) == 1:
        run = first.execs[-1]
        detail.append(printable(run.path, limits.text // 3))
        if run.script:
            detail.append(f"script {printable(run.script, limits.text // 3)}")
        detail.append(f"in {printable(run.cwd, limits.text // 3)}")
        if run.argv_truncated:
            detail.append(f"argv cut, {run.argv_bytes:,} bytes in all")
        detail += [f"was {name}" for name in earlier[-5:]]
    took = sum((p.end if p.end is not None else session.end) - p.start for p in group)
    return TreeRow(
        number=first.number if len(group) == 1 else -1,
        branch=branch,
        level=level,
        argv=command(first.argv, limits.text) if len(group) == 1 else program(first),
        detail=" · ".join(detail),
        outcome=outcome(first),
        bad=bool(first.signal or first.status),
        took=duration(took) + (" in all" if len(group) > 1 else ""),
        effects=_effects(group),
        failed=_failed(first) if len(group) == 1 else [],
        verdicts=" ".join(map(str, places[:50])),
        refuted=any(session.verdicts[place].verdict == "refuted" for place in places),
        many=len(group),
    )


def _effects(group: list[Process]) -> str:
    ops: Counter[str] = Counter()
    for process in group:
        ops.update(process.file_ops)
    connections = sum(process.connections for process in group)
    pieces = [f"{number:,} {words().op.get(op, op)}" for op, number in sorted(ops.items())]
    if connections:
        pieces.append(counted(connections, "connection"))
    return ", ".join(pieces)


def _failed(process: Process) -> list[str]:
    """Failed execs, one line for each program and errno: a search along PATH fails once a folder."""
    tries = Counter((event.path.rsplit("/", 1)[-1], event.errno) for event in process.failed)
    return [
        f"could not exec {printable(name, 120)}: {errno_name(number)}"
        + (f", {times:,} tries" if times > 1 else "")
        for (name, number), times in tries.most_common(5)
    ] + ([f"and {counted(len(tries) - 5, 'other failed exec')}"] if len(tries) > 5 else [])
