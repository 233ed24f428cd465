"""collector/tls/preload.py: what a command is likely to speak TLS through is known before it starts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

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


def package(folder: Path, manifest: str) -> Path:
    """A script of an npm package with this package.json, started through a link; beside it its native build."""
    here = folder / "node_modules/@maker/agent"
    there = folder / "node_modules/@maker/agent-linux-x64/bin"
    for made in (here / "bin", there):
        made.mkdir(parents=True)
    (here / "package.json").write_text(manifest)
    (here / "bin/agent.js").write_text("#!/usr/bin/env node\n")
    (there / "agent").write_bytes(b"\x7fELF")
    (there / "agent").chmod(0o755)
    for name, content in (("README.md", b"text"), ("libx.so.1", b"\x7fELF"), ("script", b"#!/bin/sh")):
        (there / name).write_bytes(content)
        (there / name).chmod(0o755)
    link = folder / "agent"
    link.symlink_to(here / "bin/agent.js")
    return link


def test_what_a_script_of_npm_starts_in_its_place_is_a_candidate(tmp_path: Path) -> None:
    names = ("@maker/agent-linux-x64", "@maker/agent-darwin-arm64", "../../agent-linux-x64")
    script = package(tmp_path, json.dumps({"optionalDependencies": dict.fromkeys(names, "1.0.0")}))
    found = {path.resolve() for path in candidates(str(script))}
    native = tmp_path / "node_modules/@maker/agent-linux-x64/bin"
    assert native in {path.parent for path in found}
    assert {path.name for path in found if path.parent == native} == {"agent"}


@pytest.mark.parametrize(
    "manifest", ["", "[]", "{", '{"optionalDependencies": 3}', '{"optionalDependencies": {}}']
)
def test_a_package_that_says_nothing_adds_nothing(tmp_path: Path, manifest: str) -> None:
    script = package(tmp_path, manifest)
    native = tmp_path / "node_modules/@maker/agent-linux-x64/bin/agent"
    assert script in (found := candidates(str(script))) and native not in found
