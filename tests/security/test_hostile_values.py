"""What people and files can name never becomes SQL, a path of somebody else's, or a run of anything.

The statements are those of the pipeline, rendered as it renders them and executed by the local Athena.
"""

from __future__ import annotations

import copy
import csv
import io
import json
from datetime import date
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from medlaunch import lake
from medlaunch.accreditation import filter_expiring, window_end
from medlaunch.athena import statements
from medlaunch.pipelines.facility_accreditation_tasks import states
from tests.pipeline import DAG_ID, ROOT
from tests.sql.lake import DAYS, RUN, Athena, lake_with_results

VICTIM = RUN  # the run whose results an attacker would like to reach

ATTACKS = [
    f"x' OR run = '{VICTIM}",
    "x' OR '1' = '1",
    "x'' OR ''1'' = ''1",
    "x'; DROP TABLE staging_facilities; --",
    "x' UNION ALL SELECT 'a', 'b', 1 --",
    "x') OR (1 = 1",
    "{{ run }}",
    "{% raw %}' OR 1 = 1 {% endraw %}",
    "${run}",
    "' || (SELECT max(facility_name) FROM staging_facilities) || '",
    "x\u2019 OR \u20191\u2019 = \u20191",
    "/* ' */ OR 1 = 1 -- ",
    "2026-11-01' OR snapshot_date > DATE '1900-01-01",
]
# Refused before they come near a statement: see test_sql.py.
SAFE = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\\"), max_size=60)
HOSTILE = st.sampled_from(ATTACKS) | SAFE.map(lambda text: f"{text}' OR '1' = '1") | SAFE
QUICK = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def athena(aws: Any, s3: Any) -> Athena:
    return lake_with_results(aws, s3)


def rows_or_failure(athena: Any, text: str) -> Any:
    """The rows of a statement, or that Athena let it fail."""
    try:
        return athena.select(text)
    except AssertionError as failed:
        if "'FAILED' == 'SUCCEEDED'" not in str(failed):
            raise
        return "failed"


@QUICK
@given(st.lists(HOSTILE, min_size=1, max_size=8))
@example(ATTACKS)
def test_values_come_back_as_they_were(athena: Any, texts: list[str]) -> None:
    rows = [(f"{number}", text) for number, text in enumerate(texts)]
    query = f"SELECT n, v FROM (VALUES {statements.literal(rows)}) AS t (n, v)"
    found = {row["n"]: row["v"] for row in athena.select(query)}
    assert found == dict(rows)


READING = pytest.mark.parametrize(
    "statement", ["check/count_lines.sql", "check/count_results.sql", "check/state_counts.sql"]
)


@READING
def test_there_is_something_to_reach(athena: Any, statement: str) -> None:
    assert athena.run(statement, run=VICTIM, slices=DAYS) != []


@READING
@QUICK
@given(HOSTILE)
@example(ATTACKS[0])
def test_no_run_reads_the_results_of_another(athena: Any, statement: str, run: str) -> None:
    rows = athena.run(statement, run=run, slices=DAYS)
    assert [row for row in rows if row.get("result_rows", "1") != "0"] == []


@QUICK
@given(HOSTILE, HOSTILE)
@example(ATTACKS[0], ATTACKS[3])
def test_nothing_is_written_outside_of_the_target(athena: Any, run: str, folder: str) -> None:
    def everything() -> set[str]:
        found = athena.s3.list_objects_v2(Bucket=athena.bucket).get("Contents", [])
        return {one["Key"] for one in found if not one["Key"].startswith("athena-results/")}

    before = everything()
    target = f"staging/{folder}/"
    text = athena.render(
        f"{DAG_ID}/extract/accredited_facilities_by_state.sql",
        run=run,
        slices=DAYS,
        as_of="2026-11-20",
        states=states(),
        target=lake.s3_uri(athena.bucket, target),
    )
    assert rows_or_failure(athena, text) in ([], "failed")
    assert {key for key in everything() - before if not key.startswith(target)} == set()
    assert before <= everything()


@pytest.mark.parametrize("day", [*ATTACKS, "2026-11-31", "", "20261101"])
def test_a_day_that_is_none_fails_or_finds_nothing(athena: Any, day: str) -> None:
    text = athena.render(f"{DAG_ID}/check/count_lines.sql", run=VICTIM, slices=[day])
    assert rows_or_failure(athena, text) in ([], "failed")


# ---------------------------------------------------------------------------------------------- exports


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x","y")', "\t=1", "=1\r\n=2"]
)
def test_cells_of_the_exports_are_raw_on_purpose(cell: str) -> None:
    """Programs read this file, and what they read must be what was uploaded: docs/security.md."""
    record = {
        "facility_id": "FAC00001",
        "facility_name": cell,
        "employee_count": 1,
        "location": {"address": cell, "city": cell, "state": "MI", "zip": cell},
        "accreditations": [
            {"accreditation_body": cell, "accreditation_id": cell, "valid_until": "2026-12-01"}
        ],
    }
    table = io.BytesIO()
    filter_expiring(
        [json.dumps(record).encode()],
        as_of=date(2026, 11, 20),
        window="P6M",
        snapshot_date=date(2026, 11, 1),
        csv_out=table,
        ndjson_out=io.BytesIO(),
    )
    (row,) = csv.DictReader(io.StringIO(table.getvalue().decode(), newline=""))
    columns = ("facility_name", "address", "city", "zip", "accreditation_body", "accreditation_id")
    assert {row[column] for column in columns} == {cell}


# ------------------------------------------------------------------------------------------------ params


@pytest.fixture(scope="module")
def dag() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(ROOT / "dags").dags[DAG_ID]


def accepted(dag: Any, **params: Any) -> bool:
    """Whether Airflow creates a run with these params."""
    from airflow.sdk.exceptions import ParamValidationError

    given_params = copy.deepcopy(dag.params)
    try:
        given_params.update(params)
        given_params.validate()
    except ParamValidationError:
        return False
    return True


@given(window=st.text(max_size=12) | st.sampled_from(["P6M\n", "P0D", "P", "P1Y6M", "-P1D", *ATTACKS]))
def test_a_window_is_refused_by_the_form_or_by_the_first_task(dag: Any, window: str) -> None:
    claim = dag.get_task("claim_uploads").python_callable
    if not accepted(dag, expiry_window=window):
        return
    try:
        window_end(lake.parse_date("2026-11-20"), window)
    except ValueError:
        # Before there is a run to read or write for: outside of a task, asking for it would be another error.
        with pytest.raises(AirflowFailException, match="params cannot be used"):
            claim(params={"as_of": "2026-11-20", "expiry_window": window})


@given(as_of=st.text(max_size=12) | st.dates().map(str) | st.sampled_from(ATTACKS))
def test_a_day_is_refused_by_the_form_or_by_the_first_task(dag: Any, as_of: str) -> None:
    claim = dag.get_task("claim_uploads").python_callable
    if not accepted(dag, as_of=as_of) or not as_of:
        return
    try:
        lake.parse_date(as_of)
    except ValueError:
        with pytest.raises(AirflowFailException, match="params cannot be used"):
            claim(params={"as_of": as_of, "expiry_window": "P6M"})


@pytest.mark.parametrize(
    "params",
    [
        {"as_of": "2026-11-31"},
        {"as_of": "20 November"},
        {"as_of": 20261120},
        {"expiry_window": "6 months"},
        {"expiry_window": "P6M'; DROP TABLE x; --"},
        {"expiry_window": None},
        {"expiry_window": 6},
    ],
)
def test_the_form_refuses_what_cannot_be_meant(dag: Any, params: dict[str, Any]) -> None:
    assert accepted(dag, as_of="2026-11-20", expiry_window="P180D")
    assert not accepted(dag, **params)
