"""A real Kafka broker (KRaft, one node) on loopback, for one test or a session of tests."""

from __future__ import annotations

import datetime as dt
import os
import re
import signal
import socket
import subprocess
import time
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).parents[2]
#: s; on a loaded machine it takes fifteen
_START, _STOP = 120.0, 30.0
_HEAP = "128m"
_SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/data
num.network.threads=2
num.io.threads=2
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.threads=1
"""
_LOGGING = """
Configuration:
  status: warn
  Appenders: {Console: {name: out, PatternLayout: {pattern: "%d %p %c %m%n"}}}
  Loggers:
    Root: {level: warn, AppenderRef: {ref: out}}
    Logger: {name: kafka.server.KafkaRaftServer, level: info}
"""


#: what is other where clients must use TLS and name a user; `INTERNAL` is the broker's own
_SECURE = """
listeners=SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},INTERNAL://127.0.0.1:{internal}
advertised.listeners=SASL_SSL://127.0.0.1:{port},INTERNAL://127.0.0.1:{internal}
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT
inter.broker.listener.name=INTERNAL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
"""
USER, PASSWORD = "polygraph", "of-this-test"


class Broker:
    """Its data are kept over :meth:`stop`, :meth:`kill` and :meth:`start`.

    ``secure``: clients use TLS, with ``folder/ca.pem``, and are USER with PASSWORD.
    """

    def __init__(self, folder: Path, *, secure: bool = False) -> None:
        self.folder = folder
        got = subprocess.run([ROOT / "scripts" / "kafka.sh"], check=True, stdout=subprocess.PIPE, text=True)
        self.jars = Path(got.stdout.strip())
        self.version = self.jars.name.removeprefix("kafka-")
        self._port, controller = _free(), _free()
        self.bootstrap = f"127.0.0.1:{self._port}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "log4j2.yaml").write_text(_LOGGING)
        settings = _SETTINGS
        users: tuple[str, ...] = ()
        if secure:
            _certify(folder)
            others = {line.split("=")[0] for line in _SECURE.splitlines()}
            kept = [line for line in _SETTINGS.splitlines() if line.split("=")[0] not in others]
            settings = "\n".join(kept) + _SECURE
            users = ("--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]")
        text = settings.format(port=self._port, controller=controller, internal=_free(), folder=folder)
        (folder / "server.properties").write_text(text)
        tool = "kafka.tools.StorageTool"
        made = self._java(tool, "random-uuid").stdout.split()[-1]
        self._java(tool, "format", "--standalone", "-t", made, "-c", "server.properties", *users)
        self._process: subprocess.Popen[bytes] | None = None

    def _java(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", f"{self.jars}/*", *arguments]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True)

    def start(self) -> None:
        """Returns when it serves. Raises RuntimeError with the end of its log."""
        command = [
            *(
                "java",
                f"-Xmx{_HEAP}",
                f"-Xms{_HEAP}",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xss512k",
            ),
            *("-XX:+ExitOnOutOfMemoryError", "-Dlog4j2.configurationFile=log4j2.yaml"),
            *("-cp", f"{self.jars}/*", "kafka.Kafka", "server.properties"),
        ]
        begin = self._said()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        until = time.monotonic() + _START
        while not (self._listens() and re.search("Kafka Server started", self._log()[begin:])):
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Kafka did not start:\n{self._log()[-3000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """As an operator does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As the machine does."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        os.kill(self._process.pid, number)
        try:
            self._process.wait(_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _log(self) -> str:
        path = self.folder / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _said(self) -> int:
        return len(self._log())

    def _listens(self) -> bool:
        with socket.socket() as one:
            one.settimeout(1)
            return one.connect_ex(("127.0.0.1", self._port)) == 0


def _certify(folder: Path) -> None:
    """A certificate of its own for 127.0.0.1: ``broker.pem`` with its key, ``ca.pem`` without."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "ca.pem").write_bytes(certificate)
    (folder / "broker.pem").write_bytes(secret + certificate)


def _free() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
