"""``polygraph watch --auto``: which process talks to an LLM, told by names and never by content.

Pure. It is fed what the kernel shows of processes outside any session: names (DNS answers they read, SNI
they set) and connects; it answers with the process that should become the root of a session.
"""

from __future__ import annotations

import tomllib
from collections import OrderedDict
from functools import cache
from importlib import resources

import msgspec

from collector.bounded import put
from polygraph.events import ProcessKey

#: addresses whose names are remembered; the oldest go first
MAX_ADDRESSES = 8192


class Between(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names that begin and end in a known way."""

    prefix: str
    suffix: str


class LlmHosts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data/llm_hosts.toml."""

    hosts: tuple[str, ...]
    between: tuple[Between, ...]

    def matches(self, name: str) -> bool:
        """Whether ``name`` (any case, with or without the root's dot) is an LLM API."""
        name = name.rstrip(".").lower()
        for host in self.hosts:
            if host.startswith("."):
                if name.endswith(host) and len(name) > len(host):
                    return True
            elif name == host:
                return True
        return any(
            name.startswith(row.prefix)
            and name.endswith(row.suffix)
            and len(name) > len(row.prefix + row.suffix)
            for row in self.between
        )


@cache
def llm_hosts() -> LlmHosts:
    """The table. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("collector").joinpath("data/llm_hosts.toml").read_text("utf-8"))
    return msgspec.convert(raw, LlmHosts)


class AutoEnrol:
    """Remembers which addresses belong to LLM APIs; a process is named once."""

    def __init__(self, hosts: LlmHosts | None = None) -> None:
        self._hosts = hosts or llm_hosts()
        self._addresses: OrderedDict[str, str] = OrderedDict()
        self._named: OrderedDict[ProcessKey, None] = OrderedDict()

    def resolved(self, name: str, addresses: tuple[str, ...]) -> None:
        """Some process read the DNS answer that ``name`` has ``addresses``."""
        known = self._hosts.matches(name)
        for address in addresses:
            self._addresses.pop(address, None)
            if known:  # an address that now belongs to another name is no LLM API any more
                self._addresses[address] = name
        while len(self._addresses) > MAX_ADDRESSES:
            self._addresses.popitem(last=False)

    def connected(self, process: ProcessKey, address: str) -> bool:
        """``process`` connected to ``address``: should it become a root now?"""
        return address in self._addresses and self._first(process)

    def indicated(self, process: ProcessKey, name: str) -> bool:
        """``process`` gave ``name`` to TLS (SNI): should it become a root now?"""
        return self._hosts.matches(name) and self._first(process)

    def _first(self, process: ProcessKey) -> bool:
        if process in self._named:
            return False
        put(self._named, process, None, MAX_ADDRESSES)
        return True
