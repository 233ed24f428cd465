"""collector/mcp/jsonrpc.py: what is a message and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.mcp.jsonrpc import MAX_BATCH, Message, parse


def test_the_four_kinds() -> None:
    assert parse(b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1}}') == [
        Message("1", "m", {"a": 1}, None, None)
    ]
    assert parse(b'{"jsonrpc":"2.0","method":"m"}') == [Message(None, "m", {}, None, None)]
    assert parse(b'{"jsonrpc":"2.0","id":"1","result":null}') == [Message('"1"', "", {}, None, None)]
    assert parse(b'{"jsonrpc":"2.0","id":2,"error":{"code":-1,"message":"no"}}') == [
        Message("2", "", {}, None, {"code": -1, "message": "no"})
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"", b"null", b"[]", b"1", b"{}", b"not JSON", b'{"id":1,"method":"m"}',
        b'{"jsonrpc":"1.0","id":1,"method":"m"}', b'{"jsonrpc":"2.0","id":1}', b'{"jsonrpc":"2.0","result":1}',
        b'{"jsonrpc":"2.0","id":true,"result":1}', b'{"jsonrpc":"2.0","id":1,"result":1,"error":{}}',
        b'{"jsonrpc":"2.0","id":1.5,"result":1}', b'{"jsonrpc":"2.0","id":"' + b"x" * 300 + b'","method":"m"}',
    ],
)  # fmt: skip
def test_what_is_no_message(text: bytes) -> None:
    assert parse(text) == []


def test_a_batch_is_read_up_to_its_limit() -> None:
    one = b'{"jsonrpc":"2.0","method":"m"}'
    assert len(parse(b"[" + b",".join([one] * (MAX_BATCH + 5)) + b"]")) == MAX_BATCH
    assert len(parse(b"[1," + one + b",null]")) == 1


def test_depth_is_bounded() -> None:
    assert (
        parse(b'{"jsonrpc":"2.0","id":1,"method":"m","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
        == []
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_read(data: bytes) -> None:
    assert isinstance(parse(data), list)
