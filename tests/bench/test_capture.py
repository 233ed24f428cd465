"""bench/capture.py on canned numbers, and one short run of it. Nothing is timed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import capture
from bench._harness import POLYGRAPH, BenchError, workplace
from bench.capture import Load, latency_parts, run, throughput_parts
from tests.load import conversation
from tests.load.conversation import Took


def arms(*, traced: float) -> dict[str, list[Took]]:
    """Untraced calls take 10 and 20 ms, traced ones ``traced`` times as long."""
    alone = [Took(3_000_000, 1.0, [0.01, 0.02, 0.02])] * 3
    return {
        "alone": alone,
        "control": alone,
        "traced": [Took(3_000_000, traced, [0.01 * traced, 0.02 * traced, 0.02 * traced])] * 3,
    }


def test_what_is_added_to_a_call_is_the_difference_of_the_medians() -> None:
    ratio, added = latency_parts(arms(traced=1.5))
    assert (ratio.value, ratio.baseline, ratio.ok) == (1.5, 1, False)
    assert added.value == pytest.approx(0.01) and added.baseline == pytest.approx(0.02)


def test_bytes_a_second_are_those_of_requests_and_answers() -> None:
    ratio, captured = throughput_parts(arms(traced=1.25))
    assert (ratio.value, ratio.ok) == (1.25, True)
    assert (captured.value, captured.baseline) == (2.4, 3)


def test_no_difference_is_said_to_be_none() -> None:
    assert latency_parts(arms(traced=1))[0].note == "not told apart from the control"
    assert throughput_parts(arms(traced=1))[0].note == "not told apart from the control"


def test_a_run_counts_only_when_every_call_was_captured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with workplace() as place, conversation.served(tmp_path) as model:
        took = run(model, Load(2, 3), place, observed=True)
        assert len(took.calls) == 6 and took.size > 0
        # what was not under observation is not in the store
        monkeypatch.setattr(capture, "traced", beside_another)
        with pytest.raises(BenchError, match="0 of 6 calls"):
            run(model, Load(2, 3), place, observed=True)


def beside_another(argv: tuple[str, ...]) -> tuple[str, ...]:
    """``argv`` alone, beside an observed command that says nothing."""
    observed = " ".join((*POLYGRAPH, "run", "--quiet", "--", "true"))
    return ("sh", "-c", f'{observed} && exec "$@"', "sh", *argv)
