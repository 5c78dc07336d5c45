"""Random uploads of the three pipelines: small, about the same few facilities and people, often wrong."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from datetime import date, timedelta

from tests import staffing_model
from tests.clinical_uploads import named, story
from tests.factories import facility, lines
from tests.staffing_uploads import PBJ_HEADER, PROVIDER_HEADER, as_csv, pbj_row, provider_row

SNAPSHOTS = ("2026-09-01", "2026-10-01", "2026-11-01")
QUARTERS = {"2024Q1": 2, "2024Q2": 5, "2024Q3": 8}
HOMES = ("015009", "415001", "51A009")
#: What is no gzip and no zip, whatever its name says.
CORRUPT = gzip.compress(b"some text")[:-9]

Made = tuple[str, bytes, frozenset[str]]


def facilities(rng: random.Random, broken: bool) -> Made:
    """Name below its data set's prefix, content, and slices."""
    day, name = rng.choice(SNAPSHOTS), rng.choice("abcd")
    if broken:
        return f"{day}/{name}.jsonl.gz", CORRUPT, frozenset()
    records: list[object] = []
    for number in rng.sample(range(1, 8), rng.randint(1, 5)):
        until = [str(date(2026, 11, 18) + timedelta(days=rng.choice((0, 2, 100, 183, 184, 400))))]
        where = {"address": "1 Main St", "city": "Town", "state": rng.choice(("MI", "OH", "PR")), "zip": "1"}
        one = facility(
            number,
            *until * rng.randint(1, 2),
            facility_name=f"Name {rng.randint(1, 99)}",
            employee_count=rng.choice((5, "7", 9)),
            location=where,
        )
        wrong = rng.randint(0, 9)
        if wrong == 0:
            one["employee_count"] = -1
        elif wrong == 1:
            one["facility_name"] = " "
        records.append(b"{broken\n" if wrong == 2 else one)
    body = lines(*records)
    if rng.random() < 0.2:
        return f"{day}/{name}.jsonl.gz", gzip.compress(body, mtime=0), frozenset({day})
    return f"{day}/{name}.jsonl", body, frozenset({day})


def pbj(rng: random.Random, broken: bool) -> Made:
    rows = []
    quarters = rng.sample(list(QUARTERS), rng.choice((1, 1, 2)))
    for quarter in quarters:
        for ccn in rng.sample(HOMES, rng.randint(1, 2)):
            for day in rng.sample(range(1, 5), rng.randint(1, 3)):
                hours = {name: f"{rng.randint(0, 90)}.{rng.randint(0, 99):02}" for name in ("rn", "cna_ctr")}
                census = rng.choice((0, 5, 10, 10, ""))
                rows.append(pbj_row(ccn, f"2024-{QUARTERS[quarter]:02}-{day:02}", census, "RI", **hours))
    if rng.random() < 0.3:
        # Rejected, of a quarter that the file has a part in anyway.
        rows.append(pbj_row("bad", f"2024-{QUARTERS[quarters[0]]:02}-09"))
    body = as_csv(PBJ_HEADER[:-1] if broken else PBJ_HEADER, [row[:-1] for row in rows] if broken else rows)
    return f"{rng.choice('abcd')}.csv", body, frozenset() if broken else frozenset(quarters)


def provider_info(rng: random.Random, broken: bool) -> Made:
    if broken:
        return "b.zip", b"PK\x03\x04" + CORRUPT, frozenset()
    days = [f"2024-{rng.randint(1, 9):02}-01" for _ in range(rng.randint(1, 2))]
    rows = [
        provider_row(ccn, day, rng.randint(5, 40), total=f"{rng.randint(1, 5)}.5", rating=rng.randint(1, 7))
        for day in days
        for ccn in rng.sample(HOMES, rng.randint(1, 2))
    ]
    slices = {staffing_model.quarter(date.fromisoformat(day)) for day in days}
    return f"{rng.choice('abc')}.csv", as_csv(PROVIDER_HEADER, rows), frozenset(slices)


def fhir(rng: random.Random, broken: bool) -> Made:
    if broken:
        return f"{rng.choice('ab')}.ndjson.gz", CORRUPT, frozenset()
    values = [one for _ in range(2) for one in named(story(rng), rng.choice("123"))]
    for one in values:
        moment = rng.choice(
            (None, None, "2024-06-01T00:00:00Z", "2024-06-02T00:00:00Z", "2024-06-01T00:00:00.5Z")
        )
        if moment:
            one["meta"] = {"lastUpdated": moment, "versionId": str(rng.randint(1, 12))}
        if rng.random() < 0.05:
            one["id"] = "not an id"
    body = b"".join(json.dumps(one).encode() + b"\n" for one in values) or b'{"resourceType": "Other"}\n'
    return f"{rng.choice('abcd')}.ndjson", body, frozenset({"all"})


MAKERS: dict[str, Callable[[random.Random, bool], Made]] = {
    "facilities": facilities,
    "pbj": pbj,
    "provider_info": provider_info,
    "fhir/bundles": fhir,
}
