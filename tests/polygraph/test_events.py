"""polygraph.events: every event survives its own codec and is told apart by its type."""

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polygraph import events


def test_each_event_type_is_in_the_union_and_has_its_own_tag() -> None:
    in_union = set(get_args(events.AnyEvent))
    defined = {
        value
        for value in vars(events).values()
        if isinstance(value, type) and issubclass(value, events.Event) and value is not events.Event
    }
    assert defined == in_union
    tags = [kind.__struct_config__.tag for kind in in_union]
    assert len(tags) == len(set(tags))


NUMBERS = st.dictionaries(st.text(max_size=5), st.integers(0, 2**32), max_size=3)


@given(
    st.builds(events.Exec, namespaces=NUMBERS)
    | st.builds(events.Claim, counts=NUMBERS)
    | st.from_type(events.File)
)
def test_codec_round_trip(event: events.AnyEvent) -> None:
    assert events.decode(events.encode(event)) == event


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b'{"type":"nothing"}', b'{"type":"exec"}', b"\xff"])
def test_what_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        events.decode(line)
