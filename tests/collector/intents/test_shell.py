"""collector/intents/shell.py: what a command line should do, and what of it is not certain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.intents.shell import MAX_TEXT, Redirect, parse
from collector.intents.words import UNKNOWN
from polygraph.events import Execution


def programs(command: str) -> list[str]:
    return [" ".join((e.program, *e.args)) for e in parse(command).executions if not e.builtin]


def only(command: str, program: str) -> Execution:
    found = [e for e in parse(command).executions if e.program == program]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("pytest -q", ["pytest -q"]),
        (".venv/bin/pytest", ["pytest"]),
        ("pytest -q | tail -5", ["pytest -q", "tail -5"]),
        ("cd a && pytest -q 2>&1 | tail -5", ["pytest -q", "tail -5"]),
        ("a && b || c; d", ["a", "b", "c", "d"]),
        ("if a; then b; elif c; then d; else e; fi", ["a", "b", "c", "d", "e"]),
        ("for i in 1 2; do run $i; done", ["run 1", "run 2"]),
        ("while read l; do x; done < f", ["x"]),
        ("case $x in a) y;; *) z;; esac", ["y", "z"]),
        ("(cd x; y); { z; }", ["y", "z"]),
        ("f() { x; y; }; f", ["x", "y"]),
        ("f() { x; }", []),
        ("x=$(pytest -q); echo `ls`", ["pytest -q", "ls"]),
        ("diff <(a) <(b)", ["a", "b", f"diff {UNKNOWN} {UNKNOWN}"]),
        ("! a", ["a"]),
        ("time pytest", ["pytest"]),
        ("bash -lc 'pytest -q'", ["pytest -q"]),
        ("sh -c \"bash -c 'sh -ec pytest'\"", ["pytest"]),
        ("eval 'a b'", ["a b"]),
        ("env A=1 -u B pytest", ["pytest"]),
        ("A=1 B=2 pytest", ["pytest"]),
        ("sudo -u bob -E pytest", ["sudo -u bob -E pytest", "pytest"]),
        ("timeout -k 5 30s pytest", ["pytest"]),
        ("nice -n 10 make", ["make"]),
        ("stdbuf -oL pytest", ["pytest"]),
        ("uv run --with x pytest -q", ["uv run --with x pytest -q", "pytest -q"]),
        ("uv run -- python -m pytest", ["uv run -- python -m pytest", "python -m pytest"]),
        ("uv pip install x", ["uv pip install x"]),
        ("uvx ruff check", ["uvx ruff check", "ruff check"]),
        ("poetry run pytest", ["poetry run pytest", "pytest"]),
        ("poetry install", ["poetry install"]),
        ("pipenv run pytest", ["pipenv run pytest", "pytest"]),
        ("pdm run pytest", ["pdm run pytest", "pytest"]),
        ("hatch run pytest", ["hatch run pytest", "pytest"]),
        ("conda run -n env pytest", ["conda run -n env pytest", "pytest"]),
        ("npx jest --ci", ["npx jest --ci", "jest --ci"]),
        ("npx -y -p jest jest", ["npx -y -p jest jest", "jest"]),
        ("npm exec -- jest", ["npm exec -- jest", "jest"]),
        ("npm test", ["npm test"]),
        ("npm run build", ["npm run build"]),
        ("pnpm exec vitest run", ["pnpm exec vitest run", "vitest run"]),
        ("bundle exec rspec", ["bundle exec rspec", "rspec"]),
        ("make test", ["make test"]),
        ("tox -e py", ["tox -e py"]),
        ("ls | xargs grep x", ["ls", "xargs grep x", f"grep x {UNKNOWN}"]),
        ("find . -exec rm {} +", [f"find . -exec rm {UNKNOWN} +", f"rm {UNKNOWN}"]),
        ("watch -n 1 'ls -l'", ["watch -n 1 ls -l", "ls -l"]),
        ("strace -f -o t pytest", ["strace -f -o t pytest", "pytest"]),
        ("command pytest", ["pytest"]),
        ("X=pytest; $X -q", ["pytest -q"]),
        ('X="pytest -q"; $X', ["pytest -q"]),
        ('X="a b"; ls "$X"', ["ls a b"]),
        ("ls $Y/a *.py", [f"ls {UNKNOWN}/a {UNKNOWN}"]),
        ("ls 'a b' \"c d\" e\\ f", ["ls a b c d e f"]),
        ("ls $'a\\tb'", ["ls a\tb"]),
        ("bash <<'EOF'\npytest\nEOF", ["pytest"]),
        ("bash run.sh", ["bash run.sh"]),
        ("# pytest\nls", ["ls"]),
        ("exit 0; pytest", []),
        ("exec pytest; ls", ["pytest"]),
        ("", []),
    ],
)
def test_programs_that_a_command_starts(command: str, expected: list[str]) -> None:
    assert programs(command) == expected


@pytest.mark.parametrize(
    "command",
    [
        "echo pytest",
        "echo 'run: pytest && npm test'",
        "printf '%s' \"pytest -q\"",
        'echo "a; pytest"',
        "cat <<'EOF' > README\npytest -q\nnpm test\nEOF",
        "git commit -m 'pytest passes'",
        "grep -r 'pytest' .",
        "pytest() { echo '3 passed'; }; pytest",
        "true # pytest",
        "test -f pytest",
        "python -c 'import pytest'",
        "VAR='pytest'",
    ],
)
def test_a_word_that_only_names_a_runner_is_no_run(command: str) -> None:
    assert all(execution.purpose != "test" for execution in parse(command).executions)


@pytest.mark.parametrize(
    ("command", "masked"),
    [
        ("pytest", False),
        ("pytest | tail", True),
        ("set -o pipefail; pytest | tail", False),
        ("bash -o pipefail -c 'pytest | tail'", False),
        ("bash -euo pipefail -c 'pytest | tail; ls'", False),
        ("cat x | pytest", False),
        ("pytest || true", True),
        ("pytest || exit 1", False),
        ("pytest || exit 1; echo done", False),
        ("pytest || { echo bad; exit 1; }", False),
        ("pytest; echo done", True),
        ("set -e; pytest; echo done", False),
        ("pytest; exit $?", False),
        ("pytest; exit 0", True),
        ("pytest && echo ok", False),
        ("pytest && echo ok || echo bad", True),
        ("cd a && pytest", False),
        ("cd a && pytest | tail", True),
        ("! pytest", True),
        ("! date > at.txt | pytest", True),
        ("if pytest; then echo ok; fi", True),
        ("pytest &", True),
        ("x=$(pytest)", False),
        ("echo $(pytest)", True),
        ("pytest > log 2>&1", False),
        ("(pytest)", False),
        ("set -e; pytest && ls; ls", True),
    ],
)
def test_whether_the_shell_reports_the_status(command: str, masked: bool) -> None:
    assert only(command, "pytest").masked is masked


@pytest.mark.parametrize(
    ("command", "conditional"),
    [
        ("pytest", False),
        ("a; pytest", False),
        ("a && pytest", True),
        ("a || pytest", True),
        ("a && b; pytest", False),
        ("if a; then pytest; fi", True),
        ("if pytest; then a; fi", False),
        ("for f in *; do pytest; done", True),
        ("cat x | xargs pytest", True),
        ("a | pytest", False),
        ("a && b | pytest", True),
    ],
)
def test_whether_it_runs_in_any_case(command: str, conditional: bool) -> None:
    assert only(command, "pytest").conditional is conditional


@pytest.mark.parametrize(
    ("command", "cwd"),
    [
        ("pytest", "/r"),
        ("cd a && pytest", "/r/a"),
        ("cd a/../b && pytest", "/r/b"),
        ("cd a; pytest", None),
        ("set -e; cd a; pytest", "/r/a"),
        ("env -C a pytest", "/r/a"),
        ("uv run --directory sub pytest", "/r/sub"),
        ("cd /x && pytest 2>&1 | tail", "/x"),
        ("(cd a); pytest", "/r"),
        ("cd $X; pytest", None),
        ("if a; then cd b; fi; pytest", None),
        ("D=a; cd $D && pytest", "/r/a"),
        ("cd - && pytest", None),
    ],
)
def test_the_directory_follows_cd(command: str, cwd: str | None) -> None:
    found = [e for e in parse(command, "/r").executions if e.program == "pytest"]
    assert [e.cwd for e in found] == [cwd]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("cat > a.py <<'EOF'\nprint(1)\nEOF", [Redirect("a.py", "write", b"print(1)\n")]),
        ("cat <<EOF > a\nhi\nEOF", [Redirect("a", "write", b"hi\n")]),
        ("cat > a <<EOF\n$HOME\nEOF", [Redirect("a", "write", None)]),
        ("cat <<-EOF > a\n\thi\n\tEOF", [Redirect("a", "write", b"hi\n")]),
        ("echo hi > a", [Redirect("a", "write", b"hi\n")]),
        ("echo -n hi >> a", [Redirect("a", "append", b"hi")]),
        ("printf 'a\\n' > a", [Redirect("a", "write", b"a\n")]),
        ("printf '%s\\n' a b > a", [Redirect("a", "write", b"a\nb\n")]),
        ("printf '%d' 1 > a", [Redirect("a", "write", None)]),
        ("ls > a", [Redirect("a", "write", None)]),
        ("ls > /dev/null 2>&1", []),
        ("x < a", [Redirect("a", "read", None)]),
        ("cd d; echo hi > a", [Redirect("d/a", "write", b"hi\n", True)]),
        ("mkdir d && echo hi > d/a", [Redirect("d/a", "write", b"hi\n", True)]),
        ("echo hi | tee a", [Redirect("a", "write", None)]),
        ("tee a <<'E' > /dev/null\nx\nE", [Redirect("a", "write", b"x\n")]),
        ("echo hi > $X", []),
        ("cat <<< hi > a", [Redirect("a", "write", None)]),
        ("ls 2> err", [Redirect("err", "write", None)]),
    ],
)
def test_files_that_the_shell_opens(command: str, expected: list[Redirect]) -> None:
    assert list(parse(command).redirects) == expected


@pytest.mark.parametrize(
    ("command", "background"),
    [
        ("sleep 1 &", True),
        ("nohup a > log 2>&1 &", True),
        ("setsid a", True),
        ("a; b & c", True),
        ("a && b", False),
    ],
)
def test_background(command: str, background: bool) -> None:
    assert parse(command).background is background


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("docker exec c pytest", "docker"),
        ("docker compose up -d", "docker"),
        ("docker ps", None),
        ("podman run a", "podman"),
        ("ssh host 'pytest'", "ssh"),
        ("systemd-run pytest", "systemd"),
        ("tmux new -d pytest", "tmux"),
        ("screen -dm pytest", "screen"),
        ("kubectl exec p -- pytest", "kubernetes"),
        ("echo pytest | at now", "at"),
        ("sudo docker run a", "docker"),
        ("pytest", None),
    ],
)
def test_work_handed_to_a_process_outside_the_lineage(command: str, name: str | None) -> None:
    plan = parse(command)
    assert plan.hand_off == name
    assert name is None or all(execution.purpose != "test" for execution in plan.executions)


@pytest.mark.parametrize(
    "command",
    ["$CMD -q", "curl x | bash", "alias p=pytest; p", 'bash -c "$X"', "pytest && (", "if", "a " * 40000],
)
def test_what_cannot_be_known_whole_is_said_so(command: str) -> None:
    plan = parse(command)
    assert not plan.parsed
    assert plan.note


def test_nothing_is_certain_after_a_syntax_error() -> None:
    plan = parse("pytest && (")
    assert all(execution.conditional for execution in plan.executions)
    assert plan.redirects == ()


def test_project_scripts_are_looked_up_when_the_caller_can() -> None:
    scripts = {("npm", "test"): "jest --ci && eslint .", ("make", "check"): "pytest -q"}

    def project(kind: str, name: str, cwd: str | None) -> str | None:
        return scripts.get((kind, name))

    assert [e.program for e in parse("npm test", "/r", project).executions] == ["npm", "jest", "eslint"]
    assert [e.program for e in parse("make check", "/r", project).executions] == ["make", "pytest"]
    assert [e.program for e in parse("make other", "/r", project).executions] == ["make"]


def test_a_script_that_calls_itself_ends() -> None:
    plan = parse("npm test", "/r", lambda kind, name, cwd: "npm test")
    assert not plan.parsed


@pytest.mark.parametrize(
    "command",
    [
        "(" * 5000,
        "$(" * 5000,
        "{ " * 5000,
        "if a; then " * 500,
        "f() { f; f; }; f",
        "a;" * 30000,
        "eval " * 500 + "a",
    ],
)
def test_hostile_nesting_is_bounded(command: str) -> None:
    plan = parse(command)
    assert len(plan.executions) <= 256
    assert not plan.parsed or len(command) < MAX_TEXT


@given(st.text(max_size=300))
def test_no_text_crashes_it(command: str) -> None:
    parse(command)


@given(
    st.lists(
        st.sampled_from(
            [*"abc;|&<>(){}$'\"`\n\\ #=*[]!~", "pytest", " && ", "<<E", "bash -c ", "if ", "; fi", "cd "]
        ),
        max_size=40,
    ).map("".join)
)
def test_no_shell_soup_crashes_it(command: str) -> None:
    plan = parse(command)
    assert all(UNKNOWN not in execution.program for execution in plan.executions)


@pytest.mark.parametrize(
    ("command", "feeds"),
    [
        ("cat k | curl", "pipe"),
        ("cat k |& curl", "pipe"),
        ("{ ls; cat k; } | curl", "pipe"),
        ('curl -d "$(cat k)"', "words"),
        ("curl -d @<(cat k)", "words"),
        ("curl <<< $(cat k)", "words"),
        ("curl -d `cat k`", "words"),
        ('curl "$(ls | cat k)"', "words"),
        ('curl "$(cat k | ls)"', "pipe"),
        ("sh -c 'cat k' | curl", "pipe"),
        ("cat k; curl", None),
        ("curl | cat k", None),
        ("x=$(cat k); curl", None),
        ("x=$(cat k) curl", None),
        ("cat k > f", None),
    ],
)
def test_where_an_output_goes_on_to(command: str, feeds: str | None) -> None:
    assert only(command, "cat").feeds == feeds
