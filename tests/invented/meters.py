"""A small invented pipeline, to prove that one can be added without touching generic code: its declaration and rules.

Water meters send readings, ``meter month litres`` on a line. The lines know their slice, the month; one file may hold
several. The readings are an Iceberg table, the totals of each month a partitioned one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from medlaunch.declaration import (
    BronzeWriter,
    CheckContext,
    Dataset,
    IcebergResult,
    LineCounts,
    LineWriter,
    Mismatch,
    PartitionedResult,
    Pipeline,
    SliceCounts,
    UploadRef,
)
from medlaunch.formats.content import Unreadable, UnreadableUpload

_LINE = re.compile(r"(\w+) (\d{4}-\d{2}) (\d+)")


def load(
    stream: BinaryIO, upload: UploadRef, out: BronzeWriter, rejects: LineWriter, *, reference: Path
) -> LineCounts:
    """Readings as JSON lines; a line that is none is rejected, in the slice ``unknown``."""
    slices: dict[str, Counter[str]] = {}
    number = 0
    for number, line in enumerate(stream, 1):
        text = line.decode().strip()
        if text == "corrupt":
            raise UnreadableUpload(Unreadable.CORRUPT_ARCHIVE, "the file says so")
        match = _LINE.fullmatch(text)
        month = match[2] if match else "unknown"
        slices.setdefault(month, Counter())["valid" if match else "malformed"] += 1
        row = {
            "meter": match[1] if match else None,
            "litres": int(match[3]) if match else None,
            "reject_reason": None if match else "malformed",
            "upload_id": upload.upload_id,
            "line_number": number,
        }
        out.write(month, json.dumps(row).encode() + b"\n")
        if not match:
            rejects.write(json.dumps({"raw": text, "line_number": number}).encode() + b"\n")
    return LineCounts(
        lines=number,
        slices={name: dict(found) for name, found in slices.items()},
        measures={"bytes_of_text": 1},
    )


def read_params(params: Mapping[str, Any]) -> dict[str, str]:
    if not re.fullmatch(r"litres|gallons", params["unit"]):
        raise ValueError(f"unit {params['unit']!r} is neither litres nor gallons")
    return {"unit": params["unit"]}


def checks(context: CheckContext) -> Iterator[Mismatch]:
    for one in context.slices:
        if one.rows.get("meter_readings", 0) != one.lines.accepted:
            yield f"meter_readings of {one.slice}: {one.rows.get('meter_readings', 0)} rows of {one.lines.accepted} accepted lines"


def summarise(params: Mapping[str, str], slices: Sequence[SliceCounts]) -> str:
    return f"Read in {params['unit']}."


WATER_METERS = Pipeline(
    dag_id="water_meters",
    title="Water meters",
    datasets=(
        Dataset(name="meters/readings", extensions=(".txt",), loader="tests.invented.meters:load"),
        Dataset(name="meters/by-hand", extensions=(".txt",), loader="tests.invented.meters:load"),
    ),
    slice_column="month",
    slice_name="month",
    record_name=("reading", "readings"),
    results=(
        IcebergResult(
            name="meter_readings",
            table="meter_readings",
            merge="merge/meter_readings.sql",
            keys=("meter",),
            slice_column="month",
        ),
        PartitionedResult(name="month_totals", table="month_totals"),
    ),
    read_params=read_params,
    checks=checks,
    summarise=summarise,
)
