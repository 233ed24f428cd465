"""The report: one self-contained HTML page from the events, verdicts and findings of a session.

The page needs no network, no font and no file beside it; its Content-Security-Policy forbids every load and
every script and style other than the two inside it (by SHA-256). All text is printed by Jinja2 with
autoescaping, after :func:`polygraph.text.printable`; no script ever makes markup. Without scripts the page
shows everything; with them it zooms and highlights.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined, Template
from markupsafe import Markup

from console.report.graph import COLUMN, NODE_HEIGHT, NODE_WIDTH, caption, graph
from console.report.model import Limits, ReportInput, index
from console.report.timeline import ROW, timeline
from console.report.tree import tree
from console.report.view import coverage, findings, groups, header
from console.words import in_reading_order
from polygraph.text import printable

__all__ = ["MAX_BYTES", "ReportInput", "render"]

#: bytes of the page that are never exceeded: then it is made again with less detail
MAX_BYTES = 9_500_000

_TIERS = (
    Limits(),
    Limits(
        cards=150,
        rows=1000,
        evidence=6,
        text=240,
        bars=120,
        ticks=300,
        tree=300,
        subjects=40,
        gaps=20,
        findings=40,
    ),
    Limits(
        cards=40, rows=200, evidence=3, text=80, bars=60, ticks=150, tree=80, subjects=20, gaps=8, findings=20
    ),
)


def render(session: ReportInput) -> str:
    """The page, as text to be written in UTF-8, at most :data:`MAX_BYTES` long in it. Never empty.

    What does not fit is aggregated, and the page says so. A function of its input alone: no clock.
    """
    ordered = in_reading_order(session.verdicts)
    log = index(session, ordered)
    page = ""
    for tier, limits in enumerate(_TIERS):
        drawn = graph(log, limits)
        page = _template().render(
            head=header(log),
            groups=groups(log, limits),
            findings=findings(log, limits),
            more_findings=max(0, len(log.findings) - limits.findings),
            timeline=timeline(log, limits),
            tree=tree(log, limits),
            graph=drawn,
            graph_note=caption(drawn),
            coverage=coverage(log, limits),
            reduced=tier > 0,
            row=ROW,
            column=COLUMN,
            node_width=NODE_WIDTH,
            node_height=NODE_HEIGHT,
            style=Markup(_asset("report.css")),  # noqa: S704 - our own file
            script=Markup(_asset("report.js")),  # noqa: S704 - our own file
            policy=_policy(),
        )
        if len(page.encode()) <= MAX_BYTES:
            break
    return page


@cache
def _template() -> Template:
    def finalize(value: Any) -> Any:
        """The last line of defence: whatever reaches the page as text is printable."""
        return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=DictLoader({"report.html": _asset("report.html")}),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


@cache
def _asset(name: str) -> str:
    return resources.files("console.report").joinpath(f"data/{name}").read_text("utf-8")


@cache
def _policy() -> str:
    style, script = (
        base64.b64encode(hashlib.sha256(_asset(name).encode()).digest()).decode()
        for name in ("report.css", "report.js")
    )
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'"
    )
