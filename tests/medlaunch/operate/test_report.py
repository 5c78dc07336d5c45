"""The report of a run: files of archives that were skipped while the archive was loaded."""

from __future__ import annotations

from typing import Any

import msgspec

from medlaunch import lake
from medlaunch.aws.documents import Run
from medlaunch.ingest.uploads import BATCH, loaded_name
from medlaunch.operate import report
from medlaunch.pipelines import FACILITY_ACCREDITATION
from medlaunch.publish.plan import EXCLUDED, PLANS
from tests.factories import DAG, batch, counts, group, loaded, upload


def test_files_of_archives_are_skipped_by_themselves(s3: Any, bucket: str) -> None:
    run = Run(s3=s3, bucket=bucket, name=DAG, run_id="manual__1", environment="test")
    one = upload("q.zip")
    member = f"{one.key}!a.csv"
    seen = msgspec.structs.replace(counts(1), skipped_members={member: "empty_file"})
    run.put(BATCH, batch(run))
    run.put(loaded_name(0), group(loaded(one, seen), loaded(upload("whole.zip"))))
    run.put(PLANS, [])
    run.put(EXCLUDED, [])
    written = report.write(run, FACILITY_ACCREDITATION, [])
    assert [(entry.key, entry.reason, entry.moved_to) for entry in written.report.skipped] == [
        (member, "empty_file", lake.archive_key(one.key))
    ]
    assert [(skipped.key, skipped.reason) for skipped in written.skipped_data] == [(member, "empty_file")]
    assert (written.report.files.loaded, written.report.files.skipped) == (2, 0)
    assert "Skipped: 1 object." in written.summary
