"""The reasoning loop: an agent that asks its model the same again, and nothing of a new kind happens in between.

A *step* is a call of the model and what came of it: the tool calls that it asked for, what they gave (what is new
in the conversation's next request) and what the kernel saw until then. A conversation is a chain of calls
(:attr:`~polygraph.events.LlmCall.follows`), so that agents at work side by side are not mixed up. For each length
of a round, from one call to a few, it is counted how many steps are the same as the one a round before them; drift is
held against the first round, so that slow progress is progress.

What a step did is *new* if an effect of its kind was not seen since the loop began: another file, program, exit
status or host. That no such thing happened is a conclusion from silence and needs coverage.

Cost: each event is looked at once, a call at the few steps before it. Memory is bounded by what is kept of
MAX_CONVERSATIONS and the kinds of effect.
"""

from __future__ import annotations

import tomllib
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import NamedTuple, TypeVar

import msgspec

from correlator.detectors.kinds import EFFECTS, Effect, Kinds
from correlator.programs import program_name
from correlator.session import Session
from polygraph.events import AnyEvent, Exec, Intent, LlmCall
from polygraph.findings import Finding, Step, detectors
from polygraph.ids import derived_id
from polygraph.prices import price_of, prices
from polygraph.reasons import Dimension
from polygraph.verdicts import Evidence, Window

DETECTOR = "reasoning_loop"
#: most conversations of a session that are followed at once; the one that was silent longest goes first
MAX_CONVERSATIONS = 64
#: most calls that are remembered in order to count none twice
MAX_CALLS = 4096
#: most tool calls of one answer that are compared
MAX_INTENTS = 64
#: most tool calls of one answer that a finding names
MAX_EVIDENCE = 4

_NEEDS: tuple[Dimension, ...] = ("process", "file", "network")
#: tool calls that only look: nearly the same arguments ask for nearly the same. Others must be equal.
_LOOKS = frozenset({"read", "search", "fetch"})
_SECOND = 1_000_000_000
#: what is counted of money: billionths of a dollar
_DOLLAR = 1_000_000_000

K = TypeVar("K")
V = TypeVar("V")


class Waiting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/waiting.toml."""

    tools: frozenset[str]
    programs: frozenset[str]


@cache
def waiting() -> Waiting:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("correlator").joinpath("data/waiting.toml").read_text("utf-8"))
    return msgspec.convert(raw, Waiting)


class Thresholds(NamedTuple):
    """Those of data/detectors.toml; ``waiting`` in ns."""

    rounds: int
    rounds_alternating: int
    longest_round: int
    distance: int
    waiting: int


@cache
def thresholds() -> Thresholds:
    """What is held against."""
    rows = detectors()[DETECTOR].thresholds
    return Thresholds(
        rounds=int(rows["rounds"].value),
        rounds_alternating=int(rows["rounds_alternating"].value),
        longest_round=int(rows["longest_round"].value),
        distance=int(rows["distance"].value),
        waiting=int(rows["waiting"].value * _SECOND),
    )


class _Asked(NamedTuple):
    """What of a tool call is compared. ``exact``: digest of the command, else of the arguments."""

    intent: str
    event: str
    tool: str
    kind: str
    exact: str
    signature: str


class _Totals(NamedTuple):
    """Sums over a conversation's calls. ``nanodollars`` of those whose model has a price; the others are counted."""

    calls: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    nanodollars: int = 0
    unpriced: int = 0
    #: calls whose tokens their server did not tell
    untold: int = 0

    def plus(self, call: LlmCall) -> _Totals:
        price = price_of(call.model)
        tokens = (call.input_tokens, call.output_tokens, call.cached_tokens)
        return _Totals(
            self.calls + 1,
            self.input + call.input_tokens,
            self.output + call.output_tokens,
            self.cached + call.cached_tokens,
            self.nanodollars + (price.cost(*tokens) if price is not None else 0),
            self.unpriced + (price is None),
            self.untold + (not any(tokens)),
        )

    def since(self, before: _Totals) -> _Totals:
        return _Totals(*(now - then for now, then in zip(self, before, strict=True)))


@dataclass(slots=True)
class _Step:
    """A call of the model and what came of it."""

    call: LlmCall
    #: which call of the session it is, from 1: the time by which effects are told
    number: int
    #: sums over the conversation before it, and with it
    before: _Totals
    after: _Totals
    #: executions of the session when it began
    executed: int
    asked: list[_Asked] = field(default_factory=list)
    #: it waited, or what it did cannot be compared
    apart: bool = False
    #: what came of it, and when the next request carried that
    result: str = ""
    over: int = 0

    @property
    def tools(self) -> str:
        return ", ".join(dict.fromkeys(asked.tool for asked in self.asked))


@dataclass(slots=True)
class _Round:
    """Steps that are the same as those ``length`` before them."""

    length: int
    #: steps after the first round that were the same
    same: int = 0
    first: list[_Step] = field(default_factory=list)


class _Loop(NamedTuple):
    """A loop as far as it went: rounds of ``length`` calls, its first and its last call."""

    length: int
    first: _Step
    last: _Step
    #: the steps of its first round
    round: tuple[_Step, ...]


@dataclass(slots=True)
class _Conversation:
    """A chain of calls: the last one, whose result is not known, and the few before it."""

    open: _Step
    steps: deque[_Step]
    rounds: list[_Round]
    #: the number at which that effect since the last step was seen before that was seen longest ago
    novel: int


class Loops:
    """The detector over one session."""

    def __init__(self) -> None:
        self._conversations: OrderedDict[str, _Conversation] = OrderedDict()
        self._seen: OrderedDict[str, None] = OrderedDict()
        #: kinds of effect, with the number of the call after which one was seen last
        self._kinds = Kinds()
        self._calls = 0
        self._executed = 0
        #: loops that went on since they were last told, by their first call
        self._going: dict[str, _Loop] = {}

    # --- events ----------------------------------------------------------------------------------

    def see(self, session: Session, event: AnyEvent) -> None:
        """Takes an event. Most are effects, of which most were seen before: these must cost little."""
        if isinstance(event, EFFECTS):
            if self._conversations:
                self._effect(session, event)
        elif isinstance(event, LlmCall):
            self._call(session, event)
        elif isinstance(event, Intent):
            self._intent(event)

    def _call(self, session: Session, call: LlmCall) -> None:
        if call.fate != "answered" or not call.complete or call.call in self._seen:
            return  # it said nothing, or not all is known of it: what goes on from it begins anew
        _put(self._seen, call.call, None, MAX_CALLS)
        self._calls += 1
        known = self._conversations.pop(call.follows, None) if call.follows else None
        before = known.open.after if known is not None else _Totals()
        step = _Step(call, self._calls, before, before.plus(call), self._executed)
        if known is None:
            longest = thresholds().longest_round
            rounds = [_Round(length) for length in range(1, longest + 1)]
            known = _Conversation(step, deque(maxlen=longest), rounds, self._calls)
        else:
            self._over(session, known, call)
            known.open = step
        _put(self._conversations, call.call, known, MAX_CONVERSATIONS)

    def _intent(self, intent: Intent) -> None:
        conversation = self._conversations.get(intent.call)
        if conversation is None:
            return
        step = conversation.open
        if any(asked.intent == intent.intent for asked in step.asked):
            return
        if (
            len(step.asked) >= MAX_INTENTS
            or not intent.signature
            or intent.hand_off is not None
            or _waits(intent)
        ):
            step.apart = True
            return
        exact = intent.command_digest or intent.digest
        step.asked.append(_Asked(intent.intent, intent.id, intent.tool, intent.kind, exact, intent.signature))

    def _effect(self, session: Session, event: Effect) -> None:
        if isinstance(event, Exec):
            self._executed += 1
            if program_name(event) in waiting().programs:
                for conversation in self._conversations.values():
                    conversation.open.apart = True
        before = self._kinds.before(session, event, self._calls)
        if before < self._calls:
            for conversation in self._conversations.values():
                conversation.novel = min(conversation.novel, before)

    # --- steps -----------------------------------------------------------------------------------

    def _over(self, session: Session, conversation: _Conversation, following: LlmCall) -> None:
        """The conversation's last step is over: the next call brought what came of it."""
        step = conversation.open
        step.result, step.over = following.new_signature, following.request_ts
        waited = step.over - step.call.ts >= thresholds().waiting and self._executed == step.executed
        if step.asked and waited:
            step.apart = True
        steps = conversation.steps
        for of in conversation.rounds:
            self._compare(of, steps, step, conversation.novel)
        found = next((of for of in conversation.rounds if _is_loop(of)), None)
        if found is not None:
            first = found.first[0]
            loop = _Loop(found.length, first, step, tuple(found.first))
            if _covered(session, loop):  # else it is told as far as it was covered
                self._going[first.call.call] = loop
        steps.append(step)
        conversation.novel = self._calls

    @staticmethod
    def _compare(of: _Round, steps: deque[_Step], step: _Step, novel: int) -> None:
        before = steps[-of.length] if len(steps) >= of.length else None
        if before is None or not _same(before, step):
            of.same, of.first = 0, []
            return
        if of.same and not _same(of.first[of.same % of.length], step):
            of.same = 0  # it came so far little by little
        if not of.same:
            of.first = list(steps)[-of.length :]
        if novel < of.first[0].number:
            of.same, of.first = 0, []
            return
        of.same += 1

    # --- findings --------------------------------------------------------------------------------

    def due(self, session: Session, now: int, *, final: bool) -> Iterator[Finding]:  # noqa: ARG002
        """Loops that went on since the last time."""
        going, self._going = self._going, {}
        for loop in going.values():
            if _covered(session, loop):  # a loss may have been told since
                yield _finding(session, loop)


def _covered(session: Session, loop: _Loop) -> bool:
    return session.coverage.gate(_NEEDS, loop.first.call.request_ts, loop.last.over) is None


def _is_loop(of: _Round) -> bool:
    wanted = thresholds().rounds if of.length == 1 else thresholds().rounds_alternating
    return of.same >= of.length * (wanted - 1)


# --- what is the same ----------------------------------------------------------------------------------


def _same(one: _Step, other: _Step) -> bool:
    """Whether two steps asked for the same and got the same."""
    if one.apart or other.apart or len(one.asked) != len(other.asked):
        return False
    if not _near(one.result, other.result):
        return False
    if not one.asked:
        return _near(one.call.answer_signature, other.call.answer_signature)
    return all(_same_intent(*pair) for pair in zip(one.asked, other.asked, strict=True))


def _same_intent(one: _Asked, other: _Asked) -> bool:
    if (one.tool, one.kind) != (other.tool, other.kind):
        return False
    return one.exact == other.exact or (one.kind in _LOOKS and _near(one.signature, other.signature))


def _near(one: str, other: str) -> bool:
    """Whether two signatures are of near-duplicates (collector/similarity.py has their form)."""
    if not one or not other:
        return False
    alike, _, exact = one.partition("-")
    other_alike, _, other_exact = other.partition("-")
    return exact == other_exact and _bits(alike, other_alike) <= thresholds().distance


def _bits(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def _waits(intent: Intent) -> bool:
    tool = intent.tool.rpartition("__")[2].lower().replace("_", "").replace("-", "")
    return tool in waiting().tools or any(one.program in waiting().programs for one in intent.executions)


# --- words ---------------------------------------------------------------------------------------------


def _finding(session: Session, loop: _Loop) -> Finding:
    first, last = loop.first, loop.last
    sums = last.after.since(first.before)
    kind = "alternating" if loop.length > 1 else "same_call" if first.asked else "same_answer"
    figures: dict[str, float] = {
        "calls": sums.calls,
        "rounds": sums.calls // loop.length,
        "input_tokens": sums.input,
        "output_tokens": sums.output,
        "cached_tokens": sums.cached,
        "seconds": round((last.over - first.call.request_ts) / _SECOND, 3),
    }
    if sums.untold:
        figures["calls_without_tokens"] = sums.untold
    if not sums.unpriced and not sums.untold:
        figures["usd"] = round(sums.nanodollars / _DOLLAR, 6)
    return Finding(
        id=derived_id("f", session.id, DETECTOR, kind, first.call.call),
        session=session.id,
        ts=last.over,
        detector=DETECTOR,
        kind=kind,
        summary=f"{_what(kind, loop, sums.calls)}; nothing of a new kind happened in between ({_cost(sums)})",
        evidence=(*_evidence(first, "first"), *_evidence(last, "last")),
        window=Window(open=first.call.request_ts, close=last.over),
        path=(
            Step(ts=first.call.ts, what=f"first call: {_said(first)}", id=first.call.id),
            Step(
                ts=last.call.ts,
                what=f"call {sums.calls}: {_said(last)}",
                id=last.call.id,
                grade="exact" if last.asked else "strong",
            ),
        ),
        figures=figures,
    )


def _what(kind: str, loop: _Loop, calls: int) -> str:
    if kind == "same_call":
        return f"asked {calls} times in a row for {loop.first.tools} with the same arguments and got the same result"
    if kind == "same_answer":
        return f"answered {calls} times in a row nearly the same to nearly the same words"
    tools = ", ".join(dict.fromkeys(filter(None, (step.tools for step in loop.round)))) or "answers"
    return f"went {calls // loop.length} times through the same {loop.length} calls ({tools}) with the same results"


def _cost(sums: _Totals) -> str:
    if sums.untold:
        return "tokens not told by the server"
    tokens = f"{sums.input} tokens in, {sums.cached} of them cached, {sums.output} out"
    if sums.unpriced:
        return f"{tokens}; the price of the model is not known"
    return f"{tokens}; {sums.nanodollars / _DOLLAR:.4f} USD by list prices of {prices().as_of}"


def _said(step: _Step) -> str:
    return f"asks for {step.tools}" if step.asked else "answers"


def _evidence(step: _Step, place: str) -> Iterator[Evidence]:
    call = step.call
    tokens = f"{call.input_tokens} tokens in, {call.output_tokens} out"
    yield Evidence(
        id=call.id, ts=call.ts, fact=f"{place} call of the loop, {call.model or 'a model'}: {tokens}"
    )
    for asked in step.asked[:MAX_EVIDENCE]:
        yield Evidence(id=asked.event, ts=call.ts, fact=f"{place} call asks for {asked.tool}")


def _put(memory: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > most:
        memory.popitem(last=False)
