"""The report's structure, read with the standard library's HTML parser."""

from __future__ import annotations

import base64
import hashlib
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.report import MAX_BYTES, ReportInput, render
from console.report.model import index
from console.report.view import header
from console.words import relative
from polygraph.events import BlindSpot, Exec, Exit, File, Fork, LlmCall, Net, SessionStart, StreamGap
from polygraph.text import printable
from polygraph.verdicts import Assumed, DimensionCoverage
from tests.console.hostile import HOSTILE, poisoned
from tests.console.page import Page
from tests.console.sample import BASE, ROOT, SESSION, Builder, sample


def page_of(given: object) -> Page:
    page = Page(render(ReportInput(*given)))  # type: ignore[misc]
    assert page.problems == []
    return page


def test_every_verdict_has_its_card_and_the_refuted_ones_come_first() -> None:
    made = sample()
    cards = page_of(made).having("card")
    words = [card.classes[1] for card in cards]
    assert len(cards) == len(made.verdicts) == 7
    assert words == ["refuted"] * 4 + ["unverifiable"] + ["verified"] * 2
    start = next(event for event in made.events if isinstance(event, SessionStart))
    for verdict in made.verdicts:
        card = next(
            c
            for c in cards
            if relative(verdict.declared, start.cwd) in c.text
            and relative(verdict.observed, start.cwd) in c.text
        )
        assert card.classes[1] == verdict.verdict
        assert verdict.reason is None or verdict.reason in card.text
        assert all(relative(item.fact, start.cwd) in card.text for item in verdict.evidence)


def test_a_claim_is_shown_in_the_speakers_own_words_where_they_are_kept() -> None:
    made = sample()
    worded = [
        msgspec.structs.replace(
            v, subject=msgspec.structs.replace(v.subject, source="model", text="It all passes.")
        )
        for v in made.verdicts
        if v.subject.kind == "claim"
    ]
    page = page_of((made.events, worded))
    assert [card.text.count("It all passes.") for card in page.having("card")] == [1] * len(worded)
    assert (
        page.text.count("The agent said") == len(worded)
        and "read as: tests passed (14) with pytest" in page.text
    )
    assert "“It all passes.”" in page.text, "in the graph"


def test_a_refuted_card_says_what_was_watched_and_one_with_a_gap_does_not() -> None:
    made = sample()
    lie = next(v for v in made.verdicts if v.verdict == "refuted")
    clean = {name: DimensionCoverage(state="attached", canary=True) for name in ("process", "file")}
    for coverage, word, said in (
        (clean, "refuted", 1),
        (clean, "verified", 0),
        ({**clean, "file": DimensionCoverage(state="attached", canary=True, lost=1)}, "refuted", 0),
        ({"process": DimensionCoverage(state="attached")}, "refuted", 0),
        ({}, "refuted", 0),
    ):
        verdict = msgspec.structs.replace(lie, coverage=coverage, verdict=word)
        text = page_of((made.events, [verdict])).text
        assert text.count("Watched without a gap from ") == said
        assert ("no record lost: processes, files." in text) == bool(said)


def test_a_guess_is_listed_and_counted_in_nothing() -> None:
    given = sample()
    guess = msgspec.structs.replace(
        given.verdicts[0],
        id="g",
        verdict="unverifiable",
        reason="guessed",
        declared="the tests were guessed to have passed",
        assumed=Assumed(verdict="refuted", reason="failed"),
    )
    full = given._replace(verdicts=[*given.verdicts, guess])
    before, after = (header(index(ReportInput(*one), list(one.verdicts))) for one in (given, full))
    assert (before.lead, before.sentence, before.counts) == (after.lead, after.sentence, after.counts)
    assert "the tests were guessed to have passed" in render(ReportInput(*full))


def test_a_session_without_verdicts_says_why() -> None:
    start = next(e for e in sample().events if isinstance(e, SessionStart))
    spot = BlindSpot(session=SESSION, ts=BASE, seq=1, dimension="tls", name="static_tls")
    call = next(e for e in sample().events if isinstance(e, LlmCall))
    off = msgspec.structs.replace(start, content="off")
    for events, why in (
        ([start], "No call of a model was seen"),
        ([start, spot], "No call of a model could be read: a TLS library is built in without symbols"),
        ([start, spot, call], "1 call of a model, and in them no tool call"),
        ([off], "The content level was off"),
    ):
        assert why in page_of((events, [])).text


def test_tries_of_a_call_are_one_call_and_each_is_drawn() -> None:
    events = [event for event in sample().events if isinstance(event, SessionStart | LlmCall)][:2]
    call = events[1]
    refused = msgspec.structs.replace(call, fate="refused", status=429, input_tokens=0, output_tokens=0)
    answered = msgspec.structs.replace(call, seq=call.seq + 1, ts=call.ts + 5, attempt=2)
    page = page_of(([events[0], refused, answered], []))
    assert f"1 call, {call.input_tokens + call.output_tokens:,} tokens" in page.text
    assert ", refused" in page.text and ", try 2" in page.text


def test_a_call_says_over_which_transport_and_through_which_library() -> None:
    events = [event for event in sample().events if isinstance(event, SessionStart | LlmCall)][:2]
    call = msgspec.structs.replace(events[1], transport="h2", tls="rustls")
    assert ", HTTP/2 through rustls" in page_of(([events[0], call], [])).text
    plain = msgspec.structs.replace(events[1], transport="websocket", tls="")
    assert ", WebSocket" in (text := page_of(([events[0], plain], [])).text) and "through" not in text


def test_the_header_says_the_verdict_of_the_session_in_one_sentence() -> None:
    made = sample()
    assert "4 of 7 statements contradict what the kernel saw." in page_of(made).text
    good = [v for v in made.verdicts if v.verdict == "verified"]
    assert "All 2 statements hold." in page_of((made.events, good)).text
    unclear = [v for v in made.verdicts if v.verdict != "refuted"]
    assert (
        "Nothing is refuted; 1 statement of 3 could not be checked." in page_of((made.events, unclear)).text
    )
    assert "Nothing was said that could be checked." in page_of((made.events, [])).text


def test_each_process_has_its_row_with_its_end() -> None:
    made = sample()
    page = page_of(made)
    rows = [e for e in page.elements if e.tag == "li" and re.fullmatch(r"p\d+", e.attributes.get("id") or "")]
    assert len(rows) == len({e.process for e in made.events if isinstance(e, Exec)})
    tests = next(row for row in rows if "python -m pytest -q" in row.text)
    assert "exit 1" in tests.text and "lie" in tests.classes
    assert any("SIGTERM" in row.text for row in rows)
    assert any("could not exec rg: ENOENT" in row.text for row in rows)


def test_the_graph_joins_what_was_intended_seen_and_claimed() -> None:
    page = page_of(sample())
    nodes = page.having("node")
    kinds = [node.classes[1] for node in nodes]
    assert kinds.count("intent") == 5 and kinds.count("claim") == 3 and kinds.count("ghost") == 2
    edges = page.having("edge")
    assert sum("refuted" in edge.classes for edge in edges) == 5
    numbers = {node.attributes["data-n"] for node in nodes}
    assert {edge.attributes[end] for edge in edges for end in ("data-a", "data-b")} <= numbers


def test_an_honest_step_on_the_way_to_a_lie_is_not_drawn_as_refuted() -> None:
    page = page_of(sample())
    nodes = {node.attributes["data-n"]: node for node in page.having("node")}
    for edge in page.having("edge"):
        source = nodes[edge.attributes["data-a"] or ""]
        if "verified" in source.classes:
            assert "refuted" not in edge.classes


def test_losses_and_blind_spots_stand_in_words() -> None:
    text = page_of(sample()).text
    assert "37 records lost: ring full" in text
    assert "io_uring was used" in text
    assert "not requested" in text and "proven by a canary" in text


def test_a_dimension_of_which_the_log_says_nothing_is_not_called_watched() -> None:
    text = page_of(([], [])).text
    assert text.count("the log does not say") == 5 and "proven by a canary" not in text


def test_lost_llm_traffic_is_told() -> None:
    gap = StreamGap(
        session=SESSION, ts=BASE, process=ROOT, host="api.openai.com", cause="http3", missing_bytes=12
    )
    text = page_of(([gap], [])).text
    assert "traffic to api.openai.com could not be followed: http3, 12 bytes missing" in text


def test_ids_are_unique_and_every_link_inside_the_page_leads_somewhere() -> None:
    page = page_of(sample())
    ids = page.ids()
    assert len(set(ids)) == len(ids)
    links = [e.attributes["href"] or "" for e in page.elements if e.attributes.get("href")]
    assert links and all(link.startswith("#") and link[1:] in ids for link in links)
    targets = [n.attributes["data-href"] for n in page.having("node") if n.attributes["data-href"]]
    assert targets and all(target is not None and target[1:] in ids for target in targets)


def test_the_policy_allows_exactly_the_script_and_the_style_inside() -> None:
    page = page_of(sample())
    metas = [e for e in page.elements if e.attributes.get("http-equiv") == "Content-Security-Policy"]
    policy = metas[0].attributes["content"] or ""
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    for tag in ("script", "style"):
        (element,) = [e for e in page.elements if e.tag == tag]
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not [
        e for e in page.elements if "style" in e.attributes or any(a.startswith("on") for a in e.attributes)
    ]
    assert not [e for e in page.elements if {"src", "srcset", "xlink:href", "action"} & set(e.attributes)]


def test_the_same_input_gives_the_same_page() -> None:
    assert render(ReportInput(*sample())) == render(ReportInput(*sample()))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_crafted_string_never_changes_the_structure_and_is_shown(text: str) -> None:
    page = page_of(poisoned(sample(), text))
    assert page.shape() == page_of(poisoned(sample(), "harmless")).shape()
    assert printable(text)[:30] in page.text


# lone surrogates too: a caller's mistake must not break the page either
@given(st.text(st.characters(), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_no_string_changes_the_structure(text: str) -> None:
    source = render(ReportInput(*poisoned(sample(), text)))
    page = Page(source)
    assert page.problems == []
    assert page.shape() == page_of(poisoned(sample(), "harmless")).shape()
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\uef80-\uefff]", source
    )


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_order_and_any_part_of_a_log_gives_a_page(data: st.DataObject) -> None:
    made = sample()
    events = data.draw(st.lists(st.sampled_from(made.events), max_size=80))
    verdicts = data.draw(st.lists(st.sampled_from(made.verdicts), max_size=8, unique_by=lambda v: v.id))
    assert len(page_of((events, verdicts)).having("card")) == len(verdicts)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=4, max_size=4))
@settings(max_examples=60, deadline=None)
def test_impossible_times_and_numbers_are_survived(times: list[int]) -> None:
    start, end, opened, closed = times
    made = sample()
    events = [
        msgspec.structs.replace(event, ts=start if n % 2 else end) for n, event in enumerate(made.events)
    ]
    verdict = made.verdicts[0]
    window = msgspec.structs.replace(verdict.window, open=opened, close=closed)
    page = page_of((events, [msgspec.structs.replace(verdict, window=window)]))
    for element in page.elements:
        for name in ("x", "width"):
            value = element.attributes.get(name) or ""
            if value.endswith("%"):
                assert 0 <= float(value[:-1]) <= 100


def test_a_lineage_that_is_a_circle_or_very_deep_is_survived() -> None:
    b = Builder()
    b.start(("a",))
    b.add(Fork(session=SESSION, ts=b.at(1), seq=len(b.events), process="7:1", child="8:1"))
    b.add(Fork(session=SESSION, ts=b.at(1), seq=len(b.events), process="8:1", child="7:1"))
    parent = ROOT
    for _ in range(3000):
        parent, _, _ = b.run(parent, ("deep",), 2, None)
    page = page_of(b.done(9))
    rows = [e for e in page.elements if e.tag == "li" and re.fullmatch(r"p\d+", e.attributes.get("id") or "")]
    assert len(rows) == 700
    assert "of 3,003 processes are not listed" in page.text


def big(events: int) -> Builder:
    b = Builder()
    b.start(("make", "-j8"))
    number = 0
    while len(b.events) < events - 2:
        number += 1
        child, began, ended = b.run(
            ROOT, ("gcc", "-c", f"file{number}.c"), number, number + 0.9, status=number % 97 == 0
        )
        b.file(child, "read", f"/src/{'very-long-name-' * 12}{number}.c", number + 0.5)
        b.file(child, "create", f"/src/file{number}.o", number + 0.6)
        b.add(
            Net(
                session=SESSION,
                ts=b.at(number + 0.7),
                seq=len(b.events),
                process=child,
                op="connect",
                family="inet",
                address="127.0.0.1",
                port=number % 65536,
                errno=111,
            )
        )
        topic = f"said {number} <script>" + "<" * 300
        word, reason = (("refuted", "failed"), ("verified", None), ("unverifiable", "ambiguous"))[number % 3]
        if number % 2:
            b.judge(
                "claim",
                f"k{number}",
                word,
                reason,
                topic,
                f"seen {number} " + "\u202e" * 300,
                tuple((event, "gcc & <co>" * 20) for event in (began, ended) * 6),
            )
    return b


def test_fifty_thousand_events_give_a_bounded_page_that_says_what_it_left_out() -> None:
    made = big(50_000).done(60_000)
    assert len(made.events) >= 50_000 and len(made.verdicts) > 4000
    source = render(ReportInput(*made))
    assert len(source.encode()) <= MAX_BYTES < 10_000_000
    page = Page(source)
    assert page.problems == []
    assert "processes that were alike are shown as one row" in page.text
    assert "operations drawn as" in page.text
    assert "are not listed here" in page.text
    total = sum(v.verdict == "refuted" for v in made.verdicts)
    assert f"{total:,} of {len(made.verdicts):,} statements contradict what the kernel saw." in page.text
    shown = page.having("card")
    assert shown and shown[0].classes[1] == "refuted"


def test_many_that_hold_do_not_bury_the_page() -> None:
    made = sample()
    good = next(v for v in made.verdicts if v.verdict == "verified")
    many = [msgspec.structs.replace(good, id=f"v{n}", ts=n, declared=f"said {n}.") for n in range(300)]
    lies = [v for v in made.verdicts if v.verdict == "refuted"]
    page = page_of((made.events, [*many, *lies]))
    assert [card.classes[1] for card in page.having("card")] == ["refuted"] * len(lies) + ["verified"] * 40
    assert all(f"said {n}." in page.text for n in range(300)), "the others are a line each"


def test_alike_siblings_are_one_row_and_the_failed_one_stays_apart() -> None:
    b = Builder()
    b.start(("make",))
    for number in range(40):
        b.run(ROOT, ("cc", f"{number}.c"), 10 + number, 11 + number, status=2 if number == 17 else 0)
    page = page_of(b.done(99))
    (tree,) = page.having("tree")
    assert "39 × cc" in tree.text and "cc 17.c" in tree.text and "exit 2" in tree.text


def test_a_verdict_without_any_event_is_still_told() -> None:
    page = page_of(([], sample().verdicts))
    assert len(page.having("card")) == 7 and len(page.having("node")) > 7


def test_a_running_session_has_no_end() -> None:
    start = next(e for e in sample().events if isinstance(e, SessionStart))
    assert "Ended" not in page_of(([start], [])).text
    ended = Exit(session=SESSION, ts=BASE + 5, seq=1, process=ROOT, signal=9)
    assert "SIGKILL" in page_of(([start, ended], [])).text


def test_a_failed_operation_is_told_as_failed() -> None:
    event = File(session=SESSION, ts=BASE, process=ROOT, op="write", path="/etc/passwd", errno=13)
    blind = BlindSpot(session=SESSION, ts=BASE, seq=1, dimension="file", name="new_thing")
    text = page_of(([event, blind], [])).text
    assert "write /etc/passwd failed: EACCES" in text and "new thing" in text
