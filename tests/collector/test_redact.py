"""collector.redact: credentials go, everything else stays, in linear time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import redact as module
from collector.redact import Credential, credentials, redact, redact_argv, redact_path

EXAMPLES = [example for row in credentials() for example in row.examples]
KEEPS = [text for row in credentials() for text in row.keeps]


@pytest.mark.parametrize("row", credentials(), ids=lambda row: row.name)
def test_each_row_removes_its_own_examples(row: Credential) -> None:
    assert row.examples
    for example in row.examples:
        assert f"[{row.name}]" in redact(example)


@pytest.mark.parametrize("row", credentials(), ids=lambda row: row.name)
@given(data=st.data())
def test_whatever_matches_holds_what_the_row_says_it_needs(row: Credential, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(row.compiled))
    assert any(need in text.lower() for need in row.needs)


def test_needs_are_lower_case_and_names_are_known_apart() -> None:
    assert all(need == need.lower() and need for row in credentials() for need in row.needs)
    assert len({row.name for row in credentials()}) == len(credentials())


@pytest.mark.parametrize("text", KEEPS)
def test_what_only_looks_like_a_credential_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "commit 7524cb7d1c2f9a0b3e4d5c6f7a8b9c0d1e2f3a4b",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "550e8400-e29b-41d4-a716-446655440000",
        "/root/.cache/pip/http-v2/a/b/c/d/e/abcde0123456789abcdef0123456789abcdef0123456789abcdef01.body",
        "integrity sha512-z0Wj1Q4cB9F0XlB5sVQ1m2n3o4p5q6r7s8t9u0v1w2x3y4z5A6B7C8D9E0F1G2H3I4J5K6L7M8N9O0P1Q2R3S4==",
        "toolu_01A09q90qw90lq917835lq9 call_abcdefghijklmnopqrstuvwx chatcmpl-9abcdefghijABCDEFGHIJ012345",
        "resp_68af4030baa48193b0b43b4c2a176a1a0e6967589f080e78",
        "layer 4f4fb700ef54461cfa02571ae0db9a0dc1e0cdb5577484a6d75e68dc38e8acc1",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    ],
)
def test_hashes_ids_and_data_stay(text: str) -> None:
    assert redact(text) == text and redact_path(text) == text


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_removed_once_whatever_stands_around_it(example: str) -> None:
    alone = redact(example)
    assert alone != example and redact(alone) == alone
    assert redact(f"before\n{example}\nafter") in (f"before\n{alone}\nafter", f"before\n{alone}")


@given(
    st.lists(st.sampled_from([*EXAMPLES, *KEEPS]) | st.text(max_size=40), max_size=30), st.integers(0, 3000)
)
def test_a_long_text_is_redacted_as_a_short_one_would_be(pieces: list[str], pad: int) -> None:
    text = ("\n" + "x" * pad + "\n").join(["y" * module._LONG, *pieces])
    with pytest.MonkeyPatch.context() as patch:
        near = redact(text)
        patch.setattr(module, "_LONG", len(text))
        assert redact(text) == near


def test_a_letter_that_grows_in_lower_case_moves_nothing() -> None:
    text = "\u0130" * 5000 + " api_key=abcdef012345"
    assert redact(text) == "\u0130" * 5000 + " api_key=[named-value]"


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


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "a_token",
            "-",
            "a:",
            "eyJ",
            "password ",
            "://a:",
            "-----BEGIN ",
            "authorization: a ",
            "cookie:a=b;",
            "?key=",
        ),
        *(
            'Authorization: a="',
            "aws key ",
            "login x password ",
            "Private-Lines: 1 \n",
            "x-api-key:",
            "bot ",
            "https://",
        ),
        *('\\"authorization\\":\\"', "==", "1//0", '{"set-cookie":[', "\tTRUE\t/\tTRUE\t1\ta\t"),
        *(row.needs[0] for row in credentials()),
    ],
)
def test_hostile_repetition_does_not_explode(piece: str) -> None:
    # Quadratic patterns would need minutes for this; the suite's own time limit catches them.
    redact(piece * (100_000 // len(piece)))


def test_a_header_that_lost_its_quotes_is_one_all_the_same() -> None:
    assert redact_argv(("curl", "-H", "X-Api-Key:", "abcdef01", "http://x"))[3:] == ("[argument]", "http://x")
    assert redact_argv(("Authorization:", "Basic", "dXNl/cjpw")) == ("Authorization:", "Basic", "[argument]")
    searched = ("grep", "Authorization:", "src/auth.py", "-e", "token:", "config.yml")
    assert redact_argv(searched) == searched


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
