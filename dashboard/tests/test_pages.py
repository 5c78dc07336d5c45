"""Every page over the samples: its numbers equal the samples' own account, and every state says what is the matter."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from typing import Any

import boto3
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import access, app, clinical, places, ui
from dashboard.config import Config
from dashboard.queries import Query, Reader
from dashboard.tests.pages import PAGES, Open, messages, metrics, table_with, tables

DAY = "2026-11-01"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_data(page: Open, name: str) -> None:
    shown = page(name)
    assert not shown.exception, shown.exception[0].message
    assert not shown.error
    assert tables(shown)
    assert "Since the dashboard started" in shown.markdown[-1].value


# ------------------------------------------------------------------------------- numbers: accreditation


def test_accredited_facilities_are_those_of_the_samples(page: Open, lake: dict[str, Any]) -> None:
    for day, expected in lake["accreditation"]["snapshots"].items():
        shown = page("accreditation_states", snapshot=day)
        states = table_with(shown, "state_code").set_index("state_code")
        assert states["facilities"].to_dict() == expected["facilities_by_state"]
        accredited = {state: count for state, count in states["accredited_facilities"].items() if count}
        assert accredited == expected["accredited_by_state"]
        assert metrics(shown)["Facilities"] == f"{expected['facilities']:,}"
        assert metrics(shown)["Accredited"] == f"{sum(expected['accredited_by_state'].values()):,}"
    one = page("accreditation_states", snapshot=DAY, state="TX")
    assert metrics(one)["Facilities"] == f"{expected['facilities_by_state']['TX']:,}"
    trend = table_with(one, "snapshot_date").set_index("snapshot_date")["facilities"]
    assert list(trend) == [
        account["facilities_by_state"]["TX"] for account in lake["accreditation"]["snapshots"].values()
    ]


def test_expiring_accreditations_are_those_of_the_samples(page: Open, lake: dict[str, Any]) -> None:
    for day, expected in lake["accreditation"]["snapshots"].items():
        shown = page("accreditation_expiring", snapshot=day)
        assert metrics(shown)["Accreditations"] == f"{expected['expiring_accreditations']:,}"
        assert metrics(shown)["Facilities"] == f"{expected['expiring_facilities']:,}"
        rows = table_with(shown, "accreditation_id")
        assert len(rows) == min(ui.PAGE_ROWS, expected["expiring_accreditations"])
        left = (pd.to_datetime(rows["valid_until"]) - pd.Timestamp(lake["accreditation"]["as_of"])).dt.days
        assert list(left) == list(rows["days_until_expiry"]) == sorted(left)
        weeks = table_with(shown, "week")
        assert weeks["accreditations"].sum() == expected["expiring_accreditations"]
        assert set(pd.to_datetime(weeks["week"]).dt.day_of_week) == {0}


def test_rejected_lines_are_those_of_the_samples(page: Open, lake: dict[str, Any]) -> None:
    for day, expected in lake["accreditation"]["snapshots"].items():
        shown = page("accreditation_rejects", snapshot=day)
        reasons = table_with(shown, "reject_reason", "lines").set_index("reject_reason")["lines"]
        assert reasons.to_dict() == expected["rejected_by_reason"]
    reason, lines = next(iter(expected["rejected_by_reason"].items()))
    rows = table_with(page("accreditation_rejects", snapshot=day, reason=reason), "line_number")
    assert set(rows["reject_reason"]) == {reason}
    assert len(rows) == lines


def test_the_overview_counts_what_was_read(page: Open, lake: dict[str, Any]) -> None:
    shown, totals = page(), lake["accreditation"]["totals"]
    slices = table_with(shown, "slice", "age")
    slices = slices[slices["pipeline"] == "facility_accreditation"].set_index("slice")
    for day, expected in lake["accreditation"]["snapshots"].items():
        row = slices.loc[day]
        assert row["lines_read"] == expected["lines"]
        assert row["lines_accepted"] == expected["accepted"] == expected["facilities"]
        assert row["lines_superseded"] == expected["superseded"]
        assert row["lines_rejected"] == expected["rejected"]
    reasons = table_with(shown, "reason", "lines")
    reasons = reasons[reasons["pipeline"] == "facility_accreditation"].set_index("reason")["lines"]
    assert reasons.to_dict() == totals["rejected_by_reason"]


def test_a_run_report_accounts_for_every_line(page: Open, lake: dict[str, Any]) -> None:
    account = lake["accreditation"]
    shown = page("run", pipeline="facility_accreditation", run=account["run"])
    assert any(account["run_id"] in one.value for one in shown.markdown)
    assert metrics(shown)["Lines read"] == f"{account['totals']['lines']:,}"
    assert any("Every line is accounted for" in one.value for one in shown.markdown)
    skipped = table_with(shown, "key", "reason")
    assert dict(
        zip(skipped["key"].str.removeprefix("landing/facilities/"), skipped["reason"], strict=True)
    ) == {f"{one['snapshot']}/{one['file']}": one["skipped"] for one in account["files"] if one["skipped"]}


def test_a_facility_is_shown_in_each_of_its_snapshots(page: Open) -> None:
    first = page("accreditation_facility")
    facility = first.selectbox(key="facility").value
    shown = page("accreditation_facility", facility=facility)
    assert list(table_with(shown, "snapshot_date")["snapshot_date"].astype(str)) == sorted(
        table_with(shown, "snapshot_date")["snapshot_date"].astype(str)
    )
    assert shown.query_params["facility"] == facility


# ------------------------------------------------------------------------------- numbers: staffing


def staffing_of(lake: dict[str, Any], quarter: str) -> dict[str, dict[str, int]]:
    """Sums of each state, hours in hundredths; states that have residents."""
    states = lake["staffing"]["states"]
    return {one["state"]: one for one in states if one["quarter"] == quarter and one["resident_days"]}


@pytest.mark.parametrize("quarter", ["2024Q1", "2024Q2"])
def test_hours_by_state_are_those_of_the_samples(page: Open, lake: dict[str, Any], quarter: str) -> None:
    expected = staffing_of(lake, quarter)
    shown = page("staffing_states", quarter=quarter)
    rows = table_with(shown, "state_code", "hprd").set_index("state_code")
    rows = rows[rows["resident_days"] > 0]
    assert rows["resident_days"].to_dict() == {state: one["resident_days"] for state, one in expected.items()}
    for state, one in expected.items():
        assert rows.loc[state, "hours"] == pytest.approx(one["total"] / 100)
        assert rows.loc[state, "hprd"] == pytest.approx(one["total"] / 100 / one["resident_days"])
    # The nation is a sum over sums; the mean of the states differs.
    nation = (
        sum(one["total"] for one in expected.values())
        / 100
        / sum(one["resident_days"] for one in expected.values())
    )
    assert metrics(shown)["Nation, hours per resident and day"] == f"{nation:.3f}"
    assert f"{rows['hprd'].mean():.3f}" != f"{nation:.3f}"


def test_weekends_and_weekdays_are_parts_of_all_days(page: Open) -> None:
    hours = {
        days: table_with(page("staffing_states", quarter="2024Q2", days=days), "state_code").set_index(
            "state_code"
        )["hours"]
        for days in ("all", "weekend", "weekday")
    }
    pd.testing.assert_series_equal(
        (hours["weekend"] + hours["weekday"]).sort_index(), hours["all"].sort_index(), check_names=False
    )


def test_contract_staff_is_that_of_the_samples(page: Open, lake: dict[str, Any]) -> None:
    months = table_with(page("staffing_months"), "contract_share")
    states = lake["staffing"]["states"]
    assert months["contract_hours"].sum() == pytest.approx(sum(one["contract"] for one in states) / 100)
    assert months["employee_hours"].sum() == pytest.approx(sum(one["employees"] for one in states) / 100)
    one = table_with(page("staffing_months", state="TX"), "contract_share")
    texas = [state for state in states if state["state"] == "TX"]
    assert one["employee_hours"].sum() == pytest.approx(sum(state["employees"] for state in texas) / 100)


def test_facilities_are_ranked_in_both_directions(page: Open) -> None:
    fewest = table_with(
        page("staffing_facilities", quarter="2024Q2", first="lowest", minimum="0"), "percentile"
    )
    most = table_with(
        page("staffing_facilities", quarter="2024Q2", first="highest", minimum="0"), "percentile"
    )
    assert list(fewest["hprd"].dropna()) == sorted(fewest["hprd"].dropna())
    assert list(most["hprd"].dropna()) == sorted(most["hprd"].dropna(), reverse=True)
    assert set(fewest["ccn"]) == set(most["ccn"])
    for _, state in fewest.groupby("state"):
        below = [100 * (state["hprd"] < hprd).sum() / max(1, len(state) - 1) for hprd in state["hprd"]]
        assert list(state["percentile"]) == pytest.approx(below)
    large = table_with(page("staffing_facilities", quarter="2024Q2", minimum="10000"), "percentile")
    assert large["resident_days"].min() >= 10_000


def test_implausible_values_are_flagged_and_not_dropped(page: Open) -> None:
    rows = table_with(page("staffing_facilities", quarter="2024Q2", minimum="0"), "implausible")
    total, aides = rows["hprd"], rows["implausible"].notna()
    assert list(rows[total < 1.5]["implausible"].unique()) == ["low"]
    assert not aides[total.between(1.5, 5.25)].any()


def test_a_nursing_home_is_beside_its_state_and_the_nation(page: Open, lake: dict[str, Any]) -> None:
    ccn = table_with(page("staffing_facilities", quarter="2024Q2"), "ccn")["ccn"].iloc[0]
    shown = page("staffing_facility", ccn=ccn, quarter="2024Q2")
    days = table_with(shown, "work_date")
    lived_in = days[days["census"] > 0]
    own = lived_in["total_hours"].sum() / lived_in["census"].sum()
    assert metrics(shown)["Total hours per resident and day"] == f"{own:.3f}"
    expected = staffing_of(lake, "2024Q2")
    nation = (
        sum(one["total"] for one in expected.values())
        / 100
        / sum(one["resident_days"] for one in expected.values())
    )
    assert metrics(shown)["Nation"] == f"{nation:.3f}"
    assert [one.label for one in shown.metric][1] in places.names().values()


# ------------------------------------------------------------------------------- numbers: clinical


def measured(lake: dict[str, Any], measure: str) -> dict[tuple[str, str], tuple[int, int]]:
    return {
        (one["org_id"], one["month"]): (one["numerator"], one["denominator"])
        for one in lake["clinical"]["measures"]
        if one["measure"] == measure
    }


def small_count(number: int) -> bool:
    return 0 < number < 11


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("clinical_mortality", "mortality_in_hospital"),
        ("clinical_mortality", "mortality_30d"),
        ("clinical_readmission", "readmission_30d"),
    ],
)
@pytest.mark.parametrize("org", ["ALL", "north", "riverside"])
def test_months_are_those_of_the_samples_or_hidden(
    page: Open, lake: dict[str, Any], name: str, measure: str, org: str
) -> None:
    expected = {month: counts for (where, month), counts in measured(lake, measure).items() if where == org}
    rows = table_with(page(name, org=org), "month", "numerator")
    rows = rows[rows["measure"] == measure].set_index("month")
    assert set(rows.index) == set(expected)
    for month, (numerator, denominator) in expected.items():
        row = rows.loc[month]
        if small_count(numerator) or small_count(denominator) or small_count(denominator - numerator):
            assert row["suppressed"], month
        if row["suppressed"]:
            assert row[["numerator", "denominator", "rate", "ci_low", "ci_high"]].isna().all()
        else:
            assert (row["numerator"], row["denominator"]) == (numerator, denominator)
            if denominator:
                assert row["rate"] == pytest.approx(numerator / denominator, abs=5e-6)


def test_hospitals_are_those_of_the_samples_or_hidden(page: Open, lake: dict[str, Any]) -> None:
    counts = measured(lake, "readmission_30d")
    shown = page("clinical_readmission")
    rows = table_with(shown, "outside").set_index("org_id")
    assert len(rows)
    for org, row in rows.iterrows():
        numerator = sum(above for (where, _), (above, _) in counts.items() if where == org)
        denominator = sum(below for (where, _), (_, below) in counts.items() if where == org)
        assert (row["numerator"], row["denominator"]) == (numerator, denominator)
        assert row["ci_low"] < row["rate"] < row["ci_high"]
    everywhere = [
        sum(pair[place] for (where, _), pair in counts.items() if where == "ALL") for place in (0, 1)
    ]
    hidden = {where for where, _ in counts} - {"ALL", *rows.index}
    text = " ".join(one.value for one in shown.markdown)
    assert f"All hospitals: {100 * everywhere[0] / everywhere[1]:.2f} %" in text
    assert len(hidden) != 1, "the total would show what one hospital hides"


def test_no_hidden_count_can_be_computed(lake: dict[str, Any], environment: pytest.MonkeyPatch) -> None:
    """Of each measure, what is shown leaves at least two hospitals and two years hidden, or none."""
    reader = Reader(Config.from_environment())
    for least in (11, 100, 300):
        [answer] = reader.rows(Query.of("clinical/totals", "v", measures="", minimum=least))
        rows = answer.frame
        assert not rows[~rows["suppressed"]]["numerator"].between(1, least - 1).any()
        for _, group in rows.groupby("measure"):
            total = group[(group["org_id"] == "ALL") & (group["period"] == "all")].iloc[0]
            for members in (group[group["org_id"] != "ALL"], group[group["period"] != "all"]):
                assert total["suppressed"] or members["suppressed"].sum() != 1


def test_infections_are_those_of_the_samples_or_hidden(page: Open, lake: dict[str, Any]) -> None:
    rows = table_with(page("clinical_infections"), "infection").set_index("infection")
    assert set(rows.index) == set(clinical.INFECTIONS.values())
    assert not rows["suppressed"].all()
    for measure, infection in clinical.INFECTIONS.items():
        counts = [pair for (where, _), pair in measured(lake, measure).items() if where == "ALL"]
        numerator, denominator = (sum(pair[place] for pair in counts) for place in (0, 1))
        if not rows.loc[infection, "suppressed"]:
            assert rows.loc[infection, "numerator"] == numerator
            assert rows.loc[infection, "per_1000"] == pytest.approx(1000 * numerator / denominator)


@pytest.mark.parametrize("org", ["ALL", "north", "riverside"])
def test_length_of_stay_is_that_of_the_samples(page: Open, lake: dict[str, Any], org: str) -> None:
    counts = [pair for (where, _), pair in measured(lake, "alos").items() if where == org]
    days, stays = (sum(pair[place] for pair in counts) for place in (0, 1))
    shown = page("clinical_los", org=org)
    assert metrics(shown)["Stays"] == f"{stays:,}"
    assert metrics(shown)["Mean, days"] == f"{days / stays:,.2f}"
    bins = table_with(shown, "length", "stays")
    assert not bins["stays"].between(1, 10).any()
    assert bins["suppressed"].sum() != 1
    if not bins["suppressed"].any():
        assert bins["stays"].sum() == stays


def test_from_a_rate_to_its_stays(page: Open, lake: dict[str, Any]) -> None:
    counts = measured(lake, "readmission_30d")
    shown = table_with(page("clinical_readmission"), "month", "numerator")
    seen = shown[~shown["suppressed"] & (shown["numerator"] > 0)]
    month = seen["month"].iloc[-1]
    stays = page("clinical_stays", measure="readmission_30d", org="ALL", month=month)
    rows = table_with(stays, "los")
    assert len(rows) == counts["ALL", month][0]
    assert set(rows.columns) & {"patient_id", "encounter_id", "episode_id", "admit", "discharge"} == set()
    hidden = shown[shown["suppressed"]]["month"].iloc[-1]
    refused = page("clinical_stays", measure="readmission_30d", org="ALL", month=hidden)
    assert "is not shown, and so are its stays" in messages(refused)
    assert not tables(refused)


def test_the_query_itself_gives_no_stays_behind_a_hidden_rate(
    lake: dict[str, Any], environment: pytest.MonkeyPatch
) -> None:
    reader = Reader(Config.from_environment())
    [months] = reader.rows(Query.of("clinical/months", "v", org="ALL", measures="readmission_30d"))
    rows = months.frame[months.frame["measure"] == "readmission_30d"]
    values: dict[str, str | int] = {"measure": "readmission_30d", "org": "ALL", "skip": 0, "until": 1_000}
    for row in rows.itertuples():
        [stays] = reader.rows(Query.of("clinical/stays", "v", month=str(row.month), **values))
        assert len(stays.frame) == (0 if row.suppressed else row.numerator)


@pytest.mark.parametrize(
    ("stays", "shown"),
    [
        ([20, 30, 0], [20, 30, 0]),
        ([20, 5, 30, 40], [None, None, 30, 40]),
        ([5, 4, 30], [None, None, None]),
        ([5, 9, 30], [None, None, 30]),
        ([0, 0, 11], [0, 0, 11]),
    ],
)
def test_small_bins_are_hidden_and_not_alone(stays: list[int], shown: list[int | None]) -> None:
    bins = clinical.suppress_bins(pd.DataFrame({"stays": stays}), 11)
    assert [None if pd.isna(one) else int(one) for one in bins["stays"]] == shown


@pytest.mark.parametrize(
    ("numerator", "denominator", "low", "high"),
    # Published examples: Newcombe 1998, table I (0.95, without continuity correction).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_are_the_published_ones(
    numerator: int, denominator: int, low: float, high: float
) -> None:
    assert clinical.wilson(numerator, denominator) == pytest.approx((low, high), abs=5e-5)


# ------------------------------------------------------------------------------------------ the URL


def test_filters_are_in_the_url(page: Open) -> None:
    shown = page("accreditation_states", state="TX", show="all")
    assert shown.selectbox(key="state").value == "TX"
    shown.selectbox(key="state").set_value("CA").run()
    assert shown.query_params["state"] == "CA"
    assert shown.query_params["show"] == "all"
    shown.selectbox(key="state").set_value("").run()
    assert "state" not in shown.query_params


def test_a_filter_is_kept_on_the_next_page(page: Open) -> None:
    shown = page("accreditation_states", state="TX")
    shown.switch_page("views/accreditation_expiring.py").run()
    assert shown.selectbox(key="state").value == "TX"


@pytest.mark.parametrize(
    "value", ["XX", "'; DROP TABLE facility_metrics --", "☂", "[x](javascript:alert(1))"]
)
def test_values_of_the_url_that_do_not_exist_are_dropped(page: Open, value: str) -> None:
    shown = page("accreditation_expiring", state=value, body=value, snapshot=value, page=value)
    assert not shown.exception
    assert not shown.error
    assert shown.selectbox(key="state").value == ""
    assert not {"state", "body", "snapshot", "page"} & set(shown.query_params)


def test_a_facility_that_does_not_exist_is_said_to(page: Open) -> None:
    shown = page("accreditation_facility", facility="FAC<b>0")
    assert "No published snapshot has a facility FAC\\<b\\>0" in messages(shown)


def test_a_long_table_is_paged_by_its_query(page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "PAGE_ROWS", 40)
    first = page("accreditation_expiring", snapshot=DAY)
    second = page("accreditation_expiring", snapshot=DAY, page="2")
    one, two = (table_with(shown, "accreditation_id") for shown in (first, second))
    assert len(one) == 40
    assert not set(one["accreditation_id"]) & set(two["accreditation_id"])
    beyond = page("accreditation_expiring", snapshot=DAY, page="99")
    assert int(beyond.query_params["page"]) == beyond.number_input(key="page").max


# ------------------------------------------------------------------------------------------ states


def test_athena_down_is_said(page: Open, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for name in PAGES:
        shown = page(name)
        assert not shown.exception
        assert "Athena does not answer" in messages(shown)


def test_a_missing_database_is_said(page: Open, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DASHBOARD_DATABASE", "nowhere")
    for name in PAGES:
        shown = page(name)
        assert not shown.exception
        assert "has no table for this page yet" in messages(shown)


def test_a_missing_table_is_said(page: Open, small: Any) -> None:
    rows = {"result_rows": {"gold_daily_staffing_fact": 1}}
    small({"publications": [PUBLICATION | rows | {"pipeline": name} for name in PIPELINES]})
    for name in PAGES:
        shown = page(name)
        assert not shown.exception
        assert "has no table for this page yet" in messages(shown), name


def test_a_missing_workgroup_is_said(page: Open, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DASHBOARD_WORKGROUP", "nowhere")
    assert "There is no workgroup nowhere" in messages(page())


def test_missing_credentials_are_said(page: Open, environment: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.delenv(name)
    assert "no AWS credentials" in messages(page())


def test_a_setting_that_cannot_be_used_is_said(page: Open, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DASHBOARD_QUERY_SECONDS", "soon")
    assert "DASHBOARD_QUERY_SECONDS='soon' is not a whole number" in messages(page())


PUBLICATION = {
    "publication": "p1",
    "action": "publish",
    "pipeline": "facility_accreditation",
    "slice": DAY,
    "version": "p1",
    "published_at": "2026-11-02 10:00:00",
    "published_by": "r1",
    "run_id": "r1",
    "params": {"as_of": "2026-11-02"},
    "lines_read": 1,
    "lines_accepted": 1,
    "lines_superseded": 0,
    "lines_rejected": 0,
    "result_rows": {"facility_metrics": 1},
    "bytes": 10,
}


@pytest.fixture
def small(
    lake: dict[str, Any], environment: pytest.MonkeyPatch
) -> Callable[[dict[str, list[dict[str, Any]]]], None]:
    """Makes a lake of its own with tables of JSON rows, in the columns of the real ones."""

    def make(rows: dict[str, list[dict[str, Any]]]) -> None:
        glue, s3 = boto3.client("glue"), boto3.client("s3")
        number = len(s3.list_buckets()["Buckets"])
        bucket = database = f"small{number}"
        s3.create_bucket(Bucket=bucket)
        glue.create_database(DatabaseInput={"Name": database})
        for name, content in rows.items():
            table = glue.get_table(DatabaseName=lake["environment"]["DASHBOARD_DATABASE"], Name=name)["Table"]
            described = table["StorageDescriptor"]
            keys = table.get("PartitionKeys", [])
            body = "\n".join(json.dumps(row) for row in content).encode()
            s3.put_object(Bucket=bucket, Key=f"{name}/rows.json", Body=body)
            glue.create_table(
                DatabaseName=database,
                TableInput={
                    "Name": name,
                    "TableType": "EXTERNAL_TABLE",
                    "StorageDescriptor": {
                        "Columns": [*described["Columns"], *keys],
                        "Location": f"s3://{bucket}/{name}/",
                        "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
                        "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                        "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
                    },
                },
            )
        environment.setenv("DASHBOARD_DATABASE", database)

    return make


PIPELINES = ("facility_accreditation", "nurse_staffing.pbj", "clinical_quality")
ACCREDITATION_TABLES = (
    "accredited_facilities_by_state",
    "expiring_accreditations",
    "facility_metrics",
    "facility_rejects",
)


def test_an_empty_lake_says_how_to_fill_it(page: Open, small: Any) -> None:
    small({"publications": []})
    for name in PAGES:
        shown = page(name)
        assert not shown.exception
        assert "published anything yet" in messages(shown)


def test_published_tables_without_rows_are_no_error(page: Open, small: Any) -> None:
    small({"publications": [PUBLICATION], **{name: [] for name in ACCREDITATION_TABLES}})
    for name in (one for one in PAGES if one.startswith("accreditation")):
        shown = page(name)
        assert not shown.exception
        assert not shown.error
        assert shown.info, name
    assert "no table for this page yet" in messages(page()), "the overview also reads run_reports"


def test_what_is_published_meanwhile_is_shown(
    page: Open, small: Any, environment: pytest.MonkeyPatch
) -> None:
    """The answer of before is used at once; the page runs again when a newer one says otherwise."""
    environment.setenv("DASHBOARD_VERSION_SECONDS", "1")
    state = {"state_code": "MI", "state_name": "Michigan", "facilities": 9, "as_of": "2026-11-02"}
    days = (DAY, "2026-12-01")
    small(
        {
            "publications": [PUBLICATION],
            "accredited_facilities_by_state": [
                state | {"accredited_facilities": number, "snapshot_date": day}
                for number, day in enumerate(days, 1)
            ],
        }
    )
    assert metrics(page("accreditation_states"))["Accredited"] == "1"
    later = PUBLICATION | {"slice": days[1], "publication": "p2", "published_at": "2026-12-02 10:00:00"}
    bucket = os.environ["DASHBOARD_DATABASE"]
    body = "\n".join(json.dumps(one) for one in (PUBLICATION, later)).encode()
    boto3.client("s3").put_object(Bucket=bucket, Key="publications/rows.json", Body=body)
    time.sleep(1.2)
    shown = page("accreditation_states")
    assert metrics(shown)["Accredited"] == "2"
    assert f"snapshot {days[1]}" in "".join(one.value for one in shown.markdown)


def test_one_row_is_shown(page: Open, small: Any) -> None:
    small(
        {
            "publications": [PUBLICATION],
            "accredited_facilities_by_state": [
                {"state_code": "MI", "state_name": "Michigan", "accredited_facilities": 1, "facilities": 1,
                 "as_of": "2026-11-02", "snapshot_date": DAY}
            ],
            "expiring_accreditations": [
                {"facility_id": "FAC1", "facility_name": "*One*", "state": "MI", "accreditation_body": "$CAP$",
                 "accreditation_id": "C1", "valid_until": "2026-11-03", "days_until_expiry": 1,
                 "run_date": "2026-11-02", "snapshot_date": DAY}
            ],
            "facility_metrics": [
                {"facility_id": "FAC1", "facility_name": "*One*", "employee_count": 1, "number_of_offered_services": 0,
                 "state": "MI", "snapshot_date": DAY}
            ],
            "facility_rejects": [
                {"reject_reason": "state_invalid", "reject_reasons": ["state_invalid"], "source_file": "x",
                 "line_number": 1, "snapshot_date": DAY}
            ],
        }
    )  # fmt: skip
    for name in (one for one in PAGES if one.startswith("accreditation")):
        shown = page(name)
        assert not shown.exception
        assert not shown.error
        assert all(len(one) == 1 for one in tables(shown)), name
    facility = page("accreditation_facility")
    assert facility.subheader[0].value == "\\*One\\*"
    assert metrics(facility)["First expiry"] == "none"


# ------------------------------------------------------------------------------- downloads, login, text


def test_a_download_is_what_the_table_shows() -> None:
    frame = pd.DataFrame(
        {
            "facility_name": ['Übung, "quoted"', "=1+1", None],
            "facilities": pd.array([1, None, 3], dtype="Int64"),
            "snapshot_date": pd.to_datetime(["2026-11-01", None, "2026-11-02"]),
            "accredited_share": [0.1, None, 1 / 3],
        }
    )
    back = pd.read_csv(
        io.BytesIO(ui.csv(frame)), dtype={"facilities": "Int64"}, parse_dates=["snapshot_date"]
    )
    pd.testing.assert_frame_equal(back, frame, check_dtype=False)
    assert b"2026-11-01,0.1" in ui.csv(frame)
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(ui.parquet(frame))), frame, check_dtype=False)


def test_text_of_the_data_means_nothing_in_markdown() -> None:
    assert ui.plain("[x](javascript:1) :red[y] $z$ <b>\n# q") == (
        "\\[x\\]\\(javascript\\:1\\) \\:red\\[y\\] \\$z\\$ \\<b\\> \\# q"
    )


@pytest.mark.parametrize(
    ("email", "list_", "may"),
    [
        ("ana@example.org", "", True),
        ("ana@example.org", "ana@example.org", True),
        ("ana@example.org", "@example.com, @example.org", True),
        ("ana@example.org.evil", "@example.org", False),
        ("bob@example.org", "ana@example.org", False),
        ("", "ana@example.org", False),
        ("", "@example.org", False),
    ],
)
def test_only_addresses_of_the_list_may_see_it(email: str, list_: str, may: bool) -> None:
    assert access.allowed(email, list_) is may


def test_with_auth_configured_a_login_is_required(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DASHBOARD_ALLOWED_EMAILS", "@example.org")
    shown = AppTest.from_file(str(app.__file__), default_timeout=60)
    shown.secrets["auth"] = {"redirect_uri": "http://localhost:8501/oauth2callback"}
    shown.user = {"is_logged_in": False}
    shown.run()
    assert [one.label for one in shown.button] == ["Log in"]
    assert not shown.metric
    shown.user = {"is_logged_in": True, "email": "eve@example.com"}
    shown.run()
    assert "may not see the dashboard" in messages(shown)
    assert not shown.metric
    shown.user = {"is_logged_in": True, "email": "ana@example.org"}
    shown.run()
    assert shown.metric
