"""``polygraph content``: what would be captured now, what was captured, and by whom."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import click
import msgspec

from polygraph.audit import NAME, AuditLog
from polygraph.commands._content import VARIABLE, content_option, source_of_level
from polygraph.commands._opinion import opinion, state
from polygraph.content import FIELDS, KINDS, LEVELS, MEANINGS, ContentLevel
from polygraph.log.retention import Limits, limits_of
from polygraph.log.store import default_root
from polygraph.text import printable


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of one kind: what they hold, and whether free text may stand in them at this level."""

    kind: str
    holds: str
    free_text: bool
    fields: tuple[str, ...]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder of the store. ``mode`` None: it does not exist yet; it will be made with ``wanted``."""

    path: str
    holds: str
    wanted: str
    mode: str | None = None
    #: who beside the owner could reach it, "" when nobody
    problem: str = ""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What ``content show --json`` prints. ``ok``: nobody but the owner reaches the store."""

    ok: bool
    level: ContentLevel
    source: str
    means: str
    scope: str
    tls_plaintext_captured: bool
    #: where sentences of the model are sent; None: nowhere
    second_opinion: str | None
    #: the same in words, with the reason where an endpoint is set and nobody is asked
    second_opinion_state: str
    fields: tuple[Field, ...]
    credentials_removed: tuple[str, ...]
    places: tuple[Place, ...]
    limits: Limits
    audit_entries: int
    audit_ok: bool
    level_before: str | None


_SCOPE = (
    "the processes of a session and their descendants, chosen by run or watch; nothing of other processes, even where"
    " they use the same library or program file"
)


@click.group("content")
def command() -> None:
    """Say what is captured of the LLM traffic, and who had it captured."""


@command.command("show")
@content_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(content: ContentLevel, as_json: bool) -> None:
    """State what a capture that begins now would keep, where, for how long, and who can read it.

    Exits with 1 when somebody beside the owner can read the store, or its audit log is damaged.
    """
    shown = examine(content, source_of_level(), default_root())
    if as_json:
        click.echo(msgspec.json.encode(shown).decode())
    else:
        _print(shown)
    sys.exit(0 if shown.ok and shown.audit_ok else 1)


@command.command("audit")
@click.option("--verify", is_flag=True, help="Check the chain only; exit with 1 when it is broken.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line; with --verify one in all.")
def audit(verify: bool, as_json: bool) -> None:
    """Show the audit log: who had what captured, at which level, and what was removed."""
    log = AuditLog(default_root())
    if verify:
        result = log.verify()
        if as_json:
            click.echo(msgspec.json.encode(result).decode())
        else:
            for number, why in result.broken:
                click.echo(f"✗ {log.path}:{number}: {why}")
            click.echo(f"{result.count} entries, last {result.last}")
        sys.exit(0 if result.ok else 1)
    for entry in log.entries():
        if as_json:
            click.echo(msgspec.json.encode(entry).decode())
            continue
        who = entry.actor.login or entry.actor.sudo_user or entry.actor.user
        what = [entry.by, entry.session or "", f"{entry.before} →" if entry.before else "", entry.level or ""]
        what += [*entry.command, *entry.scope, *entry.exports, *entry.sessions]
        what += [f"second opinion {entry.second_opinion}" if entry.second_opinion else ""]
        when = f"{entry.time // 1_000_000_000}"
        click.echo(printable(f"{when}  {who:12} {entry.what:14} {' '.join(filter(None, what))}"))


def examine(level: ContentLevel, source: str, root: Path) -> Shown:
    """What a capture at ``level`` into the store at ``root`` would keep. Changes nothing, the store included."""
    from collector.redact import credentials

    held = opinion(level, source, os.environ)
    log = AuditLog(root)
    checked = log.verify()
    places = _places(root)
    return Shown(
        ok=not any(place.problem for place in places),
        level=level,
        source=source,
        means=MEANINGS[level],
        scope=_SCOPE,
        tls_plaintext_captured=level != "off",
        second_opinion=held.told,
        second_opinion_state=state(held),
        fields=_fields(level),
        credentials_removed=tuple(row.name for row in credentials()),
        places=places,
        limits=limits_of(os.environ),
        audit_entries=checked.count,
        audit_ok=checked.ok,
        level_before=log.level_before(),
    )


def _fields(level: ContentLevel) -> tuple[Field, ...]:
    return tuple(
        Field(
            kind=kind,
            holds=rule.holds,
            free_text=rule.free_text is not None and LEVELS.index(level) >= LEVELS.index(rule.free_text),
            fields=tuple(
                f"{name}.{field}"
                for name, kinds in FIELDS.items()
                for field, of in kinds.items()
                if of == kind
            ),
        )
        for kind, rule in KINDS.items()
    )


def _places(root: Path) -> tuple[Place, ...]:
    return (
        _place(root, "everything below", 0o700),
        _place(root / "polygraph.db", "sessions and verdicts", 0o600),
        _place(root / "polygraph.db-wal", "what was written last of them", 0o600),
        _place(root / "events", "events of each session", 0o700),
        _place(root / "key", "the secret of the keyed digests", 0o600),
        _place(root / NAME, "the audit log", 0o600),
    )


def _place(path: Path, holds: str, wanted: int) -> Place:
    made = Place(path=str(path), holds=holds, wanted=f"{wanted:04o}")
    try:
        state = path.lstat()
    except FileNotFoundError:
        return made
    mode = stat.S_IMODE(state.st_mode)
    problem = ""
    if mode & 0o077:
        problem = f"others than its owner have rights: chmod {wanted:o} {path}"
    elif state.st_uid != os.geteuid():
        problem = f"it belongs to user {state.st_uid}: chown it, or run as that user"
    return msgspec.structs.replace(made, mode=f"{mode:04o}", problem=problem)


def _print(shown: Shown) -> None:
    click.echo(f"level    {shown.level} (from: {shown.source}; --content, {VARIABLE}, default metadata)")
    click.echo(f"         {shown.means}")
    click.echo(f"scope    {shown.scope}")
    spoken = "read" if shown.tls_plaintext_captured else "not read"
    click.echo(f"said     plaintext of TLS, and HTTP and JSON-RPC without it, is {spoken}")
    click.echo(f"asked    {shown.second_opinion_state}")
    for field in shown.fields:
        mark = "free text" if field.free_text else "no free text"
        click.echo(f"{field.kind:8} {mark:13} {field.holds} ({len(field.fields)} fields)")
    click.echo(f"never    credentials: {', '.join(shown.credentials_removed)}")
    for place in shown.places:
        mode = place.mode or f"not made yet, will be {place.wanted}"
        click.echo(f"{'✗' if place.problem else '·'} {printable(place.path)}  {mode}  {place.holds}")
        if place.problem:
            click.echo(f"  {place.problem}")
    kept = [
        f"{name} {value:g}"
        for name, value in msgspec.structs.asdict(shown.limits).items()
        if value is not None
    ]
    click.echo(f"kept     {', '.join(kept) or 'without limit (docs/settings.md)'}")
    state = "chain whole" if shown.audit_ok else "chain BROKEN: polygraph content audit --verify"
    before = f", last capture at {shown.level_before}" if shown.level_before else ""
    click.echo(f"audit    {shown.audit_entries} entries, {state}{before}")
