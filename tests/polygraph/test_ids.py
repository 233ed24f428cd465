"""polygraph/ids.py: digests join what is equal within one store, and mean nothing without its key."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from polygraph.ids import derived_id, keyed_digest
from polygraph.log.store import Store

KNOWN = b"rm -rf /tmp/x"


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(min_size=32, max_size=32))
def test_equal_contents_join_and_others_do_not(one: bytes, other: bytes, key: bytes) -> None:
    assert (keyed_digest(key, one) == keyed_digest(key, other)) == (one == other)


def test_a_known_text_cannot_be_tried_without_the_key(tmp_path: Path) -> None:
    with Store(tmp_path / "one") as one, Store(tmp_path / "other") as other:
        digest = keyed_digest(one.key, KNOWN)
        assert digest != keyed_digest(other.key, KNOWN) and one.key != other.key
    plain = [hashlib.new(name, KNOWN).hexdigest() for name in ("md5", "sha1", "sha256", "sha512", "blake2b")]
    keyless = [keyed_digest(key, KNOWN) for key in (b"", b"\0" * 32, b"polygraph")]
    assert all(digest not in guess and guess[:32] != digest for guess in (*plain, *keyless))
    with Store(tmp_path / "one") as one:  # the same key, so sessions of one store join
        assert keyed_digest(one.key, KNOWN) == digest


@given(st.lists(st.text(max_size=8), max_size=4), st.lists(st.text(max_size=8), max_size=4))
def test_parts_of_an_id_do_not_run_into_each_other(one: list[str], other: list[str]) -> None:
    assert (derived_id("i", *one) == derived_id("i", *other)) == (one == other)
