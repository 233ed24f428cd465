"""aider: Python, OpenAI Chat Completions through litellm, streamed.

Its model calls no tools: edits are blocks of text, and shell commands are blocks that the user is asked about.
The user types on standard input: a request, and ``y`` to each question.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agents.clients.base import Client, Command, Job, trust
from tests.agents.clients.hooks import earlier_run
from tests.agents.script import Action, Answer, Edit, Read, Script, Shell, Turn, Write

MODEL = "gpt-4o"
_YES = "y"
#: the file that the user gave it at the start
IN_CHAT = "calc.py"


def _block(path: str, old: str, new: str) -> str:
    return f"{path}\n```python\n<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n```"


def _text(action: Action) -> str:
    match action:
        case Shell(command):
            return f"```bash\n{command}\n```"
        case Write(path, content):
            return _block(path, "", content)
        case Edit(path, old, new):
            return _block(path, f"{old}\n", f"{new}\n")
        case Read(path):
            return f"I know {path} from the chat."


def _questions(action: Action) -> int:
    """How often the user is asked whether that may be."""
    match action:
        case Shell():  # may it be run, may its output be told
            return 2
        case Write():
            return 1
        case Read(path):  # may a file that the answer names be told
            return int(path != IN_CHAT)
        case Edit():
            return 0


class Aider(Client):
    """The ``aider`` command, as one uses it in a terminal."""

    name = "aider"
    title = "aider"
    shows_intents = False

    def is_main(self, request: dict[str, Any]) -> bool:
        """Commit messages and summaries are asked of the weak model."""
        return request.get("model") == MODEL

    def script(self, job: Job) -> Script:
        """Each turn as one text. What is forged is not asked of the model: see :meth:`command`."""
        return Script(
            tuple(
                self.answer(turn, "\n\n".join([turn.text, *map(_text, turn.actions)]))
                for turn in self._turns(job)
            ),
            side=Answer("fix: a change"),
        )

    def _turns(self, job: Job) -> tuple[Turn, ...]:
        turns = job.scenario.turns
        return turns[-1:] if job.scenario.forged is not None else turns

    def _typed(self, job: Job) -> list[str]:
        lines = []
        if job.scenario.forged is not None:
            # the team's shortcut for "run the tests" shows what an earlier run had said
            lines += [f"/run cat {earlier_run(job)}", _YES]
        for number, turn in enumerate(self._turns(job)):
            lines.append("Go on." if number else job.scenario.prompt)
            for action in turn.actions:
                lines += [_YES] * _questions(action)
        return lines

    def command(self, prefix: Path, job: Job) -> Command:
        """See :class:`Client`."""
        env = {
            "OPENAI_API_KEY": "x",
            "OPENAI_API_BASE": f"{job.url}/v1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_TELEMETRY": "False",
        }
        argv = (
            str(prefix / "bin/aider"), "--model", f"openai/{MODEL}", "--edit-format", "diff", "--map-tokens", "0",
            "--no-check-update", "--no-analytics", "--no-show-model-warnings", "--no-fancy-input", "--no-pretty",
            "--no-detect-urls", "--no-gitignore", "--no-show-release-notes", IN_CHAT,
        )  # fmt: skip
        return Command(argv, trust(job.ca_file) | env, "\n".join(self._typed(job)) + "\n")
