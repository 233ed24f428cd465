"""polygraph.serving and metrics: what a service tells of itself."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import click
import pytest
from prometheus_client.parser import text_string_to_metric_families

from polygraph import serving as module
from polygraph.commands._content import Audited
from polygraph.commands._correlation import Told, read
from polygraph.commands._forward import Forwarder
from polygraph.log.kafka.group import Counted
from polygraph.log.kafka.publisher import Publisher
from polygraph.log.spool import Spool
from polygraph.log.store import Store
from polygraph.metrics import exposition, metrics
from polygraph.serving import Pulse, ServingError, serving


def asked(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_health_readiness_and_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"ready": False}
    pulse = Pulse()
    values = {"correlator_records_total": {(): 3.0}}
    with serving("127.0.0.1:0", pulse, lambda: state["ready"], lambda: values) as address:
        assert asked(address, "/readyz") == (503, "not ready\n")
        state["ready"] = True
        assert asked(address, "/readyz") == (200, "ready\n")
        assert asked(address, "/healthz") == (200, "alive\n")
        monkeypatch.setattr(module, "_STUCK", 0.0)
        assert asked(address, "/healthz") == (503, "stuck\n")
        assert "polygraph_correlator_records_total 3.0" in asked(address, "/metrics")[1]
        assert asked(address, "/") == (404, "/healthz, /readyz, /metrics\n")
        with pytest.raises(ServingError, match="cannot listen"), serving(address, pulse, bool, dict):
            pass


@pytest.mark.parametrize("listen", ["nowhere", "127.0.0.1:x", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_told(listen: str) -> None:
    with pytest.raises(ServingError, match="cannot listen"), serving(listen, Pulse(), bool, dict):
        pass


def test_each_service_tells_every_row_of_its_and_no_other(tmp_path: Path) -> None:
    rows = read(Counted(), Told(), {})
    assert rows.keys() == {name for name in metrics() if name.startswith("correlator_")}
    with Spool(tmp_path / "spool", 1 << 20) as spool:
        publisher = Publisher({"bootstrap_servers": "127.0.0.1:1"}, "t", spool)
        with (
            click.Context(click.Command("collector")).scope(),
            Store(tmp_path / "store") as store,
            Audited(store, "collector", "metadata") as audited,
        ):
            forwarder = Forwarder(publisher, spool, tmp_path / "notes", "boot", audited, Pulse())
            rows = forwarder.rows()
        publisher.close(0)
    assert rows.keys() == {name for name in metrics() if name.startswith("collector_")}


def test_what_prometheus_reads_is_well_formed() -> None:
    values = {"correlator_verdicts_total": {("refuted",): 2.0}, "correlator_open_sessions": {('a"\n',): 1.0}}
    families = list(text_string_to_metric_families(exposition(lambda: values).decode()))
    assert [(family.name, family.type) for family in families] == [
        ("polygraph_correlator_verdicts", "counter"),
        ("polygraph_correlator_open_sessions", "gauge"),
    ]
    assert families[1].samples[0].labels == {"partition": 'a"\n'}
    with pytest.raises(KeyError):
        exposition(lambda: {"unknown": {}})
