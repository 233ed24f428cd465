"""URLs of receivers: what they mean, and that a malformed one is said with advice and without its secrets."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.endpoint import Endpoint, authorities, headers, parse
from polygraph.errors import PolygraphError
from tests.exporters.certificates import self_signed


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("grpc://localhost", Endpoint("grpc", "localhost", 4317, "", False)),
        ("grpc://10.0.0.1:55", Endpoint("grpc", "10.0.0.1", 55, "", False)),
        ("grpcs://tempo.example:443", Endpoint("grpc", "tempo.example", 443, "", True)),
        ("http://localhost:4317", Endpoint("grpc", "localhost", 4317, "", False)),
        ("https://localhost:4317/", Endpoint("grpc", "localhost", 4317, "", True)),
        ("http://localhost:4318", Endpoint("http", "localhost", 4318, "/v1/traces", False)),
        ("http://localhost:4318/", Endpoint("http", "localhost", 4318, "/v1/traces", False)),
        ("http://localhost:4318/v1/traces", Endpoint("http", "localhost", 4318, "/v1/traces", False)),
        ("https://api.example/otel", Endpoint("http", "api.example", 443, "/otel/v1/traces", True)),
        ("http://[::1]:4318", Endpoint("http", "::1", 4318, "/v1/traces", False)),
    ],
)
def test_a_url_names_protocol_host_port_path_and_tls(url: str, endpoint: Endpoint) -> None:
    assert parse(url) == endpoint


def test_an_address_of_ipv6_is_written_in_brackets() -> None:
    assert parse("grpc://[::1]").address == "[::1]:4317"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:4317",
        "ftp://localhost",
        "grpc://",
        "http://:4318",
        "http://host:0",
        "http://host:99999",
        "http://host:x",
        "http://[::1",
        "http://host:4318/?key=secret",
        "http://host:4318/#x",
        "http://host:4318/a b",
        "http://host\r\nx: y:4318",
        "grpc://host:4317/path",
        "http://ho_st!:4318",
        "http://hóst:4318",
    ],
)
def test_a_malformed_url_is_an_error_with_advice(url: str) -> None:
    with pytest.raises(PolygraphError) as caught:
        parse(url)
    assert caught.value.advice
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://ada:secret@host:4318", "grpc://secret@host", "x://ada:secret@host"])
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(PolygraphError) as caught:
        parse(url)
    assert "secret" not in str(caught.value)


@given(st.text() | st.from_regex(r"(grpc|https?)://[^/]*(:[0-9]*)?(/.*)?"))
def test_any_text_is_an_endpoint_or_a_polygraph_error(text: str) -> None:
    try:
        endpoint = parse(text)
    except PolygraphError as error:
        assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in str(error))
    else:
        assert endpoint.host.isascii()
        assert 0 < endpoint.port < 65536
        assert endpoint.path.isascii()


def test_headers_come_from_the_variables_of_opentelemetry_the_narrower_first() -> None:
    general = {"OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=k%20ey,Project=p"}
    assert headers(general) == {"x-api-key": "k ey", "project": "p"}
    assert headers(general | {"OTEL_EXPORTER_OTLP_TRACES_HEADERS": "a=b"}) == {"a": "b"}
    assert headers({}) == {}


@pytest.mark.parametrize(
    "text", ["x-api-key=secret%0d%0ahost: evil", "secret key=1", "=secret", "k=secr\u00e9t"]
)
def test_a_malformed_header_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(PolygraphError) as caught:
        headers({"OTEL_EXPORTER_OTLP_HEADERS": text})
    assert "secret" not in str(caught.value)


def test_authorities_come_from_the_variables_of_opentelemetry_the_narrower_first(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("a", "b")}
    for name, file in files.items():
        file.write_text(self_signed(name).certificate)
    general = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(files["a"])}
    assert authorities(general) == files["a"].read_text()
    both = general | {"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": str(files["b"])}
    assert authorities(both) == files["b"].read_text()
    assert authorities({}) is None


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\xff"])
def test_a_certificate_file_that_cannot_be_used_is_an_error_with_advice(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "authority.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PolygraphError) as caught:
        authorities({"OTEL_EXPORTER_OTLP_CERTIFICATE": str(file)})
    assert "authority.pem" in str(caught.value)
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in caught.value.advice


def test_checking_a_url_does_not_load_opentelemetry() -> None:
    """``polygraph run`` checks it before the command starts, which must not wait for a second."""
    code = "import sys, exporters.endpoint; sys.exit(any('opentelemetry' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
