"""Which effects are joined with what was said (collector/mentions.py): few: ordinary ones cost nothing. Pure."""

from __future__ import annotations

from collector.mentions import Mentions
from polygraph.dangers import is_telling
from polygraph.events import AnyEvent, File, Mention, Name, Net

_WRITES = frozenset({"write", "create", "truncate", "unlink", "rename", "link", "symlink", "chmod"})


def mentions_of(event: AnyEvent, told: AnyEvent, mentions: Mentions, workspace: str) -> list[Mention]:
    """What was said of what ``event`` is about; ``told`` is the event as it leaves the collector."""
    if isinstance(event, File):
        assert isinstance(told, File)
        return _file(event, told, mentions, workspace)
    if isinstance(event, Name) and isinstance(told, Name):
        return mentions.host(told.name, event.ts)
    if isinstance(event, Net) and event.op == "connect" and event.family in ("inet", "inet6"):
        return mentions.host(event.address, event.ts)
    return []


def _file(event: File, told: File, mentions: Mentions, workspace: str) -> list[Mention]:
    if event.errno or event.count > 1:
        return []
    if event.op == "read":
        return mentions.path(event.path, event.ts, told.path) if event.sensitive is not None else []
    if event.op not in _WRITES:
        return []
    found: list[Mention] = []
    # Of a symbolic link the second path is its name, the first what it holds.
    names = [(event.path, told.path)] if event.op != "symlink" else []
    if event.new_path and told.new_path:
        names.append((event.new_path, told.new_path))
    for path, shown in names:
        if path.startswith("/") and is_telling(path, workspace):
            found += mentions.path(path, event.ts, shown)
    return found
