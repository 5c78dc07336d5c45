"""The history test itself: it goes on while all is well, and ends where a table is not what the model says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.history.lake import Lake
from tests.history.model import Wrong
from tests.history.steps import History


@pytest.fixture
def lake(aws: Any, aws_url: str) -> Iterator[Lake]:
    made = Lake(aws, aws_url)
    yield made
    made.close()


def test_a_table_that_shows_another_version_is_found(lake: Lake) -> None:
    history = History(lake, seed=1)
    (pipeline, *_) = history.pipelines
    history.play(pipeline, "run")
    history.play(pipeline, "run")
    ((slice_, seen),) = [(one, track.seen[one]) for track in pipeline.tracks for one in track.seen][:1]
    lake.glue.delete_partition(
        DatabaseName=lake.database, TableName="facility_metrics", PartitionValues=[slice_]
    )
    with pytest.raises(Wrong, match=f"facility_metrics of {slice_}") as error:
        history.compare()
    assert "expected, not seen" in str(error.value)
    assert seen.inputs
