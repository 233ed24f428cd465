"""Opens files whose names somebody else chose: regular ones only, and without waiting for anybody."""

from __future__ import annotations

import os
import stat

from polygraph.text import to_bytes


def open_regular(path: bytes | str | os.PathLike[str], ino: int | None = None) -> int | None:
    """A descriptor to read the regular file at ``path``, of inode number ``ino`` if one is given; None: there is none.

    It is opened by its name once, as a place only, so that no device and no pipe is ever opened.
    """
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode) or (ino is not None and state.st_ino != ino):
            return None
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    finally:
        os.close(fd)


def open_mapped(pid: int, path: str, ino: int) -> int | None:
    """Opens the very file that process ``pid`` mapped from ``path``; None when it is out of reach or another one.

    The path is looked up in the process's own root; the inode number must agree. The device is not compared: stat
    tells another one than the kernel's on btrfs and overlayfs.
    """
    if not path.startswith("/"):
        return None
    return open_regular(f"/proc/{pid}/root".encode() + to_bytes(path), ino)
