"""What labels and points of lists claim: "Lint: clean", a name below "Files created:", "`a.py`, which I edited"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from collector.claims import objects
from collector.claims.language import language
from collector.claims.model import ClaimTopic
from collector.claims.said import Said
from collector.claims.sentences import Sentence
from collector.claims.words import Masked

#: purposes of tools, and what it claims that one of them went well
TOPICS_ENDED: dict[str, ClaimTopic] = {
    "test": "tests_passed",
    "build": "build",
    "lint": "lint",
    "typecheck": "typecheck",
    "install": "install",
    "push": "push",
}
_BEFORE = re.compile(r"(?:the |all |my |our |existing |full |unit (?=test suite))+", re.IGNORECASE)
#: how "In `a.py`, I …" and "Also in …" begin
_IN = frozenset({"in ", "ins", "als", "and"})


def good_labels(text: str) -> Iterator[Said]:
    """ "Lint: clean, types: clean": what the labels at the beginning say went well."""
    forms, topics = language().forms, language().label_topics
    while (label := forms.label.match(text)) is not None:
        topic, good = topics.get(label[1].strip().lower()), forms.good.match(text, label.end())
        if topic is None or good is None:
            return
        yield Said("outcome", topic, "ok", universal=True)
        text = text[good.end() :].lstrip(" ,;.")


def went_well(names: Iterable[str], masked: Masked) -> Iterator[Said]:
    """One outcome per topic of what is named: tokens of commands, or words such as "lint"."""
    seen: set[ClaimTopic] = set()
    for name in names:
        known: list[tuple[ClaimTopic | None, str | None]] = [
            (TOPICS_ENDED.get(tool.purpose or ""), tool.tool)
            for token in objects.tokens(name, masked)
            for tool in token.tools
        ]
        for topic, tool in known or [(language().label_topics.get(name.lower()), None)]:
            if topic is not None and topic not in seen:
                seen.add(topic)
                yield Said("outcome", topic, "ok", tool, universal=True)


def listed(sentence: Sentence, masked: Masked) -> Said | None:
    """A bullet that begins with files: below "Files created:", or with what was done to them after a dash."""
    text = masked.text
    entry = language().forms.entry.match(text) if sentence.bullet else None
    if entry is not None and not language().negation.search(entry["rest"]):
        topic = _of_entry(entry["verb"], alone=not entry["rest"].strip(" ."))
        return Said("occurrence", topic, targets=objects.values(entry["files"], masked), implicit=True)
    named = language().forms.named.match(text)
    alone = named is not None and language().forms.whole_sentence.match(text, named.end()) is not None
    if named is not None and (alone or sentence.bullet) and not language().negation.search(text, named.end()):
        verb = named["verb"].lower()
        topic = language().done.get(verb) or language().done[verb.rpartition(" ")[2]]
        return Said("occurrence", topic, targets=objects.values(named["files"], masked), implicit=True)
    if not sentence.bullet or sentence.below is None or sentence.below.rule.topic is None:
        return None
    found = objects.files_at(text, 0, masked)
    if found is None or not language().forms.entry_end.match(text, found.end):
        return None
    rest = text[found.end :]
    if sentence.below.rule.topic == "file_changed" and (
        language().forms.gone_entry.search(rest) or language().negation.search(rest)
    ):
        return None
    return Said("occurrence", sentence.below.rule.topic, targets=found.targets, implicit=True)


def told_of(text: str, masked: Masked) -> Said | None:
    """What is said to have been done to files that stand before the verb: "the change is in `a.py`, which I edited"."""
    forms = language().forms
    if (bare := forms.bare_read.match(text)) is not None:
        return Said(
            "occurrence", "file_read", targets=objects.values(bare[1], masked), implicit=True, bare=True
        )
    if " it" in text and (of_which := forms.of_which.match(text)) is not None:
        topic = language().done.get(of_which["verb"].lower())
        targets = objects.values(of_which[0], masked)
    elif " which " in text and (which_i := forms.which_i.match(text)) is not None:
        topic = language().done.get(which_i["verb"].lower())
        targets = objects.values(which_i["files"], masked)
    elif (
        text[:3].lower() in _IN
        and (in_file := forms.in_file.match(text))
        and not language().negation.search(text)
    ):
        topic, targets = "file_changed", objects.values(in_file["files"], masked)
    else:
        return None
    return Said("occurrence", topic, targets=targets) if topic is not None else None


def _of_entry(verb: str, *, alone: bool) -> ClaimTopic:
    """What a bullet's verb says of its files; ``alone``: of nothing in them."""
    verb = verb.lower()
    if "created" in verb or verb == "new file":
        return "file_created"
    return "file_deleted" if alone and verb in ("deleted", "removed") else "file_changed"


def several(text: str, masked: Masked) -> Iterator[Said]:
    """ "Lint, types and tests all pass": each went well."""
    names = (match[0].strip() for match in language().forms.checks.finditer(text))
    yield from went_well((_BEFORE.sub("", name) for name in names), masked)
