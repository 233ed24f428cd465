"""What the kernel side put into a record is what comes out of it, and a record that cannot be is refused."""

from __future__ import annotations

import os
import struct
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.kernel import wire
from collector.kernel.decode import (
    FILE_OPS,
    Candidate,
    DecodeError,
    Mapped,
    Record,
    SessionBegin,
    SessionIdle,
    Uring,
    decode,
)
from collector.kernel.wire import Evidence, FileFlag, FileOp, Service, Type
from collector.plain.streams import PlainClose, PlainData
from collector.tls.streams import TlsClose, TlsData
from polygraph.events import Delegated, Exec, ExecFailed, Exit, File, Fork, Name
from polygraph.text import from_bytes, to_bytes
from tests.collector.kernel.encode import HANDLE, PID, PROCESS, SEQ, SESSIONS, TS, address, record

RULES = ("ssh_key", "cloud_credentials")
U16, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
#: a component of a path: any bytes but the two that cannot be
COMPONENT = (
    st.binary(min_size=1, max_size=40)
    .map(lambda b: b.replace(b"/", b"_").replace(b"\0", b"_"))
    .filter(lambda b: b != b".")
)
PATHS = st.lists(COMPONENT, min_size=1, max_size=6).map(lambda parts: b"/" + b"/".join(parts))
ARGUMENTS = st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\0", b"")), min_size=1, max_size=8)
DEVICES = st.tuples(st.integers(0, 0xFFF), st.integers(0, 0xFFFFF))


def value_of(raw: bytes) -> Any:
    found = decode(raw, SESSIONS, RULES)
    assert found is not None
    assert (found.handle, found.seq, found.ts) == (HANDLE, SEQ, TS)
    return found.value


@given(pid=U32, start=U64)
def test_fork(pid: int, start: int) -> None:
    raw = record("pg_fork", Type.PG_FORK, child_pid=pid, child_start=start)
    assert value_of(raw) == Fork(session="s", ts=TS, process=PROCESS, child=f"{pid}:{start}")


@given(
    path=PATHS, script=PATHS, cwd=PATHS, argv=ARGUMENTS, device=DEVICES, numbers=st.lists(U64, min_size=3, max_size=3),
    words=st.lists(U32, min_size=10, max_size=10), comm=st.binary(max_size=15).map(lambda b: b.replace(b"\0", b"")),
)  # fmt: skip
def test_exec_comes_back_whole(
    path: bytes, script: bytes, cwd: bytes, argv: list[bytes], device: tuple[int, int], numbers: list[int],
    words: list[int], comm: bytes,
) -> None:  # fmt: skip
    arguments = b"".join(argument + b"\0" for argument in argv)
    names = ("mnt", "pid", "net", "user", "uts", "ipc", "cgroup")
    raw = record(
        "pg_exec", Type.PG_EXEC, path, script, cwd, b"docker-" + b"ab" * 32 + b".scope", arguments, b"",
        parent_start=numbers[0], parent_pid=words[0], uid=words[1], gid=words[2], dev=device[0] << 20 | device[1],
        ino=numbers[1], cgroup=numbers[2], argv_total=len(arguments), comm=comm,
        **{f"ns_{name}": word for name, word in zip(names, words[3:], strict=True)},
    )  # fmt: skip
    assert value_of(raw) == Exec(
        session="s",
        ts=TS,
        process=PROCESS,
        parent=f"{words[0]}:{numbers[0]}",
        path=from_bytes(path),
        argv=tuple(map(from_bytes, argv)),
        cwd=from_bytes(cwd),
        script=from_bytes(script),
        argv_bytes=len(arguments),
        uid=words[1],
        gid=words[2],
        comm=from_bytes(comm),
        dev=os.makedev(*device),
        ino=numbers[1],
        cgroup=numbers[2],
        container="ab" * 32,
        namespaces=dict(zip(names, words[3:], strict=True)),
    )


@pytest.mark.parametrize(
    ("evidence", "word", "grade"),
    [
        (Evidence.PG_EVIDENCE_CONNECTION, "connection", "exact"),
        (Evidence.PG_EVIDENCE_COMMAND, "command", "exact"),
        (Evidence.PG_EVIDENCE_SHELL, "shell", "strong"),
        (Evidence.PG_EVIDENCE_CGROUP, "cgroup", "exact"),
    ],
)
def test_a_delegation_says_by_whom_through_what_and_how_sure_it_is(
    evidence: Evidence, word: Literal["connection"], grade: Literal["exact"]
) -> None:
    values = {
        "by_start": 99,
        "by_pid": 12,
        "service": Service.PG_SERVICE_TMUX,
        "evidence": evidence,
    }
    assert value_of(record("pg_delegated", Type.PG_DELEGATED, **values)) == Delegated(
        session="s", ts=TS, process=PROCESS, by="12:99", through="tmux", evidence=word, grade=grade
    )


def exec_of(
    argv: bytes = b"a\0", script: bytes = b"", cwd: bytes = b"/w", trace: bytes = b"", **values: Any
) -> Exec:
    found = value_of(record("pg_exec", Type.PG_EXEC, b"/bin/a", script, cwd, b"", argv, trace, **values))
    assert isinstance(found, Exec)
    return found


@pytest.mark.parametrize(
    ("trace", "told"),
    [
        (b"00-" + b"ab" * 16 + b"-" + b"cd" * 8 + b"-01", f"00-{'ab' * 16}-{'cd' * 8}-01"),
        (b"", None),
        (b"00-" + b"AB" * 16 + b"-" + b"cd" * 8 + b"-01", None),
        (b"a password", None),
        (b"00-" + b"ab" * 16 + b"-" + b"cd" * 8 + b"-01-more", None),
    ],
)
def test_of_a_trace_context_only_what_has_its_form_is_told(trace: bytes, told: str | None) -> None:
    assert exec_of(trace=trace).traceparent == told


def test_arguments_that_were_cut_off_are_said_to_be() -> None:
    assert exec_of(b"a\0b\0", argv_total=4).argv == ("a", "b")
    cut = exec_of(b"a\0bb", argv_total=9)
    assert (cut.argv, cut.argv_truncated, cut.argv_bytes) == (("a", "bb"), True, 9)
    unread = exec_of(b"", argv_total=9)
    assert (unread.argv, unread.argv_truncated) == ((), True)


def test_empty_arguments_are_arguments() -> None:
    assert exec_of(b"\0", argv_total=1).argv == ("",)
    assert exec_of(b"a\0\0\0", argv_total=4).argv == ("a", "", "")
    assert exec_of(b"", argv_total=0).argv == ()


def test_a_script_is_told_with_its_folder_and_absent_when_there_is_none() -> None:
    assert exec_of(script=b"./run.sh").script == "/w/run.sh"
    assert exec_of(script=b"../run.sh").script == "/w/../run.sh"
    assert exec_of().script is None


def test_a_path_that_lost_its_beginning_is_not_told_as_absolute() -> None:
    cut = exec_of(path_truncated=1, cwd_truncated=1, script=b"x")
    assert (cut.path, cut.cwd, cut.script) == ("bin/a", "w", "w/x")


@given(path=PATHS, error=st.integers(1, 133))
def test_exec_failed(path: bytes, error: int) -> None:
    raw = record("pg_exec_failed", Type.PG_EXEC_FAILED, path, error=error)
    assert value_of(raw) == ExecFailed(
        session="s", ts=TS, process=PROCESS, path=from_bytes(path), errno=error
    )


@given(status=st.integers(0, 255))
def test_an_exit_with_a_status(status: int) -> None:
    code = status << 8
    assert os.waitstatus_to_exitcode(code) == status
    raw = record("pg_exit", Type.PG_EXIT, code=code)
    assert value_of(raw) == Exit(session="s", ts=TS, process=PROCESS, status=status)


@given(signal=st.integers(1, 64), core=st.booleans())
def test_an_exit_by_a_signal(signal: int, core: bool) -> None:
    code = signal | core << 7
    assert os.WTERMSIG(code) == signal and os.WCOREDUMP(code) == core
    raw = record("pg_exit", Type.PG_EXIT, code=code)
    assert value_of(raw) == Exit(session="s", ts=TS, process=PROCESS, signal=signal, core=core)


@given(
    op=st.sampled_from([op for op in FileOp if op != FileOp.PG_OP_SYMLINK]), path=PATHS, ino=U64, device=DEVICES,
    flags=U32, mode=U32, error=st.integers(0, 133), marks=st.sets(st.sampled_from(list(FileFlag))),
    rule=st.integers(0, 1),
)  # fmt: skip
def test_a_file_comes_back_whole(
    op: FileOp, path: bytes, ino: int, device: tuple[int, int], flags: int, mode: int, error: int,
    marks: set[FileFlag], rule: int,
) -> None:  # fmt: skip
    raw = record(
        "pg_file", Type.PG_FILE, b"", path, b"", b"", op=op, ino=ino, dev=device[0] << 20 | device[1],
        open_flags=flags, mode=mode, error=error, rule=rule, flags=sum(marks),
    )  # fmt: skip
    assert value_of(raw) == File(
        session="s",
        ts=TS,
        process=PROCESS,
        op=FILE_OPS[op],
        path=from_bytes(path),
        errno=error,
        resolved=FileFlag.PG_FILE_RESOLVED in marks,
        dev=os.makedev(*device),
        ino=ino,
        flags=flags,
        mode=mode,
        sensitive=RULES[rule] if FileFlag.PG_FILE_SENSITIVE in marks else None,
        deleted=FileFlag.PG_FILE_DELETED in marks,
        memfd=FileFlag.PG_FILE_MEMFD in marks,
        path_truncated=FileFlag.PG_FILE_TRUNCATED in marks,
    )


def test_operations_have_the_names_of_their_enum() -> None:
    assert tuple(op.name.removeprefix("PG_OP_").lower() for op in FileOp) == FILE_OPS


@pytest.mark.parametrize(
    ("base", "path", "told"),
    [
        (b"/w", b"a", "/w/a"),
        (b"/w", b"./a/./b", "/w/a/b"),
        (b"/w", b"../a", "/w/../a"),
        (b"/w", b"", "/w"),
        (b"/", b"a", "/a"),
        (b"", b"//a//b/", "/a/b"),
        (b"", b"/.", "/"),
        (b"", b"a", "a"),
        (b"", b"memfd:x", "memfd:x"),
        (b"", b"", ""),
    ],
)
def test_a_path_is_made_absolute_and_not_followed(base: bytes, path: bytes, told: str) -> None:
    assert value_of(record("pg_file", Type.PG_FILE, base, path, b"", b"")).path == told


@given(base=PATHS, path=PATHS, base2=PATHS, name=COMPONENT)
def test_a_rename_has_both_paths(base: bytes, path: bytes, base2: bytes, name: bytes) -> None:
    """The first is absolute, so its base is the process's root; mostly there is none."""
    raw = record("pg_file", Type.PG_FILE, base, path, base2, name, op=FileOp.PG_OP_RENAME)
    found = value_of(raw)
    assert to_bytes(found.path) == base + path
    assert to_bytes(found.new_path) == base2 + b"/" + name
    raw = record("pg_file", Type.PG_FILE, b"", path, base2, name, op=FileOp.PG_OP_RENAME)
    assert to_bytes(value_of(raw).path) == path


def test_a_symbolic_link_has_its_target_as_text_and_its_own_name() -> None:
    raw = record("pg_file", Type.PG_FILE, b"/w", b"../target//x", b"/w", b"link", op=FileOp.PG_OP_SYMLINK)
    found = value_of(raw)
    assert (found.op, found.path, found.new_path) == ("symlink", "../target//x", "/w/link")


@given(path=PATHS, ino=U64, device=DEVICES)
def test_mapped(path: bytes, ino: int, device: tuple[int, int]) -> None:
    raw = record("pg_mapped", Type.PG_MAPPED, path, ino=ino, dev=device[0] << 20 | device[1], ns_mnt=4)
    assert value_of(raw) == Mapped(PROCESS, PID, TS, os.makedev(*device), ino, from_bytes(path))


@given(
    data=st.binary(max_size=600), room=st.integers(0, 600), ssl=U64, generation=U64, offset=U64, missing=U32,
    direction=st.sampled_from((0, 1)),
)  # fmt: skip
def test_plaintext_in_a_larger_room(
    data: bytes, room: int, ssl: int, generation: int, offset: int, missing: int, direction: int
) -> None:
    """What lies behind the bytes in the room that the kernel took is no plaintext."""
    raw = record(
        "pg_tls",
        Type.PG_TLS,
        data,
        ssl=ssl,
        generation=generation,
        offset=offset,
        missing=missing,
        direction=direction,
    )
    way: Literal[0, 1] = 1 if direction else 0
    assert value_of(raw + b"X" * room) == TlsData(PROCESS, ssl, generation, way, offset, data, missing, TS)


@pytest.mark.parametrize("room", [0, 500])
@pytest.mark.parametrize(("kind", "name"), [(0, "tcp"), (1, "unix"), (2, "pipe")])
def test_plaintext_without_tls(kind: int, name: str, room: int) -> None:
    raw = record(
        "pg_plain", Type.PG_PLAIN, b"{}", connection=2**64 - 1, generation=5, offset=6, missing=7, socket=8,
        standard_input=9, kind=kind, direction=1, json=1, asks=1,
    )  # fmt: skip
    assert value_of(raw + b"X" * room) == PlainData(
        PROCESS,
        name,
        2**64 - 1,
        5,
        1,
        True,
        1,
        6,
        b"{}",
        7,
        8,
        9,
        TS,  # type: ignore[arg-type]
    )


@given(number=U32)
def test_each_record_of_plaintext_names_its_library(number: int) -> None:
    names = ("", "openssl", "boringssl", "rustls", "go", "gnutls", "nss")
    for one in (*range(len(names)), number):
        data = record("pg_tls", Type.PG_TLS, b"x", ssl=1, generation=2, library=one)
        over = record("pg_tls_close", Type.PG_TLS_CLOSE, ssl=1, generation=2, library=one)
        if one < len(names):
            told, closed = value_of(data), value_of(over)
            assert isinstance(told, TlsData) and isinstance(closed, TlsClose)
            assert told.library == closed.library == names[one]
        else:
            for raw in (data, over):
                with pytest.raises(DecodeError):
                    value_of(raw)


def test_small_records() -> None:
    assert value_of(record("pg_plain_close", Type.PG_PLAIN_CLOSE, connection=5, generation=6)) == PlainClose(
        PROCESS, 5, 6, TS
    )
    assert value_of(record("pg_hdr", Type.PG_SESSION_IDLE)) == SessionIdle(PROCESS, TS)
    assert value_of(record("pg_session_begin", Type.PG_SESSION_BEGIN, origin=3)) == SessionBegin(
        PROCESS, TS, 3
    )
    assert value_of(record("pg_tls_close", Type.PG_TLS_CLOSE, ssl=5, generation=6)) == TlsClose(
        PROCESS, 5, 6, TS
    )
    made = record("pg_uring", Type.PG_URING, opcode=2**32 - 1, dimension=2)
    assert value_of(made) == Uring(PROCESS, TS, "network", None)
    assert value_of(record("pg_uring", Type.PG_URING, opcode=36, dimension=1)) == Uring(
        PROCESS, TS, "file", 36
    )
    assert value_of(record("pg_sni", Type.PG_SNI, b"API.example.test", ssl=9)) == Name(
        session="s", ts=TS, process=PROCESS, source="sni", name="api.example.test"
    )


def test_a_candidate_is_of_no_session() -> None:
    remote = address(10, bytes.fromhex("20010db8") + bytes(11) + b"\1", 443)
    raw = record("pg_candidate", Type.PG_CANDIDATE, remote=remote, **{"hdr.session": 0, "hdr.seq": 0})
    assert decode(raw, {}, ()) == Record(0, 0, TS, Candidate(PROCESS, PID, TS, "2001:db8::1", 443))


def test_a_session_that_is_not_known_is_left_alone() -> None:
    """But its beginning is told: that is how it becomes known."""
    assert decode(record("pg_fork", Type.PG_FORK), {}, ()) is None
    begun = decode(record("pg_session_begin", Type.PG_SESSION_BEGIN, origin=3), {}, ())
    assert begun is not None and isinstance(begun.value, SessionBegin)


# --- what cannot be ----------------------------------------------------------------------------------

WHOLE = [
    record("pg_session_begin", Type.PG_SESSION_BEGIN, origin=3),
    record("pg_hdr", Type.PG_SESSION_IDLE),
    record("pg_fork", Type.PG_FORK),
    record("pg_exec", Type.PG_EXEC, b"/bin/a", b"b", b"/c", b"d", b"e\0f\0", b"g", argv_total=4),
    record("pg_exec_failed", Type.PG_EXEC_FAILED, b"/bin/a", error=2),
    record("pg_exit", Type.PG_EXIT, code=256),
    record("pg_file", Type.PG_FILE, b"/a", b"b", b"/c", b"d", op=FileOp.PG_OP_RENAME),
    record("pg_mapped", Type.PG_MAPPED, b"/a"),
    record("pg_net", Type.PG_NET, b"/a\0", remote=address(1), local=address(1)),
    record("pg_flow", Type.PG_FLOW, remote=address(2), local=address(2)),
    record("pg_dns", Type.PG_DNS, bytes(20)),
    record("pg_sni", Type.PG_SNI, b"a"),
    record("pg_tls", Type.PG_TLS, b"abc"),
    record("pg_tls_close", Type.PG_TLS_CLOSE),
    record("pg_uring", Type.PG_URING),
    record("pg_candidate", Type.PG_CANDIDATE, remote=address(2)),
    record("pg_plain", Type.PG_PLAIN, b"abc"),
    record("pg_plain_close", Type.PG_PLAIN_CLOSE),
    record("pg_delegated", Type.PG_DELEGATED, service=Service.PG_SERVICE_SSH, evidence=1),
]


def resized(raw: bytes, size: int) -> bytes:
    return struct.pack("=I", size) + raw[4:]


def test_each_type_of_record_is_here() -> None:
    assert [wire.HDR.unpack_from(raw)[1] for raw in WHOLE] == list(Type)


@pytest.mark.parametrize("raw", WHOLE, ids=[kind.name for kind in Type])
def test_a_record_that_is_cut_off_is_refused(raw: bytes) -> None:
    """At any byte, whether it tells its true size or the one that came."""
    decode(raw, SESSIONS, RULES)
    for end in range(len(raw)):
        with pytest.raises(DecodeError):
            decode(raw[:end], SESSIONS, RULES)
        if end >= 4:
            with pytest.raises(DecodeError):
                decode(resized(raw[:end], end), SESSIONS, RULES)


@pytest.mark.parametrize("raw", WHOLE, ids=[kind.name for kind in Type])
def test_a_record_with_something_left_over_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(resized(raw + b"\0", len(raw) + 1), SESSIONS, RULES)


@pytest.mark.parametrize(
    "raw", [raw for raw in WHOLE if wire.HDR.unpack_from(raw)[1] not in (Type.PG_TLS, Type.PG_PLAIN)]
)
def test_only_plaintext_comes_in_a_larger_room(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(raw + b"\0", SESSIONS, RULES)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (record("pg_file", Type.PG_FILE, b"", b"/a", b"", b"", op=len(FILE_OPS)), "file operation 11"),
        (record("pg_file", Type.PG_FILE, b"", b"/a", b"", b"", error=-2), "errno -2"),
        (
            record("pg_file", Type.PG_FILE, b"", b"/a", b"", b"", rule=2, flags=FileFlag.PG_FILE_SENSITIVE),
            "rule 2",
        ),
        (record("pg_exec_failed", Type.PG_EXEC_FAILED, b"/a", error=-2), "errno -2"),
        (record("pg_delegated", Type.PG_DELEGATED, service=3, evidence=1), "service 3, evidence 1"),
        (record("pg_delegated", Type.PG_DELEGATED, service=1, evidence=9), "service 1, evidence 9"),
        (record("pg_net", Type.PG_NET, b"", op=4), "network operation 4"),
        (record("pg_net", Type.PG_NET, b"", error=-1), "errno -1"),
        (record("pg_tls", Type.PG_TLS, b"", direction=2), "direction 2"),
        (record("pg_plain", Type.PG_PLAIN, b"", direction=2), "directions 2, 0"),
        (record("pg_plain", Type.PG_PLAIN, b"", asks=3), "directions 0, 3"),
        (record("pg_plain", Type.PG_PLAIN, b"", kind=3), "of kind 3"),
        (b"", "no header"),
    ],
)
def test_values_that_cannot_be_are_refused_by_name(raw: bytes, told: str) -> None:
    with pytest.raises(DecodeError, match=told):
        decode(raw, SESSIONS, RULES)


def test_an_unknown_type_is_refused() -> None:
    for kind in (0, max(Type) + 1, 65535):
        with pytest.raises(DecodeError, match=f"type {kind} is unknown"):
            decode(record("pg_hdr", Type.PG_SESSION_IDLE, **{"hdr.type": kind}), SESSIONS, RULES)


@given(whole=st.sampled_from(WHOLE), at=U16, junk=st.binary(min_size=1, max_size=40), size=st.booleans())
def test_damage_is_refused_or_read_but_never_crashes(whole: bytes, at: int, junk: bytes, size: bool) -> None:
    at %= len(whole)
    raw = whole[:at] + junk + whole[at + len(junk) :]
    raw = resized(raw, len(raw)) if size else raw
    try:
        found = decode(raw, SESSIONS, RULES)
    except DecodeError as error:
        assert str(error)
    else:
        assert found is None or isinstance(found, Record)


@given(kind=st.sampled_from(list(Type)), body=st.binary(max_size=400))
def test_garbage_behind_a_header_is_refused_or_read_but_never_crashes(kind: Type, body: bytes) -> None:
    raw = record("pg_hdr", kind) + body
    try:
        found = decode(resized(raw, len(raw)), SESSIONS, RULES)
    except DecodeError as error:
        assert kind.name in str(error)
    else:
        assert found is None or found.ts == TS
