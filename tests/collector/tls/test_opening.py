"""collector/tls/opening.py: the file that is meant, or none; nothing that has to be waited for."""

from __future__ import annotations

import os
from pathlib import Path

from collector.tls.opening import open_mapped
from polygraph.text import from_bytes


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
