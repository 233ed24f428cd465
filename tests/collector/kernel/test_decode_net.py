"""Addresses, flows and answers of name servers out of records."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.kernel.decode import decode
from collector.kernel.decode_net import decode_dns
from collector.kernel.wire import NetOp, Type
from polygraph.events import Flow, Name, Net
from tests.collector.kernel.encode import PROCESS, SESSIONS, TS, address, record

UNIX, INET, INET6, NETLINK, VSOCK = 1, 2, 10, 16, 40
TCP, UDP = 6, 17
U16, U64 = st.integers(0, 65535), st.integers(0, 2**64 - 1)
FOURS = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
SIXES = st.integers(2**48, 2**128 - 1).map(ipaddress.IPv6Address)  # beyond those that hold an IPv4 address


def net(name: bytes = b"", **values: Any) -> Net:
    found = decode(record("pg_net", Type.PG_NET, name, **values), SESSIONS, ())
    assert found is not None and isinstance(found.value, Net)
    return found.value


@given(
    op=st.sampled_from([NetOp.PG_NET_CONNECT, NetOp.PG_NET_ACCEPT]), remote=FOURS, local=FOURS, port=U16,
    local_port=U16, error=st.integers(0, 133), cookie=U64, protocol=st.sampled_from((TCP, UDP)),
)  # fmt: skip
def test_a_connection_comes_back_whole(
    op: NetOp, remote: ipaddress.IPv4Address, local: ipaddress.IPv4Address, port: int, local_port: int, error: int,
    cookie: int, protocol: int,
) -> None:  # fmt: skip
    found = net(
        op=op, remote=address(INET, remote.packed, port), local=address(INET, local.packed, local_port), error=error,
        cookie=cookie, protocol=protocol,
    )  # fmt: skip
    assert found == Net(
        session="s",
        ts=TS,
        process=PROCESS,
        op="connect" if op == NetOp.PG_NET_CONNECT else "accept",
        family="inet",
        protocol="tcp" if protocol == TCP else "udp",
        address=str(remote),
        port=port,
        local_address=str(local),
        local_port=local_port,
        errno=error,
        socket=cookie,
    )


@given(remote=SIXES)
def test_six(remote: ipaddress.IPv6Address) -> None:
    found = net(remote=address(INET6, remote.packed, 1), local=address(INET6, bytes(16), 2))
    assert (found.family, found.address, found.port) == ("inet6", str(remote), 1)


@given(four=FOURS)
def test_four_inside_six_is_told_as_four(four: ipaddress.IPv4Address) -> None:
    mapped = bytes(10) + b"\xff\xff" + four.packed
    found = net(remote=address(INET6, mapped, 1), local=address(INET6, mapped, 2))
    assert (found.family, found.address, found.local_address) == ("inet", str(four), str(four))


@pytest.mark.parametrize("op", [NetOp.PG_NET_BIND, NetOp.PG_NET_LISTEN])
def test_a_server_has_an_address_of_its_own_and_no_peer(op: NetOp) -> None:
    """The kernel holds 0.0.0.0:0 for the peer of a socket that has none."""
    found = net(op=op, remote=address(INET, bytes(4)), local=address(INET, b"\x7f\0\0\1", 8000), protocol=TCP)
    assert (found.family, found.address, found.port) == ("inet", "", 0)
    assert (found.local_address, found.local_port) == ("127.0.0.1", 8000)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"/run/x.sock\0", "/run/x.sock"),
        (b"/run/x.sock\0junk", "/run/x.sock"),
        (b"/run/x", "/run/x"),
        (b"\0abstract", "@abstract"),
        (b"\0a\0b", "@a\0b"),
        (b"\0", ""),
        (b"", ""),
        (b"/\xff", "/\uefff"),
    ],
)
def test_unix_sockets_have_a_path_or_a_name(raw: bytes, told: str) -> None:
    connect = net(raw, remote=address(UNIX), local=address(UNIX))
    assert (connect.family, connect.protocol, connect.address, connect.local_address) == (
        "unix",
        "unix",
        told,
        "",
    )
    bind = net(raw, op=NetOp.PG_NET_BIND, remote=address(UNIX), local=address(UNIX))
    assert (bind.family, bind.address, bind.local_address) == ("unix", "", told)


def test_vsock_has_a_cid_and_a_port_of_32_bits() -> None:
    found = net(remote=address(VSOCK, cid=3, port32=70_000), local=address(VSOCK))
    assert (found.family, found.protocol, found.address, found.port) == ("vsock", "other", "3", 70_000)


def test_other_families_have_no_address() -> None:
    found = net(remote=address(NETLINK), local=address(NETLINK))
    assert (found.family, found.protocol, found.address) == ("other", "other", "")


def test_a_connect_to_no_family_is_of_its_socket() -> None:
    """connect(AF_UNSPEC) lets go of a peer; resolvers do it."""
    found = net(remote=address(0, b"\1\2\3\4"), local=address(INET, b"\1\2\3\4", 9), protocol=UDP)
    assert (found.family, found.address, found.port) == ("inet", "", 0)


@given(
    remote=FOURS | SIXES,
    port=U16,
    sent=U64,
    received=U64,
    cookie=U64,
    established=st.booleans(),
    closed=st.booleans(),
)
def test_a_flow_comes_back_whole(
    remote: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, sent: int, received: int, cookie: int,
    established: bool, closed: bool,
) -> None:  # fmt: skip
    family = INET if remote.version == 4 else INET6
    raw = record(
        "pg_flow", Type.PG_FLOW, remote=address(family, remote.packed, port), local=address(family, bytes(16), 1),
        sent=sent, received=received, cookie=cookie, established=established, closed=closed, protocol=TCP,
    )  # fmt: skip
    found = decode(raw, SESSIONS, ())
    assert found is not None
    assert found.value == Flow(
        session="s",
        ts=TS,
        process=PROCESS,
        socket=cookie,
        address=str(remote),
        port=port,
        family="inet" if remote.version == 4 else "inet6",
        sent=sent,
        received=received,
        established=established,
        closed=closed,
    )


# --- DNS ---------------------------------------------------------------------------------------------

LABELS = st.lists(
    st.binary(min_size=1, max_size=63).map(lambda b: b.replace(b".", b"-").lower()), min_size=1, max_size=3
)
A, CNAME, AAAA = 1, 5, 28


def named(*labels: bytes) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def answer(owner: bytes, kind: int, data: bytes, group: int = 1) -> bytes:
    ttl = 60
    return owner + kind.to_bytes(2) + group.to_bytes(2) + ttl.to_bytes(4) + len(data).to_bytes(2) + data


def message(
    question: bytes, *answers: bytes, flags: int = 0x8180, questions: int = 1, count: int | None = None
) -> bytes:
    counts = (questions, len(answers) if count is None else count, 0, 0)
    head = b"\x12\x34" + flags.to_bytes(2) + b"".join(number.to_bytes(2) for number in counts)
    return head + question + b"\0\1\0\1" + b"".join(answers)


API = named(b"api", b"example")
TO_QUESTION = b"\xc0\x0c"
HOME = b"\x7f\0\0\1"


@given(labels=LABELS, fours=st.lists(FOURS, max_size=4), sixes=st.lists(SIXES, max_size=4))
def test_addresses_of_a_name(
    labels: list[bytes], fours: list[ipaddress.IPv4Address], sixes: list[ipaddress.IPv6Address]
) -> None:
    answers = [answer(TO_QUESTION, A, four.packed) for four in fours]
    answers += [answer(named(*labels), AAAA, six.packed) for six in sixes]
    found = decode_dns(message(named(*labels), *answers))
    if not answers:
        assert found is None
    else:
        assert found is not None
        assert found[1] == tuple(map(str, [*fours, *sixes]))
        assert found[0].count(".") == len(labels) - 1


def test_a_record_becomes_a_name() -> None:
    found = decode(record("pg_dns", Type.PG_DNS, message(API, answer(TO_QUESTION, A, HOME))), SESSIONS, ())
    assert found is not None
    assert found.value == Name(
        session="s", ts=TS, process=PROCESS, source="dns", name="api.example", addresses=("127.0.0.1",)
    )


def test_a_record_without_an_address_is_no_event() -> None:
    assert decode(record("pg_dns", Type.PG_DNS, message(API)), SESSIONS, ()) is None


def test_a_name_is_told_in_lower_case() -> None:
    """Resolvers mix the case of what they ask (draft-vixie-dnsext-dns0x20)."""
    assert decode_dns(message(named(b"aPi", b"eXample"), answer(API, A, HOME))) == (
        "api.example",
        ("127.0.0.1",),
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_aliases_lead_to_addresses(reverse: bool) -> None:
    edge, node = named(b"edge", b"example"), named(b"node", b"example")
    answers = [answer(TO_QUESTION, CNAME, edge), answer(edge, CNAME, node), answer(node, A, HOME)]
    assert decode_dns(message(API, *(answers[::-1] if reverse else answers))) == (
        "api.example",
        ("127.0.0.1",),
    )


def test_an_alias_may_point_into_the_message() -> None:
    """example is at 16: the header's 12, then a length and three letters."""
    answers = [answer(TO_QUESTION, CNAME, b"\4edge\xc0\x10"), answer(named(b"edge", b"example"), A, HOME)]
    assert decode_dns(message(API, *answers)) == ("api.example", ("127.0.0.1",))


def test_an_address_of_another_name_is_not_told() -> None:
    """A server may add what it likes; only the name asked for and its aliases count."""
    other = named(b"other", b"example")
    assert decode_dns(message(API, answer(other, A, HOME))) is None
    both = message(API, answer(other, A, b"\1\1\1\1"), answer(TO_QUESTION, A, HOME))
    assert decode_dns(both) == ("api.example", ("127.0.0.1",))
    assert decode_dns(message(API, answer(other, CNAME, named(b"x")), answer(named(b"x"), A, HOME))) is None


def test_aliases_in_a_circle_end() -> None:
    edge = named(b"edge")
    circle = [answer(TO_QUESTION, CNAME, edge), answer(edge, CNAME, API)] * 40
    assert decode_dns(message(API, *circle)) is None
    assert decode_dns(message(API, *circle[:2], answer(edge, A, HOME))) == ("api.example", ("127.0.0.1",))


def test_four_inside_six_is_told_as_a_connection_tells_it() -> None:
    assert decode_dns(message(API, answer(TO_QUESTION, AAAA, bytes(10) + b"\xff\xff" + HOME))) == (
        "api.example",
        ("127.0.0.1",),
    )


GOOD = answer(TO_QUESTION, A, HOME)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        message(API, GOOD)[:11],
        message(API, GOOD, flags=0x0100),  # a question
        message(API, GOOD, flags=0x8183),  # NXDOMAIN
        message(API, GOOD, questions=2),
        message(API, GOOD, questions=0),
        message(API, GOOD, count=0),
        message(API, answer(TO_QUESTION, A, HOME, group=3)),  # class CH
        message(API, answer(TO_QUESTION, A, HOME + b"\0")),
        message(API, answer(TO_QUESTION, AAAA, HOME)),
        message(API, answer(TO_QUESTION, 16, HOME)),  # TXT
        message(API, GOOD)[:-1],
        message(b"\xc0\x0c", GOOD),  # the question points at itself
        message(b"\x40" + bytes(64) + b"\0", GOOD),  # a label type of no RFC in use
        message(named(b"api.example"), GOOD),  # one label with a dot is not the name of two
        message(named(*[b"a" * 63] * 4), GOOD),  # 257 octets
    ],
)
def test_what_is_no_answer_with_an_address_tells_nothing(raw: bytes) -> None:
    assert decode_dns(raw) is None


def test_a_name_of_the_longest_kind_is_read() -> None:
    """255 octets, RFC 1035 §2.3.4."""
    longest = named(b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 61)
    assert len(longest) == 255
    found = decode_dns(message(longest, GOOD))
    assert found is not None and len(found[0]) == 253


def test_more_answers_than_are_read_do_no_harm() -> None:
    found = decode_dns(message(API, *[GOOD] * 300))
    assert found is not None and len(found[1]) == 64


def test_what_was_read_before_the_message_broke_off_is_told() -> None:
    assert decode_dns(message(API, GOOD, GOOD)[:-1]) == ("api.example", ("127.0.0.1",))


@given(
    st.binary(max_size=300),
    st.lists(st.sampled_from([GOOD, TO_QUESTION, API, b"\xff\xff", answer(API, CNAME, API)]), max_size=80),
    st.integers(0, 65535),
)
def test_garbage_ends_and_invents_nothing(junk: bytes, pieces: list[bytes], count: int) -> None:
    for raw in (junk, message(API, junk, *pieces, count=count), message(junk, *pieces, count=count)):
        found = decode_dns(raw)
        if found is not None:
            name, addresses = found
            assert len(name) <= 255 and 0 < len(addresses) <= 64
            assert all(ipaddress.ip_address(one).packed in raw for one in addresses)


@pytest.mark.parametrize(("pointers", "read"), [(1, True), (16, True), (17, False), (3000, False)])
def test_a_chain_of_pointers_is_followed_so_far(pointers: int, read: bool) -> None:
    """Each points at the one before it, the first at the question's name; the last is the owner of an address.

    All but the last are the data of a TXT record, which begins at 52: header 12, question 17, owner 13, head 10.
    """
    targets = [12, *range(52, 52 + 2 * pointers - 2, 2)]
    chain = b"".join((0xC000 | target).to_bytes(2) for target in targets)
    raw = message(API, answer(API, 16, chain[:-2]), answer(chain[-2:], A, HOME))
    assert raw[52 : 50 + 2 * pointers] == chain[:-2]
    assert decode_dns(raw) == (("api.example", ("127.0.0.1",)) if read else None)
