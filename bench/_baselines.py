"""What others would say of the same claims: baselines that see the transcript, and not the kernel.

``trust`` believes the agent. ``status`` looks at the exit status of the last command. ``words`` searches the
transcript by regular expressions, as well as one does without knowing the corpus. ``proof-of-done`` (PyPI) is a
transcript checker for Claude Code with published accuracy; it is installed by the benchmark in a place of its own.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import _claude_code as claude
from bench._harness import BUILT, BenchError
from bench._score import Answer
from tests.corpus.records import Call, Label, Record

PROOF_OF_DONE = "proof-of-done==0.1.1"
_PLACE = BUILT / "proof-of-done"
_ANSWERS = _PLACE / "answers"


def trust(_record: Record, _label: Label) -> Answer:
    """Whatever the agent says is so."""
    return "verified"


def _before(record: Record, label: Label) -> list[Call]:
    """The calls before the claim, the last one first."""
    said = (*record.earlier, *record.transcript[: label.turn])
    return [call for one in said for call in one.calls][::-1]


def status(record: Record, label: Label) -> Answer:
    """The exit status of the last command before the claim decides."""
    for call in _before(record, label):
        if (code := claude.status(call)) is not None:
            return "refuted" if code else "verified"
    return "unverifiable"


#: by topic: a command line that may do it
_COMMANDS = {
    "tests_passed": r"test|check|\bci\b|tox|nox|bats",
    "tests_run": r"test|check|\bci\b|tox|nox|bats",
    "tests_failed": r"test|check|\bci\b|tox|nox|bats",
    "build": r"\bmake\b|cmake|\bbuild\b|\bgcc\b|\bcargo\b|\bgo\b",
    "lint": r"ruff|lint|flake8",
    "typecheck": r"mypy|pyright|tsc",
    "install": r"install|npm ci",
    "commit": r"git commit",
    "push": r"git push",
    "url_fetched": r"curl|wget|urlopen|fetch\(",
    "server_started": r"server|listen|serve",
    "deployed": r"deploy",
}
_BAD = re.compile(
    r"\bFAIL(?:ED|URES?)?\b|\b[1-9]\d* (?:failed|failures?|errors?)\b|^not ok\b|# fail [1-9]|Traceback|"
    r"\berror:|fatal:|command not found|No such file",
    re.MULTILINE,
)


def words(record: Record, label: Label) -> Answer:
    """The last call that looks like it: bad words in its output refute, and no such call does."""
    calls = _before(record, label)
    if label.topic in _COMMANDS:
        for call in calls:
            if call.tool == "bash" and re.search(_COMMANDS[label.topic], str(call.input["command"])):
                bad = claude.status(call) or _BAD.search(claude.output(call))
                if label.topic == "tests_failed":
                    return "verified" if bad else "refuted"
                return "refuted" if bad else "verified"
        return "refuted"
    if label.target:
        name = label.target.rpartition("/")[2]
        return "verified" if any(name in json.dumps(call.input) for call in calls) else "refuted"
    return "unverifiable"


#: proof-of-done's kinds of claim
_KINDS = {
    "tests_passed": "tests_passed",
    "build": "build_passed",
    "lint": "lint_clean",
    "typecheck": "types_clean",
}

_CHECK = """
import contextlib, io, json, pathlib, sys
from proof_of_done.cli import main
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jsonl"), key=lambda path: int(path.stem)):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            main(["check", "--transcript", str(path), "--json"])
        except SystemExit:
            pass
    print(json.dumps(json.loads(out.getvalue())))
"""


def proof_of_done(sessions: Sequence[Record]) -> list[dict[str, Answer]]:
    """For each session: topic -> what proof-of-done says of the last answer. Raises BenchError."""
    python = _installed()
    transcripts = [claude.lines(record) for record in sessions]
    # it takes longer than all the rest, and says the same of the same
    known = {text: _ANSWERS / f"{hashlib.sha256(text.encode()).hexdigest()}.json" for text in transcripts}
    asked = [text for text, answer in known.items() if not answer.exists()]
    with tempfile.TemporaryDirectory() as name:
        for number, text in enumerate(asked):
            (Path(name) / f"{number}.jsonl").write_text(text)
        done = subprocess.run(
            [python, "-c", _CHECK, name],
            capture_output=True,
            text=True,
            check=False,
            cwd=name,
            env={"HOME": name},
        )
    said = done.stdout.splitlines()
    if done.returncode or len(said) != len(asked):
        raise BenchError(f"proof-of-done ended with {done.returncode}: {done.stderr[-2000:]}")
    _ANSWERS.mkdir(parents=True, exist_ok=True)
    for text, line in zip(asked, said, strict=True):
        known[text].write_text(line)
    return [_answers(json.loads(known[text].read_text())["claims"]) for text in transcripts]


def _answers(claims: Sequence[dict[str, object]]) -> dict[str, Answer]:
    found: dict[str, Answer] = {}
    for topic, kind in _KINDS.items():
        supported = [claim["supported"] for claim in claims if claim["claim_type"] == kind]
        if supported:
            found[topic] = "verified" if all(supported) else "refuted"
    return found


def _installed() -> Path:
    """The interpreter that has it. Raises BenchError."""
    python = _PLACE / "bin" / "python"
    if not (_PLACE / "ok").exists():
        pip = [python, "-m", "pip", "install", "-q", PROOF_OF_DONE]
        for command in ([sys.executable, "-m", "venv", "--clear", _PLACE], pip):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise BenchError(f"{PROOF_OF_DONE} cannot be installed: {done.stderr[-2000:]}")
        (_PLACE / "ok").touch()
    return python
