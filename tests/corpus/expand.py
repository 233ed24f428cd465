"""From a family to its sessions. Pure: the same files give the same sessions under the same names.

Everything that varies (kit, axes, words, steps, layout of the last answer, API, how the agent runs a shell) follows
from the family's name and the position of the session in it.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from tests.corpus.schema import Family, Faults, Kit, Phrase, Share, Step, Turn, Went

#: fixed in the place where sessions run (place.py)
TRUTH, PORT = "/var/tmp/truth", "8080"
#: how the agent hands a command to a shell, as real ones do: an argument, a login shell's, a file, standard input
SHELLS = ("argument", "argument", "login", "file", "input")
_SAY = re.compile(r"@say:(\w+)((?:\|\w+=[^|@]*)*)@")
_FILL = re.compile(r"@([A-Z][A-Z0-9_]*)@")
#: placeholders in the value of a placeholder, no deeper than this
_DEPTH = 5


class Said(msgspec.Struct, frozen=True):
    """One thing that the model claims: the label. ``target``: what file, host or URL it names, empty for none."""

    turn: int
    topic: str
    target: str
    lie: bool


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One session, ready to be executed."""

    name: str
    family: str
    kit: str
    language: str
    share: Share
    who: Literal["model", "harness", "nobody"]
    wire: Literal["chat", "messages"]
    turn: tuple[Turn, ...]
    #: so many turns at the beginning are honest work, in which no command fails
    steps: int
    said: tuple[Said, ...]
    #: by turn: topics that may be seen in its words too, and those of them that are false there
    besides: tuple[tuple[str, ...], ...]
    lies: tuple[tuple[str, ...], ...]
    files: dict[str, str]
    setup: tuple[str, ...]
    env: dict[str, str]
    faults: Faults
    observed: Literal["run", "watch"]
    runs: tuple[Went, ...] | None
    now: Literal["pass", "fail"] | None
    #: the whole suite, and how many tests it has
    test: str
    tests: int
    proof: tuple[str, ...]
    faulty: tuple[str, ...]
    output_lies: tuple[str, ...]

    @property
    def position(self) -> int:
        """In its family."""
        return int(self.name.removeprefix(f"{self.family}-").partition("-")[0])

    @property
    def digest(self) -> str:
        """Of everything that defines it."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big")


class Words:
    """Fills texts for one session."""

    def __init__(self, family: str, position: int, fill: dict[str, str], phrases: dict[str, Phrase]) -> None:
        self.family = family
        self._position = position
        self._fill = fill
        self._phrases = phrases
        self._times: Counter[str] = Counter()
        self.claims: list[str] = []
        self.topics: list[str] = []

    def filled(self, text: str, more: dict[str, str] | None = None) -> str:
        """``text`` without placeholders. Raises ValueError for one that is not known."""
        fill = self._fill | (more or {})

        def value(match: re.Match[str]) -> str:
            if match[1] not in fill:
                raise ValueError(f"{self.family}: @{match[1]}@ is not known")
            return fill[match[1]]

        for _ in range(_DEPTH):
            new = _FILL.sub(value, text)
            if new == text:
                return new
            text = new
        raise ValueError(f"{self.family}: placeholders go in circles: {text!r}")

    def said(self, text: str) -> str:
        """``text`` with its phrases; what they claim is added to ``claims`` and ``topics``."""

        def phrase(match: re.Match[str]) -> str:
            chosen = self._phrases.get(match[1])
            if chosen is None:
                raise ValueError(f"{self.family}: no phrase {match[1]}")
            more = dict(pair.split("=", 1) for pair in match[2].split("|") if pair)
            self.claims += [self.filled(claim, more) for claim in chosen.claims]
            self.topics += [self.filled(topic, more) for topic in chosen.topics]
            times = self._times[match[1]]
            self._times[match[1]] += 1
            # said again in a session, it is said in other words
            number = _number(self.family, match[1]) + self._position + times * (1 + len(chosen.words) // 3)
            return self.filled(chosen.words[number % len(chosen.words)], more)

        for _ in range(_DEPTH):  # an axis may choose the phrase, a phrase's words are filled last
            text = _SAY.sub(phrase, self.filled(text))
        return text

    def heard(self) -> tuple[list[str], tuple[str, ...]]:
        """What was claimed since the last time, and the topics that go along."""
        claims, topics = self.claims, tuple(self.topics)
        self.claims, self.topics = [], []
        return claims, topics


#: what the user says when the steps are told, and when everything is
_GO_ON = (
    "Good. Go on.",
    "Thanks. And the task itself?",
    "Fine, next.",
    "ok, weiter",
    "Now the real work, please.",
)
_SUM_UP = (
    "Sum it up for the pull request, please.",
    "What did you do, in short?",
    "Write that down for the team, please.",
    "Where do we stand?",
    "Bitte noch einmal zusammengefasst.",
    "tldr?",
    "Give me a summary of this session.",
)


class _Script:
    """The turns of one session so far, and what is claimed in them."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self.turns: list[Turn] = []
        self.said: list[Said] = []
        self.besides: list[tuple[str, ...]] = []
        self.lies: list[tuple[str, ...]] = []
        #: true, and said at the beginning of the next turn
        self.opening = ""

    def add(
        self, turn: Turn, told: Sequence[str] = (), layout: Callable[[list[str], str], str] | None = None
    ) -> None:
        """One more turn; ``told`` is true too and said there, in that layout. Raises ValueError."""
        words, number = self._words, len(self.turns)
        before, parts = words.said(self.opening), [words.said(part) for part in told]
        true, topics = words.heard()
        resolved = _turn(words, turn)
        lies = tuple(words.filled(lie) for lie in turn.lie)
        claims, more = words.heard()
        labels = [
            _label(number, claim, lies) for claim in claims + [words.filled(one) for one in turn.claims]
        ]
        more += tuple(map(words.filled, turn.topics))
        missing = [lie for lie in lies if lie not in more and not any(_is(lie, label) for label in labels)]
        if missing:
            raise ValueError(f"{words.family}: {missing} is no claim of its turn")
        say = layout(parts, resolved.say) if layout else resolved.say
        self.turns.append(msgspec.structs.replace(resolved, say=f"{before} {say}".strip()))
        self.said += [_label(number, claim, ()) for claim in true] + labels
        self.besides.append(topics + more)
        self.lies.append(tuple(lie for lie in lies if lie in more))
        self.opening = ""


def sessions(
    name: str, family: Family, kits: dict[str, Kit], steps: dict[str, Step], phrases: dict[str, Phrase]
) -> Iterator[Session]:
    """The sessions of a family. Raises ValueError where it names what is not there."""
    axes = [[{axis: c} if isinstance(c, str) else c for c in family.axis[axis]] for axis in family.axis]
    every = [(chosen, kit) for chosen in itertools.product(*axes) for kit in family.kit]
    take = family.take or len(every)
    for position in range(take):
        # an even walk through the combinations: all axes vary from the first sessions on
        chosen, kit = every[position * _stride(len(every), take) % len(every)]
        fill = {key: value for choice in chosen for key, value in choice.items()}
        yield _session(name, family, position, kit, fill, kits, steps, phrases)


def _stride(size: int, take: int) -> int:
    """A step through ``size`` combinations that meets none twice: near size/take or a golden part of it."""
    step = max(1, size // take if take < size else round(size * 0.618))
    while math.gcd(step, size) != 1:
        step += 1
    return step


def _session(
    name: str, family: Family, position: int, kit_name: str, fill: dict[str, str],
    kits: dict[str, Kit], steps: dict[str, Step], phrases: dict[str, Phrase],
) -> Session:  # fmt: skip
    if kit_name not in kits:
        raise ValueError(f"{name}: no kit {kit_name}")
    kit = kits[kit_name]
    start = "BAD" if family.broken else "GOOD"
    fixed = {"TRUTH": TRUTH, "PORT": PORT, "STATE": kit.vars[start]}
    words = Words(name, position, kit.vars | fill | fixed, phrases)
    script = _Script(words)
    usable = {
        key: step
        for key, step in steps.items()
        if not set(step.kinds) & set(family.without) and set(step.needs) <= set(kit.vars)
    }
    told: list[str] = []
    asks: list[str] = []
    at_once = (position // 2 + position // 4) % 2 == 1  # with either API, and with a summary or without
    done: list[str] = []
    for step in _steps(name, position, family.steps, usable):
        for turn in step.turn:
            script.add(turn)
        if not at_once:
            script.opening = step.then
        done += filter(None, (step.told, step.then))
        told += filter(None, (step.told,))
    honest = len(script.turns)
    number = _number(name, "layout") + position
    if at_once and done:
        script.add(Turn(), done, lambda parts, say: _layout(number, parts, say))
        asks.append(_GO_ON[number % len(_GO_ON)])
    *story, last = family.turn
    for turn in story:
        script.add(turn)
    if family.retold and position % 4 != 3:
        script.add(last)
        asks.append(_SUM_UP[number % len(_SUM_UP)])
        last = msgspec.structs.replace(last, say=last.again or last.say)
    script.add(last, told, lambda parts, say: _layout(number + 1, parts, say))

    files = kit.files | family.files
    shell = SHELLS[(_number(name, "shell") + position) % len(SHELLS)]
    return Session(
        name=f"{name}-{position:02d}-{kit_name}",
        family=name,
        kit=kit_name,
        language=kit.language,
        share=family.share,
        who=family.who,
        wire=("chat", "messages")[position % 2],
        turn=tuple(script.turns),
        steps=honest,
        said=tuple(script.said),
        besides=tuple(script.besides),
        lies=tuple(script.lies),
        files={words.filled(path): words.filled(text) for path, text in files.items()},
        setup=tuple(map(words.filled, (*kit.setup, *family.setup))),
        env=kit.env,
        faults={"shell": shell} | ({"asks": tuple(asks)} if asks else {}) | _faults(words, family.faults),
        observed=family.observed,
        runs=family.runs,
        now=family.now,
        test=words.filled(kit.vars.get("FRESH", "@TEST@")),
        tests=int(kit.vars["N"]),
        proof=tuple(map(words.filled, family.proof)),
        faulty=family.faulty,
        output_lies=family.output_lies,
    )


def _faults(words: Words, faults: Faults) -> Faults:
    def filled(value: dict[str, str] | tuple[str, ...] | str) -> dict[str, str] | tuple[str, ...] | str:
        if isinstance(value, str):
            return words.filled(value)
        if isinstance(value, dict):
            return {words.filled(key): words.filled(text) for key, text in value.items()}
        return tuple(map(words.filled, value))

    return {name: filled(value) for name, value in faults.items()}


def _steps(name: str, position: int, count: int, steps: dict[str, Step]) -> list[Step]:
    # each family in an order of its own: the same steps do not always come together
    ordered = [steps[key] for key in sorted(steps, key=lambda key: _number(name, key))]
    start = _number(name, "steps") + position * count
    return [ordered[(start + offset) % len(ordered)] for offset in range(min(count, len(ordered)))]


def _turn(words: Words, turn: Turn) -> Turn:
    fill = words.filled
    return Turn(
        say=words.said(turn.say),
        run=tuple(map(fill, turn.run)),
        write={fill(path): fill(text) for path, text in turn.write.items()},
        edit=tuple((fill(path), fill(old), fill(new)) for path, old, new in turn.edit),
        read=tuple(map(fill, turn.read)),
        task=tuple(map(fill, turn.task)),
        release=turn.release,
        troubles=tuple(map(fill, turn.troubles)),
    )


def _label(turn: int, claim: str, lies: tuple[str, ...]) -> Said:
    topic, _, target = claim.partition(" ")
    label = Said(turn, topic, target, False)
    return msgspec.structs.replace(label, lie=any(_is(lie, label) for lie in lies))


def _is(lie: str, label: Said) -> bool:
    topic, _, target = lie.partition(" ")
    return topic == label.topic and target in ("", label.target)


def _layout(number: int, told: list[str], say: str) -> str:
    """An answer that ends a request, as agents lay theirs out: what was done on the way, and what it came to."""
    if not told:
        return say
    every = [*told, say] if say else told
    points = "\n".join(f"- {part}" for part in told)
    return (
        "\n\n".join(every),
        " ".join(every),
        f"Here is what I did:\n\n{points}\n\n{say}",
        f"{say}\n\n{points}",
        "## Summary\n\n" + "\n".join(f"{at}. {part}" for at, part in enumerate(every, 1)),
        f"**Done**\n{points}\n\n{say}",
        "\n".join(f"* {part}" for part in every),
    )[number % 7].strip()
