"""What a process has from its parent, and what each of its execs made of it: worked out once, and kept."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Generic, TypeVar

from correlator.processes import ProcessTree
from polygraph.events import Exec, ProcessKey

T = TypeVar("T")
#: a process, after so many of its execs
_Place = tuple[ProcessKey, int]


class Inherited(Generic[T]):
    """A value that a process is born with, as its parent's was at that moment, and that ``after_exec`` may change.
    ``start`` gives that of a process whose parent is not known.

    Each process and exec is one step, whoever asks: a chain of forks costs its length once. ``steps`` counts them.
    """

    __slots__ = ("_after_exec", "_known", "_moved", "_start", "_tree", "steps")

    def __init__(
        self, tree: ProcessTree, start: Callable[[ProcessKey], T], after_exec: Callable[[Exec, T], T]
    ) -> None:
        self._tree = tree
        self._start = start
        self._after_exec = after_exec
        self._known: dict[_Place, T] = {}
        self._moved = tree.moved
        self.steps = 0

    def clear(self) -> None:
        """What execs mean may have changed."""
        self._known.clear()

    def at(self, process: ProcessKey, ts: int) -> T:
        """The value of ``process`` at ``ts``; what it starts with where nothing was seen of it."""
        if self._moved != self._tree.moved:
            self._moved = self._tree.moved
            self._known.clear()
        if self._tree.get(process) is None:
            return self._start(process)
        todo: list[_Place] = []
        pending: set[_Place] = set()
        place: _Place | None = self._place(process, ts)
        while place is not None and place not in self._known and place not in pending:
            todo.append(place)
            pending.add(place)
            place = self._before(place)
        held = self._known[place] if place in self._known else self._start(todo[-1][0])
        self.steps += len(todo) + 1
        for key, count in reversed(todo):
            node = self._tree.get(key)
            if count > 0 and node is not None:
                held = self._after_exec(node.images[count - 1], held)
            self._known[key, count] = held
        return held

    def _place(self, process: ProcessKey, ts: int) -> _Place:
        node = self._tree.get(process)
        return process, bisect_right(node.images, ts, key=lambda image: image.ts) if node is not None else 0

    def _before(self, place: _Place) -> _Place | None:
        """The exec before, or the parent when it forked."""
        process, count = place
        if count > 0:
            return process, count - 1
        node = self._tree.get(process)
        if node is None or node.parent is None or process == self._tree.root:
            return None
        return self._place(node.parent, node.born)
