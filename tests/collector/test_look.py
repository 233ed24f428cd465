"""collector/look.py: the file that the process would find, and nothing opened that must not be."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from collector import look
from collector.look import look_at, project_tests, root_of
from polygraph.text import from_bytes
from tests.collector.tls.elfs import build

WAITS = "#include <stdio.h>\nint main(void) { return getchar() == EOF; }"
OURS = root_of(os.getpid())


def test_a_file_is_told_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"x = 1\n")
    state = path.stat()
    seen = look_at(OURS, None, str(path))
    assert seen is not None
    assert seen == (True, 6, state.st_mtime_ns, state.st_dev, state.st_ino, b"x = 1\n", (), 0)
    assert look_at(OURS, str(tmp_path), "a.py") == seen


def test_what_is_not_there_is_told_and_what_cannot_be_told_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for missing in (tmp_path / "none", tmp_path / "file/below"):
        seen = look_at(OURS, None, str(missing))
        assert seen is not None and not seen.exists
    assert look_at(OURS, None, "a.py") is None
    assert look_at(OURS, "not absolute", "a.py") is None
    assert look_at(OURS, None, f"{tmp_path}/a\0b") is None
    assert look_at(OURS, None, f"{tmp_path}/{'n' * 300}") is None
    assert look_at(None, "/", "/etc/passwd") is None
    assert root_of(1 << 22) is None  # no such process: pid_max is at most that


@pytest.mark.parametrize(
    "path", ["/proc/self/fd/1", "/proc/self/root/etc", "/dev/fd/0", "/dev/stdout", "/x/../proc/1/cwd"]
)
def test_what_is_another_file_for_each_process_is_not_looked_at(path: str) -> None:
    assert look_at(OURS, None, path) is None


def test_names_of_any_bytes_are_found(tmp_path: Path) -> None:
    name = b"a\n\xff\x1b[31m"
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
    seen = look_at(OURS, str(tmp_path), from_bytes(name))
    assert seen is not None and seen.content == b"x"


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # to open it for reading would wait for a writer
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/null")):
        seen = look_at(OURS, None, str(path))
        assert seen is not None and (seen.exists, seen.content) == (True, None)
    (tmp_path / "large").write_bytes(b"123456")
    seen = look_at(OURS, None, str(tmp_path / "large"), limit=5)
    assert seen is not None and (seen.size, seen.content) == (6, None)


def test_links_of_a_process_with_another_root_lead_where_they_lead_for_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "data").mkdir(parents=True)
    (root / "data/a.py").write_bytes(b"inside")
    (root / "link").symlink_to("/data")
    (root / "up").symlink_to("../../../../data")
    (root / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_bytes(b"outside")
    program = build(root / "program", WAITS, "-static")
    # A process whose root is another one: chroot and no new namespace.
    command = ["chroot", str(root), f"/{program.name}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        while Path(f"/proc/{process.pid}/exe").readlink() != program:
            assert process.poll() is None
        seen_from = root_of(process.pid)
        for path in ("/data/a.py", "/link/a.py", "/up/a.py", "/../data/a.py"):
            seen = look_at(seen_from, "/", path)
            assert seen is not None and seen.content == b"inside", path
        for path in ("/out", str(tmp_path / "secret")):
            seen = look_at(seen_from, "/", path)
            assert seen is not None and not seen.exists, path
        process.communicate(timeout=10)


def test_of_a_directory_with_a_slash_its_files_are_listed(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", ".hidden"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "below").mkdir()
    (tmp_path / "link.py").symlink_to("a.py")
    os.mkfifo(tmp_path / "pipe")
    listed, unlisted = look_at(OURS, None, f"{tmp_path}/"), look_at(OURS, None, str(tmp_path))
    assert listed is not None and listed.exists and listed.names == ("a.py", "b.py")
    assert unlisted is not None and unlisted.names == ()


def test_a_directory_with_too_many_files_is_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "NAMES_LIMIT", 2)
    for number in range(2):
        (tmp_path / f"n{number}").write_bytes(b"")
    within = look_at(OURS, None, f"{tmp_path}/")
    (tmp_path / "n2").write_bytes(b"")
    beyond = look_at(OURS, None, f"{tmp_path}/")
    assert within is not None and within.names == ("n0", "n1")
    assert beyond is not None and beyond.names == ()


# --- tests ------------------------------------------------------------------------------------------------------


def names(found: list[tuple[str, look.FileLook]], top: Path) -> list[str]:
    return [path.removeprefix(f"{top}/") for path, _ in found]


def made(top: Path, *paths: str) -> None:
    for path in paths:
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(b"")


def test_the_tests_of_a_project_are_found_nearest_first(tmp_path: Path) -> None:
    made(tmp_path, "tests/unit/test_c.py", "tests/b_test.go", "test_a.py", "calc.py", "tests/test_utils.py")
    found = project_tests(OURS, str(tmp_path))
    assert names(found, tmp_path) == ["test_a.py", "tests/b_test.go", "tests/unit/test_c.py"]
    state = (tmp_path / "test_a.py").stat()
    assert (found[0][1].dev, found[0][1].ino, found[0][1].content) == (state.st_dev, state.st_ino, None)


def test_what_python_made_of_a_test_is_told_with_it(tmp_path: Path) -> None:
    made(
        tmp_path,
        "test_a.py",
        "__pycache__/test_a.cpython-311-pytest-8.pyc",
        "__pycache__/test_ab.cpython-311.pyc",
    )
    found = names(project_tests(OURS, str(tmp_path)), tmp_path)
    assert found == ["test_a.py", "__pycache__/test_a.cpython-311-pytest-8.pyc"]


def test_no_link_is_followed_and_other_peoples_tests_are_left_out(tmp_path: Path) -> None:
    made(
        tmp_path, "far/test_far.py", "p/node_modules/x/a.test.js", "p/.venv/test_v.py", "p/examples/test_e.py"
    )
    (tmp_path / "p/link").symlink_to(tmp_path / "far")
    (tmp_path / "p/test_link.py").symlink_to(tmp_path / "far/test_far.py")
    os.mkfifo(tmp_path / "p/test_pipe.py")
    assert project_tests(OURS, str(tmp_path / "p")) == []


def test_the_search_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, *(f"d{n}/test_{m}.py" for n in range(5) for m in range(5)))
    made(tmp_path, "a/b/c/d/e/f/g/h/i/j/test_deep.py")
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert len(project_tests(OURS, str(tmp_path))) == 25, "those that lie too deep are left out"
    monkeypatch.setattr(look, "MAX_TESTS", 7)
    assert len(project_tests(OURS, str(tmp_path))) == 7
    monkeypatch.setattr(look, "MAX_ENTRIES", 9)
    assert len(project_tests(OURS, str(tmp_path))) < 7
    assert len(list(Path("/proc/self/fd").iterdir())) == before, "every directory is closed again"


@pytest.mark.parametrize("folder", [None, "/", "relative", "/nowhere/at/all", "/etc/passwd"])
def test_where_there_is_no_directory_none_are_found(folder: str | None) -> None:
    assert project_tests(OURS, folder) == []
    assert project_tests(None, "/tmp") == []
