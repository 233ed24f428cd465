"""Which container a cgroup belongs to, by its name."""

from __future__ import annotations

import re

#: docker-<id>.scope, cri-containerd-<id>.scope, crio-<id>.scope, libpod-<id>.scope (systemd driver), or the
#: bare id (cgroupfs driver): 64 hexadecimal digits in all of them
_NAME = re.compile(r"(?:(?:docker|cri-containerd|crio|libpod)-)?([0-9a-f]{64})(?:\.scope)?")


def container_id(cgroup: str) -> str | None:
    """The container's id out of the last component of a cgroup's path, or None."""
    match = _NAME.fullmatch(cgroup)
    return match[1] if match else None
