"""What holds for the whole tree: the linters are clean, modules stay small, nothing of one machine is in it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = ("polygraph", "collector", "correlator", "exporters", "enforcer", "console")
FOLDERS = (*TOP, "bench", "bpf", "deploy", "scripts", "tests")
MAX_LINES = 600

#: where a package manager was told to look: belongs to the machine, never to a lock file
_INDEX = re.compile(r'--(?:extra-)?index-url|--find-links|^registry\s*=|"resolved":|direct_url', re.MULTILINE)


def modules() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def texts() -> list[tuple[Path, str]]:
    """Every text file that the tree's own folders hold."""
    found = [path for path in ROOT.iterdir() if path.is_file()]
    found += [path for folder in (*FOLDERS, "docs") for path in (ROOT / folder).rglob("*") if path.is_file()]
    pairs = []
    for path in found:
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            pairs.append((path.relative_to(ROOT), content.decode("utf-8", "replace")))
    return pairs


@pytest.mark.timeout(600)  # mypy without its cache, on a slow machine
@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["mypy"], ["lint-imports", "--no-cache"]],
    ids=lambda command: command[0],
)
def test_it_is_clean(command: list[str]) -> None:
    tool = Path(sys.executable).parent / command[0]
    done = subprocess.run([tool, *command[1:]], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_module_is_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in modules()}
    assert len(lengths) > len(TOP)
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_every_folder_of_the_house_and_every_package_says_what_it_is_for() -> None:
    packages = [path.parent for folder in TOP for path in (ROOT / folder).rglob("__init__.py")]
    folders = {*packages, *(ROOT / name for name in FOLDERS)}
    assert [str(path) for path in sorted(folders) if not (path / "README.md").is_file()] == []


def test_the_readme_begins_with_the_two_commands_and_both_exist() -> None:
    first = (ROOT / "README.md").read_text("utf-8").split("```")[1].strip().splitlines()
    assert [line.split("#")[0].strip() for line in first] == ["make demo", "make test"]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {"demo", "test"} <= set(targets)


def test_nothing_of_one_machine_is_in_the_tree() -> None:
    here = f"{ROOT}/"
    found = [str(path) for path, text in texts() if here in text]
    assert found == []


def test_no_lock_file_names_where_packages_come_from() -> None:
    locks = [
        (path, text)
        for path, text in texts()
        if path.suffix == ".lock"
        or "lock" in path.stem
        or "requirements" in path.stem
        or path.name == ".npmrc"
    ]
    assert Path("requirements-dev.lock") in {path for path, _ in locks}
    assert [str(path) for path, text in locks if path.suffix != ".py" and _INDEX.search(text)] == []


def test_a_test_runs_or_fails_and_is_never_left_out() -> None:
    left_out = re.compile(r"pytest\.(?:skip|xfail|importorskip|mark\.(?:skip|skipif|xfail))\b|unittest\.skip")
    found = [str(path) for path, text in texts() if path.suffix == ".py" and left_out.search(text)]
    assert found == []
