"""collector/tls/probes.py: each file once, only what is certain, and what is not seen is remembered by name."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from collector.kernel.libbpf import KernelError
from collector.tls import probes as probes_module
from collector.tls.debugfile import Where
from collector.tls.discover import BlindTls, Finding, find
from collector.tls.probes import TlsProbes
from tests.collector.tls.elfs import LIBRARY, build, library, strip
from tests.collector.tls.test_debugfile import linked, split
from tests.collector.tls.test_discover import LABELS, constants


class Kernel:
    """Attaches nothing and remembers what it was asked; ``refuses`` as a kernel without uprobes does."""

    def __init__(self, refuses: bool = False) -> None:
        self.asked: list[tuple[bytes, Mapping[str, tuple[int, ...]]]] = []
        self._refuses = refuses

    def attach_tls(self, binary: bytes, functions: Mapping[str, tuple[int, ...]], library: str) -> None:
        self.asked.append((Path(os.fsdecode(binary)).read_bytes(), functions))
        if self._refuses:
            raise KernelError("cannot place a probe", errno.EOPNOTSUPP)


def mapped(probes: TlsProbes, path: Path) -> probes_module.Looked:
    state = path.stat()
    return probes.mapped(os.getpid(), str(path), state.st_dev, state.st_ino)


def test_a_library_is_probed_once_whoever_maps_it(tmp_path: Path) -> None:
    kernel = Kernel()
    probes = TlsProbes(kernel)
    path = library(tmp_path / "library.so")
    first = probes.preload(path)
    assert first == mapped(probes, path) == mapped(probes, path)
    assert first.probed and first.blind is None and probes.libraries == [str(path)]
    ((content, functions),) = kernel.asked
    assert content == path.read_bytes() and functions.keys() >= {"SSL_read", "SSL_write"}


def test_a_library_is_probed_once_under_whatever_device_the_kernel_knows_it(tmp_path: Path) -> None:
    kernel = Kernel()
    probes = TlsProbes(kernel)
    path = library(tmp_path / "library.so")
    state = path.stat()
    first = probes.preload(path)  # btrfs and overlayfs: stat tells another device than the kernel's
    assert probes.mapped(os.getpid(), str(path), state.st_dev + 1, state.st_ino) is first
    assert len(kernel.asked) == 1 and probes.libraries == [str(path)]


def test_a_library_that_was_forgotten_is_not_probed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes_module, "MAX_FILES", 2)
    kernel = Kernel()
    probes = TlsProbes(kernel)
    path = library(tmp_path / "library.so")
    first = mapped(probes, path)
    for number in range(3):
        (tmp_path / str(number)).write_bytes(b"text")
        mapped(probes, tmp_path / str(number))
    assert mapped(probes, path) is first
    assert len(kernel.asked) == 1 and probes.libraries == [str(path)]


def test_what_is_not_certain_is_not_probed_and_named(tmp_path: Path) -> None:
    kernel = Kernel()
    half = mapped(TlsProbes(kernel), library(tmp_path / "half.so", "int SSL_read(void *ssl) { return 1; }"))
    assert (half.probed, half.blind, half.detail) == (
        False,
        "tls_library_refused",
        "SSL_write is not in it",
    )
    assert kernel.asked == []


def test_what_the_kernel_refuses_is_named(tmp_path: Path) -> None:
    refused = mapped(TlsProbes(Kernel(refuses=True)), library(tmp_path / "library.so"))
    assert (refused.probed, refused.blind) == (False, "tls_library_refused")
    assert refused.detail.startswith("cannot place a probe")


def test_another_interface_is_named_and_what_has_no_tls_is_nothing(tmp_path: Path) -> None:
    probes = TlsProbes(Kernel())
    wolfssl = library(tmp_path / "any.so", "int x(void) { return 1; }", "-Wl,-soname,libwolfssl.so.42")
    assert mapped(probes, wolfssl).blind == "wolfssl"
    other = mapped(probes, library(tmp_path / "other.so", "int x(void) { return 1; }"))
    assert (other.probed, other.blind, probes.libraries) == (False, None, [])


def test_a_file_that_is_gone_or_another_one_is_looked_at_when_it_comes_again(tmp_path: Path) -> None:
    probes = TlsProbes(Kernel())
    path = library(tmp_path / "library.so")
    state = path.stat()
    assert not probes.mapped(os.getpid(), str(path), state.st_dev, state.st_ino + 1).probed
    assert not probes.mapped(os.getpid(), str(tmp_path / "gone"), state.st_dev, state.st_ino).probed
    assert not probes.preload(tmp_path / "gone").probed
    assert mapped(probes, path).probed


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes_module, "MAX_FILES", 2)
    kernel = Kernel()
    probes = TlsProbes(kernel)
    for number in range(4):
        (tmp_path / str(number)).write_bytes(b"text")
        mapped(probes, tmp_path / str(number))
    assert len(probes._known) == 2


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A process of a program with TLS inside and no symbols; it ends with its input."""
    source = constants(LABELS).replace("return use();", "return getchar();")
    program = strip(build(tmp_path / "program", "#include <stdio.h>\n" + source))
    with subprocess.Popen([program], stdin=subprocess.PIPE) as process:
        yield program, process.pid
        process.communicate(timeout=10)


def test_tls_inside_the_program_of_a_process_is_named(running: tuple[Path, int]) -> None:
    program, pid = running
    probes = TlsProbes(Kernel())
    looked = probes.program(pid, program.stat().st_ino)
    assert (looked.blind, looked.probed) == ("static_tls", False)
    assert probes.program(pid, None) is looked  # the file is searched once
    assert probes.program(pid, program.stat().st_ino + 1).blind is None


def test_a_program_with_symbols_or_without_tls_has_nothing_unseen(tmp_path: Path) -> None:
    probes = TlsProbes(Kernel())
    seen = LIBRARY + constants(LABELS).replace("int use(void) { return 0; }", "")
    seen = "#include <stdio.h>\n" + seen.replace("return use();", "return getchar();")
    with subprocess.Popen([build(tmp_path / "seen", seen)], stdin=subprocess.PIPE) as process:
        assert probes.program(process.pid, None).blind is None
        process.communicate(timeout=10)
    assert probes.program(process.pid, None).blind is None  # gone


def test_a_file_is_examined_once_whatever_is_asked_of_it(
    running: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    program, pid = running
    examined: list[int] = []

    def counted(fd: int, *where: Where) -> Finding | BlindTls | None:
        examined.append(fd)
        return find(fd, *where)

    monkeypatch.setattr(probes_module, "find", counted)
    probes = TlsProbes(Kernel())
    assert mapped(probes, program).blind is None and not probes.preload(program).probed
    assert probes.program(pid, None) == probes.stack(program) and probes.stack(program).blind == "static_tls"
    assert len(examined) == 1


def test_a_program_that_is_probed_by_its_debug_file_has_nothing_unseen(tmp_path: Path) -> None:
    """The file is told where it was met; asked of the program alone, nothing leads there."""
    seen = LIBRARY + constants(LABELS).replace("int use(void) { return 0; }", "")
    seen = "#include <stdio.h>\n" + seen.replace("return use();", "return getchar();")
    program = build(tmp_path / "program", seen)
    stripped = linked(strip(program), split(program, tmp_path / "program.debug"))
    probes = TlsProbes(Kernel())
    with subprocess.Popen([stripped], stdin=subprocess.PIPE) as process:
        assert mapped(probes, stripped).rung == "debug_file"
        assert probes.program(process.pid, stripped.stat().st_ino).blind is None
        process.communicate(timeout=10)
