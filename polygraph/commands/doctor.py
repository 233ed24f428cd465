"""``polygraph doctor``: what this host can and cannot show, measured with the canary, and why."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from polygraph.errors import PolygraphError
from polygraph.text import printable

if TYPE_CHECKING:
    from collector.tls.probes import TlsProbes


class DimensionHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the result. ``canary``: our own known operations came back."""

    dimension: str
    state: str
    canary: bool
    missing: tuple[str, ...]
    detail: str


class TlsStack(msgspec.Struct, frozen=True, kw_only=True):
    """The TLS of one file. ``found``: by what its functions were (docs/coverage.md); ``blind``: why it is not seen."""

    path: str
    library: str = ""
    found: str = ""
    blind: str | None = None
    detail: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What ``doctor --json`` prints. ``ok``: every dimension that verdicts need is proven.

    ``tls``: the files with probes; ``program``: those that the program in question comes down to, if one was named.
    """

    ok: bool
    kernel: str
    btf: bool
    root: bool
    error: str | None
    dimensions: tuple[DimensionHealth, ...]
    tls_libraries: tuple[str, ...]
    blind: tuple[str, ...]
    tls: tuple[TlsStack, ...] = ()
    program: tuple[TlsStack, ...] | None = None


#: what no probe of this version shows, wherever it runs (docs/coverage.md explains each)
ALWAYS_BLIND = ("io_uring", "mmap_write", "sendfile", "quic", "static_tls", "dns_over_read", "udp_bytes")

#: the rungs of collector/tls/discover.py
_FOUND_BY = {
    "exported": "its exported functions",
    "symbols": "its symbol table",
    "debug_file": "its separate debug file",
    "build_id": "its build-id, which is known",
    "signature": "code that is known",
    "errors": "the errors that its functions report",
    "go_table": "the table of functions that Go's runtime needs",
}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.argument("program", required=False)
def command(as_json: bool, program: str | None) -> None:
    """Say what this host can and cannot show, and why.

    With PROGRAM (a command or any file), also whether its TLS can be seen.
    """
    health = examine(program)
    if as_json:
        click.echo(msgspec.json.encode(health).decode())
    else:
        _show(health)
    sys.exit(0 if health.ok else 1)


def examine(program: str | None = None) -> Health:
    """Loads the probes, runs the canary, looks at ``program``, lets go again. Raises PolygraphError without it."""
    from collector.collect import Collector

    named = None if program is None else _named(program)

    health = partial(
        Health,
        kernel=platform.release(),
        btf=Path("/sys/kernel/btf/vmlinux").exists(),
        root=os.geteuid() == 0,
        blind=ALWAYS_BLIND,
    )
    try:
        with Collector("metadata", b"") as collector:
            collector.start(named)
            dimensions = tuple(
                DimensionHealth(
                    dimension=dimension,
                    state=probe.state,
                    canary=dimension in collector.proven,
                    missing=probe.missing,
                    detail=probe.detail,
                )
                for dimension, probe in collector.source.probes.items()
            )
            asked = None if named is None else _stacks(collector.tls, named)
            libraries = tuple(collector.tls.libraries)
            probed = tuple(
                TlsStack(path=row.path, library=row.library, found=row.rung) for row in collector.tls.probed
            )
    except PolygraphError as error:
        return health(ok=False, error=f"{error}; {error.advice}", dimensions=(), tls_libraries=())
    needed = [row for row in dimensions if row.state != "not_requested"]
    ok = all(row.state == "attached" and row.canary for row in needed)
    ok = ok and not any(row.blind for row in asked or ())
    return health(
        ok=ok, error=None, dimensions=dimensions, tls_libraries=libraries, tls=probed, program=asked
    )


def _named(program: str) -> str:
    """The file that ``program`` means."""
    found = program if "/" in program else shutil.which(program)
    if found is None or not Path(found).is_file():
        raise PolygraphError(f"{program} is no program that can be found", "give its path")
    return found


def _stacks(probes: TlsProbes, program: str) -> tuple[TlsStack, ...]:
    """The TLS of all files that ``program`` comes down to."""
    from collector.tls.preload import programs

    found: dict[Path, TlsStack] = {}
    for path in programs(program, os.environ.get("PATH")):
        looked = probes.stack(path)
        found.setdefault(
            path.resolve(),
            TlsStack(
                path=str(path),
                library=looked.library,
                found=looked.rung,
                blind=looked.blind,
                detail=looked.detail,
            ),
        )
    return tuple(found.values())


def _told(stack: TlsStack) -> str:
    path = printable(stack.path, 400)
    if stack.blind is not None:
        return f"{path}: not seen: {stack.blind}, {printable(stack.detail, 200)}"
    if not stack.found:
        return f"{path}: none"
    return f"{path}: {stack.library}, by {_FOUND_BY.get(stack.found, stack.found)}"


def _show(health: Health) -> None:
    from console.words import blind_spot, words

    click.echo(
        f"kernel {health.kernel}, BTF {'present' if health.btf else 'missing: the programs cannot load'}"
    )
    if health.error is not None:
        click.echo(f"✗ {health.error}")
        return
    names, states = words().dimension, words().state
    for row in health.dimensions:
        mark = "·" if row.state == "not_requested" else "✓" if row.state == "attached" and row.canary else "✗"
        said = states.get(row.state, row.state)
        if row.state == "attached":
            said += ", seen to work" if row.canary else ", but the canary's own operations did not come back"
        click.echo(f"{mark} {names.get(row.dimension, row.dimension):18} {said}")
        if row.detail:
            click.echo(f"  {printable(row.detail, 400)}")
    click.echo("TLS libraries with probes:" if health.tls else "TLS libraries with probes: none")
    for stack in health.tls:
        click.echo(f"  {_told(stack)}")
    if health.program is not None:
        click.echo("TLS of the program itself; what it loads later is looked at when it does:")
        for stack in health.program:
            click.echo(f"{'✗' if stack.blind else '✓' if stack.found else '·'} {_told(stack)}")
    click.echo("not seen by this version, on any host:")
    for name in health.blind:
        click.echo(f"  - {blind_spot(name)}")
