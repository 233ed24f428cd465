"""collector/tls/preload.py: what a command is likely to speak TLS through is known before it starts."""

from __future__ import annotations

import sys
from pathlib import Path

from collector.tls.preload import candidates
from tests.collector.tls.elfs import installed


def test_the_systems_library_the_program_and_its_interpreter_are_candidates(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!{sys.executable} -I\n")
    found = [path.resolve() for path in candidates(str(script))]
    assert {script, Path(sys.executable).resolve(), installed()["libssl"].resolve()} <= set(found)
    assert len(found) == len(set(found))


def test_env_is_followed_in_the_path_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    interpreter = tmp_path / "bin/mine"
    interpreter.write_text("")
    interpreter.chmod(0o755)
    script = tmp_path / "script"
    for line in (b"#!/usr/bin/env mine", b"#! /usr/bin/env -S A=b mine -x\nrest"):
        script.write_bytes(line)
        assert interpreter in candidates(str(script), str(tmp_path / "bin"))
    assert interpreter not in candidates(str(script), str(tmp_path))


def test_commands_that_are_no_files_add_nothing(tmp_path: Path) -> None:
    for first in (
        b"",
        b"#!",
        b"#!\n",
        b"#!/usr/bin/env",
        b"#!/usr/bin/env -i",
        b"#!/gone \xff\0",
        b"\x7fELF",
    ):
        (tmp_path / "script").write_bytes(first)
        assert set(candidates("")) <= set(candidates(str(tmp_path / "script")))
    assert candidates(str(tmp_path / "gone")) == candidates(str(tmp_path)) == candidates("")
