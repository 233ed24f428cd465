"""The agents that run in a session: which they are, what their user said to them, and what they do of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from correlator import housekeeping
from correlator.attribution import Arguments, Attribution, to_housekeeping
from correlator.conversation import Conversation
from correlator.paths import normalise
from correlator.programs import is_shell
from correlator.shells import Shells
from polygraph.events import Exec, LlmCall, ProcessKey

if TYPE_CHECKING:  # the session holds its graph, which this is a part of
    from correlator.session import Session

#: rules of the graph itself, beside those of the table
COMMAND_LINE = "command_line"
MODEL = "model"
STARTUP = "startup"
_FOREVER = 1 << 63


class Agents:
    """Of one session. ``steps`` counts the images that were looked at."""

    __slots__ = (
        "_at_startup",
        "_conversation",
        "_new_callers",
        "_of_callers",
        "_said",
        "_said_paths",
        "_session",
        "_shells",
        "steps",
    )

    def __init__(self, session: Session, conversation: Conversation, shells: Shells) -> None:
        self._session = session
        self._conversation = conversation
        self._shells = shells
        self._at_startup: tuple[str, ...] | None = None
        self._of_callers: dict[str, None] = {}
        self._new_callers: list[ProcessKey] = []
        #: what the user said when the session was started: the arguments of its command. One of many words is told as
        #: the content level wants it, so that it equals the same text in a shell's arguments
        self._said: frozenset[str] = frozenset()
        #: the files that they name
        self._said_paths: frozenset[str] = frozenset()
        self.steps = 0

    def on_start(self) -> None:
        """The command line of the session is known."""
        start = self._session.start
        self._said = frozenset(start.argv[1:]) if start is not None else frozenset()
        words = (word for said in self._said for word in (said, said.rpartition("=")[2]))
        self._said_paths = frozenset(normalise(word, self._session.cwd) for word in words if word.strip("-."))

    def on_call(self, call: LlmCall) -> None:
        """A model was called, for the first time perhaps."""
        if call.process not in self._conversation.callers:
            self._new_callers.append(call.process)
            self._at_startup = None

    def on_exec(self, image: Exec) -> None:
        """Something was executed."""
        if self._session.startup_end is None or image.ts <= self._session.startup_end:
            self._at_startup = None

    def program(self, image: Exec) -> tuple[str, str] | None:
        """The rule by which an agent starts that program of itself, and why in words."""
        if is_shell(image) and not self._said.isdisjoint(image.argv[2:]):
            return COMMAND_LINE, "the agent's own command line asks for that command"
        rule = housekeeping.started(self._names, image)
        if rule is None or self.written_here(image):
            return None
        return rule, "agents of its kind start that program of themselves"

    def below_program(self, rule: str, why: str, effect: Arguments, hosts: list[str]) -> Attribution | None:
        """What was done below a program that an agent started of itself."""
        if rule == COMMAND_LINE:
            return to_housekeeping(rule, "exact", why)
        if housekeeping.of_started(rule, effect, hosts, self._session.roots):
            return to_housekeeping(rule, "strong", why)
        return None

    def own(self, process: ProcessKey, effect: Arguments, hosts: list[str], ts: int) -> Attribution | None:
        """What an agent's own process does of itself; ``hosts`` are the names of the address."""
        roots = self._session.roots
        if effect.paths and all(path in self._said_paths for path in effect.paths):
            return to_housekeeping(COMMAND_LINE, "strong", "the agent's own command line names it")
        if not self._conversation.model_hosts.isdisjoint(hosts):
            return to_housekeeping(MODEL, "strong", "it is a connection to a model")
        if self._starting(process, ts) and not housekeeping.dangerous(effect, roots):
            return to_housekeeping(STARTUP, "strong", "no request to a model had been seen")
        return self._by_row(effect, hosts, otherwise=False)

    def otherwise(self, effect: Arguments, hosts: list[str]) -> Attribution | None:
        """What an agent's own process does of itself, where no tool call could have done it."""
        return self._by_row(effect, hosts, otherwise=True)

    def _by_row(self, effect: Arguments, hosts: list[str], *, otherwise: bool) -> Attribution | None:
        roots = self._session.roots
        rule = housekeeping.own_effect(self._names, effect, hosts, roots, otherwise=otherwise)
        return to_housekeeping(rule, "strong", "agents of its kind do so of themselves") if rule else None

    def written_here(self, image: Exec) -> bool:
        """Whether the file that runs was put there in this session."""
        return any(touch.ts <= image.ts for touch in self._session.touches.get(image.path, ())[:1])

    def _starting(self, process: ProcessKey, ts: int) -> bool:
        """Whether nobody was seen to have asked a model: in the session, or in another agent that began later."""
        end = self._session.startup_end
        if end is None or ts <= end:
            return True
        node = self._session.tree.get(process)
        if node is None or node.born <= end or ts > self._conversation.callers.get(process, 0):
            return False
        return any(True for _ in self._known(node.images))

    @property
    def _names(self) -> tuple[str, ...]:
        """Agents of the table that run here: before the first request, or as a caller of their own."""
        session = self._session
        if self._at_startup is None:
            end = session.startup_end if session.startup_end is not None else _FOREVER
            self._at_startup = tuple(self._known(session.executed(0, end)))
        for caller in self._new_callers:
            first = self._conversation.callers[caller]
            node = session.tree.get(caller)
            if node is not None and self._shells.above.at(caller, first) is None:
                images = (image for image in node.images if image.ts <= first)
                self._of_callers.update(dict.fromkeys(self._known(images)))
        self._new_callers.clear()
        return tuple(dict.fromkeys((*self._at_startup, *self._of_callers)))

    def _known(self, images: Iterable[Exec]) -> Iterator[str]:
        for image in images:
            self.steps += 1
            if not self.written_here(image):
                yield from housekeeping.agents_of(image)
