"""What `make test-peers` makes of a suite's report."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_aws_tests.peers import __main__ as peers

REPORT = """<testsuites><testsuite>
<testcase classname="tests.a" name="test_good"/>
<testcase classname="tests.a" name="test_bad[x-1]"><failure message="assert 1 == 2&#10;more"/></testcase>
<testcase classname="tests.a" name="test_torn"><error message="at teardown"/></testcase>
<testcase classname="tests.a" name="test_torn"/>
<testcase classname="tests.a" name="test_left_out"><skipped/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def found(tmp_path: Path) -> dict[str, tuple[str, str]]:
    (tmp_path / "report.xml").write_text(REPORT)
    return peers.outcomes(tmp_path / "report.xml")


def test_outcomes(found: dict[str, tuple[str, str]]) -> None:
    assert found == {
        "tests.a::test_good": ("passed", ""),
        "tests.a::test_bad[x-1]": ("failed", "assert 1 == 2"),
        "tests.a::test_torn": ("failed", "at teardown"),
        "tests.a::test_left_out": ("skipped", ""),
    }


@pytest.mark.parametrize(
    ("listed", "good", "said"),
    [
        ("# why\ntests.a::test_bad[x-1]\ntests.a::test_torn\n", True, "1 of 3 pass; 2 of 2 failures are explained"),
        ("# why\ntests.a::test_torn\n", False, "fails: tests.a::test_bad[x-1]\n    assert 1 == 2"),
        (
            "# why\ntests.a::test_bad[x-1]\ntests.a::test_torn\ntests.a::test_good\n",
            False,
            "passes, and is listed as failing: tests.a::test_good",
        ),
        ("# either: the client\ntests.a::test_bad[x-1]\ntests.a::test_torn\ntests.a::test_good\n", True, "1 of 3"),
        ("# why\ntests.a::test_bad[x-1]\ntests.a::test_torn\ntests.a::test_left_out\n", True, "1 of 3"),
    ],
)  # fmt: skip
def test_drift(
    found: dict[str, tuple[str, str]],
    listed: str,
    good: bool,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "expected").mkdir()
    (tmp_path / "expected" / "suite.txt").write_text(f"# Tests that fail, and why.\n{listed}")
    monkeypatch.setattr(peers, "HERE", tmp_path)
    assert peers.judge("suite", found) is good
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("suite", [s.name for s in peers.SUITES])
def test_each_listed_failure_has_a_reason(suite: str) -> None:
    failing, either = peers.expected(suite)
    assert not failing.keys() & either
    assert all(reason.strip() for reason in failing.values())
    assert all("::" in name for name in [*failing, *either])


def test_a_folder_without_tests_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="has no tests"):
        peers._copy(tmp_path, tmp_path / "copy", {})
