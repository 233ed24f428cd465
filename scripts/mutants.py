"""Mutation testing of the rules: which small change of their code does no story notice?

``python -m scripts.mutants [FILE...]`` changes one operator or constant of the correlator at a time (mutmut makes the
changes, finds which stories reach the function and runs them, the quick ones first, until one fails). A mutant that no
story notices is one of three things: a story that is missing, code that is not needed, or no change of a verdict. The
last are listed with their reason in tests/correlator/mutants.toml. Prints the others, and ends with 1 if there are any.

What need not be tried: words said to people (a string with a space in it), and an argument that is missing or None,
which mypy finds. Results are kept below build/mutants, one folder a file, and a run that was stopped goes on where it
was. A mutant of a function that has not changed since is not run again, except survivors: a story may be there now.
``--fresh`` forgets all. Whole it takes an hour or two of two cores, so it is no part of `make test`; that the list fits
the code is.
"""

from __future__ import annotations

import ast
import json
import multiprocessing
import os
import shutil
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import libcst as cst

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build" / "mutants"
STORIES = ROOT / "tests" / "correlator"
LISTED = STORIES / "mutants.toml"

#: what decides verdicts and findings
MUTATED = (
    "correlator/rules/*.py",
    *(
        f"correlator/{name}.py"
        for name in (
            "coverage",
            "forged",
            "join",
            "judge",
            "matching",
            "outcome",
            "runs",
            "shells",
            "suspects",
        )
    ),
    "correlator/detectors/*.py",
)
#: stories that make hundreds of logs each: what a rule says is for a story to tell
_SLOW = ("test_graph_properties.py", "test_properties.py", "test_replay.py", "test_work.py")
#: of mutmut's words
_NOTICED = frozenset({"killed", "timeout", "segfault"})
#: seconds; a mutant may take so many times as long as the stories do, and some more
_PATIENCE, _MORE = 8.0, 3.0
#: words of a line that are too few to tell which line it is
_FEW = 3


@dataclass(frozen=True, slots=True)
class Change:
    """What one mutant changes: lines of a function, each stripped, joined by a space."""

    file: str
    function: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.file}: {self.function}\n  - {self.was}\n  + {self.now}"


@dataclass(frozen=True, slots=True)
class Row:
    """Mutants of one line that change no verdict, and why."""

    file: str
    function: str
    was: str
    now: tuple[str, ...]
    why: str


def rows(path: Path = LISTED) -> list[Row]:
    """The list of what changes no verdict. Raises ValueError on a row that is not like the others."""
    found = []
    for row in tomllib.loads(path.read_text("utf-8")).get("changes_no_verdict", []):
        if set(row) != {"file", "function", "was", "now", "why"} or not row["now"] or not row["why"]:
            raise ValueError(f"{path.name}: {row}")
        found.append(Row(row["file"], row["function"], row["was"], tuple(row["now"]), row["why"]))
    return found


def lost(listed: Iterable[Row], root: Path = ROOT) -> list[Row]:
    """Rows whose line is not in their function any more."""
    return [row for row in listed if row.was not in _source(root / row.file, row.function)]


def _source(file: Path, name: str) -> str:
    """The text of a function or ``Class.method`` in the form of :class:`Change`; "" if there is none."""
    if not file.is_file():
        return ""
    text = file.read_text("utf-8")
    node: ast.AST | None = ast.parse(text)
    for part in name.split("."):
        inside: list[ast.stmt] = getattr(node, "body", [])
        node = next((n for n in inside if getattr(n, "name", None) == part), None)
    return _joined((ast.get_source_segment(text, node) or "").splitlines()) if node is not None else ""


def _joined(lines: Iterable[str]) -> str:
    return " ".join(line.strip() for line in lines)


# --- one file, in a process and a folder of its own: mutmut has one state, and works in the current folder ------------


def _settings(file: str) -> str:
    """The project's own settings of pytest, and those of mutmut for one file."""
    stories = [
        str(path.relative_to(ROOT))
        for path in sorted(STORIES.rglob("test_*.py"))
        if path.name not in _SLOW and ("/detectors/" in file) == (path.parent.name == "detectors")
    ]
    mutmut = {
        "source_paths": ["correlator"],
        "only_mutate": [file],
        "also_copy": ["correlator/data", "docs"],
        "pytest_add_cli_args": ["-p", "no:cacheprovider"],
        "pytest_add_cli_args_test_selection": stories,
        "timeout_multiplier": _PATIENCE,
        "timeout_constant": _MORE,
        "use_git_change_detection": False,
        "on_dependency_change": "ignore",
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in mutmut.items()]
    return "\n".join([(ROOT / "pyproject.toml").read_text("utf-8"), "[tool.mutmut]", *lines, ""])


def _prepare(file: str) -> Path:
    """The folder, in which mutmut finds the tree and has its own one."""
    folder = WORK / file.removesuffix(".py").replace("/", ".")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("correlator", "docs", "tests"):
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(ROOT / name)
    (folder / "pyproject.toml").write_text(_settings(file), "utf-8")
    shutil.rmtree(folder / "mutants" / "tests", ignore_errors=True)
    stats = folder / "mutants" / "mutmut-stats.json"
    newest = max(path.stat().st_mtime for path in STORIES.rglob("*.py"))
    if stats.is_file() and stats.stat().st_mtime < newest:
        stats.unlink()  # which story reaches what is asked again
    return folder


def _leave_out_what_need_not_be_tried() -> None:
    from mutmut.mutation import mutators

    def word(node: cst.BaseString) -> Iterator[cst.BaseString]:
        if isinstance(node, cst.SimpleString) and " " not in node.value:
            yield from list(mutators.operator_string(node))[:1]

    def argument(node: cst.Call) -> Iterator[cst.Call]:
        for i, arg in enumerate(node.args):
            if arg.keyword is not None:
                yield node.with_changes(args=[*node.args[:i], *node.args[i + 1 :]])

    ours = {mutators.operator_string: word, mutators.operator_arg_removal: argument}
    operators = mutators.mutation_operators
    operators[:] = [(kind, ours.pop(operator, operator)) for kind, operator in operators]
    assert not ours, "mutmut has other operators than it had"


def _run(file: str, excused: set[Change], *, only_report: bool, children: int) -> None:
    """Runs what is not decided of ``file``, and leaves what came of it in its folder as ``results.json``."""
    os.chdir(_prepare(file))
    log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    _leave_out_what_need_not_be_tried()
    from mutmut import __main__ as mutmut
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.stats import status_by_exit_code
    from mutmut.utils import file_utils

    def results() -> list[tuple[str, str, Change | None]]:
        data = SourceFileMutationData(path=file)
        data.load()
        said = {mutant: status_by_exit_code[code] for mutant, code in data.exit_code_by_key.items()}
        return [
            (mutant, status, None if status in _NOTICED else _change(file, mutant))
            for mutant, status in said.items()
        ]

    Path("mutants").mkdir(exist_ok=True)
    with mutmut.CatchOutput():
        file_utils.copy_src_dir()
        file_utils.copy_also_copy_files()
        mutmut.create_mutants(children)
    again = [
        mutant
        for mutant, status, change in results()
        if status not in _NOTICED and not (status == "survived" and change in excused)
    ]
    if again and not only_report:
        mutmut.run.callback(again, max_children=children)
    found = results()
    survivors = [(change.function, change.was, change.now) for _, _, change in found if change is not None]
    Path("results.json").write_text(json.dumps({"mutants": len(found), "survivors": survivors}), "utf-8")


def _change(file: str, mutant: str) -> Change:
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.utils.format_utils import orig_function_and_class_names_from_key

    function, of_class = orig_function_and_class_names_from_key(mutant)
    lines = get_diff_for_mutant(mutant, path=file).splitlines()[3:]
    first = next(i for i, line in enumerate(lines) if line[0] in "-+")
    # "continue" alone says too little: with the line before it.
    before = lines[first - 1 : first] if first and len(lines[first].split()) <= _FEW else []
    was, now = (
        _joined(line[1:] for line in (*before, *(line for line in lines if line[0] == sign))) for sign in "-+"
    )
    return Change(file, f"{of_class}.{function}" if of_class else function, was, now)


# --- all of them ------------------------------------------------------------------------------------------------


def _report(file: str, excused: set[Change]) -> int:
    """Prints what is left of a file, and its numbers; returns how much is left."""
    done = json.loads((_prepare(file) / "results.json").read_text("utf-8"))
    survivors = [Change(file, *words) for words in done["survivors"]]
    left = [change for change in survivors if change not in excused]
    for change in left:
        click.echo(change)
    unneeded = {change for change in excused if change.file == file} - set(survivors)
    for change in sorted(unneeded, key=str):
        click.echo(f"is listed, and did not survive:\n{change}")
    noticed = done["mutants"] - len(survivors)
    click.echo(
        f"{file}: {done['mutants']} mutants, {noticed} noticed, {len(survivors) - len(left)} listed, {len(left)} left"
    )
    return len(left) + len(unneeded)


@click.command()
@click.argument("files", nargs=-1)
@click.option("--fresh", is_flag=True, help="Forget earlier results.")
@click.option("--only-report", is_flag=True, help="Run nothing.")
@click.option("--children", default=os.cpu_count() or 1, help="Processes at a time.")
def main(files: tuple[str, ...], *, fresh: bool, only_report: bool, children: int) -> None:
    """Runs what is not decided, of FILES (the ends of their names) or of all, and reports."""
    excused = {Change(row.file, row.function, row.was, now) for row in rows() for now in row.now}
    every = sorted(str(path.relative_to(ROOT)) for pattern in MUTATED for path in ROOT.glob(pattern))
    if fresh:
        shutil.rmtree(WORK, ignore_errors=True)
    left = 0
    for file in [name for name in every if not files or name.endswith(files)]:
        process = multiprocessing.get_context("fork").Process(
            target=_run, args=(file, excused), kwargs={"only_report": only_report, "children": children}
        )
        process.start()
        process.join()
        if process.exitcode != 0:
            raise click.ClickException(f"{file}: mutmut failed, see {_prepare(file) / 'log.txt'}")
        left += _report(file, excused)
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main()
