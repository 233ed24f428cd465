"""bpf/file.h: what is opened, changed and removed, with results; reads counted, never lost."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from collector.collect import Collector
from collector.kernel.entry import entry
from collector.launch import Launched
from polygraph.events import File, Reads
from tests.live.conftest import Gate, Observe, Seen

ENOENT, EINTR, EACCES, EEXIST = 2, 4, 13, 17


def under(seen: Seen, folder: Path) -> list[File]:
    """File events below a folder, in order."""
    return [event for event in seen.of(File) if event.path.startswith(str(folder))]


def reads(seen: Seen) -> dict[tuple[int, int], int]:
    """(dev, ino) -> opens for reading, over all processes."""
    return Counter((one.dev, one.ino) for event in seen.of(Reads) for one in event.openings())


def key(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_dev, state.st_ino


def test_500_files_made_written_renamed_and_removed(python_whole: Observe, tmp_path: Path) -> None:
    seen = python_whole(
        """
        import os, sys
        os.chdir(sys.argv[1])
        for n in range(500):
            fd = os.open(f'f{n}', os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o644)
            os.write(fd, b'x')
            os.close(fd)
            os.rename(f'f{n}', f'g{n}')
            os.unlink(f'g{n}')
        """,
        str(tmp_path),
    )
    of_folder = under(seen, tmp_path)
    for op, name in (("create", "f"), ("rename", "f"), ("unlink", "g")):
        assert [event.path for event in of_folder if event.op == op] == [
            f"{tmp_path}/{name}{n}" for n in range(500)
        ]
    assert all(event.errno == 0 for event in of_folder) and not seen.lost
    assert [event.new_path for event in of_folder if event.op == "rename"][-1] == f"{tmp_path}/g499"


def test_the_path_is_that_of_the_file_that_was_opened(python: Observe, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("x")
    (tmp_path / "link").symlink_to("real")
    seen = python(
        """
        import os, sys
        os.chdir(sys.argv[1])
        fd = os.open('link/../link/./file', os.O_WRONLY)
        folder = os.open('link', os.O_RDONLY | os.O_DIRECTORY)
        os.open('made', os.O_CREAT | os.O_WRONLY, dir_fd=folder)
        """,
        str(tmp_path),
    )
    assert [(event.op, event.path) for event in under(seen, tmp_path)] == [
        ("write", f"{tmp_path}/real/file"),
        ("create", f"{tmp_path}/real/made"),
    ]
    written = under(seen, tmp_path)[0]
    assert (written.dev, written.ino) == key(tmp_path / "real" / "file") and written.resolved


def test_each_operation_is_told_by_its_name(python: Observe, tmp_path: Path) -> None:
    seen = python(
        """
        import os, sys
        os.chdir(sys.argv[1])
        os.mkdir('d')
        open('d/a', 'w').close()
        os.link('d/a', 'd/b')
        os.symlink('target text', 'd/s')
        os.chmod('d/a', 0o600)
        os.truncate('d/a', 0)
        fd = os.open('d/b', os.O_RDWR)
        os.ftruncate(fd, 5)
        os.fchmod(fd, 0o640)
        open('d/t', 'x').close()
        open('d/t', 'w').close()
        os.remove('d/t')
        os.remove('d/b')
        os.rename('d/a', 'd/c')
        os.unlink('d/s')
        os.unlink('d/c')
        os.rmdir('d')
        """,
        str(tmp_path),
    )
    told = [
        (
            event.op,
            event.path.removeprefix(f"{tmp_path}/"),
            (event.new_path or "").removeprefix(f"{tmp_path}/"),
        )
        for event in seen.of(File)
        if str(tmp_path) in event.path + (event.new_path or "")
    ]
    assert told == [
        ("mkdir", "d", ""),
        ("create", "d/a", ""),
        ("link", "d/a", "d/b"),
        ("symlink", "target text", "d/s"),
        ("chmod", "d/a", ""),
        ("truncate", "d/a", ""),
        ("write", "d/b", ""),
        ("truncate", "d/b", ""),
        ("chmod", "d/b", ""),
        ("create", "d/t", ""),
        ("truncate", "d/t", ""),
        ("unlink", "d/t", ""),
        ("unlink", "d/b", ""),
        ("rename", "d/a", "d/c"),
        ("unlink", "d/s", ""),
        ("unlink", "d/c", ""),
        ("rmdir", "d", ""),
    ]


def test_what_failed_is_told_as_failed(python: Observe, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    seen = python(
        """
        import os, sys
        os.chdir(sys.argv[1])
        for attempt in (
            lambda: os.open('absent', os.O_RDONLY),
            lambda: os.open('absent/file', os.O_CREAT | os.O_WRONLY),
            lambda: os.open('there', os.O_CREAT | os.O_EXCL | os.O_WRONLY),
            lambda: os.mkdir('there'),
            lambda: os.unlink('absent'),
            lambda: os.rename('absent', 'other'),
        ):
            try:
                attempt()
            except OSError:
                pass
        """,
        str(tmp_path),
    )
    assert [
        (event.op, event.path.removeprefix(f"{tmp_path}/"), event.errno) for event in under(seen, tmp_path)
    ] == [
        ("read", "absent", ENOENT),
        ("create", "absent/file", ENOENT),
        ("create", "there", EEXIST),
        ("mkdir", "there", EEXIST),
        ("unlink", "absent", ENOENT),
        ("rename", "absent", ENOENT),
    ]
    assert not any(event.resolved for event in under(seen, tmp_path))


def test_a_refused_read_has_its_errno(python: Observe, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0)
    tmp_path.chmod(0o755)
    seen = python(
        """
        import os, sys
        os.chdir(sys.argv[1])
        os.setuid(65534)
        try:
            os.open('secret', os.O_RDONLY)
        except PermissionError:
            pass
        """,
        str(tmp_path),
    )
    assert [event.errno for event in seen.of(File, op="read") if event.path.endswith("/secret")] == [EACCES]


def test_a_search_that_fails_again_and_again_is_a_count_that_is_exact(
    python_whole: Observe, tmp_path: Path
) -> None:
    seen = python_whole(
        """
        import os, sys
        for n in range(300):
            try:
                os.open(sys.argv[1] + '/nowhere', os.O_RDONLY)
            except FileNotFoundError:
                pass
        """,
        str(tmp_path),
    )
    failed = under(seen, tmp_path)
    assert len(failed) < 10 and all(event.path == f"{tmp_path}/nowhere" for event in failed)
    assert sum(event.count for event in failed) == 300 and {event.errno for event in failed} == {ENOENT}


def test_writing_again_is_a_count_that_is_exact(python_whole: Observe, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    seen = python_whole(
        """
        import os, sys
        for n in range(1000):
            os.close(os.open(sys.argv[1] + '/log', os.O_WRONLY | os.O_APPEND))
        """,
        str(tmp_path),
    )
    written = [event for event in under(seen, tmp_path) if event.op == "write"]
    assert sum(event.count for event in written) == 1000 and len(written) < 10


def test_ordinary_reads_are_counted_without_a_record_each(python_whole: Observe, tmp_path: Path) -> None:
    for n in range(400):
        (tmp_path / f"f{n}").write_text(str(n))
    seen = python_whole(
        """
        import os, sys
        for n in range(400):
            for again in range(n % 3 + 1):
                os.close(os.open(f'{sys.argv[1]}/f{n}', os.O_RDONLY))
        """,
        str(tmp_path),
    )
    counted = reads(seen)
    assert [counted.get(key(tmp_path / f"f{n}")) for n in range(400)] == [n % 3 + 1 for n in range(400)]
    assert not under(seen, tmp_path) and not seen.lost


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        (".aws/credentials", "aws_credentials"),
        (".ssh/id_ed25519", "ssh_private_key"),
        ("server.pem", "private_key"),
    ],
)
def test_reading_a_credential_is_an_event_at_once(
    observe: Observe, tmp_path: Path, name: str, rule: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("secret")
    (tmp_path / "credentials").write_text("of another kind")
    seen = observe(["cat", str(path), str(tmp_path / "credentials")])
    assert [(event.path, event.sensitive) for event in under(seen, tmp_path)] == [(str(path), rule)]


def test_a_deleted_file_and_a_memfd_say_what_they_are(python: Observe, tmp_path: Path) -> None:
    seen = python(
        """
        import os, sys
        path = sys.argv[1] + '/gone'
        fd = os.open(path, os.O_CREAT | os.O_RDWR)
        os.unlink(path)
        os.open(f'/proc/self/fd/{fd}', os.O_RDWR)
        memory = os.memfd_create('scratch')
        os.open(f'/proc/self/fd/{memory}', os.O_RDWR)
        """,
        str(tmp_path),
    )
    again = [event for event in seen.of(File, op="write") if event.deleted and not event.memfd]
    assert [event.path for event in again] == [f"{tmp_path}/gone"]
    assert [event.path for event in seen.of(File, memfd=True)] == ["memfd:scratch"]


def test_a_mount_is_part_of_the_path(observe: Observe, tmp_path: Path) -> None:
    seen = observe(
        ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none "$1" && echo x > "$1/inside"', "sh", str(tmp_path)]
    )
    assert [event.path for event in seen.of(File, op="create")] == [f"{tmp_path}/inside"]
    assert not (tmp_path / "inside").exists() and seen.status == 0


def test_deep_paths_are_whole_up_to_their_limit(python: Observe, tmp_path: Path) -> None:
    seen = python(
        """
        import os, sys
        os.chdir(sys.argv[1])
        for level in range(300):
            os.mkdir('directory')
            os.chdir('directory')
        open('leaf', 'w').close()
        """,
        str(tmp_path),
    )
    leaf = seen.of(File, op="create")[-1]
    assert leaf.path == f"{tmp_path}/" + "directory/" * 300 + "leaf" and not leaf.path_truncated


def test_bytes_that_are_no_text_survive(python: Observe, tmp_path: Path) -> None:
    from polygraph.text import to_bytes

    seen = python(
        "import os, sys; open(os.fsencode(sys.argv[1]) + b'/\\xff\\xfe\\n', 'w').close()", str(tmp_path)
    )
    assert [to_bytes(event.path) for event in seen.of(File, op="create")] == [
        os.fsencode(tmp_path) + b"/\xff\xfe\n"
    ]


@pytest.mark.parametrize(
    "name", ["a", "seven_7", "eight__8", "a_name_of_thirty-two_bytes_is_32", "x" * 40, "x" * 41]
)
def test_a_read_has_the_entry_by_which_it_was_opened(observe: Observe, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to(name)
    seen = observe(["cat", str(tmp_path / "link")])
    device, inode = key(tmp_path)
    assert entries(seen)[key(tmp_path / name)] == entry(device, inode, name.encode())


def entries(seen: Seen) -> dict[tuple[int, int], int]:
    """(dev, ino) -> number of the directory entry."""
    return {(one.dev, one.ino): one.entry for event in seen.of(Reads) for one in event.openings()}


def test_names_below_a_descriptor_are_the_folders(python: Observe, tmp_path: Path) -> None:
    seen = python(
        """
        import os, sys
        folder = os.open(sys.argv[1], os.O_PATH | os.O_DIRECTORY)
        while folder < 1234:  # a number of several digits
            folder = os.dup2(folder, 1234)
        os.mkdir(f'/proc/self/fd/{folder}/new')
        os.close(os.open(sys.argv[1] + '/a', os.O_CREAT | os.O_WRONLY))
        os.rename(f'/proc/self/fd/{folder}/a', f'/proc/self/fd/{folder}/new/b')
        try:
            os.unlink('/proc/self/fd/99/none')
        except OSError:
            pass
        """,
        str(tmp_path),
    )
    done = [event for event in seen.of(File) if event.op in ("mkdir", "rename", "unlink")]
    told = [(event.op, event.path, event.new_path, event.errno) for event in done]
    assert told[:2] == [
        ("mkdir", f"{tmp_path}/new", None, 0),
        ("rename", f"{tmp_path}/a", f"{tmp_path}/new/b", 0),
    ]
    ((_, lost, _, errno),) = told[2:]
    assert lost.endswith("/none") and errno == ENOENT


def test_a_file_that_is_replaced_by_a_rename_is_told_by_its_entry(observe: Observe, tmp_path: Path) -> None:
    """As `sed -i` does it: what was read before under that name is the file that went."""
    (tmp_path / "src").mkdir()
    target = tmp_path / "src" / "calc.py"
    target.write_text("a\n")
    before = key(target)
    seen = observe(
        ["sh", "-c", "cat src/calc.py && sed -i s/a/b/ src/calc.py && mv src/calc.py src/moved.py"],
        cwd=tmp_path,
    )
    renamed = seen.of(File, op="rename")
    assert [event.new_path for event in renamed] == [str(target), str(tmp_path / "src" / "moved.py")]
    assert entries(seen)[before] == entry(*key(target.parent), b"calc.py")
    # The collector looks a moment later: what has gone on meanwhile is not told, and never wrong.
    assert renamed[0].entry in (0, entries(seen)[before])
    assert (renamed[1].dev, renamed[1].ino) in ((0, 0), key(target.parent / "moved.py"))


def test_a_rename_has_what_it_moved_and_the_entry_it_took(observe: Observe, tmp_path: Path) -> None:
    (tmp_path / "calc.py").write_text("a\n")
    seen = observe(["sed", "-i", "s/a/b/", "calc.py"], cwd=tmp_path)
    renamed = seen.of(File, op="rename")[0]
    assert (renamed.dev, renamed.ino) == key(tmp_path / "calc.py")
    assert renamed.entry == entry(*key(tmp_path), b"calc.py")


def test_a_rename_of_what_was_not_opened_is_told_without_an_entry(observe: Observe, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    seen = observe(["mv", "old", "new"], cwd=tmp_path)
    renamed = seen.of(File, op="rename")[0]
    assert (renamed.new_path, renamed.ino, renamed.entry) == (f"{tmp_path}/new", 0, 0)


def test_a_path_of_a_process_with_another_root_is_told_from_ours(python: Observe, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "gone").write_text("x")
    seen = python(
        """
        import os, sys
        os.chroot(sys.argv[1])
        open('/made', 'w').close()
        os.rename('/made', '/moved')
        os.unlink('/gone')
        """,
        str(tmp_path / "inside"),
    )
    inside = f"{tmp_path}/inside"
    assert [(event.op, event.path, event.new_path) for event in under(seen, tmp_path)] == [
        ("create", f"{inside}/made", None),
        ("rename", f"{inside}/made", f"{inside}/moved"),
        ("unlink", f"{inside}/gone", None),
    ]


def test_a_file_that_gets_its_name_later_is_told_with_it(python: Observe, tmp_path: Path) -> None:
    seen = python(
        """
        import os, sys
        fd = os.open(sys.argv[1], os.O_TMPFILE | os.O_WRONLY, 0o644)
        folder = os.open('/proc/self/fd', os.O_RDONLY)  # to have it call linkat, which follows the link
        os.link(str(fd), sys.argv[1] + '/named', src_dir_fd=folder, follow_symlinks=True)
        """,
        str(tmp_path),
    )
    assert [(event.op, event.errno) for event in seen.of(File) if event.deleted] == [("write", 0)]
    linked = seen.of(File, op="link")[0]
    assert (linked.new_path, linked.errno) == (f"{tmp_path}/named", 0) and (tmp_path / "named").exists()


def test_an_open_that_a_signal_interrupts_is_told_so(python: Observe, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    seen = python(
        """
        import os, signal, sys
        def late(number, frame):
            raise TimeoutError
        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            os.open(sys.argv[1], os.O_WRONLY)
        except TimeoutError:
            pass
        """,
        str(tmp_path / "pipe"),
    )
    assert [event.errno for event in under(seen, tmp_path)] == [EINTR]


def test_the_end_of_one_session_takes_nothing_of_another(
    collector: Collector, python: Observe, gate: Gate, tmp_path: Path
) -> None:
    for number in range(23):
        (tmp_path / f"f{number}").touch()
    over: list[bool] = []

    def another(_events: object) -> None:
        if not over and gate.reached():
            launched = Launched(["true"])
            session = collector.enrol(launched.pid, "run", ["true"], "/")
            launched.release()
            launched.wait()
            collector.finish(session)
            over.append(True)
        gate.open(when=bool(over))

    seen = python(
        """
        import sys
        for number in range(23):
            open(f'{sys.argv[1]}/f{number}').close()
        open(sys.argv[2]).read()
        """,
        str(tmp_path),
        gate.path,
        meanwhile=another,
    )
    assert seen.status == 0 and over
    counted = reads(seen)
    assert [counted[key(tmp_path / f"f{number}")] for number in range(23)] == [1] * 23


def test_a_file_that_is_removed_and_made_again_is_told_by_its_entry(observe: Observe, tmp_path: Path) -> None:
    """As git writes what it merges: the name that a run had opened is the one that went, and the one that came."""
    target = tmp_path / "calc.py"
    target.write_text("a\n")
    before = key(target)
    seen = observe(["sh", "-c", "cat calc.py && rm calc.py && echo b > calc.py"], cwd=tmp_path)
    opened = entries(seen)[before]
    assert opened == entry(*key(tmp_path), b"calc.py")
    assert [event.left for event in seen.of(File, op="unlink")] == [opened]
    assert [event.entry for event in seen.of(File, op="create") if event.path == str(target)] == [opened]
