"""polygraph.settings: one file, the environment over it, and every mistake told with what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from polygraph.log.kafka.connect import ConnectError, arguments
from polygraph.settings import Correlator, Kafka, Settings, SettingsError, load
from scripts.docs_fleet import PAGES, filled


def test_without_a_file_the_defaults_hold() -> None:
    assert load(None, {}) == Settings()


def test_the_environment_is_put_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text('[kafka]\nbootstrap = ["a:1"]\nca_file = "/ca"\n[correlator]\nidle_hours = 2\n')
    environment = {
        "POLYGRAPH_KAFKA_BOOTSTRAP": "b:2, [::1]:3",
        "POLYGRAPH_CORRELATOR_COMMIT_SECONDS": "0.5",
        "POLYGRAPH_HOME": "/x",
    }
    assert load(file, environment) == Settings(
        kafka=Kafka(bootstrap=("b:2", "[::1]:3"), ca_file="/ca"),
        correlator=Correlator(idle_hours=2.0, commit_seconds=0.5),
    )


@pytest.mark.parametrize(
    ("text", "environment", "message", "advice"),
    [
        ("[kafka", {}, "no TOML", ""),
        ("kafka = 1", {}, "a section", ""),
        ("[kafak]\nx = 1", {}, "kafak", "did you mean [kafka]?"),
        ("[kafka]\nbootstrp = []", {}, "bootstrp", "did you mean bootstrap?"),
        ("[kafka]\nqqq = 1", {}, "qqq", "of [kafka]: bootstrap"),
        ("[qqq]\nx = 1", {}, "qqq", "sections: kafka"),
        ('[kafka]\nbootstrap = ["nowhere"]', {}, "bootstrap", ""),
        ('[kafka]\nsecurity = "none"', {}, "security", ""),
        ("[correlator]\nidle_hours = 0", {}, "idle_hours", ""),
        ("", {"POLYGRAPH_CORRELATOR_IDLE_HOURS": "soon"}, "idle_hours", ""),
    ],
)
def test_a_mistake_is_told(
    tmp_path: Path, text: str, environment: dict[str, str], message: str, advice: str
) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r".") as caught:
        load(file, environment)
    assert message in str(caught.value) and advice in caught.value.advice


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "none.toml", {})


def test_how_the_broker_is_reached() -> None:
    assert arguments(Kafka())["security_protocol"] == "PLAINTEXT"
    tls = arguments(Kafka(security="tls"))
    assert tls["security_protocol"] == "SSL" and tls["ssl_context"].verify_mode.name == "CERT_REQUIRED"
    user = arguments(Kafka(security="sasl_tls", sasl_user="u", sasl_password="p"))  # noqa: S106  none
    assert (user["security_protocol"], user["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")


def test_settings_that_do_not_fit_together_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match="no user or password"):
        arguments(Kafka(security="sasl_tls", sasl_user="u"))
    with pytest.raises(ConnectError, match="certificates"):
        arguments(Kafka(security="tls", ca_file=str(tmp_path / "none.pem")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_of_the_pages_are_the_generated_ones(page: Path) -> None:
    text = page.read_text("utf-8")
    assert "<!-- end -->" in text
    assert filled(text) == text, "run: python -m scripts.docs_fleet"
