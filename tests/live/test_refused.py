"""What the kernel refuses is told with libbpf's own words, which nobody listens to as long as all is well."""

from __future__ import annotations

import errno
from importlib import resources
from pathlib import Path

import pytest

from collector.kernel.libbpf import KernelError, Object, Settings

OBJECT = Path(str(resources.files("collector.kernel").joinpath("polygraph.bpf.o")))


def test_a_map_that_cannot_be_made_is_named() -> None:
    with pytest.raises(KernelError) as caught:
        Object(OBJECT, Settings({}, {"sessions": 0}))
    assert caught.value.errno == errno.EINVAL and "map 'sessions': failed to create" in str(caught.value)
