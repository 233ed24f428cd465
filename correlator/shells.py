"""The shells of tool calls: each shell whose script is the very command that was asked for, and what lies below it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from correlator.conversation import Conversation
from correlator.inherited import Inherited
from polygraph.events import Exec, ProcessKey
from polygraph.reasons import Grade

if TYPE_CHECKING:  # the session holds its graph, which this is a part of
    from correlator.session import IntentState, Session


class Shell(NamedTuple):
    """An executed shell whose script is the command of a tool call."""

    image: Exec
    state: IntentState
    grade: Grade


class Shells:
    """Of one session."""

    __slots__ = ("_by_digest", "_conversation", "_count", "_leads", "_new", "_of", "_session", "above")

    def __init__(self, session: Session, conversation: Conversation) -> None:
        self._session = session
        self._conversation = conversation
        #: by digest and by process, in order of time
        self._by_digest: dict[str, list[Exec]] = defaultdict(list)
        self._of: dict[ProcessKey, list[Shell]] = defaultdict(list)
        #: how many each tool call has
        self._count: dict[str, int] = defaultdict(int)
        #: processes that led to one, once those were looked at which are new
        self._leads: dict[ProcessKey, Shell] = {}
        self._new: list[Shell] = []
        self.above = Inherited[Shell | None](session.tree, lambda _: None, self._after_exec)

    def on_intent(self, state: IntentState) -> None:
        """A tool call was asked for; its shell may have been executed already."""
        if state.intent.command_digest in self._by_digest:
            self._assign(state.intent.command_digest, self._conversation.early(state))

    def on_exec(self, image: Exec) -> None:
        """Something was executed."""
        if image.command_digest is not None:
            insort(self._by_digest[image.command_digest], image, key=_when)
            self._assign(image.command_digest, image.ts)

    def of(self, image: Exec) -> Shell | None:
        """The tool call whose command this very image is the shell of."""
        return next((shell for shell in self._of.get(image.process, ()) if shell.image is image), None)

    def seen_for(self, state: IntentState) -> bool:
        """Whether the tool call has its shell: what else its window holds is not its, then."""
        return self._count.get(state.intent.intent, 0) > 0

    def led_to_by(self, image: Exec) -> Shell | None:
        """The shell that was started through this image (a sandbox, a wrapper), in the tool call's window."""
        lead = self._leads.get(image.process)
        if lead is None or not self._conversation.early(lead.state) <= image.ts <= lead.image.ts:
            return None
        return lead

    def refresh(self) -> bool:
        """Notes which processes led to new shells; whether there are any."""
        for shell in self._new:
            early = self._conversation.early(shell.state)
            for node in self._session.tree.ancestors(shell.image.process):
                self.above.steps += 1
                if node.born < early:  # it was there before the call
                    break
                self._leads[node.key] = shell
        found = bool(self._new)
        self._new.clear()
        return found

    def _assign(self, digest: str, since: int) -> None:
        """Gives the shells of a command that were executed since then to the tool calls that ask for it."""
        images = self._by_digest[digest]
        late = images[bisect_left(images, since, key=lambda image: image.ts) :]
        for image in late:
            old = self.of(image)
            if old is not None:
                self._of[image.process].remove(old)
                self._count[old.state.intent.intent] -= 1
                self.above.clear()
        for image in late:
            found = self._command_of(image, digest)
            if found is not None:
                insort(self._of[image.process], found, key=lambda shell: _when(shell.image))
                self._count[found.state.intent.intent] += 1
                self._new.append(found)

    def _command_of(self, image: Exec, digest: str) -> Shell | None:
        states = [s for s in self._conversation.open_at(image.ts) if s.intent.command_digest == digest]
        if len(states) == 1:
            return Shell(image, states[0], "exact")
        if states:  # the same command several times at once: each its own, in order
            free = next((s for s in states if not self.seen_for(s)), states[-1])
            return Shell(image, free, "strong")
        asked = self._session.by_digest.get(digest, [])
        before = bisect_right(asked, image.ts, key=lambda state: state.intent.ts)
        return Shell(image, asked[before - 1], "strong") if before else None

    def _after_exec(self, image: Exec, before: Shell | None) -> Shell | None:
        """A shell below the shell of another call is that one's, unless the agent that asked for it runs there."""
        own = self.of(image)
        if own is None or before is None or own.state is before.state:
            return before or own
        asker = own.state.intent.process
        return own if self._session.tree.within(asker, before.image.process) else before


def _when(image: Exec) -> tuple[int, int]:
    return image.ts, image.seq
