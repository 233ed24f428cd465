"""One client through one scenario: :func:`run`. ``python -m tests.agents.run_client [CLIENT [SCENARIO]]``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.agents import project as projects
from tests.agents.clients import CLIENTS
from tests.agents.clients.base import Client, Job
from tests.agents.clients.store import ensure
from tests.agents.endpoint import Endpoint
from tests.agents.model import Request, Transport
from tests.agents.scenarios import BY_NAME, FORGED_LINE, SCENARIOS, Scenario

#: an agent that goes on for longer hangs
PATIENCE = 180.0
#: how long a background command may go on after the agent's end
AFTERWARDS = 30.0


@dataclass(frozen=True)
class Outcome:
    """What came of a run. ``runs``: the test sessions that really were; ``requests``: what the model was sent."""

    status: int
    output: str
    requests: tuple[Request, ...]
    finished: bool
    runs: tuple[projects.Run, ...]
    project: projects.Project
    seconds: float
    transport: Transport

    def faults(self, scenario: Scenario) -> list[str]:
        """In what the run is not the one that the scenario tells, by markers and files; empty when it is."""
        faults = []
        if self.status:
            faults.append(f"exit status {self.status}")
        if not self.finished:
            faults.append("the client did not ask the model for the whole script")
        spoken = {request.transport for request in self.requests if request.turn is not None}
        if spoken != {self.transport}:
            faults.append(f"the client spoke {spoken}, not {self.transport}")
        exits = tuple(run.exit for run in self.runs)
        if exits != scenario.runs:
            faults.append(f"test sessions ended with {exits}, not {scenario.runs}")
        if scenario.forged is not None and not any(
            FORGED_LINE.encode() in request.body for request in self.requests
        ):
            faults.append("the model was not told what was forged")
        for path, exists in scenario.files:
            if (self.project.root / path).exists() != exists:
                faults.append(f"{path} {'is missing' if exists else 'exists'}")
        return faults


class Prepared(NamedTuple):
    """A project, a model, and the command that works in the one with the other; ``env`` is all of its environment."""

    project: projects.Project
    endpoint: Endpoint
    argv: list[str]
    env: dict[str, str]
    stdin: str


@contextmanager
def prepared(client: Client, scenario: Scenario, folder: Path) -> Iterator[Prepared]:
    """``client``, installed, for ``scenario`` in a fresh project below ``folder``; the model serves meanwhile."""
    prefix = ensure(client.package)
    project = projects.make(folder, broken=scenario.broken, slow=scenario.slow)
    # the script needs the project only, so it is made before the endpoint that the job names
    unplaced = Job(project, scenario, "", Path())
    with Endpoint(
        client.script(unplaced),
        release_folder=project.truth,
        is_main=client.is_main,
        offers=client.offers,
    ) as endpoint:
        command = client.command(prefix, Job(project, scenario, endpoint.url, endpoint.ca_file))
        env = projects.environment(project.home) | command.env
        yield Prepared(project, endpoint, list(command.argv), env, command.stdin)


def run(client: Client, scenario: Scenario, folder: Path, prefix_argv: Sequence[str] = ()) -> Outcome:
    """Run ``client`` in a fresh project below ``folder``, behind ``prefix_argv`` (an observer's command).

    Returns when the client has ended, and after it every test session that the scenario still expects. The
    client and what it left running in its process group are ended after PATIENCE seconds.
    """
    with prepared(client, scenario, folder) as ready:
        project, endpoint = ready.project, ready.endpoint
        begin = time.monotonic()
        status, output = _run([*prefix_argv, *ready.argv], project.root, ready.env, ready.stdin)
        seconds = time.monotonic() - begin
        deadline = time.monotonic() + AFTERWARDS
        while len(project.runs()) < len(scenario.runs) and scenario.late and time.monotonic() < deadline:
            time.sleep(0.05)
        return Outcome(
            status,
            output,
            endpoint.requests,
            endpoint.finished,
            project.runs(),
            project,
            seconds,
            client.transport,
        )


def _run(argv: list[str], cwd: Path, env: dict[str, str], stdin: str) -> tuple[int, str]:
    # to a file, not a pipe: a background command that the client leaves behind would hold a pipe open
    with tempfile.TemporaryFile("w+", errors="replace") as log, tempfile.TemporaryFile("w+") as said:
        said.write(stdin)
        said.seek(0)
        with subprocess.Popen(
            argv, cwd=cwd, env=env, stdin=said, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        ) as process:
            try:
                status = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                status = process.wait()
            except KeyboardInterrupt:  # which the client, in a session of its own, was not sent
                os.killpg(process.pid, signal.SIGKILL)
                raise
        log.seek(0)
        return status, log.read()


def main(arguments: list[str]) -> int:
    """Runs the named client and scenario, or all, and says what came of each."""
    clients = [CLIENTS[arguments[0]]] if arguments else list(CLIENTS.values())
    scenarios = [BY_NAME[arguments[1]]] if len(arguments) > 1 else list(SCENARIOS)
    bad = 0
    for client in clients:
        for scenario in scenarios:
            with tempfile.TemporaryDirectory(prefix="agent-") as folder:
                outcome = run(client, scenario, Path(folder))
                faults = outcome.faults(scenario)
                bad += bool(faults)
                verdict = "; ".join(faults) or "ok"
                print(f"{client.name:20} {scenario.name:20} {outcome.seconds:6.1f} s  {verdict}", flush=True)  # noqa: T201
                if faults or len(arguments) > 1:
                    print(outcome.output[-6000:])  # noqa: T201
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
