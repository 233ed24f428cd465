"""Mutation testing of the rules: which small change of their code does no story notice?

``python -m scripts.mutants [FILE...]`` changes one operator or constant of the correlator at a time (mutmut makes
the changes, finds which stories reach the function and runs them, the quick ones first, until one fails). A mutant
that no story notices is one of three things: a story that is missing, code that is not needed, or no change of a
verdict. The last are listed with their reason in tests/correlator/mutants.toml. Prints the others, and ends with 1
if there are any.

What need not be tried: words said to people (a string with a space in it), and an argument that is missing or None,
which mypy finds. Results are kept below build/mutants and a run that was stopped goes on where it was. A mutant of a
function that has not changed since is not run again, except survivors: a story may be there now. ``--fresh`` forgets
all, as one must when stories were changed or taken away. Whole it takes an hour or two of two cores, so it is no
part of `make test`; that the list fits the code is.
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
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import click
import libcst as cst

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build" / "mutants"
STORIES = ROOT / "tests" / "correlator"
LISTED = STORIES / "mutants.toml"

#: what decides verdicts and findings, by what is tried together
GROUPS = {
    "rules": ("rules/*.py",),
    "core": tuple(
        f"{name}.py"
        for name in (
            *("apart", "coverage", "forged", "hands", "join", "judge"),
            *("matching", "outcome", "partition", "runs", "shells", "suspects"),
        )
    ),
    "detectors": ("detectors/*.py",),
}
#: stories that make hundreds of logs each, and those of what rules and detectors are given
_NOT_OF_RULES = (
    *("arrivals", "degraded", "graph", "graph_properties", "guesses", "housekeeping", "kept_work"),
    *("properties", "recorded", "replay", "tries", "work"),
)
#: of mutmut's words
_NOTICED = frozenset({"killed", "timeout", "segfault"})
#: seconds; a mutant may take so many times as long as the stories do, and some more
_PATIENCE, _MORE = 8.0, 3.0
#: mutmut's number for what was left out
_LATER = 34
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


def mutated(group: str) -> list[str]:
    """The files of a group."""
    found = [path for pattern in GROUPS[group] for path in (ROOT / "correlator").glob(pattern)]
    return sorted(str(path.relative_to(ROOT)) for path in found)


# --- one group, in a process and a folder of its own: mutmut has one state, and works where it is called ------


def _settings(group: str) -> str:
    """The project's own settings of pytest, and those of mutmut."""
    if group == "detectors":
        stories = ["tests/correlator/detectors"]
    else:
        left_out = ("detectors", *(f"test_{name}.py" for name in _NOT_OF_RULES))
        stories = ["tests/correlator", *(f"--ignore=tests/correlator/{name}" for name in left_out)]
    mutmut = {
        "source_paths": ["correlator"],
        "only_mutate": mutated(group),
        "also_copy": ["correlator/data", "docs"],
        "pytest_add_cli_args": ["-p", "no:cacheprovider"],
        "pytest_add_cli_args_test_selection": stories,
        "process_isolation": "forkserver",
        "timeout_multiplier": _PATIENCE,
        "timeout_constant": _MORE,
        "use_git_change_detection": False,
        "on_dependency_change": "ignore",
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in mutmut.items()]
    return "\n".join([(ROOT / "pyproject.toml").read_text("utf-8"), "[tool.mutmut]", *lines, ""])


def _prepare(group: str) -> Path:
    """The folder, in which mutmut finds the tree and has its own one."""
    folder = WORK / group
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("correlator", "docs", "tests"):
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(ROOT / name)
    (folder / "pyproject.toml").write_text(_settings(group), "utf-8")
    shutil.rmtree(folder / "mutants" / "tests", ignore_errors=True)
    return folder


def _is_prose(node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.IfExp):
        return _is_prose(node.body) or _is_prose(node.orelse)
    if isinstance(node, cst.SimpleString):
        return " " in node.value
    return isinstance(node, cst.FormattedString | cst.ConcatenatedString)


def _leave_out_what_need_not_be_tried() -> None:
    from mutmut.mutation import mutators

    def word(node: cst.BaseString) -> Iterator[cst.BaseString]:
        if not _is_prose(node):
            yield from list(mutators.operator_string(node))[:1]

    def argument(node: cst.Call) -> Iterator[cst.Call]:
        for i, arg in enumerate(node.args):
            if arg.keyword is not None:
                yield node.with_changes(args=[*node.args[:i], *node.args[i + 1 :]])

    def assignment(node: cst.Assign | cst.AnnAssign) -> Iterator[cst.CSTNode]:
        if node.value is None or not _is_prose(node.value):
            yield from mutators.operator_assignment(node)

    ours: dict[Any, Any] = {
        mutators.operator_string: word,
        mutators.operator_arg_removal: argument,
        mutators.operator_assignment: assignment,
    }
    operators: list[tuple[type, Any]] = mutators.mutation_operators  # type: ignore[assignment]
    if not ours.keys() <= {operator for _, operator in operators}:
        raise RuntimeError("mutmut has other operators than it had")
    operators[:] = [(kind, ours.get(operator, operator)) for kind, operator in operators]


def _collect_stories_once() -> None:
    """Has mutmut's server collect the stories, and each of its children run those of its mutant, the quick ones first.

    As mutmut has it, each child collects them anew, which takes ten times as long as to run them.
    """
    import pytest
    from _pytest.config import _prepareconfig
    from mutmut import __main__ as mutmut
    from mutmut.configuration import config
    from mutmut.runners.harness import PytestRunner
    from mutmut.state import state
    from mutmut.utils.file_utils import change_cwd
    from mutmut.workers.isolation import ForkServerRunner

    class Collected(PytestRunner):
        """``session``: that of the stories, once they are collected."""

        session: pytest.Session | None = None

        def warm_up(self) -> None:
            stories = config().pytest_add_cli_args_test_selection
            # mutmut leaves its own files to be collected, which is no story's fault
            options = ["--rootdir=.", "-q", "-p", "no:unraisableexception", *config().pytest_add_cli_args]
            with change_cwd("mutants"):
                prepared = _prepareconfig([*options, *stories])
                prepared._do_configure()  # noqa: SLF001  as pytest.main() does, which would take it down again
                self.session = pytest.Session.from_config(prepared)
                prepared.hook.pytest_sessionstart(session=self.session)
                prepared.hook.pytest_collection(session=self.session)

        def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:  # noqa: ARG002
            if self.session is None:  # the run without a mutant, and the one that must fail
                self.warm_up()
            assert self.session is not None
            wanted = frozenset(tests)
            stories = [item for item in self.session.items if not wanted or item.nodeid in wanted]
            stories.sort(key=lambda item: state().duration_by_test[item.nodeid])
            with change_cwd("mutants"):
                for item, following in zip(stories, [*stories[1:], None], strict=True):
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                    if self.session.testsfailed:
                        return 1
            return 0 if stories else 1

    def runner(children: int) -> ForkServerRunner:
        return ForkServerRunner(children, Collected, {})

    vars(mutmut)["get_mutant_runner"] = runner


def _run(group: str, files: list[str], excused: set[Change], *, only_report: bool, children: int) -> None:
    """Runs what is not decided of ``files``, and leaves what came of it in the folder as ``results.json``."""
    os.chdir(_prepare(group))
    log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    _leave_out_what_need_not_be_tried()
    _collect_stories_once()
    from mutmut import __main__ as mutmut
    from mutmut.utils import file_utils

    Path("mutants").mkdir(exist_ok=True)
    if not only_report:
        with mutmut.CatchOutput():
            file_utils.copy_src_dir()
            file_utils.copy_also_copy_files()
            mutmut.create_mutants(children)
        for file in mutated(group):
            _mark(file, excused, wanted=file in files)
        mutmut.run.main(["--max-children", str(children)], standalone_mode=False)
    found = {file: _outcomes(file) for file in files}
    Path("results.json").write_text(json.dumps(found), "utf-8")


def _mark(file: str, excused: set[Change], *, wanted: bool) -> None:
    """Has mutmut try what is wanted and not decided, and only that: it leaves alone what has a result."""
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.stats import status_by_exit_code

    data = SourceFileMutationData(path=file)
    data.load()
    for mutant, code in data.exit_code_by_key.items():
        if not wanted:
            data.exit_code_by_key[mutant] = _LATER if code is None else code
        elif status_by_exit_code[code] not in _NOTICED and not (
            code == 0 and _change(file, mutant) in excused
        ):
            data.exit_code_by_key[mutant] = None
    data.save()


def _outcomes(file: str) -> dict[str, list[tuple[str, ...]] | int]:
    """Of one file: how many were noticed, how many are to be tried, and the others."""
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.stats import status_by_exit_code

    data = SourceFileMutationData(path=file)
    data.load()
    codes = data.exit_code_by_key
    to_do = [mutant for mutant, code in codes.items() if code in (None, _LATER)]
    noticed = [mutant for mutant, code in codes.items() if status_by_exit_code[code] in _NOTICED]
    left = [
        mutant for mutant in codes if mutant not in {*to_do, *noticed} and not _changes_words(file, mutant)
    ]
    survivors = [astuple(_change(file, mutant)) for mutant in left]
    return {"noticed": len(noticed), "to_do": len(to_do), "survivors": survivors}


class _Worded(ast.NodeTransformer):
    """Leaves of sentences only that they are there."""

    def visit_JoinedStr(self, _node: ast.JoinedStr) -> ast.expr:
        return ast.Constant("…")

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        self.generic_visit(node)
        arms = [arm.value for arm in (node.body, node.orelse) if isinstance(arm, ast.Constant)]
        worded = len(arms) == 2 and any(isinstance(arm, str) and (" " in arm or arm == "…") for arm in arms)
        return ast.Constant("…") if worded else node


def _changes_words(file: str, mutant: str) -> bool:
    """Whether the mutant is the same but for what a sentence is put together from."""
    from mutmut.mutation.diff_apply import read_functions_from_index

    functions = read_functions_from_index(mutant, file)
    if functions is None:
        return False
    was, now = (ast.dump(_Worded().visit(ast.parse(cst.Module([one]).code.strip()))) for one in functions)
    return was == now


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


# --- all of them ---------------------------------------------------------------------------------------------


def _report(group: str, excused: set[Change]) -> int:
    """Prints what is left of files, and their numbers; returns how much is left."""
    left = 0
    for file, of_file in json.loads((WORK / group / "results.json").read_text("utf-8")).items():
        survivors = [Change(*words) for words in of_file["survivors"]]
        unlisted = [change for change in survivors if change not in excused]
        for change in unlisted:
            click.echo(change)
        unneeded = {change for change in excused if change.file == file} - set(survivors)
        for change in sorted(unneeded, key=str) if not of_file["to_do"] else ():
            click.echo(f"is listed, and did not survive:\n{change}")
        click.echo(
            f"{file}: {of_file['noticed']} noticed, {len(survivors) - len(unlisted)} listed, "
            f"{len(unlisted)} left, {of_file['to_do']} not tried"
        )
        left += len(unlisted) + len(unneeded) + of_file["to_do"]
    return left


@click.command()
@click.argument("files", nargs=-1)
@click.option("--fresh", is_flag=True, help="Forget earlier results.")
@click.option("--only-report", is_flag=True, help="Run nothing.")
@click.option("--children", default=os.cpu_count() or 1, help="Processes at a time.")
def main(files: tuple[str, ...], *, fresh: bool, only_report: bool, children: int) -> None:
    """Runs what is not decided, of FILES (the ends of their names) or of all, and reports."""
    excused = {Change(row.file, row.function, row.was, now) for row in rows() for now in row.now}
    if fresh:
        shutil.rmtree(WORK, ignore_errors=True)
    left = 0
    for group in GROUPS:
        wanted = [file for file in mutated(group) if not files or file.endswith(files)]
        if not wanted:
            continue
        process = multiprocessing.get_context("fork").Process(
            target=_run,
            args=(group, wanted, excused),
            kwargs={"only_report": only_report, "children": children},
        )
        process.start()
        process.join()
        if process.exitcode != 0:
            raise click.ClickException(f"{group}: mutmut failed, see {WORK / group / 'log.txt'}")
        left += _report(group, excused)
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main()
