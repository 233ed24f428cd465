"""What every kernel of the matrix must offer. Runs in the guest; test_kernels.py boots it and reads the outcome."""

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

_SOURCE = Path(__file__).with_name("probe.bpf.c")
_COUNTERS = struct.Struct("=QQQ")
"""`seen` in probe.bpf.c: watched, execs, checks."""


def test_mounted_file_systems() -> None:
    mounts = {tuple(line.split()[1:3]) for line in Path("/proc/mounts").read_text().splitlines()}
    assert ("/sys/fs/bpf", "bpf") in mounts
    assert ("/sys/kernel/tracing", "tracefs") in mounts
    assert any(kind == "cgroup2" for _, kind in mounts)
    assert Path("/sys/kernel/tracing/events/sched/sched_process_exec/id").is_file()


def test_loopback_carries_data() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
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
    for name in ("bpf_object__open_file", "bpf_object__find_program_by_name", "bpf_program__attach"):
        getattr(lib, name).restype = ctypes.c_void_p
    lib.bpf_object__find_map_by_name.restype = ctypes.c_void_p
    for name in ("bpf_object__load", "bpf_object__close", "bpf_program__attach", "bpf_link__destroy", "bpf_map__fd"):
        getattr(lib, name).argtypes = [ctypes.c_void_p]
    for name in ("bpf_object__find_program_by_name", "bpf_object__find_map_by_name"):
        getattr(lib, name).argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    handle = lib.bpf_object__open_file(os.fsencode(path), None)
    assert handle, os.strerror(ctypes.get_errno())
    try:
        assert lib.bpf_object__load(handle) == 0, os.strerror(ctypes.get_errno())
        yield lib, handle
    finally:
        lib.bpf_object__close(handle)


@pytest.mark.parametrize(("program", "counter"), [("count_exec", 1), ("count_check", 2)])
def test_bpf_program_sees_the_exec_of_a_child(tmp_path: Path, program: str, counter: int) -> None:
    """A CO-RE object, built once, loads here; each program counts each exec of this process's children, once."""
    target = tmp_path / "probe.bpf.o"
    subprocess.run(["clang", "-target", "bpf", "-g", "-O2", "-c", str(_SOURCE), "-o", str(target)], check=True)
    with _loaded(target) as (lib, handle):
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
