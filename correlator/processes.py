"""The lineage of a session as a tree of processes, each with the images it executed and its end."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from polygraph.events import Delegated, Exec, ExecFailed, Exit, Fork, ProcessKey


@dataclass(slots=True)
class Node:
    """One process. ``born`` is the time of its fork, or of the first thing seen of it."""

    key: ProcessKey
    born: int
    parent: ProcessKey | None = None
    forked: bool = False
    children: list[ProcessKey] = field(default_factory=list)
    images: list[Exec] = field(default_factory=list)
    failed: list[ExecFailed] = field(default_factory=list)
    exit: Exit | None = None

    def image(self, at: int) -> Exec | None:
        """What it was at ``at``; None if it had executed nothing yet."""
        return next((image for image in reversed(self.images) if image.ts <= at), None)

    def end(self, at: int) -> Exit | None:
        """Its end, if that had come by ``at``."""
        return self.exit if self.exit is not None and self.exit.ts <= at else None

    def ended(self, at: int) -> bool:
        """Whether it had ended by ``at``."""
        return self.end(at) is not None

    def lived_through(self, start: int, end: int) -> bool:
        """Whether it existed before ``start`` and had not ended at ``end``."""
        return self.born < start and not self.ended(end)


class ProcessTree:
    """All processes of one session, grown by fork, exec and exit, in any order."""

    def __init__(self) -> None:
        self._nodes: dict[ProcessKey, Node] = {}
        self._by_pid: dict[int, list[Node]] = {}
        self.root: ProcessKey | None = None
        #: how often something came to light that was so before: what is kept of ancestors may not hold any more
        self.moved = 0
        #: until when processes were looked at that are over, and how often that may not hold any more
        self.settled = self.revised = 0

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def get(self, key: ProcessKey) -> Node | None:
        """The process, if anything was seen of it."""
        return self._nodes.get(key)

    def _node(self, key: ProcessKey, ts: int) -> Node:
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = Node(key, ts)
            self._by_pid.setdefault(int(key.partition(":")[0] or 0), []).append(node)
        return node

    def alive(self, pid: int, at: int) -> bool:
        """Whether a process of the lineage had that pid at ``at``."""
        return self.holder(pid, at) is not None

    def holder(self, pid: int, at: int) -> Node | None:
        """The process of the lineage that had that pid at ``at``."""
        return next((n for n in self._by_pid.get(pid, ()) if n.born <= at and not n.ended(at)), None)

    def over(self, key: ProcessKey, at: int) -> tuple[int | None, int]:
        """When the process and all its descendants had ended, None if not by ``at``; and how many were looked at.

        Whoever keeps what he makes of them watches :attr:`revised`, and asks again when it has changed.
        """
        last = looked = 0
        todo, seen = [key], {key}
        while todo:
            node = self._nodes.get(todo.pop())
            looked += 1
            if node is None or node.exit is None or node.exit.ts > at:
                return None, looked
            last = max(last, node.exit.ts)
            todo += (child for child in node.children if child not in seen)
            seen.update(node.children)
        self.settled = max(self.settled, last)
        return last, looked

    def _news(self, node: Node, ts: int) -> None:
        """Something of a process is told: it is not expected of one that is over, nor of a time that is settled."""
        if ts <= self.settled or node.exit is not None:
            self.revised += 1

    def start(self, key: ProcessKey, ts: int) -> None:
        """The session's root."""
        self.root = key
        self.revised += 1
        if key in self._nodes:
            self.moved += 1
        self._node(key, ts)

    def fork(self, event: Fork) -> None:
        """``child`` belongs to ``process`` whatever its parent becomes later."""
        if event.child in self._nodes:
            self.moved += 1
        child = self._node(event.child, event.ts)
        self._news(child, event.ts)
        child.born, child.forked = min(child.born, event.ts), True
        self._adopt(child, event.process, event.ts)

    def exec(self, event: Exec) -> None:
        """A new image; the parent counts only when no fork told it."""
        node = self._node(event.process, event.ts)
        self._news(node, event.ts)
        insort(node.images, event, key=lambda image: (image.ts, image.seq))
        if node.images[-1] is not event or (
            node.children and self._nodes[node.children[-1]].born >= event.ts
        ):
            self.moved += 1
        if node.parent is None and event.parent and event.process not in (event.parent, self.root):
            self._adopt(node, event.parent, event.ts)

    def delegated(self, event: Delegated) -> None:
        """``process`` does what ``by`` asked for: it counts as its child, whoever forked it."""
        if event.process in self._nodes:
            self.moved += 1
        self.revised += 1
        child = self._node(event.process, event.ts)
        child.born = min(child.born, event.ts)
        self._adopt(child, event.by, event.ts)

    def exec_failed(self, event: ExecFailed) -> None:
        """An attempt that the kernel refused."""
        node = self._node(event.process, event.ts)
        self._news(node, event.ts)
        node.failed.append(event)

    def exit(self, event: Exit) -> None:
        """The end. A second one for the same key cannot be; the first is kept."""
        node = self._node(event.process, event.ts)
        if node.exit is None:
            self._news(node, event.ts)
            node.exit = event

    def _adopt(self, child: Node, parent: ProcessKey, ts: int) -> None:
        if child.parent == parent:
            return
        if child.images or child.children:
            self.moved += 1
        if child.parent is not None:
            old = self._nodes.get(child.parent)
            if old is not None and child.key in old.children:
                old.children.remove(child.key)
                self.revised += 1
        child.parent = parent
        above = self._node(parent, ts)
        if above.exit is not None:
            self.revised += 1
        above.children.append(child.key)

    def image(self, key: ProcessKey, at: int) -> Exec | None:
        """What a process was at ``at``; None if it had executed nothing yet, or is not known."""
        node = self._nodes.get(key)
        return node.image(at) if node is not None else None

    def end(self, key: ProcessKey, at: int) -> Exit | None:
        """A process' end, if that had come by ``at``."""
        node = self._nodes.get(key)
        return node.end(at) if node is not None else None

    def line(self, key: ProcessKey) -> Iterator[Node]:
        """The process and those above it, nearest first; nothing if it is not known."""
        node = self._nodes.get(key)
        if node is not None:
            yield node
            yield from self.ancestors(key)

    def ancestors(self, key: ProcessKey) -> Iterator[Node]:
        """Parents, nearest first."""
        seen = {key}
        node = self._nodes.get(key)
        while node is not None and node.parent is not None and node.parent not in seen:
            seen.add(node.parent)
            node = self._nodes.get(node.parent)
            if node is not None:
                yield node

    def subtree(self, key: ProcessKey) -> set[ProcessKey]:
        """The process and all its descendants."""
        found: set[ProcessKey] = set()
        todo = [key]
        while todo:
            current = todo.pop()
            if current in found:
                continue
            found.add(current)
            node = self._nodes.get(current)
            if node is not None:
                todo.extend(node.children)
        return found

    def subtrees(self, keys: Iterable[ProcessKey]) -> set[ProcessKey]:
        """These processes and all their descendants."""
        return set().union(*map(self.subtree, keys))

    def within(self, key: ProcessKey, top: ProcessKey) -> bool:
        """Whether ``key`` is ``top`` or descends from it."""
        return key == top or any(node.key == top for node in self.ancestors(key))
