"""Containers that a Docker server made for a client, as its HTTP API tells: the id in the answer to `create`. Pure.

Docker Engine API, ContainerCreate: ``POST /containers/create`` (also below ``/v1.NN``) is answered with 201 and
``{"Id": …}``, 64 hexadecimal digits, before anything of the container runs. Its cgroup is named after it.
"""

from __future__ import annotations

import re

from collector.http.events import Headers, HttpEvent, RequestDone, ResponseDone
from collector.llm.values import loads, mapping

_CREATE = re.compile(r"(?:/v\d+\.\d+)?/containers/create(?:\?.*)?")
_ID = re.compile(r"[0-9a-f]{64}")
_CREATED = 201
#: most requests of one connection that are remembered for their answers
_MAX_REQUESTS = 64


def creates(method: str, target: str, _headers: Headers) -> bool:
    """Whether a request asks for a container."""
    return method == "POST" and _CREATE.fullmatch(target) is not None


def cgroup_names(container: str) -> tuple[str, str]:
    """The last component of its cgroup's path: with the systemd driver, and with the cgroupfs driver."""
    return f"docker-{container}.scope", container


class Created:
    """Ids of the containers that one connection's client was given."""

    def __init__(self) -> None:
        self._asked: dict[int, None] = {}
        self._ids: list[str] = []

    def feed(self, event: HttpEvent) -> None:
        """An event of the connection. Never raises."""
        if isinstance(event, RequestDone):
            if event.direction == "sent" and creates(event.method, event.target, event.headers):
                self._asked[event.index] = None
                if len(self._asked) > _MAX_REQUESTS:
                    del self._asked[next(iter(self._asked))]
        elif isinstance(event, ResponseDone) and event.request_index in self._asked:
            del self._asked[event.request_index]
            container = mapping(loads(event.body)).get("Id") if event.status == _CREATED else None
            if isinstance(container, str) and _ID.fullmatch(container):
                self._ids.append(container)

    def taken(self) -> list[str]:
        """Those since the last time."""
        ids, self._ids = self._ids, []
        return ids
