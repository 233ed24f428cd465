"""What a client is to the tests: how it is installed, started, and how its tools are called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.agents.clients.store import pins
from tests.agents.model import Transport, has_tools
from tests.agents.project import Project
from tests.agents.scenarios import Scenario
from tests.agents.script import Action, Answer, Edit, Read, Script, Shell, ToolCall, Trouble, Turn, Write

PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Job:
    """One run: where the client works, what it is told, and where its model is."""

    project: Project
    scenario: Scenario
    url: str
    ca_file: Path


@dataclass(frozen=True)
class Command:
    """What to start, in ``project.root``. ``env`` comes on top of the project's plain environment."""

    argv: tuple[str, ...]
    env: dict[str, str]
    stdin: str = ""


class Client(ABC):
    """A real agent, unmodified: one of versions.toml, under its own name unless ``package`` says another."""

    #: what the tests call it
    name: str
    #: what people call it
    title: str
    #: what it speaks with its model, of what the endpoint offers
    transport: Transport = "http/1.1"
    #: its TLS library, as polygraph names it
    stack: str = "openssl"
    #: how it has that library
    built: str = "shared library"
    #: the protocols that the endpoint offers to it in the TLS handshake
    offers: tuple[str, ...] = ("h2", "http/1.1")
    #: the troubles of a service that it does not come through by itself: they are left out of its script
    fatal: frozenset[Trouble] = frozenset()
    #: whether it calls tools in the API's own form; False: its shell commands are in the text
    shows_intents = True
    #: whether its API gives the calls ids
    with_ids = True

    @property
    def package(self) -> str:
        """Its key in versions.toml: one installation may be run in several forms."""
        return self.name

    @property
    def version(self) -> str:
        """Its version there."""
        return pins()[self.package].version

    @abstractmethod
    def command(self, prefix: Path, job: Job) -> Command:
        """How to start the client that is installed at ``prefix``; writes its settings into the job's home."""

    @abstractmethod
    def script(self, job: Job) -> Script:
        """The scenario's turns in the client's own tools."""

    @abstractmethod
    def is_main(self, request: dict[str, Any]) -> bool:
        """Whether the script answers ``request``."""

    def answer(self, turn: Turn, text: str, calls: tuple[ToolCall, ...] = ()) -> Answer:
        """``turn`` in the client's own words."""
        troubles = tuple(trouble for trouble in turn.troubles if trouble not in self.fatal)
        return Answer(
            text, calls, turn.release, turn.release_after, turn.thinking, troubles, with_ids=self.with_ids
        )


def trust(ca_file: Path) -> dict[str, str]:
    """The authority, by the names that Python's and Node's libraries look for."""
    path = str(ca_file)
    return {"SSL_CERT_FILE": path, "REQUESTS_CA_BUNDLE": path, "NODE_EXTRA_CA_CERTS": path}


class ToolClient(Client):
    """A client whose model calls tools. Subclasses say what the tools are called."""

    @abstractmethod
    def call(self, action: Action, root: Path) -> ToolCall:
        """The tool call that does ``action``."""

    def script(self, job: Job) -> Script:
        """One answer for each turn."""
        root = job.project.root
        return Script(
            tuple(
                self.answer(turn, turn.text, tuple(self.call(action, root) for action in turn.actions))
                for turn in job.scenario.turns
            )
        )

    def is_main(self, request: dict[str, Any]) -> bool:
        """A request that offers tools."""
        return has_tools(request)


class ProgramClient(ToolClient):
    """An SDK, with the program of ours that makes an agent of it: four tools over programs/toolbox.py."""

    def call(self, action: Action, root: Path) -> ToolCall:
        """The tools of programs/toolbox.py."""
        match action:
            case Shell(command):
                return ToolCall("run_shell", {"command": command})
            case Write(path, content):
                return ToolCall("write_file", {"path": path, "content": content})
            case Edit(path, old, new):
                return ToolCall("edit_file", {"path": path, "old_string": old, "new_string": new})
            case Read(path):
                return ToolCall("read_file", {"path": path})

    def start(self, prefix: Path, program: str, job: Job, **env: str) -> Command:
        """``program`` of the programs folder, under the Python of ``prefix``."""
        argv = (str(prefix / "bin/python"), str(PROGRAMS / program), job.scenario.prompt)
        return Command(argv, trust(job.ca_file) | env | forgery(job))


def forgery(job: Job) -> dict[str, str]:
    """What a forging framework answers in place of running the tests, for the programs that can forge."""
    return {} if job.scenario.forged is None else {"FORGED_OUTPUT": job.scenario.forged}
