"""Proposes rows of correlator/data/housekeeping.toml: what agents did in recorded sessions that belongs to nothing.

``python scripts/housekeeping.py LOG...`` reads logs of events, one JSON object a line (``.jsonl``, ``.jsonl.zst``: the
files below ``events/`` of a store), and prints for each agent which effects no tool call and no row explains, with
what varies from run to run (ids, numbers, the home, the workspace) as a pattern, and in how many of the logs each was.
A person reads them, asks what each is for, and adds a row with its sentence, or none: a session that was recorded may
have done harm. ``--startup`` shows what was done before the first request as well, which needs no row.
"""

from __future__ import annotations

import io
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import click
import zstandard

from correlator import housekeeping
from correlator.facts import command
from correlator.session import Session
from polygraph import events as e

#: what is made anew in each run: UUIDs, runs of hexadecimal digits, numbers, and what mkdtemp adds
_VARIES = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8,}|\d{2,}|(?<=[-.])(?=\w*[A-Z0-9])\w{6,}$"
)
_HOME = re.compile(r"^(/.*?)/(?=\.[a-z])")


def read(path: Path) -> tuple[Session, list[e.AnyEvent]]:
    """The session of a log, and its events."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
    events = [e.decode(line) for line in data.splitlines() if line]
    session = Session(events[0].session)
    for event in events:
        session.add(event)
    return session, events


def is_effect(event: e.AnyEvent) -> bool:
    """Whether a row may be about it."""
    return isinstance(event, e.Exec | e.Net) or (isinstance(event, e.File) and event.errno == 0)


def shape(session: Session, event: e.AnyEvent) -> str:
    """What the effect was, without what varies."""
    match event:
        case e.Exec():
            return f"program {general(session, command(event))}"
        case e.File():
            what = "read" if event.op == "read" else "write"
            sensitive = f" ({event.sensitive})" if event.sensitive else ""
            return f"{what} {general(session, event.new_path or event.path)}{sensitive}"
        case e.Net():
            names = sorted({n.name for n in session.names if event.address in n.addresses})
            return f"{event.op} {' '.join(names) or general(session, event.address)} port {event.port}"
        case _:
            return type(event).__name__


def general(session: Session, text: str) -> str:
    """The text with the home, the workspace and what varies as patterns."""
    for root in session.roots:
        text = text.replace(root, ".")
    text = _HOME.sub("~/", text)
    return "/".join(_VARIES.sub("*", part) for part in text.split("/"))


def agents(session: Session) -> str:
    """Which agents run in it, by the files that were executed."""
    found = {name for _, _, image in session.execs for name in housekeeping.agents_of(image)}
    return "+".join(sorted(found)) or "unknown"


def tell(found: dict[str, dict[str, set[Path]]], logs: dict[str, int]) -> Iterable[str]:
    """What was found, the agents apart, the most often seen first."""
    for agent, shapes in sorted(found.items()):
        yield f"# {agent}: {logs[agent]} logs"
        for what, paths in sorted(shapes.items(), key=lambda item: (-len(item[1]), item[0])):
            yield f"{len(paths):4}  {what}"


@click.command()
@click.argument("logs", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--startup", is_flag=True, help="Show what was done before the first request as well.")
def main(logs: tuple[Path, ...], startup: bool) -> None:
    """Print what agents did in LOGS that belongs to nothing."""
    found: dict[str, dict[str, set[Path]]] = defaultdict(lambda: defaultdict(set))
    count: dict[str, int] = defaultdict(int)
    for path in logs:
        session, events = read(path)
        agent = agents(session)
        count[agent] += 1
        for event in filter(is_effect, events):
            edge = session.graph.of(event)
            if edge.cause == "nothing" or (startup and edge.rule == "startup"):
                found[agent][shape(session, event)].add(path)
    sys.stdout.writelines(f"{line}\n" for line in tell(found, count))


if __name__ == "__main__":
    main()
