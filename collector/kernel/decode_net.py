"""Network records: addresses, flows, and DNS answers (RFC 1035). Pure."""

from __future__ import annotations

import ipaddress
from typing import Literal

from collector.kernel import wire
from polygraph.events import Flow, Net, ProcessKey
from polygraph.text import from_bytes

Family = Literal["inet", "inet6", "unix", "vsock", "other"]

_FAMILIES: dict[int, Family] = {1: "unix", 2: "inet", 10: "inet6", 40: "vsock"}
_PROTOCOLS: dict[int, Literal["tcp", "udp"]] = {6: "tcp", 17: "udp"}
_OPS: tuple[Literal["connect", "accept", "bind", "listen"], ...] = ("connect", "accept", "bind", "listen")

RawAddress = tuple[int, int, int, int, bytes]
"""Fields of struct pg_addr: family, port, cid, port32, addr."""

#: RFC 1035 §3.1: octets of a name; §4.1.4 pointers lead backwards, so this many bound a walk
_NAME_MAX = 255
_POINTERS_MAX = 16
_RECORDS_MAX = 64
_A, _AAAA = 1, 28


def address_of(raw: RawAddress) -> str:
    """Text of an address; ``""`` for families without one. IPv4 inside IPv6 is told as IPv4."""
    family, _port, cid, _port32, octets = raw
    if family == 2:
        return str(ipaddress.IPv4Address(octets[:4]))
    if family == 10:
        six = ipaddress.IPv6Address(octets)
        return str(six.ipv4_mapped or six)
    if family == 40:
        return str(cid)
    return ""


def _port_of(raw: RawAddress) -> int:
    return raw[3] if raw[0] == 40 else raw[1]


def _unix_name(raw: bytes) -> str:
    """A path, ``@name`` for the abstract namespace, ``""`` for an unnamed socket."""
    if raw.startswith(b"\0"):
        return "@" + from_bytes(raw[1:]) if len(raw) > 1 else ""
    return from_bytes(raw.split(b"\0", 1)[0])


def decode_net(raw: bytes, session: str, ts: int, process: ProcessKey) -> Net:
    """struct pg_net. Raises struct.error, ValueError or IndexError when it is none."""
    fields = wire.NET.unpack_from(raw)[9:]
    cookie, remote, local = fields[0], fields[1:6], fields[6:11]
    error, protocol, op, _pad, unix_len, _pad2 = fields[11:]
    name = raw[wire.NET.size : wire.NET.size + unix_len]
    if len(name) != unix_len:
        raise ValueError("the unix path is cut off")
    family = _FAMILIES.get(remote[0]) or _FAMILIES.get(local[0]) or "other"
    address, local_address = address_of(remote), address_of(local)
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
        port=_port_of(remote),
        local_address=local_address,
        local_port=_port_of(local),
        errno=error,
        socket=cookie,
    )


def decode_flow(raw: bytes, session: str, ts: int, process: ProcessKey) -> Flow:
    """struct pg_flow. Raises struct.error or ValueError when it is none."""
    fields = wire.FLOW.unpack_from(raw)[9:]
    cookie, sent, received = fields[:3]
    remote = fields[3:8]
    established, closed = fields[14:16]
    return Flow(
        session=session,
        ts=ts,
        process=process,
        socket=cookie,
        address=address_of(remote),
        port=_port_of(remote),
        family=_FAMILIES.get(remote[0], "other"),
        sent=sent,
        received=received,
        established=bool(established),
        closed=bool(closed),
    )


def decode_dns(message: bytes) -> tuple[str, tuple[str, ...]] | None:
    """(name asked for, addresses answered) of a DNS answer; None when it is none or holds no address.

    Bounded: at most 64 records, names of 255 octets, 16 compression pointers each.
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
    at += 4
    addresses = []
    for _ in range(min(answers, _RECORDS_MAX)):
        owner = _name(message, at)
        if owner is None or owner[1] + 10 > len(message):
            break
        at = owner[1]
        kind, length = int.from_bytes(message[at : at + 2]), int.from_bytes(message[at + 8 : at + 10])
        data = message[at + 10 : at + 10 + length]
        at += 10 + length
        if len(data) != length:
            break
        if kind == _A and length == 4:
            addresses.append(str(ipaddress.IPv4Address(data)))
        elif kind == _AAAA and length == 16:
            addresses.append(str(ipaddress.IPv6Address(data)))
    return (name, tuple(addresses)) if addresses else None


def _name(message: bytes, at: int) -> tuple[str, int] | None:
    """(name in lower case without the root's dot, where what follows it begins); None when it is malformed."""
    labels: list[bytes] = []
    after: int | None = None
    size = pointers = 0
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
        if size > _NAME_MAX or len(label) != length:
            return None
        labels.append(label)
        at += 1 + length
    return None
