"""``polygraph doctor``: what this host can and cannot show, measured with the canary, and why."""

from __future__ import annotations

import os
import platform
import sys
from functools import partial
from pathlib import Path

import click
import msgspec

from polygraph.errors import PolygraphError
from polygraph.text import printable


class DimensionHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the result. ``canary``: our own known operations came back."""

    dimension: str
    state: str
    canary: bool
    missing: tuple[str, ...]
    detail: str


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What ``doctor --json`` prints. ``ok``: every dimension that verdicts need is proven."""

    ok: bool
    kernel: str
    btf: bool
    root: bool
    error: str | None
    dimensions: tuple[DimensionHealth, ...]
    tls_libraries: tuple[str, ...]
    blind: tuple[str, ...]


#: what no probe of this version shows, wherever it runs (docs/coverage.md explains each)
ALWAYS_BLIND = ("io_uring", "mmap_write", "sendfile", "quic", "static_tls", "dns_over_read", "udp_bytes")


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(as_json: bool) -> None:
    """Say what this host can and cannot show, and why."""
    health = examine()
    if as_json:
        click.echo(msgspec.json.encode(health).decode())
    else:
        _show(health)
    sys.exit(0 if health.ok else 1)


def examine() -> Health:
    """Loads the probes, runs the canary, lets go again."""
    from collector.collect import Collector

    health = partial(
        Health,
        kernel=platform.release(),
        btf=Path("/sys/kernel/btf/vmlinux").exists(),
        root=os.geteuid() == 0,
        blind=ALWAYS_BLIND,
    )
    try:
        with Collector("metadata", b"") as collector:
            collector.start()
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
            libraries = tuple(collector.tls.libraries)
    except PolygraphError as error:
        return health(ok=False, error=f"{error}; {error.advice}", dimensions=(), tls_libraries=())
    needed = [row for row in dimensions if row.state != "not_requested"]
    ok = all(row.state == "attached" and row.canary for row in needed)
    return health(ok=ok, error=None, dimensions=dimensions, tls_libraries=libraries)


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
    click.echo(
        f"TLS libraries with probes: {', '.join(printable(x, 120) for x in health.tls_libraries) or 'none'}"
    )
    click.echo("not seen by this version, on any host:")
    for name in health.blind:
        click.echo(f"  - {blind_spot(name)}")
