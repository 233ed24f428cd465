"""The table of io_uring's operations, and what the kernel side is given of it."""

from __future__ import annotations

import msgspec
import pytest

from collector.kernel.uring import compile_ops, uring_ops


def hidden(opcode: int) -> set[str]:
    """What the kernel side takes ``opcode`` to hide."""
    return {
        dimension
        for dimension in ("file", "network")
        if int.from_bytes(uring_ops().hiding(dimension), "little") >> opcode & 1
    }


@pytest.mark.parametrize(
    ("opcode", "expected"),
    [
        (0, set()),  # nop
        (29, set()),  # epoll_ctl
        (22, set()),  # read
        (18, {"file"}),  # openat
        (36, {"file"}),  # unlinkat
        (16, {"network"}),  # connect
        (46, {"file", "network"}),  # uring_cmd
        (200, {"file", "network"}),  # none that is known
        (255, {"file", "network"}),
    ],
)
def test_an_operation_hides_what_the_probes_would_have_seen(opcode: int, expected: set[str]) -> None:
    assert hidden(opcode) == expected


def test_an_operation_has_its_name_or_its_number() -> None:
    assert (uring_ops().name(36), uring_ops().name(200)) == ("unlinkat", "operation 200")


EMPTY: dict[str, dict[str, int]] = {"nothing": {}, "file": {}, "network": {}, "both": {}}


@pytest.mark.parametrize(
    "rows", [{"nothing": {"nop": 0}, "file": {"openat": 0}}, {"both": {"x": 256}}, {"file": {"x": -1}}]
)
def test_an_opcode_that_is_taken_or_none_is_refused(rows: dict[str, dict[str, int]]) -> None:
    with pytest.raises(ValueError, match="opcode"):
        compile_ops(EMPTY | rows)


def test_a_table_of_another_form_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        compile_ops(EMPTY | {"some": {}})
