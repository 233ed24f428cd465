"""Hosts as they are said, and the names that addresses were seen to have. Pure text; nothing is looked up."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from polygraph.events import Name

#: what a host that is named needs no lookup for
LOCAL = {"localhost": {"127.0.0.1", "::1"}, "ip6-localhost": {"::1"}}


def host_of(target: str) -> str:
    """Host of a URL or of ``host:port``; ``target`` itself when it is neither."""
    if "://" in target:
        try:
            return (urlsplit(target).hostname or target).lower()
        except ValueError:
            return target.lower()
    host, colon, port = target.rpartition(":")
    return (
        (host if colon and port.isdigit() and ":" not in host else target).strip("[]").lower().split("/")[0]
    )


def port_of(target: str) -> int | None:
    """The port that a URL or ``host:port`` names; None if it names none."""
    if "://" in target:
        try:
            return urlsplit(target).port
        except ValueError:
            return None
    host, colon, port = target.rpartition(":")
    return int(port) if colon and port.isascii() and port.isdigit() and ":" not in host else None


@dataclass(slots=True)
class HostNames:
    """The names of addresses, by the time when each was seen first."""

    _names: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, event: Name) -> None:
        """An answer of DNS. A name that is given to TLS tells no address."""
        name = event.name.rstrip(".").lower()
        for address in event.addresses:
            self._names.setdefault(address, {}).setdefault(name, event.ts)

    def of(self, address: str, until: int) -> list[str]:
        """The address itself, and the names that it had by ``until``."""
        local = (name for name, addresses in LOCAL.items() if address in addresses)
        return [
            address,
            *local,
            *(name for name, ts in self._names.get(address, {}).items() if ts <= until and name not in LOCAL),
        ]
