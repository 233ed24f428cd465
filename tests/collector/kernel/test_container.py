"""A container's id is told where a runtime's cgroup name holds it, and nowhere else."""

from __future__ import annotations

import pytest

from collector.kernel.container import container_id

ID = "4f3c" * 16


@pytest.mark.parametrize(
    "cgroup",
    [
        f"docker-{ID}.scope",
        f"cri-containerd-{ID}.scope",
        f"crio-{ID}.scope",
        f"libpod-{ID}.scope",
        ID,
        f"libpod-{ID}",
    ],
)
def test_names_that_runtimes_give(cgroup: str) -> None:
    assert container_id(cgroup) == ID


@pytest.mark.parametrize(
    "cgroup",
    [
        "",
        "session-3.scope",
        "user.slice",
        ID[:-1],
        ID + "0",
        ID.upper(),
        f"docker-{ID[:12]}.scope",
        f"docker-{ID}.scope.d",
        f"x-{ID}.scope",
        f"{ID}\n",
    ],
)
def test_other_names_are_no_containers(cgroup: str) -> None:
    assert container_id(cgroup) is None
