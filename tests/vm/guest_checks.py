"""What every kernel of the matrix must offer. Runs in the guest, started by test_kernels.py."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PROBE = Path(__file__).parents[2] / "build" / "vm" / "probe.bpf.o"
"""Built on the host by test_kernels.py: one object for every kernel."""

_COUNTERS = struct.Struct("=QQQ")
"""`seen` in probe.bpf.c: watched, execs, checks."""


def test_mounted_file_systems() -> None:
    mounts = {tuple(line.split()[1:3]) for line in Path("/proc/mounts").read_text().splitlines()}
    assert ("/sys/fs/bpf", "bpf") in mounts
    assert ("/sys/kernel/tracing", "tracefs") in mounts
    assert any(kind == "cgroup2" for _, kind in mounts)
    assert Path("/sys/kernel/tracing/events/sched/sched_process_exec/id").is_file()


def test_loopback_carries_data() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"x")
            assert accepted.recv(1) == b"x"


def test_kernel_has_btf() -> None:
    assert Path("/sys/kernel/btf/vmlinux").read_bytes()[:2] == struct.pack("=H", 0xEB9F)


def test_polygraph_can_be_imported() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import polygraph.events as e; print(e.__file__)"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert Path(run.stdout.strip()).is_file()


@contextmanager
def _loaded(path: Path) -> Iterator[tuple[ctypes.CDLL, int]]:
    """libbpf and the loaded object, which is unloaded afterwards."""
    lib = ctypes.CDLL("libbpf.so.1", use_errno=True)
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    lib.bpf_object__open_file.restype = pointer
    lib.bpf_program__attach.restype = pointer
    for function in (lib.bpf_object__find_program_by_name, lib.bpf_object__find_map_by_name):
        function.restype = pointer
        function.argtypes = [pointer, text]
    lib.bpf_program__attach.argtypes = [pointer]
    for function in (lib.bpf_object__load, lib.bpf_object__close, lib.bpf_link__destroy, lib.bpf_map__fd):
        function.argtypes = [pointer]
    handle = lib.bpf_object__open_file(os.fsencode(path), None)
    assert handle, os.strerror(ctypes.get_errno())
    try:
        assert lib.bpf_object__load(handle) == 0, os.strerror(ctypes.get_errno())
        yield lib, handle
    finally:
        lib.bpf_object__close(handle)


@pytest.mark.parametrize(("program", "counter"), [("count_exec", 1), ("count_check", 2)])
def test_bpf_program_sees_the_exec_of_a_child(program: str, counter: int) -> None:
    """The object loads here; each program counts each exec of this process's children, once."""
    with _loaded(_PROBE) as (lib, handle):
        fd = lib.bpf_map__fd(lib.bpf_object__find_map_by_name(handle, b".bss"))
        key = struct.pack("=I", 0)
        value = ctypes.create_string_buffer(_COUNTERS.pack(os.getpid(), 0, 0), _COUNTERS.size)
        assert lib.bpf_map_update_elem(fd, key, value, ctypes.c_uint64(0)) == 0
        link = lib.bpf_program__attach(lib.bpf_object__find_program_by_name(handle, program.encode()))
        assert link, os.strerror(ctypes.get_errno())
        for _ in range(3):
            subprocess.run(["/bin/true"], check=True)
        lib.bpf_link__destroy(link)
        subprocess.run(["/bin/true"], check=True)
        assert lib.bpf_map_lookup_elem(fd, key, value) == 0
        assert _COUNTERS.unpack(value.raw)[counter] == 3
