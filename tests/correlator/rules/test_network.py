"""Was a host reached? What a connection, a name, a refusal and the bytes of a socket show, and when."""

from __future__ import annotations

from typing import Any

import pytest

from polygraph import events as e
from tests.correlator.scenario import STEP, VERIFIED, Scenario, refuted, unverifiable

URL = "https://docs.test/page"
HOST = "10.0.0.9"
ELSEWHERE = "10.0.0.7"
MODEL = "10.0.0.1"
NOT_CONNECTED = refuted("not_connected")
AMBIGUOUS = unverifiable("ambiguous")


def named(s: Scenario, name: str = "docs.test", address: str = HOST, **how: Any) -> e.Name:
    return s.add(e.Name, process=s.agent, source="dns", name=name, addresses=(address,), **how)


def connect(s: Scenario, address: str = HOST, by: str | None = None, **how: Any) -> e.Net:
    how = {"family": "inet", "port": 443, "socket": 1, **how}
    return s.add(e.Net, process=by or s.agent, op="connect", address=address, **how)


def flow(s: Scenario, address: str = HOST, **how: Any) -> e.Flow:
    how = {"family": "inet", "port": 443, "socket": 1, "closed": True, **how}
    return s.add(e.Flow, process=s.agent, address=address, **how)


def fetched(s: Scenario, outcome: str | None = None, **when: Any) -> tuple[str, str | None]:
    return s.says(s.claims("url_fetched", outcome, targets=(URL,), **when))


def lost(s: Scenario, dimension: str = "network") -> None:
    s.add(e.Loss, dimension=dimension, cause="ring", count=1, since=0)


# --- what shows that it was reached ---------------


@pytest.mark.parametrize("family", ["inet", "inet6"])
def test_a_connection_to_an_address_of_the_host(family: str) -> None:
    s = Scenario()
    name = named(s, "Docs.Test.")
    net = connect(s, family=family)
    verdict = s.on(s.claims("url_fetched", targets=(URL,)))
    assert (verdict.verdict, verdict.grade) == ("verified", "strong")
    assert [one.id for one in verdict.evidence] == [name.id, net.id]


def test_the_last_name_and_the_last_connection_are_shown() -> None:
    s = Scenario()
    for _ in range(2):
        name, net = named(s), connect(s)
    assert [one.id for one in s.on(s.claims("url_fetched", targets=(URL,))).evidence] == [name.id, net.id]


def test_the_name_that_tls_was_given_shows_it_weakly() -> None:
    s = Scenario()
    s.add(e.Name, process=s.agent, source="sni", name="docs.test")
    last = s.add(e.Name, process=s.agent, source="sni", name="docs.test")
    verdict = s.on(s.claims("url_fetched", targets=(URL,)))
    assert (verdict.verdict, verdict.grade) == ("verified", "weak")
    assert [one.id for one in verdict.evidence] == [last.id]


def test_a_name_that_was_only_looked_up_shows_nothing() -> None:
    s = Scenario()
    named(s)
    assert fetched(s) == NOT_CONNECTED


def test_what_the_moment_of_the_claim_brings_counts_and_what_is_later_does_not() -> None:
    s = Scenario()
    named(s)
    net = connect(s)
    assert fetched(s, ts=net.ts) == VERIFIED
    assert fetched(s, ts=net.ts - STEP)[0] != "verified", "before the connection"
    s = Scenario()
    connect(s)
    named(s)
    assert fetched(s, ts=s.now) == VERIFIED
    s = Scenario()
    connect(s)
    named(s)
    assert fetched(s, ts=s.now - STEP) == AMBIGUOUS, "which host that was is told later"


def test_a_name_given_to_tls_before_the_tool_call_is_of_another() -> None:
    s = Scenario()
    s.add(e.Name, process=s.agent, source="sni", name="docs.test")
    intent = s.intent("fetch", hosts=("docs.test",))
    s.answers(intent)
    assert s.says(intent) == NOT_CONNECTED


# --- a connection that was refused, or is not known to be made ---------------


def test_a_refused_connection_is_none() -> None:
    s = Scenario()
    named(s)
    first = connect(s, errno=111)
    last = connect(s, errno=111)
    verdict = s.on(s.claims("url_fetched", targets=(URL,)))
    assert (verdict.verdict, verdict.reason) == NOT_CONNECTED
    assert [one.id for one in verdict.evidence] == [last.id] != [first.id]


@pytest.mark.parametrize("told", [None, "failed"])
def test_a_refused_connection_where_something_was_lost(told: str | None) -> None:
    s = Scenario()
    named(s)
    connect(s, errno=111)
    if told is None:
        lost(s)
    assert fetched(s, told) == (unverifiable("records_lost") if told is None else AMBIGUOUS)


def test_one_of_which_nobody_knows_whether_it_was_made() -> None:
    s = Scenario()
    named(s)
    connect(s, errno=111)
    connect(s, errno=115)
    assert fetched(s) == AMBIGUOUS


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"established": True}, "verified"),
        ({"received": 1}, "verified"),
        ({"established": False, "received": 0}, "unverifiable"),
        ({"established": True, "socket": 2}, "unverifiable"),
    ],
    ids=["established", "received", "neither", "another"],
)
def test_the_bytes_of_a_socket_tell_whether_it_was_made(how: dict[str, Any], word: str) -> None:
    s = Scenario()
    named(s)
    connect(s, errno=115)
    told = flow(s, closed=False, **how)
    assert fetched(s, ts=told.ts)[0] == word
    assert fetched(s, ts=told.ts - STEP)[0] == "unverifiable", "they were not told yet"


def test_bytes_of_a_socket_whose_connection_failed_are_not_its_own() -> None:
    s = Scenario()
    named(s)
    connect(s, errno=111)
    flow(s, closed=False, established=True, ts=s.now - 3 * STEP)
    assert fetched(s)[0] != "verified"


def test_another_connection_may_have_been_a_proxy() -> None:
    for elsewhere in (True, False):
        s = Scenario()
        named(s)
        connect(s, errno=111)
        if elsewhere:
            connect(s, ELSEWHERE, socket=2)
        assert fetched(s) == (AMBIGUOUS if elsewhere else NOT_CONNECTED)


def test_the_models_own_connection_is_no_proxy() -> None:
    s = Scenario()
    named(s, "API.test.", MODEL)
    connect(s, MODEL)
    s.call()
    assert fetched(s) == NOT_CONNECTED
    named(s, "proxy.test", MODEL)
    assert fetched(s) == AMBIGUOUS, "the address has another name as well"


def test_a_name_that_the_address_gets_later_makes_it_no_proxy() -> None:
    s = Scenario()
    named(s, "api.test", MODEL)
    connect(s, MODEL)
    s.call()
    other = named(s, "proxy.test", MODEL)
    assert fetched(s, ts=other.ts) == AMBIGUOUS
    assert fetched(s, ts=other.ts - STEP) == NOT_CONNECTED


def test_a_host_that_the_model_is_asked_at_later_is_no_model_yet() -> None:
    s = Scenario()
    named(s, "api.test", MODEL)
    net = connect(s, MODEL)
    s.call()
    assert fetched(s, ts=net.ts) == AMBIGUOUS
    assert fetched(s, ts=net.ts + STEP) == NOT_CONNECTED, "the moment at which it was asked"


@pytest.mark.parametrize(("port", "word"), [(443, NOT_CONNECTED), (9000, AMBIGUOUS)])
def test_where_the_model_is_asked_is_no_other_port_that_was_meant(port: int, word: tuple[str, str]) -> None:
    s = Scenario()
    named(s, "api.test", MODEL)
    net = connect(s, MODEL, port=port)
    s.call()
    for at, said in ((net.ts, AMBIGUOUS), (net.ts + STEP, word)):
        claim = s.claims("url_fetched", targets=("http://api.test:8080/docs",), ts=at)
        assert s.says(claim) == said


def test_a_name_that_tls_was_given_at_another_port_does_not_show_the_one_that_is_meant() -> None:
    for port, word in ((8443, AMBIGUOUS), (443, VERIFIED)):
        s = Scenario()
        named(s)
        s.add(e.Name, process=s.agent, source="sni", name="docs.test")
        connect(s)
        assert s.says(s.claims("url_fetched", targets=(f"https://docs.test:{port}/page",))) == word


def test_a_socket_is_closed_from_the_moment_in_which_that_is_told() -> None:
    for early, word in ((0, NOT_CONNECTED), (STEP, AMBIGUOUS)):
        s = Scenario()
        named(s)
        connect(s, errno=115)
        told = flow(s, established=False, received=0)
        assert fetched(s, ts=told.ts - early) == word


@pytest.mark.parametrize(
    ("family", "errno", "word"),
    [
        ("unix", 0, AMBIGUOUS),
        ("vsock", 0, AMBIGUOUS),
        ("other", 0, AMBIGUOUS),
        ("unix", 111, NOT_CONNECTED),
    ],
)
def test_a_local_socket_may_lead_to_a_proxy(family: str, errno: int, word: tuple[str, str]) -> None:
    s = Scenario()
    net = connect(s, "/run/proxy", family=family, errno=errno, port=0)
    assert fetched(s, ts=net.ts) == word
    assert fetched(s, ts=net.ts - STEP) == NOT_CONNECTED


def test_what_listens_is_no_connection() -> None:
    s = Scenario()
    s.add(e.Net, process=s.agent, op="listen", family="unix", address="/run/x")
    s.add(e.Net, process=s.agent, op="listen", family="inet", address=HOST)
    named(s)
    assert fetched(s) == NOT_CONNECTED


# --- a connection of before ---------------


def test_a_connection_that_was_open_already_may_have_been_used() -> None:
    s = Scenario()
    named(s)
    connect(s)
    intent = s.intent("fetch", hosts=("docs.test",))
    flow(s, closed=False)
    s.answers(intent)
    assert s.says(intent) == AMBIGUOUS


def test_one_to_another_host_may_have_been_a_proxy_while_it_lived() -> None:
    s = Scenario()
    named(s)
    connect(s, ELSEWHERE)
    intent = s.intent("fetch", hosts=("docs.test",))
    flow(s, ELSEWHERE)
    s.answers(intent)
    assert s.says(intent) == AMBIGUOUS
    s = Scenario()
    named(s)
    connect(s, ELSEWHERE)
    flow(s, ELSEWHERE)
    intent = s.intent("fetch", hosts=("docs.test",))
    s.answers(intent)
    assert s.says(intent) == NOT_CONNECTED


def test_a_proxy_that_was_connected_once_and_stays_so_may_have_been_used() -> None:
    """A connection is told of when it is made and when it is closed, and between them by nothing."""
    for closed, word in ((False, AMBIGUOUS), (True, NOT_CONNECTED)):
        s = Scenario()
        connect(s, ELSEWHERE)
        flow(s, ELSEWHERE, established=True, closed=False)
        if closed:
            flow(s, ELSEWHERE, established=True, received=900)
        intent = s.intent("fetch", hosts=("docs.test",))
        s.answers(intent)
        assert s.says(intent) == word


@pytest.mark.parametrize("closed", [True, False])
def test_a_page_that_was_fetched_before_may_have_been_kept(closed: bool) -> None:
    s = Scenario()
    named(s)
    connect(s)
    flow(s, established=True, received=900, closed=closed)
    intent = s.intent("fetch", hosts=("docs.test",))
    s.answers(intent)
    assert s.says(intent) == AMBIGUOUS


@pytest.mark.parametrize(
    ("url", "word"), [("https://api.test/docs", AMBIGUOUS), ("http://api.test:8080/docs", NOT_CONNECTED)]
)
def test_over_the_models_own_connection_only_what_is_at_its_port_may_come(
    url: str, word: tuple[str, str]
) -> None:
    s = Scenario()
    named(s, "api.test", MODEL)
    connect(s, MODEL)
    flow(s, MODEL, established=True, closed=False)
    intent = s.intent("fetch", hosts=(url,))
    s.answers(intent)
    assert s.says(intent) == word


def test_bytes_of_the_first_moment_of_the_window_count() -> None:
    for early, word in ((0, AMBIGUOUS), (1, NOT_CONNECTED)):
        s = Scenario()
        s.now += 9 * STEP
        call = s.call()
        asked = s.log[-1].request_ts
        intent = s.intent("fetch", hosts=("docs.test",), call=call)
        flow(s, ELSEWHERE, ts=asked - early)
        s.answers(intent)
        assert s.says(intent) == word, early


def test_of_each_kind_of_other_connections_some_are_shown() -> None:
    s = Scenario()
    intent = s.intent("fetch", hosts=("docs.test",))
    for number in range(3):
        connect(s, f"10.0.1.{number}", socket=10 + number)
        flow(s, f"10.0.2.{number}", socket=20 + number)
        connect(s, f"/run/{number}", family="unix", socket=30 + number)
    s.answers(intent)
    assert (s.says(intent), len(s.on(intent).evidence)) == (AMBIGUOUS, 4)


def test_bytes_to_the_model_are_its_own() -> None:
    s = Scenario()
    named(s, "api.test", MODEL)
    connect(s, MODEL)
    intent = s.intent("fetch", hosts=("docs.test",))
    flow(s, MODEL)
    s.answers(intent)
    assert s.says(intent) == NOT_CONNECTED


@pytest.mark.parametrize("since_the_beginning", [True, False])
def test_that_nothing_was_connected_needs_coverage_from_the_beginning(since_the_beginning: bool) -> None:
    s = Scenario()
    if since_the_beginning:
        lost(s)
    intent = s.intent("fetch", hosts=("docs.test",))
    s.answers(intent)
    assert s.says(intent) == (unverifiable("records_lost") if since_the_beginning else NOT_CONNECTED)


# --- what came back ---------------


def silent(s: Scenario, **how: Any) -> None:
    named(s)
    connect(s, **{name: how.pop(name) for name in ("protocol", "socket") if name in how})
    flow(s, **how)


def test_a_connection_over_which_nothing_came_transferred_nothing() -> None:
    s = Scenario()
    silent(s)
    verdict = s.on(s.claims("url_fetched", targets=(URL,)))
    assert (verdict.verdict, verdict.reason) == refuted("not_transferred")
    assert len(verdict.evidence) == 1


@pytest.mark.parametrize(
    "how",
    [{"received": 1}, {"closed": False}, {"protocol": "udp"}, {"socket": 0}],
    ids=["received", "open", "udp", "no socket"],
)
def test_where_something_may_have_come_it_was_reached(how: dict[str, Any]) -> None:
    s = Scenario()
    silent(s, **how)
    if "socket" in how:
        flow(s, socket=0)
    assert fetched(s) == VERIFIED


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"family": "inet6"}, AMBIGUOUS),
        ({"op": "accept"}, refuted("not_transferred")),
        ({"ts": 1}, refuted("not_transferred")),
    ],
    ids=["v6", "accepted", "before"],
)
def test_another_connection_of_the_window_may_have_brought_it(
    how: dict[str, Any], word: tuple[str, str | None]
) -> None:
    s = Scenario()
    named(s)
    how = {"op": "connect", "family": "inet", "address": ELSEWHERE, **how}
    if how.get("ts"):
        s.add(e.Net, process=s.agent, **{**how, "ts": s.now})
        s.call()
    intent = s.intent("fetch", hosts=("docs.test",))
    if not how.get("ts"):
        s.add(e.Net, process=s.agent, **how)
    connect(s)
    flow(s)
    s.answers(intent)
    assert s.says(intent) == word


def test_a_connection_of_a_program_that_nobody_saw_start() -> None:
    s = Scenario()
    named(s)
    connect(s, by="999:1")
    assert fetched(s) == VERIFIED


def test_one_connection_over_which_something_came_is_enough() -> None:
    s = Scenario()
    silent(s)
    connect(s, socket=2)
    assert fetched(s) == VERIFIED
    flow(s, socket=2)
    assert fetched(s) == refuted("not_transferred")


def test_the_last_word_on_a_socket_counts() -> None:
    s = Scenario()
    named(s)
    connect(s)
    flow(s, closed=False)
    flow(s, received=9)
    assert fetched(s) == VERIFIED
    s = Scenario()
    silent(s)
    ended = s.log[-1].ts
    assert fetched(s, ts=ended) == refuted("not_transferred")
    assert fetched(s, ts=ended - STEP) == VERIFIED, "that nothing came is told later"


def test_nothing_came_as_far_as_was_seen() -> None:
    s = Scenario()
    silent(s)
    lost(s)
    assert fetched(s) == unverifiable("records_lost")
    s = Scenario()
    silent(s)
    assert fetched(s, "failed") == AMBIGUOUS
    s = Scenario()
    silent(s)
    connect(s, ELSEWHERE, socket=2)
    assert fetched(s) == AMBIGUOUS


@pytest.mark.parametrize(("argv", "word"), [(("-I",), AMBIGUOUS), ((), VERIFIED)])
def test_who_asked_for_a_head_fetched_nothing(argv: tuple[str, ...], word: tuple[str, str]) -> None:
    s = Scenario()
    named(s)
    connect(s, by=s.program(None, "curl", *argv, URL))
    assert fetched(s) == word
    if argv:
        connect(s, by=s.program(None, "curl", URL))
        assert fetched(s) == VERIFIED


# --- a tool call ---------------


def test_a_tool_call_that_was_given_away_or_names_no_host() -> None:
    s = Scenario()
    away = s.intent("fetch", hosts=("docs.test",), hand_off="docker")
    s.answers(away)
    assert s.says(away) == unverifiable("handed_off")
    none = s.intent("fetch")
    s.answers(none)
    assert s.says(none) == unverifiable("form_unknown")


def test_a_tool_call_of_which_nobody_says_that_it_went_well() -> None:
    s = Scenario()
    failed = s.intent("fetch", hosts=("docs.test",))
    s.answers(failed, error=True)
    unanswered = s.intent("fetch", hosts=("docs.test",))
    assert s.says(failed) == AMBIGUOUS
    assert s.says(unanswered) == AMBIGUOUS


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({}, NOT_CONNECTED),
        ({"closed": False}, AMBIGUOUS),
        ({"socket": 2}, AMBIGUOUS),
        ({"established": True}, ("verified", None)),
    ],
    ids=["closed", "open", "another", "made"],
)
def test_a_socket_that_closed_without_a_connection_never_had_one(how: dict[str, Any], word: Any) -> None:
    s = Scenario()
    named(s)
    connect(s, errno=115)
    told = flow(s, **{"closed": True, "established": False, "received": 0, **how})
    if how.get("established"):
        flow(s, closed=False, established=True, received=9)
    assert fetched(s, ts=told.ts + STEP) == word


# --- what failed though it was reached ------------


def by_program(s: Scenario, *argv: str, status: int | None = 0) -> None:
    """A program that connects, and ends unless ``status`` is None."""
    process = s.program(None, *argv)
    connect(s, by=process)
    if status is not None:
        s.exits(process, status)


@pytest.mark.parametrize(
    ("argv", "status", "word"),
    [
        (("curl", "-fsS", URL), 22, AMBIGUOUS),
        (("wget", "-q", URL), 8, AMBIGUOUS),
        (("curl", URL), 0, VERIFIED),
        (("curl", URL), None, VERIFIED),
        (("python3", "fetch.py"), 1, VERIFIED),
        (("pip", "install", "x"), 1, VERIFIED),
    ],
)
def test_a_fetch_that_failed_may_have_brought_nothing_of_use(
    argv: tuple[str, ...], status: int | None, word: tuple[str, str | None]
) -> None:
    s = Scenario()
    named(s)
    by_program(s, *argv, status=status)
    assert fetched(s) == word


def test_one_fetch_that_went_well_is_enough() -> None:
    s = Scenario()
    named(s)
    by_program(s, "curl", "-f", URL, status=22)
    by_program(s, "curl", URL)
    by_program(s, "curl", "-f", URL, status=22)
    assert fetched(s) == VERIFIED
