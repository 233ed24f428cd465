"""What was said of hosts, paths and commands: the Mention events of one session, by what they are about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from polygraph.events import Mention, MentionOrigin, MentionsLost

#: somebody whose word counts
TRUSTED: frozenset[MentionOrigin] = frozenset({"instructions", "configuration"})


class Mentions:
    """Grown by events in any order; a log may deliver one twice."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], dict[tuple[str, str | None, bool], Mention]] = defaultdict(dict)
        #: from when on a missing mention says nothing
        self.lost_at: int | None = None

    def add(self, event: Mention | MentionsLost) -> None:
        """Somebody named something, or not everything that was named is remembered."""
        if isinstance(event, MentionsLost):
            self.lost_at = event.ts if self.lost_at is None else min(self.lost_at, event.ts)
        else:
            self._of[event.what, event.value].setdefault((event.origin, event.intent, event.whole), event)

    def of(self, what: str, values: Iterable[str]) -> Iterator[Mention]:
        """Who named one of ``values``, in the order in which it was told."""
        for value in values:
            yield from self._of.get((what, value), {}).values()
