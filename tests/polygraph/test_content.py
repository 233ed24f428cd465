"""polygraph/content.py: every field of every event, verdict and finding has a row that says what it may hold."""

from __future__ import annotations

from typing import get_args

import msgspec

from polygraph import events, findings, verdicts
from polygraph.content import DEFAULT_LEVEL, FIELDS, KINDS, LEVELS, MEANINGS


def structs() -> dict[str, type[msgspec.Struct]]:
    """Every struct of the vocabularies that is written anywhere."""
    found = {
        name: value
        for module in (events, verdicts, findings)
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, msgspec.Struct)
        and f"{value.__module__}.".startswith(f"{module.__name__}.")
    }
    del found["Event"]  # what all events share: its fields are theirs
    for table in ("DetectorRow", "Kind", "Threshold"):  # data/detectors.toml
        del found[table]
    return found


def test_every_field_has_a_row_and_every_row_a_field() -> None:
    assert {name: set(kinds) for name, kinds in FIELDS.items()} == {
        name: set(struct.__struct_fields__) for name, struct in structs().items()
    }


def test_every_event_of_the_log_is_in_the_table() -> None:
    assert {kind.__name__ for kind in get_args(events.AnyEvent)} <= FIELDS.keys()


def test_kinds_and_levels_are_the_ones_that_exist() -> None:
    assert {kind for kinds in FIELDS.values() for kind in kinds.values()} == KINDS.keys()
    assert MEANINGS.keys() == set(LEVELS) and DEFAULT_LEVEL == "metadata"
    level = events.SessionStart.__annotations__["content"]
    assert all(f'"{name}"' in level or f"'{name}'" in level for name in LEVELS)


def test_text_of_any_kind_is_nowhere_below_redacted() -> None:
    low = {"off", "metadata"}
    assert not [kind for kind, rule in KINDS.items() if rule.free_text in low]
    assert {kind for kind, rule in KINDS.items() if rule.free_text == "full"} == {"body"}
