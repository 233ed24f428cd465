"""What the arguments of one tool call name: programs, files and hosts, indexed by their last component.

Only what the collector took out of the call is known: files and hosts that a tool declares, programs and arguments of
a command line. A call that names nothing is no call that did nothing.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from correlator.hosts import host_of
from correlator.paths import basename, names, normalise
from correlator.programs import identify, plain, program_name
from polygraph.events import Exec, Execution, ExpectedFile, Intent

_GLOB = frozenset("*?[")
#: where the name of a file may end in that of the one that is put in its place: ``a.py.tmp.1``, ``a.py~``
_CUT = re.compile(r"[.~#_-]")
_HOME = re.compile(r"^(?:~|\$HOME|\$\{HOME\})/")


class Asked:
    """The arguments of ``intent``."""

    def __init__(self, intent: Intent, cwd: str) -> None:
        self._cwd = cwd
        self.hosts = frozenset(host_of(host) for host in intent.hosts)
        self._files: dict[str, list[tuple[str, ExpectedFile]]] = defaultdict(list)
        self._programs: dict[str, list[Execution]] = defaultdict(list)
        self._arguments: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._globs: list[str] = []
        self._folders: set[str] = set()
        for file in intent.files:
            for path in (file.path, file.new_path):
                if path:
                    self._files[_last(path)].append((path, file))
                    if file.op != "read":
                        self._folders.update(_folders(normalise(path, cwd)))
        for execution in intent.executions:
            if not execution.builtin:
                for key in {execution.tool, plain(execution.program)} - {None}:
                    self._programs[key or ""].append(execution)
            for argument in execution.args:
                self._argument(argument, execution.cwd or cwd)

    def programs(self, image: Exec) -> Iterator[Execution]:
        """Expected programs that the image may be, by tool or by name."""
        match = identify(image)
        keys = {plain(image.path), plain(program_name(image)), plain(image.argv[0] if image.argv else "")}
        if match is not None:
            keys.add(match.tool.name)
        for key in sorted(keys):
            yield from self._programs.get(key, ())

    def declares(self, path: str, *, writes: bool) -> bool:
        """Whether this is one of the files that the tool declares; with ``writes`` one that it is to change."""
        return any(
            names(said, path, self._cwd) and (not writes or file.op != "read")
            for said, file in self._files.get(basename(path), ())
        )

    def beside(self, path: str) -> bool:
        """Whether ``path`` is one that a declared file is written by: beside it, its name beginning with that one's."""
        folder, _, name = path.rpartition("/")
        bare = name.lstrip(".#~")
        return any(
            self.declares(f"{folder}/{bare[: cut.start()]}", writes=True) for cut in _CUT.finditer(bare)
        )

    def above(self, path: str) -> bool:
        """Whether ``path`` is a folder above a file that the tool is to write."""
        return path in self._folders

    def names(self, path: str) -> bool:
        """Whether files or arguments name ``path`` or a folder above it."""
        if any(names(said, path, self._cwd) for said, _ in self._files.get(basename(path), ())):
            return True
        parts = path.split("/")
        for count, part in enumerate(parts, 1):
            prefix = "/".join(parts[:count])
            if any(names(said, prefix, cwd) for said, cwd in self._arguments.get(part, ())):
                return True
        return any(fnmatchcase(path, glob) for glob in self._globs)

    def reaches(self, hosts: Iterable[str]) -> bool:
        """Whether one of the names of an address is a host that the call is to reach."""
        return not self.hosts.isdisjoint(hosts)

    def _argument(self, argument: str, cwd: str) -> None:
        for word in sorted({argument, argument.rpartition("=")[2]}):
            said = _HOME.sub("", word)
            if not said or said.startswith("-") or "://" in said:
                continue
            if _GLOB.intersection(said):
                self._globs.append(said if said.startswith("/") else f"*/{said}")
            elif (last := _last(said)) not in ("", ".", ".."):
                self._arguments[last].append((said, cwd))


def _folders(path: str) -> Iterator[str]:
    while len(path := path.rpartition("/")[0]) > 1:
        yield path


def _last(path: str) -> str:
    return basename(posixpath.normpath(path))
