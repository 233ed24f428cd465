"""The wheel holds what the installed program needs: data, pages, the BPF object; no compiler is asked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = ("polygraph", "collector", "correlator", "exporters", "enforcer", "console")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources, so that no earlier build is in it."""
    source = tmp_path_factory.mktemp("source")
    for name in TOP:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    target = tmp_path_factory.mktemp("wheel")
    made = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", target, source],
        capture_output=True,
        check=False,
        text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    (found,) = target.glob("*.whl")
    return found


def test_every_file_of_a_package_is_in_it(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    needed = {
        str(path.relative_to(ROOT))
        for name in TOP
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.suffix not in {".md", ".pyc", ".tmp"}
    }
    assert "collector/kernel/polygraph.bpf.o" in needed
    assert needed - packed == set()


def test_installed_it_needs_no_compiler_and_nothing_of_the_tree(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "true").symlink_to("/bin/true")
    environment = {"PATH": str(programs), "PYTHONPATH": str(site), "HOME": str(tmp_path)}
    asked = [sys.executable, "-c", "import collector.kernel as kernel; print(*kernel.__path__)"]
    where = subprocess.run(asked, capture_output=True, check=True, cwd=tmp_path, env=environment, text=True)
    assert Path(where.stdout.strip()).is_relative_to(site)
    assert os.geteuid() == 0, "this test loads BPF programs: run it as root"
    done = subprocess.run(
        [sys.executable, "-m", "polygraph", "doctor", "--json"],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env=environment,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["ok"]
