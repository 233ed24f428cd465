"""bpf/tls_other.h: GnuTLS and NSS through their own clients, byte for byte, and nothing of others."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.collect import Collector
from polygraph.events import AnyEvent
from tests.live.conftest import Observe
from tests.live.terminator import answering, terminator
from tests.live.tls_stacks import Records, talks

#: so much that either client is preempted in the midst of a probe by the other one, which runs on the same CPU
LINES = 60_000
ANSWER = b"".join(b"answer %06d\n" % number for number in range(LINES))
QUESTION = b"".join(b"question %06d\n" % number for number in range(LINES))
OTHERS = QUESTION.replace(b"question", b"nobody's")


def gnutls(folder: Path, port: int) -> list[str]:
    """gnutls-cli, which says what stands in a file."""
    client = f"exec taskset -c 0 gnutls-cli --no-ca-verification -p {port} 127.0.0.1"
    return ["sh", "-c", f"{client} < {folder / 'question'} > {folder / 'log'}"]


def nss(folder: Path, port: int) -> list[str]:
    """tstclnt of the NSS tools; -o accepts any certificate, -D has no database of them."""
    return [
        "sh",
        "-c",
        f"exec taskset -c 0 tstclnt -D -o -h 127.0.0.1 -p {port} < {folder / 'question'} > {folder / 'log'}",
    ]


@pytest.mark.parametrize(("library", "client"), [("gnutls", gnutls), ("nss", nss)])
def test_every_byte_of_both_directions_and_none_of_a_process_outside(
    library: str,
    client: Callable[[Path, int], list[str]],
    observe: Observe,
    collector: Collector,
    records: Records,
    tmp_path: Path,
) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for folder, said in ((mine, QUESTION), (theirs, OTHERS)):
        folder.mkdir()
        (folder / "question").write_bytes(said)
    outside: list[int] = []

    def others(_events: list[AnyEvent]) -> None:
        """The same program with the same library, outside of the session, while it is observed."""
        if not outside:
            run = subprocess.run(client(theirs, elsewhere.port), check=False, timeout=60)
            outside.append(run.returncode)

    with (
        terminator(theirs, answering(len(OTHERS), ANSWER)) as elsewhere,
        terminator(mine, answering(len(QUESTION), ANSWER)) as server,
    ):
        seen = observe(client(mine, server.port), meanwhile=others)
    assert server.received == QUESTION and elsewhere.received == OTHERS
    assert not seen.lost and collector.tls.libraries
    (talk,) = talks(records)
    assert talk.key.library == library
    assert talk.sent == QUESTION
    assert talk.received == ANSWER
