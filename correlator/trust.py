"""What the detectors of effects take for granted: known hosts, installers, programs that print what they read."""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Set as AbstractSet
from functools import cache
from importlib import resources

import msgspec

from correlator.programs import plain


class Trust(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/trust.toml."""

    known_hosts: frozenset[str]
    system_installers: frozenset[str]
    printers: frozenset[str]
    whole_printers: frozenset[str]
    bringers: frozenset[str]
    fetchers: frozenset[str]
    becomes_root: frozenset[str]


@cache
def trust() -> Trust:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("correlator").joinpath("data/trust.toml").read_text("utf-8"))
    return msgspec.convert(raw, Trust)


def is_one(program: str, of: AbstractSet[str]) -> bool:
    """Whether the program is one of these, by its name with or without a version (``base64`` has none)."""
    return program in of or plain(program) in of


def is_known(host: str) -> bool:
    """Whether the host is a known one, or below one."""
    labels = host.split(".")
    return any(".".join(labels[at:]) in trust().known_hosts for at in range(len(labels)))


def is_near(address: str, *, private: bool) -> bool:
    """Whether the address is this machine or its link; with ``private`` also one of a private network."""
    try:
        of = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(of, ipaddress.IPv6Address) and of.ipv4_mapped is not None:
        of = of.ipv4_mapped
    near = of.is_loopback or of.is_link_local or of.is_multicast or of.is_unspecified
    # Not is_private: that has the ranges of documentation, which nobody reaches.
    return near or (private and any(of in net for net in _PRIVATE if net.version == of.version))


_PRIVATE = tuple(
    ipaddress.ip_network(net)
    for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
