"""collector.redact: credentials go, everything else stays, in linear time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.redact import Credential, credentials, redact, redact_argv, redact_path


@pytest.mark.parametrize("row", credentials(), ids=lambda row: row.name)
def test_each_row_removes_its_own_examples(row: Credential) -> None:
    assert row.examples
    for example in row.examples:
        assert f"[{row.name}]" in redact(example)


@pytest.mark.parametrize("row", credentials(), ids=lambda row: row.name)
@given(data=st.data())
def test_whatever_matches_holds_what_the_row_says_it_needs(row: Credential, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(row.pattern))
    assert any(need in text for need in row.needs)


@pytest.mark.parametrize(
    "text",
    [
        "pytest -q tests/test_tokens.py",
        "password: str",
        "git commit -m 'rotate token handling'",
        "/home/u/secret-santa/list.txt",
        "all 12 tests pass",
        "docker run -u 1000:1000 image",
        "sort -u a:b",
        "assert token == expected",
        "--token",
        "mytool --password-file secrets.txt",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_the_argument_of_a_secret_flag_goes() -> None:
    assert redact_argv(("tool", "--token", "hunter2", "run")) == ("tool", "--token", "[argument]", "run")
    assert redact_argv(("tool", "--token", "--verbose")) == ("tool", "--token", "--verbose")


@given(st.text(max_size=300))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)
    assert redact(once) == once or len(once) <= len(text) + 200


@pytest.mark.parametrize("piece", ["a_token", "-", "a:", "eyJ", "password ", "://a:", "-----BEGIN "])
def test_hostile_repetition_does_not_explode(piece: str) -> None:
    # Quadratic patterns would need minutes for this; the suite's own time limit catches them.
    redact(piece * (200_000 // len(piece)))


def test_the_password_of_a_user_goes() -> None:
    assert redact_argv(("curl", "-u", "admin:hunter2", "http://x")) == (
        "curl",
        "-u",
        "admin:[argument]",
        "http://x",
    )
    assert redact_argv(("docker", "-u", "1000:1000")) == ("docker", "-u", "1000:1000")


@given(
    st.lists(st.sampled_from(["a", "b c", "token=abcdef123", "sk-ant-api03-abcdefghijklmnop", "x.py", ""]))
)
def test_paths_that_join_still_join(parts: list[str]) -> None:
    whole = "/".join(parts)
    for cut in range(len(parts)):
        joined = "/".join(filter(None, ["/".join(parts[:cut]), "/".join(parts[cut:])]))
        if joined == whole and cut:
            assert redact_path(whole) == "/".join(
                [redact_path("/".join(parts[:cut])), redact_path("/".join(parts[cut:]))]
            )
    assert redact_path(whole).count("/") == whole.count("/")
