"""A real Kafka broker (KRaft, one node) on loopback, for one test or a session of tests."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

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


class Broker:
    """Its data are kept over :meth:`stop`, :meth:`kill` and :meth:`start`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        got = subprocess.run([ROOT / "scripts" / "kafka.sh"], check=True, stdout=subprocess.PIPE, text=True)
        self.jars = Path(got.stdout.strip())
        self.version = self.jars.name.removeprefix("kafka-")
        self._port, controller = _free(), _free()
        self.bootstrap = f"127.0.0.1:{self._port}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "log4j2.yaml").write_text(_LOGGING)
        settings = _SETTINGS.format(port=self._port, controller=controller, folder=folder)
        (folder / "server.properties").write_text(settings)
        made = self._java("kafka.tools.StorageTool", "random-uuid").stdout.split()[-1]
        self._java("kafka.tools.StorageTool", "format", "--standalone", "-t", made, "-c", "server.properties")
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


def _free() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
