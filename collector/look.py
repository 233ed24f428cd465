"""Reads the state of a file that an agent says it wrote, and finds the tests of a project of which it says "all".

What is there is untrusted: a file may be a pipe, a device or huge, a directory endless or a link.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections import deque
from pathlib import Path

from collector.file_states import FileLook
from collector.kernel.entry import entry
from polygraph import test_files
from polygraph.text import from_bytes, to_bytes

#: larger files are not compared by content
CONTENT_LIMIT = 8 * 1024 * 1024
#: a directory with more files is not listed
NAMES_LIMIT = 64
#: what these mean depends on who looks: a process, its descriptors
_OF_THE_LOOKER = ("/proc/", "/dev/fd/", "/dev/std")

#: most entries of directories that are read in a search for tests, most tests that are told, and how deep they may lie
MAX_ENTRIES = 10_000
MAX_TESTS = 128
_MAX_DEPTH = 8

#: openat2(2), include/uapi/linux/openat2.h; Linux 5.6
_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def look_at(root: bytes | None, cwd: str | None, path: str, limit: int = CONTENT_LIMIT) -> FileLook | None:
    """The file at ``path`` as a process with this ``root`` (:func:`root_of`) and this ``cwd`` would find it.

    None when that cannot be told: no absolute path, no root, or a name that is another file for each process, such as
    /proc/self/fd/1. Content of more than ``limit`` bytes is left out.
    """
    if not path.startswith("/"):
        if cwd is None or not cwd.startswith("/"):
            return None
        path = f"{cwd}/{path}"
    if root is None or os.path.normpath(path).startswith(_OF_THE_LOOKER):
        return None
    name = to_bytes(path)
    try:
        fd = _open_in(root, name) if root else os.open(name, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return FileLook(exists=False)
    except (OSError, ValueError):
        return None
    try:
        state = os.fstat(fd)
        content = _content(fd, state, limit) if stat.S_ISREG(state.st_mode) else None
        files = _names(fd) if stat.S_ISDIR(state.st_mode) and path.endswith("/") else ()
    finally:
        os.close(fd)
    return FileLook(
        exists=True,
        size=state.st_size,
        mtime=state.st_mtime_ns,
        dev=state.st_dev,
        ino=state.st_ino,
        content=content,
        names=files,
        tests=test_files.defined_in(path, content) if content is not None else 0,
    )


def project_tests(root: bytes | None, cwd: str | None) -> list[tuple[str, FileLook]]:
    """Test files below ``cwd``, with the compiled forms of each, as a process with this ``root`` finds them.

    The nearest first, by name; no link is followed. Empty where the directory cannot be told or read.
    """
    if root is None or cwd is None or not cwd.startswith("/") or cwd.strip("/") == "":
        return []
    try:
        name = to_bytes(cwd)
        top = _open_in(root, name) if root else os.open(name, os.O_PATH | os.O_CLOEXEC)
    except (OSError, ValueError):
        return []
    found: list[tuple[str, FileLook]] = []
    folders: deque[tuple[str, int, int]] = deque([(cwd.rstrip("/"), top, 0)])
    left = MAX_ENTRIES
    tests = 0
    try:
        while folders and left > 0 and tests < MAX_TESTS:
            path, fd, depth = folders.popleft()
            try:
                files, below, seen = _entries(fd, left)
                left -= seen
                for entry_name in files[: MAX_TESTS - tests]:
                    tests += 1
                    found += _test(path, fd, entry_name)
                for entry_name in below if depth < _MAX_DEPTH else ():
                    folders.append((f"{path}/{from_bytes(entry_name)}", _below(fd, entry_name), depth + 1))
            except OSError:
                continue  # it may not be read, or went away: its tests are not told
            finally:
                os.close(fd)
    finally:
        for _, fd, _ in folders:
            os.close(fd)
    return found


def _below(fd: int, name: bytes) -> int:
    return os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)


def _entries(fd: int, most: int) -> tuple[list[bytes], list[bytes], int]:
    """Names of test files and of directories that may hold some, and how many entries were read. Raises OSError."""
    files: list[bytes] = []
    below: list[bytes] = []
    seen = 0
    readable = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    try:
        with os.scandir(readable) as rows:
            for row in rows:
                seen += 1
                if seen > most:
                    break
                name = os.fsencode(row.name)
                if row.is_dir(follow_symlinks=False):
                    if test_files.is_searched(from_bytes(name)):
                        below.append(name)
                elif test_files.language_of(from_bytes(name)) and row.is_file(follow_symlinks=False):
                    files.append(name)
    finally:
        os.close(readable)
    return sorted(files), sorted(below), seen


def _test(path: str, fd: int, name: bytes) -> list[tuple[str, FileLook]]:
    """The file ``name`` of the directory, and what Python compiled it to (PEP 3147). Raises OSError."""
    found = [(f"{path}/{from_bytes(name)}", _plain_look(os.stat(name, dir_fd=fd, follow_symlinks=False)))]
    if not name.endswith(b".py"):
        return found
    try:
        cache = _below(fd, b"__pycache__")
    except OSError:
        return found
    try:
        readable = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=cache)
        try:
            stem = name[:-2]
            with os.scandir(readable) as rows:
                compiled = sorted(n for row in rows if (n := os.fsencode(row.name)).startswith(stem))[:8]
        finally:
            os.close(readable)
        for one in compiled:
            state = os.stat(one, dir_fd=cache, follow_symlinks=False)
            found.append((f"{path}/__pycache__/{from_bytes(one)}", _plain_look(state)))
    finally:
        os.close(cache)
    return found


def _plain_look(state: os.stat_result) -> FileLook:
    return FileLook(True, state.st_size, state.st_mtime_ns, state.st_dev, state.st_ino)


def renamed_to(root: bytes | None, path: str, moved: tuple[int, int]) -> int:
    """The number of the directory entry ``path``, to which a process with that root renamed ``moved`` (dev, ino).

    0 if that file is not found there: another came since, the path means something else to that process, or its
    file system tells stat(2) other numbers than the kernel side.
    """
    # Not known: what is found there shows whether ours is the same.
    folder, name = os.path.split(to_bytes(path))
    try:
        fd = os.open((root or b"") + folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return 0
    try:
        found, state = os.stat(name, dir_fd=fd, follow_symlinks=False), os.fstat(fd)
    except (OSError, ValueError):
        return 0
    finally:
        os.close(fd)
    return entry(state.st_dev, state.st_ino, name) if (found.st_dev, found.st_ino) == moved else 0


def entry_at(root: bytes | None, path: str) -> int:
    """The number of the directory entry ``path``, which need not be there any more, to a process with that root.

    0 if there is no root, or its directory is not found.
    """
    if root is None:
        return 0
    folder, name = os.path.split(to_bytes(path))
    try:
        state = Path(from_bytes(root + folder)).stat()
    except (OSError, ValueError):
        return 0
    return entry(state.st_dev, state.st_ino, name)


def _open_in(root: bytes, name: bytes) -> int:
    """A descriptor of ``name`` where ``root`` is the root: no link leads out of it. Raises OSError, ValueError."""
    if b"\0" in name:
        raise ValueError("NUL in a path")
    libc = ctypes.CDLL(None, use_errno=True)
    how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = int(libc.syscall(_OPENAT2, top, name, ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))))
        number = ctypes.get_errno()
    finally:
        os.close(top)
    if fd < 0:
        raise OSError(number, os.strerror(number), os.fsdecode(name))
    return fd


def root_of(pid: int) -> bytes | None:
    """Prefix that leads to what process ``pid`` sees as ``/``; None when it has ended.

    In our own mount namespace it is a path that stays true when the process ends; else it leads through /proc and
    ends with it.
    """
    try:
        if Path(f"/proc/{pid}/ns/mnt").readlink() == Path("/proc/self/ns/mnt").readlink():
            return os.fsencode(Path(f"/proc/{pid}/root").readlink()).rstrip(b"/")
        return os.fsencode(f"/proc/{pid}/root")
    except OSError:
        return None


def _names(fd: int) -> tuple[str, ...]:
    """Regular files in the directory that are not hidden, by name; none of them where there are more than the limit."""
    found: list[str] = []
    try:
        with os.scandir(f"/proc/self/fd/{fd}") as entries:
            for number, one in enumerate(entries):
                if number >= 16 * NAMES_LIMIT or len(found) > NAMES_LIMIT:
                    return ()
                if not one.name.startswith(".") and one.is_file(follow_symlinks=False):
                    found.append(from_bytes(os.fsencode(one.name)))
    except OSError:
        return ()
    return tuple(sorted(found)) if len(found) <= NAMES_LIMIT else ()


def _content(fd: int, state: os.stat_result, limit: int) -> bytes | None:
    if state.st_size > limit:
        return None
    try:
        # O_PATH first, so that nothing but a regular file is ever opened for reading.
        readable = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None
    with os.fdopen(readable, "rb") as file:
        return file.read(limit)
