"""Network records: addresses, flows, and DNS answers (RFC 1035). Pure."""

from __future__ import annotations

import ipaddress
from typing import Any, Literal

from polygraph.events import Flow, Net, ProcessKey
from polygraph.text import from_bytes

Family = Literal["inet", "inet6", "unix", "vsock", "other"]

_FAMILIES: dict[int, Family] = {1: "unix", 2: "inet", 10: "inet6", 40: "vsock"}
_PROTOCOLS: dict[int, Literal["tcp", "udp"]] = {6: "tcp", 17: "udp"}
_OPS: tuple[Literal["connect", "accept", "bind", "listen"], ...] = ("connect", "accept", "bind", "listen")

RawAddress = tuple[int, int, int, int, bytes]
"""Fields of struct pg_addr: family, port, cid, port32, addr."""

#: RFC 1035 §3.1: octets of a name, its root among them. §4.1.4: pointers lead backwards; here they are counted
_NAME_MAX = 255
_POINTERS_MAX = 16
_RECORDS_MAX = 64
_A, _CNAME, _AAAA = 1, 5, 28
_IN = 1


def address_of(raw: RawAddress) -> str:
    """Text of an address; ``""`` for families without one. IPv4 inside IPv6 is told as IPv4."""
    family, _port, cid, _port32, octets = raw
    if family == 2:
        return str(ipaddress.IPv4Address(octets[:4]))
    if family == 10:
        return _six(octets)
    return str(cid) if family == 40 else ""


def _six(octets: bytes) -> str:
    address = ipaddress.IPv6Address(octets)
    return str(address.ipv4_mapped or address)


def _family_of(raw: RawAddress) -> Family:
    """The family that :func:`address_of` is text of."""
    if raw[0] == 10 and ipaddress.IPv6Address(raw[4]).ipv4_mapped:
        return "inet"
    return _FAMILIES.get(raw[0], "other")


def port_of(raw: RawAddress) -> int:
    """The port, of vsock as well; 0 for families without one."""
    return raw[3] if raw[0] == 40 else raw[1]


def _unix_name(raw: bytes) -> str:
    """A path, ``@name`` for the abstract namespace, ``""`` for an unnamed socket."""
    if raw.startswith(b"\0"):
        return "@" + from_bytes(raw[1:]) if len(raw) > 1 else ""
    return from_bytes(raw.split(b"\0", 1)[0])


def decode_net(fields: tuple[Any, ...], name: bytes, session: str, ts: int, process: ProcessKey) -> Net:
    """struct pg_net behind its header, and the path behind it. Raises ValueError for what cannot be."""
    cookie, remote, local = fields[0], fields[1:6], fields[6:11]
    error, protocol, op = fields[11:14]
    if op >= len(_OPS) or error < 0:
        raise ValueError(f"network operation {op}, errno {error}")
    to_peer = _OPS[op] in ("connect", "accept")
    family = _family_of(remote if to_peer else local)
    if family == "other":  # AF_UNSPEC, or an argument of no family: the socket has one
        family = _family_of(local if to_peer else remote)
    # A socket that is bound or listens has no peer; an unconnected one would tell 0.0.0.0.
    address, port = (address_of(remote), port_of(remote)) if to_peer else ("", 0)
    local_address = address_of(local)
    if family == "unix":
        if _OPS[op] == "connect":
            address = _unix_name(name)
        else:
            local_address = _unix_name(name)
    return Net(
        session=session,
        ts=ts,
        process=process,
        op=_OPS[op],
        family=family,
        protocol="unix" if family == "unix" else _PROTOCOLS.get(protocol, "other"),
        address=address,
        port=port,
        local_address=local_address,
        local_port=port_of(local),
        errno=error,
        socket=cookie,
        peer_pid=fields[-1] if family == "unix" else 0,
    )


def decode_flow(fields: tuple[Any, ...], session: str, ts: int, process: ProcessKey) -> Flow:
    """struct pg_flow behind its header."""
    cookie, sent, received = fields[:3]
    remote = fields[3:8]
    established, closed = fields[14:16]
    return Flow(
        session=session,
        ts=ts,
        process=process,
        socket=cookie,
        address=address_of(remote),
        port=port_of(remote),
        family=_family_of(remote),
        sent=sent,
        received=received,
        established=bool(established),
        closed=bool(closed),
    )


def decode_dns(message: bytes) -> tuple[str, tuple[str, ...]] | None:
    """(name asked for, addresses answered) of a DNS answer; None when it is none or holds no address.

    An address counts when its owner is the name asked for or an alias that the answer gives of it (CNAME, in
    any order). Bounded: at most 64 records, names of 255 octets, 16 compression pointers each.
    """
    if len(message) < 12 or not message[2] & 0x80:  # QR: an answer
        return None
    questions, answers = int.from_bytes(message[4:6]), int.from_bytes(message[6:8])
    if questions != 1 or message[3] & 0x0F:  # RCODE
        return None
    asked = _name(message, 12)
    if asked is None:
        return None
    name, at = asked
    records = _records(message, at + 4, min(answers, _RECORDS_MAX))
    names = {name}
    aliases = [(owner, value) for owner, kind, value in records if kind == _CNAME]
    for _ in aliases:
        names |= {value for owner, value in aliases if owner in names}
    addresses = tuple(value for owner, kind, value in records if kind != _CNAME and owner in names)
    return (name, addresses) if addresses else None


def _records(message: bytes, at: int, count: int) -> list[tuple[str, int, str]]:
    """(owner, type, address or canonical name) of the answers of class IN, up to the first malformed one."""
    found: list[tuple[str, int, str]] = []
    for _ in range(count):
        owner = _name(message, at)
        if owner is None or owner[1] + 10 > len(message):
            break
        name, at = owner
        kind, group = int.from_bytes(message[at : at + 2]), int.from_bytes(message[at + 2 : at + 4])
        length = int.from_bytes(message[at + 8 : at + 10])
        at += 10
        data = message[at : at + length]
        if len(data) != length:
            break
        alias = _name(message, at) if kind == _CNAME else None
        if group != _IN:
            pass
        elif kind == _A and length == 4:
            found.append((name, kind, str(ipaddress.IPv4Address(data))))
        elif kind == _AAAA and length == 16:
            found.append((name, kind, _six(data)))
        elif alias is not None and alias[1] == at + length:
            found.append((name, kind, alias[0]))
        at += length
    return found


def _name(message: bytes, at: int) -> tuple[str, int] | None:
    """(name in lower case without the root's dot, where what follows it begins); None when it is malformed."""
    labels: list[bytes] = []
    after: int | None = None
    size, pointers = 1, 0
    while at < len(message):
        length = message[at]
        if length & 0xC0 == 0xC0:
            pointers += 1
            if pointers > _POINTERS_MAX or at + 1 >= len(message):
                return None
            after = at + 2 if after is None else after
            at = (length & 0x3F) << 8 | message[at + 1]
            continue
        if length & 0xC0:
            return None
        if not length:
            return from_bytes(b".".join(labels).lower()), at + 1 if after is None else after
        size += length + 1
        label = message[at + 1 : at + 1 + length]
        if size > _NAME_MAX or len(label) != length or b"." in label:  # a dot within would make another name
            return None
        labels.append(label)
        at += 1 + length
    return None
