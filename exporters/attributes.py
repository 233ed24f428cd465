"""Every name that polygraph puts into OTLP, in one table; docs/otlp.md is checked against it.

``effect.*`` are polygraph's own. The others are OpenTelemetry's semantic conventions (1.44): the registries
``service``, ``host``, ``os``, ``process`` and ``gen_ai``.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from polygraph.reasons import DIMENSIONS
from polygraph.text import printable

Place = Literal[
    "resource", "session span", "verdict span", "gen_ai.evaluation.result", "effect.evidence", "link"
]
PLACES: tuple[str, ...] = get_args(Place)

Value = bool | int | str | tuple[str, ...]


class Attribute(NamedTuple):
    """One attribute: where it stands, its type, and for strings the most characters it may hold."""

    name: str
    places: tuple[Place, ...]
    type: type
    limit: int = 0

    def of(self, value: Value) -> Value:
        """``value`` as it may be sent: controls escaped, bounded in length."""
        if isinstance(value, str):
            return clean(value, self.limit)
        if isinstance(value, tuple):
            return tuple(clean(item, self.limit) for item in value[:MAX_ITEMS])
        return min(max(value, -_MAX_INT), _MAX_INT) if type(value) is int else value


#: Tempo cuts values at 2048 bytes; Jaeger on Elasticsearch does not search those over 256 characters
NAME, LINE, TEXT = 256, 500, 2000
#: items of a list attribute
MAX_ITEMS = 16
#: what OTLP can carry as a number
_MAX_INT = 2**63 - 1


def clean(text: str, limit: int) -> str:
    """Untrusted text for a span: one line, no control or bidi characters, at most ``limit`` characters."""
    return printable(text[: limit + 1], limit)


_VERDICT: tuple[Place, ...] = ("verdict span",)
_SESSION: tuple[Place, ...] = ("session span",)
_BOTH: tuple[Place, ...] = ("session span", "verdict span")
_RESOURCE: tuple[Place, ...] = ("resource",)
_EVALUATION: tuple[Place, ...] = ("gen_ai.evaluation.result",)
_EVIDENCE: tuple[Place, ...] = ("effect.evidence",)

SERVICE_NAME = Attribute("service.name", _RESOURCE, str, NAME)
SERVICE_VERSION = Attribute("service.version", _RESOURCE, str, NAME)
HOST_ID = Attribute("host.id", _RESOURCE, str, NAME)
OS_TYPE = Attribute("os.type", _RESOURCE, str, NAME)

SESSION = Attribute("effect.session", _BOTH, str, NAME)
ORIGIN = Attribute("effect.session.origin", _SESSION, str, NAME)
BOOT = Attribute("effect.session.boot", _SESSION, str, NAME)
KERNEL = Attribute("effect.session.kernel", _SESSION, str, NAME)
CONTENT = Attribute("effect.session.content", _SESSION, str, NAME)
VERIFIED_COUNT = Attribute("effect.session.verified", _SESSION, int)
REFUTED_COUNT = Attribute("effect.session.refuted", _SESSION, int)
UNVERIFIABLE_COUNT = Attribute("effect.session.unverifiable", _SESSION, int)
PROCESS_PID = Attribute("process.pid", _SESSION, int)
PROCESS_NAME = Attribute("process.executable.name", _SESSION, str, NAME)
PROCESS_CWD = Attribute("process.working_directory", _SESSION, str, LINE)

VERIFIED = Attribute("effect.verified", _VERDICT, bool)
VERDICT = Attribute("effect.verdict", _VERDICT, str, NAME)
VERDICT_ID = Attribute("effect.verdict.id", _VERDICT, str, NAME)
REASON = Attribute("effect.reason", _VERDICT, str, NAME)
ASSUMED_VERDICT = Attribute("effect.assumed.verdict", _VERDICT, str, NAME)
ASSUMED_REASON = Attribute("effect.assumed.reason", _VERDICT, str, NAME)
GRADE = Attribute("effect.grade", _VERDICT, str, NAME)
DECLARED = Attribute("effect.declared", _VERDICT, str, LINE)
OBSERVED = Attribute("effect.observed", _VERDICT, str, LINE)
RULE = Attribute("effect.rule", _VERDICT, str, NAME)
RULE_VERSION = Attribute("effect.rule.version", _VERDICT, int)
WINDOW_CLOSED = Attribute("effect.window.closed", _VERDICT, bool)
EVIDENCE_COUNT = Attribute("effect.evidence.count", _VERDICT, int)
SUBJECT_KIND = Attribute("effect.subject.kind", _VERDICT, str, NAME)
SUBJECT_ID = Attribute("effect.subject.id", _VERDICT, str, NAME)
SUBJECT_CALL = Attribute("effect.subject.call", _VERDICT, str, NAME)
SUBJECT_DIGEST = Attribute("effect.subject.digest", _VERDICT, str, NAME)
SUBJECT_TEXT = Attribute("effect.subject.text", _VERDICT, str, TEXT)
CLAIM_SOURCE = Attribute("effect.claim.source", _VERDICT, str, NAME)
CLAIM_KIND = Attribute("effect.claim.kind", _VERDICT, str, NAME)
CLAIM_TOPIC = Attribute("effect.claim.topic", _VERDICT, str, NAME)
TOOL_NAME = Attribute("gen_ai.tool.name", _VERDICT, str, NAME)
TOOL_CALL_ID = Attribute("gen_ai.tool.call.id", _VERDICT, str, NAME)

COVERAGE_STATE = {name: Attribute(f"effect.coverage.{name}", _VERDICT, str, NAME) for name in DIMENSIONS}
COVERAGE_CANARY = {name: Attribute(f"effect.coverage.{name}.canary", _VERDICT, bool) for name in DIMENSIONS}
COVERAGE_LOST = {name: Attribute(f"effect.coverage.{name}.lost", _VERDICT, int) for name in DIMENSIONS}
COVERAGE_BLIND = {
    name: Attribute(f"effect.coverage.{name}.blind", _VERDICT, tuple, NAME) for name in DIMENSIONS
}

EVALUATION_NAME = Attribute("gen_ai.evaluation.name", _EVALUATION, str, NAME)
EVALUATION_LABEL = Attribute("gen_ai.evaluation.score.label", _EVALUATION, str, NAME)
EVALUATION_EXPLANATION = Attribute("gen_ai.evaluation.explanation", _EVALUATION, str, LINE)

EVIDENCE_ID = Attribute("effect.evidence.id", _EVIDENCE, str, NAME)
EVIDENCE_FACT = Attribute("effect.evidence.fact", _EVIDENCE, str, LINE)

LINK_TYPE = Attribute("effect.link.type", ("link",), str, NAME)


def table() -> dict[str, Attribute]:
    """All attributes by name."""
    found = [value for value in globals().values() if isinstance(value, Attribute)]
    for family in (COVERAGE_STATE, COVERAGE_CANARY, COVERAGE_LOST, COVERAGE_BLIND):
        found += family.values()
    return {attribute.name: attribute for attribute in found}
