"""README.md says what the tests prove."""

from __future__ import annotations

from local_aws_tests.supported import README, features, rendered


def test_table_is_current() -> None:
    text = README.read_text(encoding="utf-8")
    assert rendered(text) == text, "run: python -m local_aws_tests.supported"
    assert len(features()) > 30
