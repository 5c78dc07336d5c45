"""One alert when nothing was published for too long, and the next one only after that has ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from medlaunch import lake
from medlaunch.aws.documents import Run
from medlaunch.aws.objects import put_json
from medlaunch.operate import freshness
from medlaunch.pipelines import FACILITY_ACCREDITATION
from medlaunch.publish.manifests import Action, Publication

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Watched:
    """A lake that is looked at now and then."""

    def __init__(self, s3: Any, bucket: str):
        self.run = Run(s3, bucket, "check_freshness", "r", "test")
        self.sent: list[dict[str, Any]] = []

    def alert(self, message: dict[str, Any]) -> str:
        self.sent.append(message)
        return "id"

    def publish(self, moment: datetime, action: Action = Action.PUBLISH) -> None:
        name = f"{action}.{moment:%d-%H}"
        record = Publication(
            publication=name, action=action, pipeline=FACILITY_ACCREDITATION.dag_id, environment="test",
            slice="2026-11-01", version="v", replaced_version=None, previous_version=None,
            published_at=f"{moment:%Y-%m-%d %H:%M:%S}", published_by="r", run_id="r", reason=None, params={}, measures={},
            lines_read=0, lines_accepted=0, lines_superseded=0, lines_rejected=0, result_rows={},
            files=0, bytes=0, uploads=0, excluded_uploads=[],
        )  # fmt: skip
        key = lake.publication_key(FACILITY_ACCREDITATION.dag_id, record.slice, name)
        put_json(self.run.s3, self.run.bucket, key, record)

    def check(self, now: datetime) -> freshness.Finding:
        return freshness.check(self.run, FACILITY_ACCREDITATION, DAY, self.alert, now)


@pytest.fixture
def watched(s3: Any, bucket: str) -> Watched:
    return Watched(s3, bucket)


def test_one_alert_for_each_time_that_nothing_comes(watched: Watched) -> None:
    watched.publish(NOW)
    assert not watched.check(NOW + DAY).stale
    late = NOW + DAY + timedelta(minutes=1)
    found = watched.check(late)
    assert (found.stale, found.alerted, found.last_published_at) == (True, True, NOW)
    for hours in range(1, 50):
        assert watched.check(late + timedelta(hours=hours)).alerted is False
    assert len(watched.sent) == 1
    watched.publish(NOW + 4 * DAY)
    assert not watched.check(NOW + 4 * DAY).stale
    assert watched.check(NOW + 6 * DAY).alerted
    assert not watched.check(NOW + 7 * DAY).alerted
    assert [one["last_published_at"] for one in watched.sent] == [
        NOW.isoformat(),
        (NOW + 4 * DAY).isoformat(),
    ]


def test_the_alert_says_whether_the_sender_or_the_pipeline_is_silent(watched: Watched) -> None:
    watched.publish(NOW)
    watched.check(NOW + 2 * DAY)
    (message,) = watched.sent
    assert message["summary"] == "facility_accreditation is stale: nothing published for 48.0 h"
    assert (message["what"], message["severity"], message["stale_since"]) == (
        "stale",
        "warning",
        (NOW + DAY).isoformat(timespec="seconds"),
    )
    assert "nothing was uploaded" in message["what_to_do"]
    key = "landing/facilities/2026-11-01/a.jsonl"
    for name in (key, "landing/facilities/2026-11-01/.keep"):
        watched.run.s3.put_object(Bucket=watched.run.bucket, Key=name, Body=b"{}")
    watched.publish(NOW + 3 * DAY)
    watched.check(NOW + 5 * DAY)
    assert "is it paused" in watched.sent[1]["what_to_do"]
    assert watched.sent[1]["uploads"] == {"bucket": watched.run.bucket, "count": 1, "keys": [key]}


def test_where_nothing_was_ever_published_the_first_check_counts(watched: Watched) -> None:
    assert not watched.check(NOW).stale
    assert not watched.check(NOW + DAY).stale
    assert watched.check(NOW + DAY + timedelta(seconds=1)).alerted
    assert not watched.check(NOW + 9 * DAY).alerted
    assert watched.check(NOW).summary().endswith("last published: never; waiting in landing: 0")


def test_going_back_is_no_news(watched: Watched) -> None:
    watched.publish(NOW)
    watched.publish(NOW + DAY, Action.ROLLBACK)
    found = watched.check(NOW + 2 * DAY)
    assert (found.last_published_at, found.alerted) == (NOW, True)


def test_an_alert_that_could_not_be_sent_is_sent_by_the_next_check(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.publish(NOW)

    def refuses(_: Any) -> str:
        raise ConnectionError

    monkeypatch.setattr(watched, "alert", refuses)
    with pytest.raises(ConnectionError):
        watched.check(NOW + 2 * DAY)
    monkeypatch.undo()
    assert watched.check(NOW + 2 * DAY).alerted
    assert len(watched.sent) == 1
