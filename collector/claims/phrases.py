"""One sentence to what it claims: :func:`of_sentence`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from collector.claims import objects, points
from collector.claims.language import Compiled, language
from collector.claims.model import PURPOSE_TOPICS, ClaimKind, ClaimTopic
from collector.claims.objects import Scope
from collector.claims.said import Said
from collector.claims.sentences import Sentence
from collector.claims.words import Masked, Tool

#: topics whose outcome "it found nothing" tells, after the run was told
_OF_A_RUN = frozenset({"build", "lint", "typecheck"})
#: clauses of one sentence that are looked at
_MAX_CLAUSES = 12
_LABEL_WORDS = 4
_ARTICLE = re.compile(r"^the ", re.IGNORECASE)
_PARENTHESIS = re.compile(r"\(([^()]{1,80})\)$")


class _Clause(NamedTuple):
    text: str
    #: between hard boundaries, for negations
    region: str
    first: bool


class _Context:
    """What the clauses before one in the same sentence settled."""

    def __init__(self, *, bullet: bool) -> None:
        self.bullet = bullet
        self.agent = False
        self.named = False
        self.open = True
        self.tests: Scope | None = None
        #: runs of which no outcome was told yet
        self.ran: tuple[Said, ...] = ()
        self.labelled = False


def of_sentence(sentence: Sentence, masked: Masked) -> Iterator[Said]:
    """What the sentence claims; nothing unless it is certain who did it and that it was done."""
    text = masked.text
    words = language()
    if text.rstrip(")\"' ").endswith("?") or not text:
        return
    text = words.forms.confirm.sub("confirmed", text)
    if words.abroad.match(text) is not None:
        yield Said("outcome", "tests_passed", "ok", universal=True)
        return
    if " as " in text:
        text = words.forms.endorsed.sub("", text)
    if " which " in text or " that " in text:
        text = words.forms.described.sub(r"\1", text)
    if (delegated := words.forms.delegated.match(text)) is not None:
        text = text[delegated.end() :]
    had_run = words.forms.had_run.match(text)
    if had_run is not None:
        text = text[had_run.end() :]
    if hedged(text):
        return
    if masked.marked and not words.negation.search(text):
        yield from points.went_well(masked.marked, masked)
    if sentence.done and (first := text.partition(" "))[0].lower() in words.past:
        text = f"{words.past[first[0].lower()]} {first[2]}".strip()
    context = _Context(bullet=sentence.bullet)
    if had_run is not None:
        context.tests = Scope.everything()
    if (listed := points.listed(sentence, masked)) is not None:
        yield listed
        return
    if (told := points.told_of(text, masked)) is not None:
        yield told
        return
    if (after := words.forms.after_reading.match(text)) is not None:
        yield Said("occurrence", "file_read", targets=objects.values(after["files"], masked))
        text = text[after.end() :]
    start = 0
    went_well = list(points.good_labels(text))
    if went_well:
        yield from went_well
        return
    label = words.forms.label.match(text)
    if label is not None and words.label.fullmatch(_ARTICLE.sub("", label[1].strip())):
        start = label.end()
        context.labelled = True
        if words.forms.tests_label.search(label[1]):
            context.tests = Scope.everything()
        topic = words.label_topics.get(label[1].strip().lower())
        if topic == "tests_passed" and (all_of := words.forms.all_of.match(text, start)) is not None:
            if number := objects.ratio(all_of["ratio"]):
                counts = (("passed", number), ("total", number))
                yield Said("outcome", topic, "ok", counts=counts, universal=True)
            return
    elif (of_file := words.forms.file_label.match(text)) is not None:
        named = objects.values(of_file[1], masked)
        if all(map(objects.is_test, named)):
            start = of_file.end()
            context.tests = Scope(part=False, targets=named, pointed=True)
    elif label is not None and _closes(label[1], masked, context):
        return
    if language().forms.running.match(text):
        context.tests = Scope.everything()
    for clause in _clauses(text, start):
        yield from _of_clause(clause, masked, context)


def hedged(text: str) -> bool:
    """Whether a sentence speaks of what may be, will be, or was said by another: then it claims nothing."""
    words = language()
    plain = words.forms.wordy.sub(" ", text)
    if words.hedge.search(plain) and words.hedge.search(words.forms.noted.sub(" ", plain)):
        return True
    return words.forms.purpose_first.match(text) is not None


def _closes(label: str, masked: Masked, context: _Context) -> bool:
    """Whether "Goal: …" says that what follows is no claim: a short label that is none of ours, nor a claim."""
    if len(label.split()) > _LABEL_WORDS or language().forms.subject.match(label + " "):
        return False
    if (adverbs := language().forms.adverbs.match(label)) is not None:
        label = label[adverbs.end() :]
    return not (list(_did(label, masked, explicit=False)) or list(_state(label, masked, context)))


def _clauses(text: str, start: int) -> Iterator[_Clause]:
    lead = language().lead
    for _ in range(3):
        match = lead.match(text, start)
        if match is None:
            break
        start = match.end()
    hard = [0, *(m.end() for m in language().forms.hard.finditer(text)), len(text)]
    starts = [start, *(m.end() for m in language().forms.boundary.finditer(text, start))][:_MAX_CLAUSES]
    for number, at in enumerate(starts):
        if at >= len(text):
            continue
        before = max(h for h in hard if h <= at)
        after = min((h for h in hard if h > at), default=len(text))
        yield _Clause(text[at:], text[before:after], number == 0)


def _of_clause(clause: _Clause, masked: Masked, context: _Context) -> Iterator[Said]:
    words = language()
    text = clause.text
    left = _left(text, masked)
    if left is not None and (clause.first or context.open):
        yield left
        return
    if words.negation.search(language().forms.wordy.sub(" ", clause.region)):
        if clause.first:
            context.open = False
        return
    subject = language().forms.subject.match(text)
    agent = subject is not None
    if subject is not None:
        text = text[subject.end() :]
        context.named = True
    elif clause.first:
        agent = text[:1].isupper() or context.bullet or context.labelled
        agent = agent or language().forms.goes_on.match(text) is not None  # "Done, committed, pushed"
    else:
        agent = context.agent or (context.open and language().forms.goes_on.match(text) is not None)
    adverbs = language().forms.adverbs.match(text)
    rest = text[adverbs.end() :] if adverbs is not None else text
    found: list[Said] = []
    perfect = subject is not None and ("hav" in subject[0].lower() or "'ve" in subject[0])
    if agent and (perfect or not language().forms.base_form.match(rest)):
        found = list(_did(rest, masked, explicit=subject is not None or context.agent))
        if adverbs is not None and "successfully" in adverbs[0].lower():
            found = [
                said._replace(kind="outcome", outcome="ok") if said.topic == "build" else said
                for said in found
            ]
        verified = language().forms.verified.match(rest)
        if not found and verified is not None:
            found = list(_state(rest[verified.end() :], masked, context))
            context.agent = True
    if not found and subject is None and (context.open or clause.first):
        found = list(_state(text, masked, context))
        found = found or list(_state(rest, masked, context))
    if not found and context.tests is not None and (gave := words.forms.gave.match(text)) is not None:
        found = list(_state(text[gave.end() :], masked, context))
    if not found and subject is None and context.ran and words.forms.it_ended.match(text):
        found = [ran._replace(kind="outcome", outcome="ok") for ran in context.ran]
    if found:
        context.agent = context.agent or (agent and found[0].outcome is None)
        context.ran = tuple(said for said in found if said.topic in _OF_A_RUN and said.outcome is None)
        _remember(found, context)
    elif clause.first and agent and (by := words.forms.verified_by.match(rest)) is not None:
        context.open = context.agent = True
        for token in objects.tokens(by["tools"], masked):
            for tool in token.tools:
                if tool.purpose == "test" and context.tests is None:
                    context.tests = Scope(part=False, tool=tool.tool, targets=tool.paths)
                    found = [Said("occurrence", "tests_run", tool=tool.tool, targets=tool.paths)]
    elif clause.first:
        by_running = agent and words.forms.by_running.search(clause.region) is not None
        by_running = by_running or (agent and words.forms.done_first.match(rest) is not None)
        context.open = (
            subject is not None
            or by_running
            or language().forms.go_on.match(text) is not None
            or language().forms.also.match(text) is not None
        )
        context.agent = subject is not None or by_running
    elif subject is not None:
        context.agent = True
    if context.tests is None and context.agent:
        run = words.forms.by_running.search(clause.region)
        context.tests = Scope.everything(general=run["kind"] is None) if run is not None else None
    if context.tests is None and context.agent and re.search(r"\btests?\b", clause.region):
        context.tests = Scope.some()
    yield from (said._replace(implicit=said.passive or (agent and not context.named)) for said in found)


def _remember(found: list[Said], context: _Context) -> None:
    for said in found:
        if said.topic in ("tests_run", "tests_passed"):
            context.tests = Scope(
                said.part,
                tool=said.tool,
                targets=said.targets,
                whole=said.whole,
                pointed=said.pointed,
                general=said.general,
            )


def _did(text: str, masked: Masked, *, explicit: bool) -> Iterator[Said]:
    ran = language().forms.ran.match(text)
    if ran is not None and language().forms.ran_follow.match(text, ran.end()):
        yield from _commands(ran["tools"], masked)
        return
    for compiled in language().did:
        rule = compiled.rule
        match = compiled.pattern.match(text)
        if match is None or rule.topic is None:
            continue
        if rule.topic == "file_read" and not explicit and match[0].lower().startswith("read"):
            continue  # "Read `a.py`" may be an imperative
        made = _made(rule.kind or "occurrence", compiled, match, text, masked)
        if made is not None:
            yield made
            return


def _made(
    kind: ClaimKind, compiled: Compiled, match: re.Match[str], text: str, masked: Masked
) -> Said | None:
    rule = compiled.rule
    topic = rule.topic
    if topic is None:
        return None
    tool: str | None = None
    targets: tuple[str, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()
    part = whole = pointed = general = False
    groups = match.groupdict()
    if topic == "tests_run":
        scope = objects.scope_of(match, masked)
        if scope is None:
            return None
        tool, targets, part, whole = scope.tool, scope.targets, scope.part, scope.whole
        pointed, general = scope.pointed, scope.general
    if kind == "exhaustive" and language().forms.but_for.search(text):
        return None
    if groups.get("n"):
        counts = (("total", int(groups["n"])),)
    if topic == "file_read" and kind == "exhaustive" and not groups.get("some"):
        targets = objects.folder_at(text, match.end(), masked)
    if rule.objects == "files":
        found = objects.files_at(text, match.end(), masked)
        if found is None:
            return None
        whole = topic == "file_read" and language().forms.whole_after.match(text, found.end) is not None
        if not whole and not objects.follows(text, found.end, match[0], inside=rule.inside):
            return None
        if rule.inside and objects.may_be_elsewhere(match[0], found.targets):
            return None
        if rule.prose and any(map(objects.is_order, found.targets)):
            return None
        if rule.code_only and not all(objects.is_code(target) for target in found.targets):
            return None
        if rule.code_only and rule.whole and any(objects.is_test(t) for t in found.targets):
            return None
        targets = found.targets
        if whole or (topic == "file_read" and _read_whole(match[0], text[match.end() :])):
            kind = "exhaustive"
    elif rule.objects == "packages":
        if not objects.packages_at(text, match.end(), masked):
            return None
    elif rule.objects == "urls":
        targets = objects.urls_in(text, masked)
        if rule.required and not targets:
            return None
    return Said(
        kind,
        topic,
        rule.outcome,
        tool,
        targets,
        counts,
        part,
        whole=whole,
        pointed=pointed,
        general=general,
        standing=rule.standing,
    )


def _read_whole(verb: str, after: str) -> bool:
    """Whether "read the whole file" stands before the files, and with or after them nothing that says a part."""
    forms = language().forms
    return forms.whole_before.search(verb) is not None and forms.part_after.match(after) is None


def _commands(marks: str, masked: Masked) -> Iterator[Said]:
    """``I ran `ruff check` and `pytest``: one claim per topic."""
    seen: set[ClaimTopic] = set()
    for token in objects.tokens(marks, masked):
        for tool in token.tools or objects.script_of(token):
            said = _command(tool, token.value)
            if said is not None and said.topic not in seen:
                seen.add(said.topic)
                yield said


def _command(tool: Tool, text: str) -> Said | None:
    topic = PURPOSE_TOPICS.get(tool.purpose or "")
    if topic is not None:
        return Said("occurrence", topic, tool=tool.tool, targets=tool.paths if topic == "tests_run" else ())
    if (tool.tool is None or tool.purpose == "query") and not (
        tool.program in language().words.programs or text.startswith(("./", "/")) or text.endswith(".sh")
    ):
        return None  # the name of a function or a test; a search that the agent has a tool of its own for
    return Said("occurrence", "command_run", tool=tool.tool, targets=(tool.program,))


def _state(text: str, masked: Masked, context: _Context) -> Iterator[Said]:
    if (several := language().forms.several.match(text)) is not None:
        yield from points.several(several[0], masked)
        return
    they = language().forms.they.match(text) if context.tests is not None else None
    if (
        they is not None
        and they[0].lower().startswith("it")
        and context.tests is not None
        and context.tests.part
    ):
        they = None  # "the new test; it passes"
    if context.tests is not None and they is not None:
        scope = context.tests
        each = re.search(r"\b(?:all|each|everything)\b", they[0], re.IGNORECASE) is not None
        every = scope.pointed and each
        yield Said(
            "outcome",
            "tests_passed",
            "ok",
            scope.tool,
            scope.targets,
            scope.counts,
            scope.part and not every,
            universal=every,
            whole=scope.whole or (scope.general and each),
        )
        return
    named = language().forms.tool_first.match(text)
    if named is not None:
        yield from _tool_state(text, named, masked, context)
        return
    files = objects.files_at(text, objects.skip_nouns(text), masked)
    for compiled in language().state:
        rule = compiled.rule
        if rule.counts_only and context.tests is None:
            continue
        if rule.first:
            made = _passive(text, compiled, files) if files is not None else None
            if made is not None:
                yield made
                return
            continue
        match = compiled.pattern.match(text)
        if match is None or rule.topic is None:
            continue
        if rule.topic in ("tests_passed", "tests_failed"):
            said = _tests(match, rule.topic, masked, context)
        else:
            kind: ClaimKind = rule.kind or ("outcome" if rule.outcome else "occurrence")
            said = _made(kind, compiled, match, text, masked)
        if said is not None:
            yield said
        return


def _tool_state(text: str, named: re.Match[str], masked: Masked, context: _Context) -> Iterator[Said]:
    """`` `pytest` passes``, ``pytest: 12 passed``, ``mypy reports no errors``."""
    known = [tool for token in objects.tokens(named["tool"], masked) for tool in token.tools]
    tested = [tool for tool in known if tool.purpose == "test"]
    rest = text[named.end() :]
    inside = _PARENTHESIS.search(named["tool"])
    if inside is not None and language().forms.good.fullmatch(inside[1]):
        rest = f": {inside[1]}"  # "`pytest` (all passing)"
    shows = language().forms.shows.match(rest)
    good = shows is not None and language().forms.good.match(rest, shows.end()) is not None
    ends = (compiled.pattern.match(rest.lstrip()) for compiled in language().ended)
    ended = next((end for end in ends if end is not None), None)
    if good or ended is not None:
        counts = _counted(ended.string[ended.end() :]) if ended is not None else ()
        seen: set[ClaimTopic] = set()
        for tool in known:
            topic = points.TOPICS_ENDED.get(tool.purpose or "")
            if topic is not None and topic not in seen:
                seen.add(topic)
                targets = tool.paths if topic == "tests_passed" else ()
                yield Said(
                    "outcome", topic, "ok", tool.tool, targets, counts if topic == "tests_passed" else ()
                )
        return
    if not tested:
        return
    context.tests = Scope(part=False, tool=tested[0].tool, targets=tested[0].paths)
    if shows is None:
        return
    for compiled in language().state:
        topic = compiled.rule.topic
        match = compiled.pattern.match(rest, shows.end())
        if match is not None and topic in ("tests_passed", "tests_failed"):
            said = _tests(match, topic, masked, context)
            if said is not None:
                yield said._replace(tool=said.tool or tested[0].tool)
            return


def _counted(rest: str) -> tuple[tuple[str, int], ...]:
    """The numbers that stand in parentheses behind "the tests pass": "(3/3)", "(12 tests)"."""
    found = language().forms.counted.match(rest)
    if found is None:
        return ()
    if found["ratio"]:
        all_of = objects.ratio(found["ratio"])
        return (("passed", all_of), ("total", all_of)) if all_of else ()
    return (("passed", int(found["n"])),) if int(found["n"]) else ()


def _tests(
    match: re.Match[str], topic: Literal["tests_passed", "tests_failed"], masked: Masked, context: _Context
) -> Said | None:
    groups = match.groupdict()
    if language().forms.colon_good.match(match.string, match.end()) is None:
        return None
    before = context.tests
    with_tool = (
        t.tool for token in objects.tokens(match[0], masked) for t in token.tools if t.purpose == "test"
    )
    tool = next(with_tool, before.tool if before is not None else None)
    pointed = before.targets if before is not None else ()
    if topic == "tests_failed":
        counts = {key: int(groups[key]) for key in ("passed", "failed", "total") if groups.get(key)}
        return Said("outcome", topic, "failed", tool, counts=tuple(counts.items()))
    if groups.get("noun"):
        scope = objects.scope_of(match, masked)
        if scope is None:
            return None
        kind: ClaimKind = "exhaustive" if scope.exhaustive else "outcome"
        return Said(
            kind,
            topic,
            "ok",
            scope.tool or tool,
            scope.targets or pointed,
            scope.counts or _counted(match.string[match.end() :]),
            scope.part,
            scope.universal,
            whole=scope.whole,
        )
    counts = {}
    if groups.get("ratio"):
        all_of = objects.ratio(groups["ratio"])
        if all_of is None:
            return None
        counts = {"passed": all_of, "total": all_of}
    elif groups.get("n"):
        counts = {"passed": int(groups["n"])}
        if not counts["passed"]:
            return None  # "0 passed, 0 failed"
        if re.search(r"failed|failures?|failing", match[0], re.IGNORECASE):
            counts["failed"] = 0
    part = before is not None and before.part
    return Said(
        "outcome",
        topic,
        "ok",
        tool,
        pointed,
        tuple(counts.items()),
        part,
        universal=bool(groups.get("ratio")),
    )


def _passive(text: str, compiled: Compiled, found: objects.Files) -> Said | None:
    """`` `a.py` has been created``."""
    match = compiled.pattern.match(text[found.end :].lstrip())
    if match is None or compiled.rule.topic is None:
        return None
    passive = compiled.rule.passive
    return Said("occurrence", compiled.rule.topic, targets=found.targets, implicit=passive, passive=passive)


def _left(text: str, masked: Masked) -> Said | None:
    if language().forms.left_hint.search(text) is None:
        return None
    for compiled in language().left:
        rule = compiled.rule
        if rule.first:
            found = objects.files_at(text, objects.skip_nouns(text), masked)
            if found is not None and compiled.pattern.match(text[found.end :].lstrip()):
                return Said("absence", "nothing_else_changed", targets=found.targets)
            continue
        match = compiled.pattern.match(text)
        if match is None:
            continue
        if rule.objects is None:
            return Said("absence", "nothing_else_changed")
        found = objects.files_at(text, match.end(), masked)
        if found is None:
            continue
        if compiled.then is not None:
            fits = compiled.then.match(text, found.end) is not None
        else:
            fits = objects.follows(text, found.end, match[0], inside=False)
        if fits:
            return Said("absence", "nothing_else_changed", targets=found.targets)
    return None
