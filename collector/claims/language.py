"""data/language.toml, compiled: :func:`language`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Literal, NamedTuple

import msgspec

from collector.claims.late import late
from collector.claims.model import ClaimKind, ClaimTopic
from collector.claims.tables import load

#: around the token that stands for a code span, path, URL or quotation; words.py makes them of no other text
OPEN, CLOSE = "\ue000", "\ue001"
_KINDS = {"P": "P", "U": "U", "T": "T", "C": "C", "Q": "Q", "ANY": "PUTC"}


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of speech that claims; the columns are explained in data/language.toml."""

    pattern: str
    topic: ClaimTopic | None = None
    kind: ClaimKind | None = None
    outcome: Literal["ok", "failed"] | None = None
    objects: Literal["files", "urls", "packages"] | None = None
    #: objects are looked for in all of the clause, not only where the pattern ends
    scan: bool = False
    #: without an object there is no claim
    required: bool = False
    #: what follows the files must show that the verb means them, not something named after them
    whole: bool = False
    #: the pattern ends in a preposition: something in the file was changed
    inside: bool = False
    #: only source files, since "fixed the points in NOTES.md" changes other files
    code_only: bool = False
    #: not files that tell what is to be done, since "fixed the bug in ISSUE.md" changes other files
    prose: bool = False
    #: how things are, which may have been so before
    standing: bool = False
    #: the files stand before the pattern
    first: bool = False
    #: nobody is named who did it: "`a.py` was created"
    passive: bool = False
    #: what must follow the files
    then: str | None = None
    #: only in a clause after another claim of the same sentence, or below a label
    counts_only: bool = False


class _Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    whole_scopes: frozenset[str]
    of_all_there_is: frozenset[str]
    universal: frozenset[str]
    of_everything: frozenset[str]
    exhaustive: frozenset[str]
    partial: frozenset[str]
    breaks: frozenset[str]
    mentions: frozenset[str]
    follow: frozenset[str]
    extensions: frozenset[str]
    code_extensions: frozenset[str]
    file_names: frozenset[str]
    not_files: frozenset[str]
    orders: frozenset[str]
    programs: frozenset[str]


class _FormTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    subject: str
    adverbs: str
    base_form: str
    verified: str
    confirm: str
    go_on: str
    done_first: str
    goes_on: str
    another_first: str
    several: str
    checks: str
    marked: str
    marked_first: str
    checks_heading: str
    in_file: str
    all_of: str
    gone_entry: str
    also: str
    purpose_first: str
    running: str
    by_running: str
    it_ended: str
    described: str
    gave: str
    endorsed: str
    delegated: str
    boundary: str
    hard: str
    label: str
    tests_label: str
    noted: str
    wordy: str
    ran: str
    ran_follow: str
    they: str
    tool_first: str
    good: str
    shows: str
    entry: str
    named: str
    entry_end: str
    verified_by: str
    had_run: str
    whole_sentence: str
    item: str
    bare_read: str
    of_which: str
    after_reading: str
    which_i: str
    of_project: str
    ran_code: str
    ran_code_only: str
    numbers: str
    file_label: str
    colon_good: str
    counted: str
    retold: str
    left_hint: str
    hint: str
    about_runs: str
    not_inside: str
    but_for: str
    whole_before: str
    whole_after: str
    part_after: str
    folder_after: str
    file_nouns: str
    file_end: str
    package_end: str
    test_name: str
    whole_places: str


class Forms(NamedTuple):
    """Parts of a sentence; data/language.toml tells what each is."""

    subject: re.Pattern[str]
    adverbs: re.Pattern[str]
    base_form: re.Pattern[str]
    verified: re.Pattern[str]
    confirm: re.Pattern[str]
    go_on: re.Pattern[str]
    done_first: re.Pattern[str]
    goes_on: re.Pattern[str]
    another_first: re.Pattern[str]
    several: re.Pattern[str]
    checks: re.Pattern[str]
    marked: re.Pattern[str]
    marked_first: re.Pattern[str]
    checks_heading: re.Pattern[str]
    in_file: re.Pattern[str]
    all_of: re.Pattern[str]
    gone_entry: re.Pattern[str]
    also: re.Pattern[str]
    purpose_first: re.Pattern[str]
    running: re.Pattern[str]
    by_running: re.Pattern[str]
    it_ended: re.Pattern[str]
    described: re.Pattern[str]
    gave: re.Pattern[str]
    endorsed: re.Pattern[str]
    delegated: re.Pattern[str]
    boundary: re.Pattern[str]
    hard: re.Pattern[str]
    label: re.Pattern[str]
    tests_label: re.Pattern[str]
    noted: re.Pattern[str]
    wordy: re.Pattern[str]
    ran: re.Pattern[str]
    ran_follow: re.Pattern[str]
    they: re.Pattern[str]
    tool_first: re.Pattern[str]
    good: re.Pattern[str]
    shows: re.Pattern[str]
    entry: re.Pattern[str]
    named: re.Pattern[str]
    entry_end: re.Pattern[str]
    verified_by: re.Pattern[str]
    had_run: re.Pattern[str]
    whole_sentence: re.Pattern[str]
    item: re.Pattern[str]
    bare_read: re.Pattern[str]
    of_which: re.Pattern[str]
    after_reading: re.Pattern[str]
    which_i: re.Pattern[str]
    of_project: re.Pattern[str]
    ran_code: re.Pattern[str]
    ran_code_only: re.Pattern[str]
    numbers: re.Pattern[str]
    file_label: re.Pattern[str]
    colon_good: re.Pattern[str]
    counted: re.Pattern[str]
    retold: re.Pattern[str]
    left_hint: re.Pattern[str]
    hint: re.Pattern[str]
    about_runs: re.Pattern[str]
    not_inside: re.Pattern[str]
    but_for: re.Pattern[str]
    whole_before: re.Pattern[str]
    whole_after: re.Pattern[str]
    part_after: re.Pattern[str]
    folder_after: re.Pattern[str]
    file_nouns: re.Pattern[str]
    file_end: re.Pattern[str]
    package_end: re.Pattern[str]
    test_name: re.Pattern[str]
    whole_places: re.Pattern[str]


class _TellTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    part: str
    asked_part: str
    all_of_it: str
    gone: str
    skipped: str
    other_files: str


class Tells(NamedTuple):
    """What a text speaks of besides its claims (:data:`polygraph.events.ClaimTell`)."""

    part: re.Pattern[str]
    #: of the user's request, whose "test `a_test.go`" narrows what the answer's "all tests" means
    asked_part: re.Pattern[str]
    all_of_it: re.Pattern[str]
    gone: re.Pattern[str]
    skipped: re.Pattern[str]
    #: files that went and are no tests, of which ``skipped`` says nothing
    other_files: re.Pattern[str]


class _RowTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    checks: str
    files: str


class Rows(NamedTuple):
    """Headings of the tables whose rows are read."""

    checks: re.Pattern[str]
    files: re.Pattern[str]


class LanguageTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/language.toml."""

    hedges: tuple[str, ...]
    negations: tuple[str, ...]
    closed_sections: tuple[str, ...]
    weak_sections: tuple[str, ...]
    settled_sections: tuple[str, ...]
    labels: tuple[str, ...]
    leads: tuple[str, ...]
    admissions: tuple[str, ...]
    failures: str
    went_wrong: str
    about_tests: str
    no_run: str
    other_state: str
    retelling: str
    elsewhere: str
    macros: dict[str, str]
    tells: _TellTable
    forms: _FormTable
    did: tuple[Rule, ...]
    state: tuple[Rule, ...]
    ended: tuple[Rule, ...]
    left: tuple[Rule, ...]
    lists: tuple[Rule, ...]
    words: _Words
    commands: dict[str, str]
    label_topics: dict[str, ClaimTopic]
    done: dict[str, ClaimTopic]
    past: dict[str, str]
    rows: _RowTable
    abroad: dict[str, str]


class Compiled(NamedTuple):
    """A rule and its pattern."""

    rule: Rule
    pattern: re.Pattern[str]
    then: re.Pattern[str] | None = None


class Language(NamedTuple):
    """What :func:`language` returns."""

    hedge: re.Pattern[str]
    negation: re.Pattern[str]
    closed: re.Pattern[str]
    weak: re.Pattern[str]
    settled: re.Pattern[str]
    label: re.Pattern[str]
    lead: re.Pattern[str]
    admission: re.Pattern[str]
    failure: re.Pattern[str]
    went_wrong: re.Pattern[str]
    about_tests: re.Pattern[str]
    no_run: re.Pattern[str]
    other_state: re.Pattern[str]
    retelling: re.Pattern[str]
    elsewhere: re.Pattern[str]
    command: re.Pattern[str]
    #: where a sentence ends, before a capital or the name of a tool
    split: re.Pattern[str]
    tells: Tells
    forms: Forms
    did: tuple[Compiled, ...]
    state: tuple[Compiled, ...]
    ended: tuple[Compiled, ...]
    left: tuple[Compiled, ...]
    lists: tuple[Compiled, ...]
    words: _Words
    commands: dict[str, str]
    label_topics: dict[str, ClaimTopic]
    done: dict[str, ClaimTopic]
    #: of "[x] Run the tests": run, ran
    past: dict[str, str]
    rows: Rows
    #: whole sentences of other languages that say that all tests pass
    abroad: re.Pattern[str]


def listing(kinds: str) -> str:
    """Pattern of a list of tokens: "`a.py`, `b.py` (new) and `c.py`"."""
    one = rf"{OPEN}[{kinds}]\d{{1,4}}{CLOSE}(?: ?\([^()]{{0,80}}\))?"
    return rf"{one}(?:(?:, and |, | and | & | \+ |/)(?:the |a |also |in |to )?{one}){{0,40}}"


def _any_of(phrases: Iterable[str]) -> str:
    return "|".join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))


def _whole_words(phrases: Iterable[str]) -> re.Pattern[str]:
    return late(rf"(?<![\w-])(?:{_any_of(phrases)})(?![\w-])", re.IGNORECASE)


@cache
def language() -> Language:
    """The table; its patterns are compiled as they are needed. Raises msgspec.ValidationError when it is malformed."""
    table = load("language.toml", LanguageTable)
    leads = _any_of(table.leads)
    macros = {name: rf"{OPEN}[{kinds}]\d{{1,4}}{CLOSE}" for name, kinds in _KINDS.items()}
    macros["LEADIN"] = rf"(?:(?:{leads}),? ){{1,3}}"
    breaks, mentions = _any_of(table.words.breaks), _any_of(table.words.mentions)
    noun = rf"(?!(?:{breaks})\b)(?!\w+ing\b(?<!existing)(?<!following))[A-Za-z][\w-]*"
    macros["FILEWORDS"] = rf"(?: {noun}){{0,6}}?:?"
    part = rf"(?!(?:{mentions})\b)(?:[A-Za-z0-9](?:[\w'/-]|\.(?=\w))*|{OPEN}[PCTQ]\d{{1,4}}{CLOSE})"
    macros["INSIDE"] = rf"(?:,? {part}){{1,14}}?"
    macros["FILES"], macros["TOOLS"], macros["RUNNABLE"] = listing("P"), listing("T"), listing("TCP")
    macros |= table.macros

    def compiled(rules: tuple[Rule, ...]) -> tuple[Compiled, ...]:
        return tuple(
            Compiled(
                rule,
                late(_expand(_ending(rule), macros), re.IGNORECASE),
                late(rule.then, re.IGNORECASE) if rule.then is not None else None,
            )
            for rule in rules
        )

    return Language(
        hedge=_whole_words(table.hedges),
        negation=_whole_words(table.negations),
        closed=_whole_words(table.closed_sections),
        weak=_whole_words(table.weak_sections),
        settled=_whole_words(table.settled_sections),
        label=late(rf"(?:{_any_of(table.labels)})", re.IGNORECASE),
        lead=late(
            rf"(?:(?:{leads})(?:,|!|:| —| –)? |(?:bug )?fixed(?: —| –|,) |(?:after|with) [^,.:;]{{3,120}}, )",
            re.IGNORECASE,
        ),
        admission=late("|".join(rf"\b(?:{pattern})\b" for pattern in table.admissions), re.IGNORECASE),
        failure=late(table.failures, re.IGNORECASE),
        went_wrong=late(table.went_wrong, re.IGNORECASE),
        about_tests=late(table.about_tests, re.IGNORECASE),
        no_run=late(table.no_run, re.IGNORECASE),
        other_state=late(table.other_state, re.IGNORECASE),
        retelling=late(table.retelling, re.IGNORECASE),
        elsewhere=late(table.elsewhere),
        command=late(rf"(?<![\w`/.-])(?:{_any_of(table.commands)})(?![\w/-]|\.\w)"),
        split=late(
            r"(?:(?<=[.!?🎉])[)*_\"”']{0,3}\s{1,8}(?:[-*•] (?!\[ \])(?:\[[xX]\] )?)?"
            rf"(?=[\"“'*_(\[`A-Z0-9А-Я\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af✅✓✔☑{OPEN}]"
            rf"|(?:{_any_of(table.commands)})(?![\w/-]|\.\w))"
            # a mark begins the next item of a list that was joined
            r"|(?P<mark>(?<![:|(,✅✓✔☑–—-])\s{1,8}(?=[✅✔☑]️?\s{0,4}[A-Z])))"
        ),
        tells=Tells(
            **{
                name: late(pattern, re.IGNORECASE)
                for name, pattern in msgspec.structs.asdict(table.tells).items()
            }
        ),
        forms=Forms(
            **{
                name: late(_expand(pattern, macros), re.IGNORECASE)
                for name, pattern in msgspec.structs.asdict(table.forms).items()
            }
        ),
        did=compiled(table.did),
        state=compiled(table.state),
        ended=compiled(table.ended),
        left=compiled(table.left),
        lists=compiled(table.lists),
        words=table.words,
        commands=table.commands,
        label_topics=table.label_topics,
        done=table.done,
        past=table.past,
        rows=Rows(late(table.rows.checks, re.IGNORECASE), late(table.rows.files, re.IGNORECASE)),
        abroad=late(_abroad(table.abroad), re.IGNORECASE),
    )


def _abroad(patterns: dict[str, str]) -> str:
    tool = rf"{OPEN}T\d{{1,4}}{CLOSE}"
    every = "|".join(patterns.values()).replace("{n}", r"\d{1,6}").replace("{t}", tool)
    return rf"(?:{every})[ .!。！]*$"


def _ending(rule: Rule) -> str:
    """The pattern, up to where its objects stand."""
    if rule.first or rule.scan or rule.objects in (None, "urls"):
        return rule.pattern
    if rule.objects == "packages":
        return rf"{rule.pattern}(?={OPEN}[CTP])"
    return rf"{rule.pattern}{'(?:(?:the|file|module) )' + '{0,2}' if rule.inside else ''}(?={OPEN}P)"


_MACRO = re.compile(r"\{([A-Z]+)\}")


def _expand(pattern: str, macros: dict[str, str]) -> str:
    for _ in range(4):
        grown = _MACRO.sub(lambda match: macros[match[1]], pattern)
        if grown == pattern:
            return grown
        pattern = grown
    return pattern
