"""polygraph.reasons: the closed list is the design's."""

from polygraph.reasons import VERDICTS, reasons

REFUTING = """no_execution failed masked_exit empty_run subset stale superseded_by_failure wrong_target shadowed_tool
tampered_test not_written content_differs not_persisted not_read not_connected not_transferred undisclosed_effect"""
UNVERIFIABLE = """form_unknown still_running handed_off tls_not_seen stream_incomplete records_lost probe_missing
late_enrolment ambiguous guessed"""


def test_the_list_is_complete_and_closed() -> None:
    by_verdict = {word: {name for name, row in reasons().items() if row.verdict == word} for word in VERDICTS}
    assert by_verdict["refuted"] == set(REFUTING.split())
    assert by_verdict["unverifiable"] == set(UNVERIFIABLE.split())
    assert by_verdict["verified"] == set()


def test_only_a_contradiction_by_a_present_fact_needs_no_coverage() -> None:
    absent = {name for name, row in reasons().items() if row.verdict == "refuted" and not row.present_fact}
    assert absent == {"no_execution", "shadowed_tool", "not_written", "not_read", "not_connected"}
