"""Large uploads that several tasks load give what one task gives."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from medlaunch.aws.documents import Run
from medlaunch.aws.objects import delete_prefix, list_objects
from medlaunch.declaration import Pipeline
from medlaunch.ingest import loading, parts, uploads
from medlaunch.ingest.uploads import LoadedGroup, LoadedUpload, Share
from medlaunch.pipelines.facility_accreditation import FACILITY_ACCREDITATION
from medlaunch.pipelines.nurse_staffing import PBJ
from medlaunch.staffing.pbj import HOURS
from tests.factories import DAY, PARAMS, facility

REFERENCE = Path(__file__).parents[3] / "include" / "reference"
WHOLE = 1 << 40
PART = 100_000
FACILITIES = f"landing/facilities/{DAY}/large.jsonl"
STAFFING = "landing/pbj/large.csv"


@pytest.fixture
def run(s3: Any, bucket: str) -> Run:
    return Run(s3=s3, bucket=bucket, name="p", run_id="manual__1", environment="test")


def claim(run: Run, pipeline: Pipeline, part_bytes: int) -> uploads.Batch:
    return uploads.claim(
        run, pipeline, PARAMS, max_files=9, max_slices=9, max_groups=3, group_bytes=1, part_bytes=part_bytes
    )


def load_groups(run: Run, pipeline: Pipeline, batch: uploads.Batch) -> list[LoadedGroup]:
    for number in range(batch.groups):
        shares = run.get(uploads.group_name(number), list[Share])
        run.put(uploads.loaded_name(number), loading.load_group(run, pipeline, shares, REFERENCE))
    return uploads.read_groups(run, batch)


def content(run: Run, prefix: str) -> list[bytes]:
    """The lines of all objects below a prefix, in the order of their keys."""
    bodies = (
        run.s3.get_object(Bucket=run.bucket, Key=one.key)["Body"].read()
        for one in list_objects(run.s3, run.bucket, prefix)
    )
    return b"".join(bodies).splitlines(keepends=True)


def load(
    run: Run, pipeline: Pipeline, part_bytes: int
) -> tuple[int, LoadedUpload, dict[str, list[bytes]], list[bytes]]:
    """Load what is in landing; returns in how many parts, what was counted, bronze by slice, and the quarantine.

    A loader may write a few thousand accepted lines after a rejected one that follows them, so bronze is sorted.
    """
    for prefix in ("bronze/", "quarantine/", "staging/"):
        delete_prefix(run.s3, run.bucket, prefix)
    batch = claim(run, pipeline, part_bytes)
    groups = load_groups(run, pipeline, batch)
    loading.join_rejects(run, groups)
    count = sum(len(one.parts) for one in groups)
    (loaded,) = [one for group in uploads.read_loaded(run, batch) for one in group.loaded]
    assert (loaded.rejects_key is not None) == bool(content(run, "quarantine/"))
    folders = {one.key.rsplit("/", 1)[0] for one in list_objects(run.s3, run.bucket, "bronze/")}
    bronze = {folder: sorted(content(run, f"{folder}/")) for folder in folders}
    return count, loaded, bronze, content(run, "quarantine/")


def facility_lines(seed: int) -> bytes:
    """Records, damaged ones, several on a line, and values over lines."""
    chance = random.Random(seed)
    lines = []
    for number in range(900):
        one = json.dumps(
            facility(number, services=["é" * 40, "x" * chance.randrange(400)]), ensure_ascii=False
        )
        kind = chance.random()
        if number and kind < 0.03:
            one = chance.choice(
                [
                    one[: chance.randrange(len(one))],
                    one[:200] + "\n" + one[200:],
                    json.dumps(json.loads(one), indent=2),
                    f"{one}{one} {one}",
                    one.replace('"MI"', '"XX"'),
                    one.replace('"employee_count": 10', '"employee_count": NaN'),
                    "nonsense",
                    "",
                    "[1, 2]",
                ]
            )
        encoded = one.encode()
        if kind > 0.99:
            encoded = encoded.replace("é".encode(), b"\xe9")
        lines.append(encoded + chance.choice([b"\n", b"\n", b"\r\n"]))
    return b"".join(lines)


def pbj_lines(seed: int) -> bytes:
    """Records of three quarters, quoted line breaks, text that looks like records, and quotes that never close."""
    chance = random.Random(seed)
    header = [
        "PROVNUM", "PROVNAME", "CITY", "STATE", "COUNTY_NAME", "COUNTY_FIPS", "CY_Qtr", "WorkDate", "MDScensus",
        *(f"hrs_{hour}" for hour in HOURS), "\ufeffé new",
    ]  # fmt: skip
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    name = ["A", 'The "Home"', "line\nbreak", "é\r\nü", "x,y", "1\n" + ",".join("x" * len(header)) + "\n2"]
    for number in range(2_500):
        month = chance.choice(["04", "07", "10"])
        quarter = {"04": "2024Q2", "07": "2024Q3", "10": "2024Q4"}[month]
        hours = [f"{chance.randrange(80)}.5" for _ in HOURS]
        chosen = chance.choice(name) if chance.random() < 0.05 else "Plain"
        row = [
            f"{15000 + number:06d}",
            chosen,
            "c",
            "AL",
            "d",
            "1",
            quarter,
            f"2024{month}01",
            "50",
            *hours,
            "",
        ]
        if chance.random() < 0.02:
            row = chance.choice([row[:-1], [*row[:3], "XX", *row[4:]], [""] * len(row), ["x"] * len(row)])
        writer.writerow(row)
        if chance.random() < 0.01:
            out.write(chance.choice(['015001,"never closed,c\r\n', "\n", 'a"b,c\n', "\r"]))
    return out.getvalue().encode().replace("ü".encode(), b"\xfc")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("pipeline", "key", "make"),
    [(FACILITY_ACCREDITATION, FACILITIES, facility_lines), (PBJ, STAFFING, pbj_lines)],
    ids=["json_lines", "csv"],
)
def test_parts_give_what_one_task_gives(
    run: Run, pipeline: Pipeline, key: str, make: Any, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_PIECE", 9_973)
    run.s3.put_object(Bucket=run.bucket, Key=key, Body=make(seed))
    whole = load(run, pipeline, WHOLE)
    assert whole[0] == 0
    assert whole[1].counts.rejected > 10
    for part_bytes in (PART, 3 * PART):
        found = load(run, pipeline, part_bytes)
        assert found[0] >= 2
        assert found[1:] == whole[1:]


def test_loading_a_part_again_writes_the_same_objects(run: Run) -> None:
    run.s3.put_object(Bucket=run.bucket, Key=FACILITIES, Body=facility_lines(0))

    def all_objects() -> list[tuple[str, str]]:
        return [
            (one.key, one.etag)
            for prefix in ("bronze/", "quarantine/", "staging/p/run=manual__1/part_rejects/")
            for one in list_objects(run.s3, run.bucket, prefix)
        ]

    seen = []
    for _ in range(2):
        batch = claim(run, FACILITY_ACCREDITATION, PART)
        loading.join_rejects(run, load_groups(run, FACILITY_ACCREDITATION, batch))
        seen.append(all_objects())
    assert seen[0] == seen[1]


def test_an_upload_that_changes_between_two_parts_is_left_as_a_whole(run: Run) -> None:
    run.s3.put_object(Bucket=run.bucket, Key=FACILITIES, Body=facility_lines(0))
    batch = claim(run, FACILITY_ACCREDITATION, PART)
    first, *others = (run.get(uploads.group_name(number), list[Share]) for number in range(batch.groups))
    groups = [loading.load_group(run, FACILITY_ACCREDITATION, first, REFERENCE)]
    run.s3.put_object(Bucket=run.bucket, Key=FACILITIES, Body=facility_lines(1))
    groups += [loading.load_group(run, FACILITY_ACCREDITATION, one, REFERENCE) for one in others]
    loading.join_rejects(run, groups)
    joined = uploads.join_parts(groups)
    assert [one for group in joined for one in group.loaded] == []
    assert [key for group in joined for key in group.left_for_next_run] == [FACILITIES]
    assert content(run, "quarantine/") == []


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(random.Random(0).randbytes(3 * PART)),
        b"[" + b'{"a":1},\n' * PART + b'{"a":1}]',
        b'{"a":1}' * PART,
    ],
    ids=["gzip", "array", "one line"],
)
def test_what_cannot_be_cut_is_one_share(run: Run, body: bytes) -> None:
    run.s3.put_object(Bucket=run.bucket, Key=FACILITIES, Body=body)
    batch = claim(run, FACILITY_ACCREDITATION, PART)
    assert batch.groups == 1
    (share,) = run.get(uploads.group_name(0), list[Share])
    assert share.part is None


def _stored_zip() -> bytes:
    """An archive whose bytes hold the lines of its member as they are."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("large.csv", pbj_lines(0))
    return packed.getvalue()


@pytest.mark.parametrize("body", [gzip.compress(pbj_lines(0), 0), _stored_zip()], ids=["gzip", "zip"])
def test_an_archive_is_not_cut_whatever_its_bytes_look_like(run: Run, body: bytes) -> None:
    run.s3.put_object(Bucket=run.bucket, Key=STAFFING, Body=body)
    assert claim(run, PBJ, PART).groups == 1


def test_a_csv_file_without_a_header_is_left_to_the_task_that_loads_it(run: Run) -> None:
    run.s3.put_object(Bucket=run.bucket, Key=STAFFING, Body=b"\n" * 3 * PART)
    (group,) = load_groups(run, PBJ, claim(run, PBJ, PART))
    assert [one.reason for one in group.skipped] == ["empty_file"]
