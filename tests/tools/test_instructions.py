"""
The judgement of `ci/instructions.py`; the counting itself needs valgrind and is no ordinary test.
"""

from __future__ import annotations

import pytest

from ci import instructions


@pytest.mark.parametrize(
    ("now", "fine"),
    [(1000.0, True), (1029.0, True), (1031.0, False), (900.0, True)],
)
def test_a_count_may_fall_but_not_rise(now: float, fine: bool) -> None:
    assert instructions.compare({"call": now}, {"call": 1000.0}) is fine


def test_a_path_without_a_record_is_not_judged(capsys: pytest.CaptureFixture[str]) -> None:
    assert instructions.compare({"new": 5000.0}, {"call": 1000.0})
    assert "not recorded" in capsys.readouterr().out


def test_every_recorded_path_is_still_counted() -> None:
    import json

    for recorded in json.loads(instructions.RECORD.read_text(encoding="utf-8")).values():
        assert set(recorded) == set(instructions.PATHS)
