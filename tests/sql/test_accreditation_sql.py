"""Each statement of the accreditation pipeline: renders, parses as Athena SQL, and does what it says.

The statements run on the local Athena, on small tables with known rows.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from medlaunch import lake
from medlaunch.athena import statements
from medlaunch.pipelines.facility_accreditation_tasks import states
from tests.sql.lake import DAG, DAYS, RUN, Athena, lake_with_results

ROOT = Path(__file__).parents[2]
ALL = sorted(
    path.relative_to(ROOT / "include/sql").as_posix() for path in (ROOT / "include/sql").rglob("*.sql")
)


#: What restore_slice.sql and iceberg_history.sql want.
RESTORE = {
    "table": statements.Identifier("facts"),
    "keys": [statements.Identifier("id")],
    "values": [statements.Identifier("hours")],
    "columns": [statements.Identifier(name) for name in ("id", "quarter", "hours")],
    "slice_column": statements.Identifier("quarter"),
    "slice": "2024Q2",
    "snapshot": 949530903748831860,
}

#: What the clinical statements want.
CLINICAL = {
    "stay_classes": ["IMP", "ACUTE"],
    "data_end": "",
    "dates_from": "written",
    "facility_timezone": "UTC",
    "minimum_cell": "11",
}


@pytest.fixture(scope="module")
def athena(aws: Any, s3: Any) -> Athena:
    return lake_with_results(aws, s3)


@pytest.mark.parametrize("name", ALL)
def test_a_statement_parses_in_the_athena_dialect(name: str) -> None:
    text = statements.render(
        name,
        {
            "s3": partial(lake.s3_uri, "bucket"),
            "database": statements.Identifier("medlaunch"),
            "run": RUN,
            "slices": DAYS,
            "slices_and_before": DAYS,
            "as_of": "2026-11-20",
            "window_end": "2026-12-24",
            "target": "s3://bucket/x/",
            "states": states(),
            **CLINICAL,
            **RESTORE,
        },
    )
    (statement,) = sqlglot.parse(text, dialect="athena")
    assert statement is not None


@pytest.mark.parametrize("name", ALL)
def test_comments_are_lines_before_the_statement(name: str) -> None:
    """Clients of Athena have met DDL that failed on a comment in its middle; a leading one, dbt sends all the time."""
    lines = (ROOT / "include/sql" / name).read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    assert [line for line in lines[first:] if "--" in line] == []


def test_the_reference_list_has_50_states_dc_and_five_territories() -> None:
    codes = [code for code, _ in states()]
    assert len(codes) == len(set(codes)) == 56
    assert {"DC", "PR", "GU", "VI", "AS", "MP"} <= set(codes)


def staged(athena: Athena, table: str, columns: str, order: str) -> list[dict[str, str]]:
    days = ", ".join(f"'{day}'" for day in DAYS)
    return athena.select(
        f"SELECT snapshot_date, {columns} FROM {table} WHERE run = '{RUN}' AND snapshot_date IN ({days}) ORDER BY snapshot_date, {order}"
    )


def test_of_all_lines_of_a_facility_the_last_one_counts(athena: Athena) -> None:
    rows = staged(
        athena,
        "staging_facilities",
        "facility_id, facility_name, upload_id, location.zip AS zip",
        "facility_id",
    )
    assert [(r["snapshot_date"], r["facility_id"], r["upload_id"]) for r in rows] == [
        ("2026-10-01", "FAC00005", "oct"),
        ("2026-11-01", "FAC00001", "old"),
        ("2026-11-01", "FAC00002", "old"),
        ("2026-11-01", "FAC00003", "old"),
        ("2026-11-01", "FAC00004", "new"),
    ]
    assert rows[1]["facility_name"] == "said later in the file"
    assert {row["zip"] for row in rows} == {"02134"}


def test_metrics(athena: Athena) -> None:
    rows = staged(
        athena,
        "staging_facility_metrics",
        "facility_id, employee_count, number_of_offered_services, expiry_date_of_first_accreditation AS soonest, "
        "first_listed_accreditation_expiry AS listed, state",
        "facility_id",
    )
    november = {row["facility_id"]: row for row in rows if row["snapshot_date"] == "2026-11-01"}
    assert november["FAC00002"] == {
        "snapshot_date": "2026-11-01",
        "facility_id": "FAC00002",
        "employee_count": "2",
        "number_of_offered_services": "2",
        "soonest": "2026-12-24",  # the earliest readable date, not the first one listed
        "listed": "",  # the one listed first cannot be read
        "state": "OH",
    }
    assert (november["FAC00003"]["soonest"], november["FAC00003"]["listed"]) == ("", "")
    assert (november["FAC00004"]["soonest"], november["FAC00004"]["state"]) == ("2026-11-20", "PR")


def test_rejects(athena: Athena) -> None:
    rows = staged(
        athena,
        "staging_facility_rejects",
        "facility_id, state, reject_reason, array_join(reject_reasons, '+') AS reasons, source_file, line_number",
        "line_number",
    )
    assert rows == [
        {
            "snapshot_date": "2026-11-01",
            "facility_id": "",
            "state": "",
            "reject_reason": "state_invalid",
            "reasons": "state_invalid",
            "source_file": "landing/facilities/x",
            "line_number": "9",
        }
    ]


def test_counts_by_state(athena: Athena) -> None:
    rows = athena.run("check/state_counts.sql", run=RUN, slices=DAYS)
    assert [tuple(row.values()) for row in rows] == [
        ("2026-10-01", "MI", "Michigan", "1", "1", "2026-11-20"),
        # FAC00001's last word expired the day before; FAC00003 has none: two facilities, none accredited.
        ("2026-11-01", "MI", "Michigan", "0", "2", "2026-11-20"),
        ("2026-11-01", "OH", "Ohio", "1", "1", "2026-11-20"),
        # Valid on the very day counts.
        ("2026-11-01", "PR", "Puerto Rico", "1", "1", "2026-11-20"),
    ]
    assert list(rows[0]) == [
        "snapshot_date",
        "state_code",
        "state_name",
        "accredited_facilities",
        "facilities",
        "as_of",
    ]


def test_lines_are_counted_by_upload_and_outcome(athena: Athena) -> None:
    rows = athena.run("check/count_lines.sql", run=RUN, slices=DAYS)
    assert {(r["upload_id"], r["outcome"]): int(r["lines"]) for r in rows} == {
        ("old", "valid"): 6,
        ("old", "state_invalid"): 1,
        ("old", "accepted"): 3,
        ("new", "valid"): 1,
        ("new", "accepted"): 1,
        ("oct", "valid"): 1,
        ("oct", "accepted"): 1,
    }


def test_results_are_counted(athena: Athena) -> None:
    rows = athena.run("check/count_results.sql", run=RUN, slices=DAYS)
    assert {(r["result"], r["slice"]): (int(r["result_rows"]), int(r["facilities"])) for r in rows} == {
        ("facility_metrics", "2026-10-01"): (1, 1),
        ("facility_metrics", "2026-11-01"): (4, 4),
        ("facility_rejects", "2026-11-01"): (1, 0),
        ("accredited_facilities_by_state", "2026-10-01"): (1, 1),
        ("accredited_facilities_by_state", "2026-11-01"): (3, 4),
        ("expiring_accreditations", "2026-10-01"): (1, 1),
        ("expiring_accreditations", "2026-11-01"): (2, 2),
        ("expiring_facilities", "2026-10-01"): (1, 1),
        ("expiring_facilities", "2026-11-01"): (2, 2),
    }


def test_what_expires_includes_both_ends_of_the_window(athena: Athena) -> None:
    rows = staged(
        athena,
        "staging_expiring_accreditations",
        "facility_id, accreditation_id, valid_until, days_until_expiry, run_date",
        "valid_until",
    )
    assert [tuple(row.values()) for row in rows] == [
        ("2026-10-01", "FAC00005", "J0", "2026-12-01", "11", "2026-11-20"),
        ("2026-11-01", "FAC00004", "J0", "2026-11-20", "0", "2026-11-20"),
        ("2026-11-01", "FAC00002", "J2", "2026-12-24", "34", "2026-11-20"),
    ]


def test_views_show_the_latest_of_what_is_published(athena: Athena) -> None:
    for day in DAYS:
        for table in ("facility_metrics", "accredited_facilities_by_state", "expiring_accreditations"):
            location = lake.s3_uri(
                athena.bucket, f"{lake.staging_prefix(DAG, RUN)}{table}/snapshot_date={day}/"
            )
            athena.select(
                f"ALTER TABLE {table} ADD IF NOT EXISTS PARTITION (snapshot_date = '{day}') LOCATION '{location}'"
            )
    views = statements.statements(f"{DAG}/views")
    for name in sorted(views, key=lambda one: "/current_" in one):
        athena.query(athena.render(name))

    current = athena.select(
        "SELECT facility_id, snapshot_date FROM current_facility_metrics ORDER BY facility_id"
    )
    assert [tuple(row.values()) for row in current] == [
        ("FAC00001", "2026-11-01"),
        ("FAC00002", "2026-11-01"),
        ("FAC00003", "2026-11-01"),
        ("FAC00004", "2026-11-01"),
        ("FAC00005", "2026-10-01"),
    ]
    counts = athena.select("SELECT * FROM current_accredited_facilities_by_state ORDER BY state_code")
    assert [row["state_code"] for row in counts] == ["MI", "OH", "PR"]
    soon = athena.select("SELECT * FROM current_expiring_accreditations ORDER BY valid_until")
    assert [row["facility_id"] for row in soon] == ["FAC00004", "FAC00002"]
    assert soon[1] == {
        "facility_id": "FAC00002",
        "facility_name": 'Facility 2, "quoted" ünïcode',
        "address": "1 Main St",
        "city": "Ann Arbor",
        "state": "OH",
        "zip": "02134",
        "employee_count": "2",
        "accreditation_body": "Joint Commission",
        "accreditation_id": "J2",
        "valid_until": "2026-12-24",
        "days_until_expiry": "34",
        "run_date": "2026-11-20",
        "snapshot_date": "2026-11-01",
    }


def test_a_query_of_bronze_must_name_its_snapshots(athena: Athena) -> None:
    with pytest.raises(AssertionError, match="CONSTRAINT_VIOLATION"):
        athena.select("SELECT count(*) FROM bronze_facilities")
