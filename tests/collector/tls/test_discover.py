"""collector/tls/discover.py: certain of each place, or a reason; what cannot be read has a name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from collector.tls.discover import PROBED, BlindTls, Finding, find, open_mapped, static_tls
from polygraph.text import from_bytes
from tests.collector.tls.elfs import LIBRARY, build, found, installed, library, reference, strip

MAIN = "int main(void) { return use(); }"
LABELS = ("c hs traffic", "s hs traffic", "c ap traffic", "s ap traffic")


def built_in(path: Path) -> BlindTls | None:
    fd = os.open(path, os.O_RDONLY)
    try:
        return static_tls(fd)
    finally:
        os.close(fd)


def constants(texts: tuple[str, ...], kind: str = "const char") -> str:
    """A program with these constants, linked in for good."""
    lines = [f'{kind} text{n}[] __attribute__((used)) = "{text}";' for n, text in enumerate(texts)]
    return "\n".join([*lines, "int use(void) { return 0; }", MAIN])


# --- what is probed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["libssl", "node"])
def test_a_real_library_is_found_with_the_code_at_each_place(name: str) -> None:
    path = installed()[name]
    seen = found(path)
    assert isinstance(seen, Finding) and seen.reason is None and seen.library == "openssl"
    assert seen.functions.keys() == reference(path, PROBED).keys() >= {"SSL_read", "SSL_write", "SSL_ctrl"}
    data = path.read_bytes()
    assert all(
        data[offset : offset + 16] == seen.prologue[offset] != bytes(16)
        for (offset,) in seen.functions.values()
    )


def test_a_program_with_symbols_is_found_and_the_name_tells_boringssl(tmp_path: Path) -> None:
    seen = found(build(tmp_path / "program", LIBRARY + MAIN))
    assert isinstance(seen, Finding) and seen.reason is None and len(seen.functions) == 6
    more = LIBRARY + "int SSL_set_tlsext_host_name(void *ssl, char *name) { return 1; }"
    boring = found(library(tmp_path / "boring.so", more))
    assert isinstance(boring, Finding) and boring.library == "boringssl"


def test_a_name_that_stands_for_two_places_is_refused_with_the_reason(tmp_path: Path) -> None:
    one = build(tmp_path / "one.o", LIBRARY, "-c", "-fPIC")
    other = "static int SSL_write(int x) { return x * 3; } int user(int x) { return SSL_write(x); }"
    two = build(tmp_path / "two.o", other, "-c", "-fPIC", "-O0")
    path = tmp_path / "program"
    main = build(tmp_path / "main.o", "int use(void); int user(int); " + MAIN, "-c")
    subprocess.run(["cc", "-o", str(path), str(main), str(one), str(two)], check=True, timeout=60)
    seen = found(path)
    assert isinstance(seen, Finding)
    assert seen.reason == "SSL_write stands for 2 places in it"


def test_what_is_exported_is_certain_whatever_the_own_table_says(tmp_path: Path) -> None:
    one = build(tmp_path / "one.o", LIBRARY, "-c", "-fPIC")
    other = "static int SSL_write(int x) { return x * 3; } int user(int x) { return SSL_write(x); }"
    two = build(tmp_path / "two.o", other, "-c", "-fPIC", "-O0")
    path = tmp_path / "library.so"
    subprocess.run(["cc", "-shared", "-o", str(path), str(one), str(two)], check=True, timeout=60)
    seen = found(path)
    assert isinstance(seen, Finding) and seen.reason is None
    assert seen.functions.keys() == reference(path, PROBED).keys()


def test_half_of_a_library_is_refused_and_a_wrapper_is_none(tmp_path: Path) -> None:
    half = found(library(tmp_path / "half.so", "int SSL_read(void *ssl) { return 1; }"))
    assert isinstance(half, Finding) and half.reason == "SSL_write is not in it"
    assert found(library(tmp_path / "wrapper.so", "void SSL_free(void *ssl) {}")) is None


# --- what is only recognised -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("soname", "name"),
    [
        ("libgnutls.so.30", "gnutls"),
        ("libssl3.so", "nss"),
        ("libwolfssl.so.42", "wolfssl"),
        ("libmbedtls.so.14", "mbedtls"),
    ],
)
def test_a_library_of_another_interface_is_named(tmp_path: Path, soname: str, name: str) -> None:
    seen = found(library(tmp_path / "any.so", "int x(void) { return 1; }", f"-Wl,-soname,{soname}"))
    assert isinstance(seen, BlindTls) and seen.name == name
    assert found(library(tmp_path / "other.so", "int x(void) { return 1; }")) is None


def test_a_go_program_is_named(tmp_path: Path) -> None:
    source = 'char info[] __attribute__((section(".go.buildinfo"), used)) = "x"; int main(void) { return 0; }'
    seen = found(strip(build(tmp_path / "program", source)))
    assert isinstance(seen, BlindTls) and seen.name == "go_tls"


def test_tls_inside_a_program_without_symbols_is_told_by_what_tls_needs(tmp_path: Path) -> None:
    path = strip(build(tmp_path / "program", constants(LABELS)))
    assert found(path) is None
    seen = built_in(path)
    assert seen is not None and seen.name == "static_tls"


@pytest.mark.parametrize("missing", range(len(LABELS)))
def test_a_program_that_mentions_some_of_it_has_no_tls(tmp_path: Path, missing: int) -> None:
    some = tuple(label for number, label in enumerate(LABELS) if number != missing)
    texts = (*some, "BoringSSL", "OpenSSL 3.0.19 27 Jan 2026", "rustls", "ssl/ssl_lib.cc")
    assert built_in(strip(build(tmp_path / "program", constants(texts)))) is None


def test_what_a_program_only_received_is_not_what_it_is_made_of(tmp_path: Path) -> None:
    assert built_in(build(tmp_path / "program", constants(LABELS, "char"))) is None


def test_real_stacks_are_told_from_real_programs_without_one() -> None:
    assert built_in(installed()["cygrpc"]) is not None  # BoringSSL, stripped
    assert built_in(installed()["libssl"]) is not None
    assert built_in(installed()["libc"]) is None
    assert built_in(Path(os.path.realpath("/bin/sh"))) is None


# --- files that are none ---------------------------------------------------------------------------------


def test_what_is_no_elf_file_has_no_tls(tmp_path: Path) -> None:
    broken = library(tmp_path / "library.so").read_bytes()
    (tmp_path / "text").write_text("#!/bin/sh\n")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "broken").write_bytes(broken[:32] + b"\xff" * 8 + broken[40:])
    (tmp_path / "i386").write_bytes(broken[:4] + b"\x01" + broken[5:18] + b"\x03\0" + broken[20:])
    for name in ("text", "empty", "broken", "i386"):
        assert found(tmp_path / name) is None and built_in(tmp_path / name) is None
    assert found(tmp_path) is None and built_in(tmp_path) is None
    reader, writer = os.pipe()
    try:
        assert find(reader) is None  # and does not wait for it
        assert static_tls(reader) is None
    finally:
        os.close(reader)
        os.close(writer)


def test_the_very_file_that_was_mapped_is_opened_or_none(tmp_path: Path) -> None:
    name = b"a\nb\xff"
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    path.write_bytes(b"content")
    ino = path.stat().st_ino
    fd = open_mapped(os.getpid(), f"{tmp_path}/{from_bytes(name)}", ino)
    assert fd is not None
    with os.fdopen(fd, "rb") as file:
        assert file.read() == b"content"
    assert open_mapped(os.getpid(), f"{tmp_path}/{from_bytes(name)}", ino + 1) is None
    assert open_mapped(os.getpid(), "relative", ino) is None
    assert open_mapped(os.getpid(), str(tmp_path / "gone"), ino) is None
    assert open_mapped(os.getpid(), f"{tmp_path}\0x", ino) is None
    assert open_mapped(os.getpid(), str(tmp_path), tmp_path.stat().st_ino) is None
    os.mkfifo(tmp_path / "pipe")
    assert open_mapped(os.getpid(), str(tmp_path / "pipe"), (tmp_path / "pipe").stat().st_ino) is None
