"""Strings that an observed process may choose in order to break out of a page or a terminal."""

from __future__ import annotations

import msgspec

from polygraph.events import (
    BlindSpot,
    Event,
    Exec,
    ExecFailed,
    File,
    FileState,
    Flow,
    Intent,
    LlmCall,
    Loss,
    Net,
    SessionStart,
)
from polygraph.text import from_bytes
from tests.console.sample import Sample

HOSTILE: tuple[str, ...] = (
    "<script>alert('pg-marker')</script>",
    "</script><script>alert('pg-marker')</script>",
    "</style><img src=x onerror=alert('pg-marker')>",
    "</title></head><body onload=alert('pg-marker')>",
    "--><svg/onload=alert('pg-marker')><!--",
    "]]></text></svg><iframe src='http://127.0.0.1:9/pg-marker'>",
    "' onmouseover='alert(1)' data-x=' pg-marker",
    '" autofocus onfocus="alert(1)" data-x=" pg-marker',
    "javascript:alert('pg-marker')",
    "{{ 7*7 }} {% raw %} ${7*7} pg-marker",
    "<link rel=stylesheet href=http://127.0.0.1:9/pg-marker>",
    "<base href=http://127.0.0.1:9/><meta http-equiv=refresh content='0;url=http://127.0.0.1:9/pg-marker'>",
    "\x1b[31mpg-marker\x1b[0m \x1b]0;title\x07 \x1b[2J\x9b31m",
    "\u202epg-marker\u202c \u2066gnp.exe\u2069 \u200b\u200f\ufeff",
    "line one\nline two\r\nline three\u2028four\u2029five pg-marker \x00 \x85",
    from_bytes(b"\xff\xfe\x80 pg-marker \xc3("),
    "[bold red]pg-marker[/bold red] [link=http://127.0.0.1:9/]x[/link] :boom: [/]",
    "pg-marker-" + "A" * 4096,
    "<" * 4096 + "pg-marker",
    "שלום pg-marker مرحبا \u0301\u0301\u0301\u0301 𝕏 \U0001f4a3",
    "&lt;b&gt; &#60;script&#62; &amp; pg-marker",
)

_FIELDS: dict[type[Event], tuple[str, ...]] = {
    SessionStart: ("host", "kernel", "cwd", "argv"),
    Exec: ("path", "cwd", "argv", "comm"),
    ExecFailed: ("path",),
    File: ("path",),
    FileState: ("path",),
    Net: ("address",),
    Flow: ("address",),
    LlmCall: ("model", "host"),
    Intent: ("tool", "call_id"),
    Loss: ("cause",),
    BlindSpot: ("name",),
}


def poisoned(sample: Sample, text: str) -> Sample:
    """The sample with ``text`` appended to every string that an observed process could choose."""
    events = []
    for event in sample.events:
        changes: dict[str, object] = {}
        for name in _FIELDS.get(type(event), ()):
            value = getattr(event, name)
            changes[name] = (*value, text) if isinstance(value, tuple) else value + text
        events.append(msgspec.structs.replace(event, **changes) if changes else event)
    verdicts = [
        msgspec.structs.replace(
            verdict,
            declared=verdict.declared + text,
            observed=verdict.observed + text,
            rule=verdict.rule + text,
            subject=msgspec.structs.replace(
                verdict.subject, text=text, tool=(verdict.subject.tool or "") + text
            ),
            evidence=tuple(msgspec.structs.replace(item, fact=item.fact + text) for item in verdict.evidence),
        )
        for verdict in sample.verdicts
    ]
    findings = [
        msgspec.structs.replace(
            finding,
            detector=finding.detector + text,
            kind=finding.kind + text,
            summary=finding.summary + text,
            evidence=tuple(msgspec.structs.replace(item, fact=item.fact + text) for item in finding.evidence),
            path=tuple(msgspec.structs.replace(step, what=step.what + text) for step in finding.path),
            figures={**finding.figures, text: 1},
        )
        for finding in sample.findings
    ]
    return Sample(events, verdicts, findings)
