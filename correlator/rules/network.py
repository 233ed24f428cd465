"""Fetches, connections and servers."""

from __future__ import annotations

from correlator.delegation import given_away
from correlator.facts import ending
from correlator.hosts import LOCAL, host_of, port_of
from correlator.outcome import Outcome, combine, refuted, unverifiable, verified
from correlator.programs import identify
from correlator.session import IN_PROGRESS, IntentState, Session
from correlator.windows import Span
from polygraph.events import AnyEvent, Exit, Name, Net
from polygraph.tools import Match


def judge(session: Session, state: IntentState, span: Span) -> Outcome:
    """The verdict on a tool call that is to reach hosts, one at least."""
    given = given_away(session, state, span.until)
    if given is not None:
        return unverifiable("handed_off", f"the work was given to {given}, outside the lineage")
    failed = state.result is None or state.result.is_error
    return combine([reached(session, host, span, told_failed=failed) for host in state.intent.hosts])


def reached(session: Session, target: str, span: Span, *, told_failed: bool) -> Outcome:
    """Whether a connection to the host of ``target`` was made in the window."""
    host, port = host_of(target), port_of(target)
    addresses, named = addresses_of(session, host, span.until)
    connects = [
        n for n in session.nets if n.op == "connect" and span.holds(n.ts) and n.family in ("inet", "inet6")
    ]
    hits = [n for n in connects if n.address in addresses and _succeeded(session, n, span.until)]
    at_port = [n for n in hits if port in (None, n.port)]
    if hits and not at_port:
        models = _model_ports(session, span.until)
        others = [n for n in hits if (n.address, n.port) not in models]
        if others:
            seen = f"{others[-1].address}:{others[-1].port} was connected, not port {port}"
            return unverifiable("ambiguous", seen, others[-1])
    hits = at_port
    if hits:
        seen = f"{hits[-1].address}:{hits[-1].port} was connected"
        return _silent(session, hits, span, seen, told_failed=told_failed) or verified(
            seen, "strong", *named[-1:], hits[-1]
        )
    sni = [n for n in named if n.source == "sni" and span.holds(n.ts)]
    if sni:
        return verified("a TLS connection was opened under that name", "weak", sni[-1])
    refused = [n for n in connects if n.address in addresses and port in (None, n.port)]
    if refused:
        gate = session.coverage.gate(("network",), span.early, span.until)
        seen = f"connecting to {refused[-1].address} did not succeed"
        if gate is not None or told_failed or any(_may_go_on(session, n, span.until) for n in refused):
            return unverifiable(gate or "ambiguous", seen, refused[-1])
        return _unless_other(session, connects, refused, span, seen)
    if told_failed:
        return unverifiable("ambiguous", "no connection was seen, and nobody says that one was made")
    gate = session.coverage.gate(("network",), session.began, span.until)
    if gate is not None:
        return unverifiable(gate, "no connection to that host was seen")
    if any(f.address in addresses and port in (None, f.port) for f in session.flows_until(span.until)):
        # it may be open still, and what came over it may be kept: agents that fetch a page again ask for it once
        return unverifiable("ambiguous", "a connection to it was there before")
    return _unless_other(session, connects, [], span, "no connection to that host was made")


def _silent(session: Session, hits: list[Net], span: Span, seen: str, *, told_failed: bool) -> Outcome | None:
    """Nothing came back over any of the connections, or nothing that was asked for; None if something may have."""
    if all(_asks_for_nothing(session, net) for net in hits):
        return unverifiable("ambiguous", f"{seen}, and only the head of an answer asked for", hits[-1])
    ends = [
        next((f for f in reversed(session.flows.get(net.socket, ())) if f.ts <= span.until), None)
        for net in hits
    ]
    over = [flow for flow in ends if flow is not None and flow.closed and not flow.received]
    if len(over) != len(hits) or any(net.protocol != "tcp" or not net.socket for net in hits):
        failed = [_failed(session, net, span.until) for net in hits]
        if all(failed) and (last := failed[-1]) is not None:
            return unverifiable("ambiguous", f"{seen}, by a program that {ending(last)}", hits[-1], last)
        return None
    observed = f"{seen}, and not one byte came back"
    hidden = session.coverage.hidden(("network",), span.early, span.until)
    if hidden is not None or told_failed:
        return unverifiable(hidden or "ambiguous", observed, hits[-1], over[-1])
    return _unless_other(
        session,
        [n for n in session.nets if n.op == "connect" and span.holds(n.ts) and n.family in ("inet", "inet6")],
        hits,
        span,
        observed,
        "not_transferred",
    )


def _asks_for_nothing(session: Session, net: Net) -> bool:
    match = _fetching(session, net)
    return match is not None and match.runs_nothing


def _failed(session: Session, net: Net, until: int) -> Exit | None:
    """The end of a program that is for fetching, connected, and failed: it may have got an answer that was no good."""
    end = session.tree.end(net.process, until)
    return end if end is not None and end.status and _fetching(session, net) is not None else None


def _fetching(session: Session, net: Net) -> Match | None:
    """The program that connected, if it is for fetching."""
    image = session.tree.image(net.process, net.ts)
    match = identify(image) if image is not None else None
    return match if match is not None and match.tool.purpose == "fetch" else None


def _unless_other(
    session: Session,
    connects: list[Net],
    refused: list[Net],
    span: Span,
    seen: str,
    reason: str = "not_connected",
) -> Outcome:
    """Refutes, unless something that was connected could have been a proxy or an unnamed form of the host."""
    models = _model_addresses(session, span.until)
    known = {n.address for n in refused}
    other = [
        n
        for n in connects
        if n.address not in known
        and not (n.address in models and _named_only_model(session, n.address, span.until))
    ]
    lived = [
        f
        for f in session.flows_until(span.until)
        if (f.ts >= span.early or not f.closed) and f.address not in models and f.address not in known
    ]
    unix = [
        n
        for n in session.nets
        if n.op == "connect"
        and n.family in ("unix", "vsock", "other")
        and n.errno == 0
        and n.ts <= span.until
    ]
    if other or lived or unix:
        what: list[AnyEvent] = [*other[:2], *lived[:1], *unix[:1]]
        return unverifiable("ambiguous", f"{seen}, but other connections were open", *what)
    return refuted(reason, seen, *refused[-1:])


def addresses_of(session: Session, host: str, until: int) -> tuple[set[str], list[Name]]:
    """Addresses that ``host`` was seen to have, and the events that say so."""
    named = [n for n in session.names if n.ts <= until and n.name.rstrip(".").lower() == host]
    addresses = {a for n in named for a in n.addresses} | LOCAL.get(host, {host})
    return addresses, named


def _model_hosts(session: Session, until: int) -> set[str]:
    return {host_of(call.host) for call in session.calls.values() if call.request_ts <= until}


def _model_ports(session: Session, until: int) -> set[tuple[str, int | None]]:
    """Where the model is: addresses with the port that its calls name, 443 where they name none."""
    return {
        (address, port_of(call.host) or 443)
        for call in session.calls.values()
        if call.request_ts <= until
        for address in addresses_of(session, host_of(call.host), until)[0]
    }


def _model_addresses(session: Session, until: int) -> set[str]:
    return {a for host in _model_hosts(session, until) for a in addresses_of(session, host, until)[0]}


def _named_only_model(session: Session, address: str, until: int) -> bool:
    """Every name that the address got is a model's: a proxy would carry the model's traffic and others."""
    hosts = _model_hosts(session, until)
    named = (n for n in session.names if n.ts <= until and address in n.addresses)
    return all(n.name.rstrip(".").lower() in hosts for n in named)


def _succeeded(session: Session, net: Net, until: int) -> bool:
    if net.errno == 0:
        return True
    flows = [flow for flow in session.flows.get(net.socket, ()) if flow.ts <= until]
    return net.errno == IN_PROGRESS and any(flow.established or flow.received > 0 for flow in flows)


def _may_go_on(session: Session, net: Net, until: int) -> bool:
    """Whether a connect that did not wait may have come to something: its socket was not seen to close without."""
    if net.errno != IN_PROGRESS:
        return False
    flows = [flow for flow in session.flows.get(net.socket, ()) if flow.ts <= until]
    return not (flows and flows[-1].closed and not flows[-1].established and net.socket)


def listening(session: Session, until: int) -> list[Net]:
    """Sockets of the lineage, the agent's own aside, that began to listen."""
    return [
        n
        for n in session.nets
        if n.op == "listen" and n.errno == 0 and n.ts <= until and not session.is_agent(n.process, until)
    ]
