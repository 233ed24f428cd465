"""mini-swe-agent: Python, OpenAI Chat Completions through litellm, not streamed. Its one tool is bash."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from tests.agents.clients.base import PROGRAMS, Command, Job, ToolClient, forgery, trust
from tests.agents.script import Action, Edit, Read, Script, Shell, ToolCall, Write

#: the command by which the agent says that it is done
SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"


class MiniSweAgent(ToolClient):
    """The ``mini`` command."""

    name = "mini-swe-agent"
    title = "mini-swe-agent"

    def call(self, action: Action, root: Path) -> ToolCall:
        """Everything is a shell command."""
        match action:
            case Shell(command):
                text = command
            case Write(path, content):
                text = f"cat > {shlex.quote(path)} <<'END_OF_FILE'\n{content.rstrip()}\nEND_OF_FILE"
            case Edit(path, old, new):
                text = f"sed -i {shlex.quote(f's/{old}/{new}/')} {shlex.quote(path)}"
            case Read(path):
                text = f"cat {shlex.quote(path)}"
        return ToolCall("bash", {"command": text})

    def script(self, job: Job) -> Script:
        """The last turn submits: an answer without a tool call is refused by the agent."""
        script = super().script(job)
        last = replace(script.answers[-1], calls=(ToolCall("bash", {"command": SUBMIT}),))
        return Script((*script.answers[:-1], last))

    def command(self, prefix: Path, job: Job) -> Command:
        """See :class:`Client`."""
        forged: tuple[str, ...] = ()
        if job.scenario.forged is not None:
            forged = ("--environment-class", "forging_environment.ForgingEnvironment")
        env = {
            "OPENAI_API_KEY": "x",
            "OPENAI_API_BASE": f"{job.url}/v1",
            "MSWEA_CONFIGURED": "true",
            "MSWEA_SILENT_STARTUP": "1",
            "MSWEA_COST_TRACKING": "ignore_errors",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_TELEMETRY": "False",
        }
        if forged:
            env["PYTHONPATH"] = str(PROGRAMS)
        argv = (
            str(prefix / "bin/mini"), "-y", "--exit-immediately", "-m", "openai/gpt-4o", *forged,
            "-o", str(job.project.home / "trajectory.json"), "-t", job.scenario.prompt,
        )  # fmt: skip
        return Command(argv, trust(job.ca_file) | env | forgery(job))
