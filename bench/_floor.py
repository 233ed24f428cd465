"""The floor: programs that do nothing on the hooks that polygraph's own sit on, held while untraced work runs."""

from __future__ import annotations

import errno
import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench._harness import BUILT, NATIVE, BenchError
from collector.kernel import uprobe_multi
from collector.kernel.libbpf import KernelError, Link, Object, Settings
from collector.kernel.programs import PROGRAMS, TLS_FUNCTIONS, Program
from collector.tls.preload import candidates
from collector.tls.probes import TlsProbes

#: what stands for a program that attaches by its own section
RAW = {
    "pg_on_fork": "floor_fork",
    "pg_on_exec": "floor_exec",
    "pg_on_exit": "floor_exit",
    "pg_on_pages": "floor_pages",
    "pg_on_socket_state": "floor_socket_state",
    "pg_on_plain_sent": "floor_plain_sent",
    "pg_on_plain_received": "floor_plain_received",
    "pg_on_plain_exec": "floor_plain_exec",
    "pg_on_switch": "floor_switch",
    "pg_on_waking": "floor_waking",
}
#: the programs that are attached where every one can be
FIRST = tuple(program for program in PROGRAMS if not program.instead_of)
_UPROBES = ("floor_entry", "floor_return")


#: the kernel takes one program on a tracepoint only once: what stands for the first there, the second, the third
_ON_TRACEPOINTS = ("floor_tp", "floor_tp_again", "floor_tp_third")


def _tracepoints() -> dict[str, str]:
    taken: Counter[str] = Counter()
    stands: dict[str, str] = {}
    for program in FIRST:
        rank = max((taken[tracepoint] for tracepoint in program.tracepoints), default=0)
        stands[program.name] = _ON_TRACEPOINTS[rank]
        taken.update(dict.fromkeys(program.tracepoints, 1))
    return stands


#: what stands for a program on tracepoints
_TRACEPOINTS = _tracepoints()


def built() -> Path:
    """The object. Raises BenchError when it does not compile."""
    source, target = NATIVE / "floor.bpf.c", BUILT / "floor.bpf.o"
    BUILT.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        ["clang", "-g", "-O2", "-target", "bpf", "-Wall", "-Werror", "-c", source, "-o", target],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise BenchError(f"{source} does not compile: {made.stderr}")
    return target


class _Uprobes:
    """Attaches to TLS libraries as polygraph does, see collector.tls.probes."""

    def __init__(self, programs: Object, *, multi: bool) -> None:
        self._programs = programs
        self._multi = multi
        self.links: list[Link | uprobe_multi.MultiLink] = []

    def attach_tls(
        self,
        binary: bytes,
        functions: Mapping[str, tuple[int, ...]],
        library: str,  # noqa: ARG002 - a floor has one program for all
    ) -> None:
        """Probes the same offsets in the same way."""
        returns = [
            offset for name, places in functions.items() if TLS_FUNCTIONS[name].returns for offset in places
        ]
        self._probe("floor_return", binary, returns, at_return=True)
        entries = [offset for places in functions.values() for offset in places]
        self._probe("floor_entry", binary, entries, at_return=False)

    def _probe(self, program: str, binary: bytes, offsets: list[int], *, at_return: bool) -> None:
        if self._multi:
            fd = self._programs.program_fd(program)
            self.links.append(uprobe_multi.attach(fd, binary, offsets, at_return=at_return))
            return
        for offset in offsets:
            self.links.append(self._programs.attach_uprobe(program, binary, offset, at_return=at_return))


@contextmanager
def floor(command: str) -> Iterator[int]:
    """Holds the hooks, those in the TLS libraries that ``command`` may load among them: their number.

    Raises KernelError.
    """
    with ExitStack() as stack:
        multi = uprobe_multi.supported()
        kinds = dict.fromkeys(_UPROBES, uprobe_multi.BPF_TRACE_UPROBE_MULTI) if multi else {}
        programs = stack.enter_context(Object(built(), Settings({}, {}, attach_types=kinds)))
        links: list[Link | uprobe_multi.MultiLink] = []
        for program in FIRST:
            links += _links(programs, program)
        uprobes = _Uprobes(programs, multi=multi)
        probes = TlsProbes(uprobes)
        for path in candidates(command, os.environ.get("PATH")):
            probes.preload(path)
        links += uprobes.links
        for link in links:
            stack.callback(link.close)
        yield len(links)


def _links(programs: Object, program: Program) -> Iterator[Link]:
    if not program.tracepoints:
        yield programs.attach(RAW[program.name])
        return
    for tracepoint in program.tracepoints:
        try:
            yield programs.attach_tracepoint(_TRACEPOINTS[program.name], program.category, tracepoint)
        except KernelError as error:
            if tracepoint not in program.optional or error.errno != errno.ENOENT:
                raise
