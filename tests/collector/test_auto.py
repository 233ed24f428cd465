"""collector.auto: a process becomes a root by the name it talks to, once."""

import pytest

from collector.auto import MAX_ADDRESSES, AutoEnrol, llm_hosts


@pytest.mark.parametrize(
    "name",
    [
        "api.anthropic.com",
        "API.OpenAI.com.",
        "mine.openai.azure.com",
        "bedrock-runtime.eu-west-1.amazonaws.com",
        "europe-west4-aiplatform.googleapis.com",
    ],
)
def test_known_apis(name: str) -> None:
    assert llm_hosts().matches(name)


@pytest.mark.parametrize(
    "name",
    [
        "anthropic.com",
        "api.anthropic.com.evil.example",
        "xapi.openai.com",
        ".openai.azure.com",
        "",
        "amazonaws.com",
        "-aiplatform.googleapis.com",
        "bedrock-runtime..amazonaws.com.x",
    ],
)
def test_others(name: str) -> None:
    assert not llm_hosts().matches(name)


def test_a_process_is_named_once_and_only_for_a_known_address() -> None:
    auto = AutoEnrol()
    auto.resolved("api.anthropic.com", ("1.2.3.4", "::5"))
    auto.resolved("example.com", ("9.9.9.9",))
    assert not auto.connected("1:1", "9.9.9.9")
    assert auto.connected("1:1", "::5")
    assert not auto.connected("1:1", "1.2.3.4")
    assert auto.connected("1:2", "1.2.3.4"), "another process with the same pid"


def test_an_address_that_got_another_name_counts_no_more() -> None:
    auto = AutoEnrol()
    auto.resolved("api.anthropic.com", ("1.2.3.4",))
    auto.resolved("example.com", ("1.2.3.4",))
    assert not auto.connected("1:1", "1.2.3.4")


def test_sni_names_a_process_without_dns() -> None:
    auto = AutoEnrol()
    assert auto.indicated("1:1", "api.openai.com")
    assert not auto.indicated("1:1", "api.openai.com")
    assert not auto.indicated("2:1", "example.com")


def test_memory_is_bounded() -> None:
    auto = AutoEnrol()
    for n in range(MAX_ADDRESSES + 10):
        auto.resolved("api.openai.com", (f"a{n}",))
    assert not auto.connected("1:1", "a0")
    assert auto.connected("1:1", f"a{MAX_ADDRESSES + 9}")
