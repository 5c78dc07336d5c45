"""Each statement of the nurse staffing pipeline: renders, parses as Athena SQL, and computes what the rules say.

The statements run on the local Athena; the expected figures are real ones, worked out by hand, or those of a model that
shares no code with the product.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from medlaunch import lake
from medlaunch.athena import statements
from medlaunch.staffing import gates
from tests.staffing_lake import DAG, RESULTS, StaffingLake, Upload, plain
from tests.staffing_model import VIEWS, Model
from tests.staffing_uploads import PBJ_HEADER, PROVIDER_HEADER, as_csv, pbj_row, provider_row

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/data/staffing"
SHARED = ROOT.parent / "shared/data"
RI_AND_WV = SHARED / "pbj/Payroll_Based_Journal_Daily_Nurse_Staffing_2023_Q2.csv"
ALL = sorted(
    path.relative_to(ROOT / "include/sql").as_posix() for path in (ROOT / "include/sql" / DAG).rglob("*.sql")
)


def pbj(name: str, rows: Sequence[Sequence[object]], second: int = 0) -> Upload:
    return Upload("pbj", name, as_csv(PBJ_HEADER, rows), second)


def provider(name: str, rows: Sequence[Sequence[object]], second: int = 0) -> Upload:
    return Upload("provider_info", name, as_csv(PROVIDER_HEADER, rows), second)


def only(rows: Sequence[dict[str, str]], **wanted: str) -> dict[str, str]:
    (row,) = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return row


@pytest.fixture(scope="module")
def tables(aws: Any, s3: Any) -> StaffingLake:
    return StaffingLake(aws("athena"), s3)


@pytest.fixture
def athena(tables: StaffingLake) -> StaffingLake:
    """Empty tables, for a test of its own."""
    tables.clear()
    return tables


# --- the statements --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_literals_with_a_point_are_decimals(name: str) -> None:
    """On Athena 1.2 is a double."""
    statement = sqlglot.parse_one(
        statements.render(
            name,
            {
                "s3": partial(lake.s3_uri, "b"),
                "run": "r",
                "slices": ["2024Q2"],
                "slices_and_before": ["2024Q2"],
                "target": "s3://b/x/",
            },
        ),
        dialect="athena",
    )
    bare = [
        one.sql()
        for one in statement.find_all(sqlglot.exp.Literal)
        if not one.is_string and "." in one.this and not isinstance(one.parent, sqlglot.exp.Cast)
    ]
    assert bare == []


@pytest.mark.parametrize("name", [name for name in ALL if "/tables/" in name])
def test_every_column_has_a_comment(name: str) -> None:
    statement = sqlglot.parse_one(
        statements.render(name, {"s3": partial(lake.s3_uri, "b")}), dialect="athena"
    )
    columns = [one for one in statement.find_all(sqlglot.exp.ColumnDef) if one.name]
    top = [one for one in columns if not one.find_ancestor(sqlglot.exp.DataType)]
    assert len(top) > 6
    assert [one.name for one in top if not one.find(sqlglot.exp.CommentColumnConstraint)] == []


# --- real rows -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(aws: Any, s3: Any) -> StaffingLake:
    """The second quarter of 2023 in Rhode Island and West Virginia, as CMS published it."""
    if not RI_AND_WV.exists():
        pytest.skip(f"the real file is not there: {RI_AND_WV}")
    athena = StaffingLake(aws("athena"), s3)
    run = athena.run(Upload("pbj", "PBJ_Daily_Nurse_Staffing_Q2_2023.csv", RI_AND_WV.read_bytes()))
    (counts,) = run.counts.values()
    assert (counts.lines, counts.slices) == (17_745, {"2023Q2": {"valid": 17_745}})
    return athena


def test_example_3_states_of_a_quarter(real: StaffingLake) -> None:
    hprd = real.view("v_hprd_state_quarter")
    ri, wv = only(hprd, state="RI"), only(hprd, state="WV")
    names = ("facilities", "total_hours", "resident_days", "total_hprd", "rank_in_quarter")
    assert [ri[name] for name in names] == ["75", "2301390.54", "625246", "3.68078", "1"]
    assert [wv[name] for name in names] == ["120", "2866453.26", "830786", "3.45029", "2"]
    assert only(real.view("v_weekend_gap_state_quarter"), state="RI")["total_gap"] == "-0.68571"
    shares = real.query(
        "SELECT state, CAST(sum(contract_hours) AS decimal(30, 5)) / sum(employee_hours + contract_hours) AS share, "
        "sum(contract_hours) AS contract_hours FROM v_staffing_mix_state_month GROUP BY state ORDER BY state"
    )
    assert [(row["share"], row["contract_hours"]) for row in shares] == [
        ("0.11495", "264545.63"),
        ("0.07991", "229048.21"),
    ]


def test_example_4_states_of_a_month(real: StaffingLake) -> None:
    hprd = real.view("v_hprd_state_month")
    ri, wv = only(hprd, state="RI", month="2023-04"), only(hprd, state="WV", month="2023-04")
    assert (ri["total_hours"], ri["resident_days"], ri["total_hprd"]) == ("747844.15", "205396", "3.64099")
    assert (wv["total_hours"], wv["resident_days"], wv["total_hprd"]) == ("930715.33", "272018", "3.42152")
    mix = only(real.view("v_staffing_mix_state_month"), state="RI", month="2023-04")
    assert (mix["contract_hours"], mix["contract_share"], mix["permanent_share"]) == (
        "89090.37",
        "0.11913",
        "0.88087",
    )


def test_real_rows_are_what_the_specification_counts(real: StaffingLake) -> None:
    (row,) = real.query(
        "SELECT count(*) AS days, count_if(census = 0) AS empty, count_if(total_hours = 0) AS idle, "
        "count_if(census > 0 AND total_hours > 24 * census) AS above_24 FROM gold_daily_staffing_fact"
    )
    assert row == {"days": "17745", "empty": "14", "idle": "197", "above_24": "10"}


def test_example_5_days_without_residents(athena: StaffingLake) -> None:
    athena.run(Upload("pbj", "a.csv", (DATA / "pbj_2023Q2_415052_51A009.csv").read_bytes()))
    facilities = athena.view("v_hprd_facility_quarter")
    home = only(facilities, ccn="415052")
    names = (
        "days",
        "total_hours",
        "resident_days",
        "total_hprd",
        "days_without_rn",
        "incomplete",
        "cms_excluded",
    )
    assert [home[name] for name in names] == ["91", "12476.55", "3205", "3.89284", "12", "false", ""]
    empty = athena.query(
        "SELECT ccn, count(*) AS days FROM gold_daily_staffing_fact WHERE census = 0 GROUP BY 1 ORDER BY 1"
    )
    assert empty == [{"ccn": "415052", "days": "11"}, {"ccn": "51A009", "days": "3"}]


def spread(total: int, parts: int) -> list[int]:
    return [total // parts + (place < total % parts) for place in range(parts)]


def burns() -> list[list[object]]:
    """015009 in 2024Q2: 91 days whose sums by month and kind of day are the real ones; hours in hundredths."""
    days = [date(2024, 4, 1) + timedelta(days=number) for number in range(91)]
    kinds = {(month, ends): [day for day in days if day.month == month and (day.weekday() > 4) == ends]
             for month in (4, 5, 6) for ends in (True, False)}  # fmt: skip
    census = {
        (4, True): 420,
        (5, True): 417,
        (6, True): 546,
        (4, False): 1156,
        (5, False): 1200,
        (6, False): 1110,
    }
    total = {(4, True): 1400_00, (5, True): 1400_00, (6, True): 1775_94}
    total |= {(4, False): 5341_29, (5, False): 5500_00, (6, False): 5402_47}
    rn = {True: iter(spread(1064_32, 26)), False: iter(spread(5178_74, 65))}
    lpn = {True: iter(spread(400_00, 26)), False: iter(spread(1649_16, 65))}
    rows = []
    for (month, ends), found in kinds.items():
        sums = zip(
            found,
            spread(census[month, ends], len(found)),
            spread(total[month, ends], len(found)),
            strict=True,
        )
        for day, residents, hours in sums:
            one, other = next(rn[ends]), next(lpn[ends])
            parts = {"rn": one, "lpn": other, "cna": hours - one - other}
            rows.append(
                pbj_row(
                    "015009",
                    day,
                    residents,
                    "AL",
                    **{name: f"{part / 100:.2f}" for name, part in parts.items()},
                )
            )
    return rows


def test_examples_1_and_2_what_cms_printed(athena: StaffingLake) -> None:
    cms = Upload("provider_info", "Dec2024.csv", (DATA / "ProviderInfo_2024_12.head.csv").read_bytes())
    run = athena.run(pbj("a.csv", burns()), cms, checks=["reconciliation"])
    assert run.checks["reconciliation"] == []
    hprd = only(athena.view("v_hprd_facility_quarter"), ccn="015009")
    assert [hprd[f"{group}_hours"] for group in ("rn", "lpn", "aide", "total")] == [
        "6243.06", "2049.16", "12527.48", "20819.70"
    ]  # fmt: skip
    assert hprd["resident_days"] == "4849"
    assert [hprd[f"{group}_hprd"] for group in ("total", "rn", "lpn", "aide")] == [
        "4.29361", "1.28749", "0.42259", "2.58352"
    ]  # fmt: skip
    gap = only(athena.view("v_weekend_gap_facility_quarter"), ccn="015009")
    assert (gap["weekend_total_hours"], gap["weekend_resident_days"]) == ("4575.94", "1383")
    assert (gap["weekend_total_hprd"], gap["weekend_rn_hprd"], gap["weekday_total_hprd"], gap["total_gap"]) == (
        "3.30871", "0.76957", "4.68660", "-1.37790"
    )  # fmt: skip
    (row,) = athena.view("v_hprd_reconciliation")
    assert (row["staffing_quarter"], row["processing_date"]) == ("2024Q2", "2024-11-01")
    assert (row["cms_total_hprd"], row["total_difference"]) == ("4.29361", "0.00000")
    assert (row["cms_rn_hprd"], row["rn_difference"]) == ("1.28749", "0.00000")
    months = athena.view("v_staffing_vs_occupancy_month", order="month")
    assert [(row["month"], row["occupancy"]) for row in months] == [
        ("2024-04", "0.92164"), ("2024-05", "0.91511"), ("2024-06", "0.96842")
    ]  # fmt: skip
    assert months[0]["total_hprd"] == "4.27747"
    assert {row["beds_from_later_snapshot"] for row in athena.view("v_bed_utilization_facility_month")} == {
        "true"
    }


# --- duplicates and order --------------------------------------------------------------------------


def test_a_record_that_is_read_anew_takes_its_own_place(athena: StaffingLake) -> None:
    """As in a replay after a rule has changed: the same upload, with the time at which it first came."""
    before = pbj("a.csv", [pbj_row("015009", "2024-04-01", 50, rn=8)], 1)
    after = pbj("a.csv", [pbj_row("015009", "2024-04-01", 50, rn=9)], 1)
    athena.run(before)
    athena.run(after)
    assert only(athena.view("gold_daily_staffing_fact"))["rn_hours"] == "9.00"
    known = athena.snapshots("silver_pbj_daily")
    run = athena.run(after, checks=["count_lines"])
    assert athena.snapshots("silver_pbj_daily") == known
    assert {row["outcome"]: row["lines"] for row in run.checks["count_lines"]} == {
        "valid": "1",
        "accepted": "1",
    }


def test_the_later_upload_wins_whatever_the_order_of_runs(athena: StaffingLake) -> None:
    old = pbj(
        "z.csv", [pbj_row("015009", "2024-04-01", 50, rn=8), pbj_row("015009", "2024-04-02", 51, rn=8)], 1
    )
    new = pbj("a.csv", [pbj_row("015009", "2024-04-01", "", rn=8)], 2)
    for order in ((old, new), (new, old)):
        athena.clear()
        for upload in order:
            athena.run(upload)
        rows = athena.query(
            "SELECT CAST(work_date AS varchar) AS day, census FROM silver_pbj_daily ORDER BY 1"
        )
        # What became blank is NULL; the day that the later file lacks stays.
        assert rows == [{"day": "2024-04-01", "census": ""}, {"day": "2024-04-02", "census": "51"}]
    changes = athena.snapshots("silver_pbj_daily"), athena.snapshots("gold_daily_staffing_fact")
    run = athena.run(old, new, checks=["count_lines"])
    assert {row["outcome"]: row["lines"] for row in run.checks["count_lines"] if row["upload_id"] == old.upload_id} == {
        "valid": "2", "accepted": "1"
    }  # fmt: skip
    assert (athena.snapshots("silver_pbj_daily"), athena.snapshots("gold_daily_staffing_fact")) == changes


def test_in_one_second_the_greater_key_wins_and_in_a_file_the_last_record(athena: StaffingLake) -> None:
    first, second = pbj_row("015009", "2024-04-01", 1), pbj_row("015009", "2024-04-01", 2)
    run = athena.run(
        pbj("a.csv", [second, first, first], 1), pbj("b.csv", [first, second], 1), checks=["superseded"]
    )
    (row,) = athena.query("SELECT census, source_key, source_line FROM silver_pbj_daily")
    assert row == {"census": "2", "source_key": "landing/pbj/b.csv", "source_line": "3"}
    assert [
        (row["superseded_identical"], row["superseded_different"])
        for row in sorted(run.checks["superseded"], key=lambda row: row["superseded_identical"], reverse=True)
    ] == [("2", "1"), ("0", "1")]


def test_other_quarters_are_not_written_again(athena: StaffingLake) -> None:
    athena.run(pbj("a.csv", [pbj_row("015009", "2024-04-01"), pbj_row("015009", "2024-07-01")]))
    files = 'SELECT file_path FROM "gold_daily_staffing_fact$files" ORDER BY 1'
    before = {row["file_path"] for row in athena.query(files)}
    athena.run(pbj("b.csv", [pbj_row("015009", "2024-07-01", 11)], 9))
    assert len(before & {row["file_path"] for row in athena.query(files)}) == 1


def test_a_row_that_silver_lost_leaves_the_fact(athena: StaffingLake) -> None:
    upload = pbj("a.csv", [pbj_row("015009", "2024-04-01"), pbj_row("015009", "2024-04-02")])
    athena.run(upload)
    athena.query("DELETE FROM silver_pbj_daily WHERE work_date = DATE '2024-04-02'")
    athena.run(pbj("b.csv", [pbj_row("015009", "2024-04-03")], 9))
    days = athena.query("SELECT CAST(work_date AS varchar) AS day FROM gold_daily_staffing_fact ORDER BY 1")
    assert [row["day"] for row in days] == ["2024-04-01", "2024-04-03"]


# --- beds, states, marks ---------------------------------------------------------------------------


def test_beds_of_a_month(athena: StaffingLake) -> None:
    athena.run(
        pbj("a.csv", [pbj_row("015009", f"2024-0{month}-01", 21) for month in (4, 5, 6)] + [pbj_row("025001", "2024-04-01")]),
        provider(
            "b.csv",
            [
                provider_row("015009", "2024-05-31", 40),
                provider_row("015009", "2024-06-01", 20),
                provider_row("015009", "2024-06-30", ""),
                provider_row("015009", "2024-07-01", 30),
                provider_row("025001", "2024-04-01", 0),
            ],
        ),
    )  # fmt: skip
    rows = athena.view("v_bed_utilization_facility_month", order="ccn, month")
    names = ("month", "beds", "beds_from_later_snapshot", "occupancy", "over_capacity")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("2024-04", "40", "true", "0.52500", "false"),
        ("2024-05", "40", "false", "0.52500", "false"),
        ("2024-06", "20", "false", "1.05000", "false"),
        ("2024-04", "", "false", "", "false"),
    ]
    state = only(athena.view("v_bed_utilization_state_month"), month="2024-04")
    assert (state["facilities"], state["facilities_without_beds"], state["resident_days"], state["occupancy"]) == (
        "2", "1", "21", "0.52500"
    )  # fmt: skip


def test_the_rows_own_state_counts(athena: StaffingLake) -> None:
    athena.run(
        pbj(
            "a.csv",
            [
                pbj_row("015009", "2024-04-01", 10, "RI", rn=20),
                pbj_row("015009", "2024-07-01", 10, "WV", rn=30),
            ],
        )
    )
    rows = athena.view("v_hprd_state_quarter", order="quarter")
    assert [(row["state"], row["total_hprd"]) for row in rows] == [("RI", "2.00000"), ("WV", "3.00000")]


def test_marks_of_a_quarter(athena: StaffingLake) -> None:
    days = [date(2024, 4, 1) + timedelta(days=number) for number in range(91)]
    rows = [pbj_row("015001", day, 10, rn="15.00") for day in days]  # exactly 1.5: not low
    rows += [pbj_row("015002", day, 10, rn="14.99") for day in days[:60]]
    rows += [pbj_row("015003", day, 10, cna="53") for day in days]
    rows += [pbj_row("015004", day, 10, cna="120.01") for day in days]
    rows += [pbj_row("015005", day, 0, cna="8") for day in days]
    rows += [pbj_row("015006", day, 10) for day in days]
    run = athena.run(pbj("a.csv", rows), checks=["quarter_coverage", "flags"])
    found = athena.view("v_hprd_facility_quarter", order="ccn")
    assert [(row["incomplete"], row["cms_excluded"], row["days_without_rn"]) for row in found] == [
        ("false", "", "0"),
        ("true", "low", "0"),
        ("false", "aide", "91"),
        ("false", "high", "91"),
        ("false", "", "0"),
        ("false", "low", "91"),
    ]
    assert (found[4]["total_hprd"], found[4]["resident_days"]) == ("", "0")
    assert run.checks["quarter_coverage"] == [
        {"slice": "2024Q2", "facilities": "6", "incomplete_facilities": "1"}
    ]
    (flags,) = run.checks["flags"]
    assert (flags["census_zero_with_hours"], flags["census_without_hours"]) == ("91", "91")


def test_ratios_are_rounded_half_up(athena: StaffingLake) -> None:
    # 0.625 / 100000 = 0.00000625; 1.5 / 100000 = 0.000015: a half, which goes up.
    rows = [
        pbj_row("015009", "2024-04-01", 100_000, rn="1.50"),
        pbj_row("015010", "2024-04-01", 100_000, rn="1.49"),
    ]
    athena.run(pbj("a.csv", rows))
    hprd = athena.view("v_hprd_facility_quarter", order="ccn")
    assert [row["rn_hprd"] for row in hprd] == ["0.00002", "0.00001"]


def test_states_beside_their_previous_quarter(athena: StaffingLake) -> None:
    athena.run(
        pbj(
            "a.csv",
            [pbj_row("015009", "2023-10-01", 10, rn=40), pbj_row("025001", "2024-04-01", 10, "WV", rn=40)],
        )
    )
    run = athena.run(pbj("b.csv", [pbj_row("015009", "2024-04-01", 7, rn=21)], 9), checks=["state_changes"])
    changes = {row["state"]: row for row in run.checks["state_changes"]}
    assert set(changes) == {"RI", "WV"}
    ri = changes["RI"]
    assert (ri["previous_quarter"], ri["hprd_change"], ri["resident_days_change"]) == (
        "2023Q4",
        "-0.25000",
        "-0.30000",
    )
    assert changes["WV"]["previous_quarter"] == ""


def test_facilities_that_provider_information_does_not_know(athena: StaffingLake) -> None:
    hours = pbj("a.csv", [pbj_row("015009", "2024-04-01"), pbj_row("39A433", "2024-04-01"), pbj_row("039433", "2024-05-01", 5, "WV")])  # fmt: skip
    run = athena.run(hours, checks=["unknown_ccn"])
    assert run.checks["unknown_ccn"] == []  # where nothing is known, nothing is unknown
    athena.run(provider("b.csv", [provider_row("39A433", "2024-05-01")]))
    run = athena.run(hours, checks=["unknown_ccn"])
    assert {row["ccn"] for row in run.checks["unknown_ccn"]} == {"015009", "039433"}
    dim = athena.view("gold_facility_dim", order="ccn")
    assert [(row["ccn"], row["in_provider_info"], row["state"]) for row in dim] == [
        ("015009", "false", "RI"),
        ("039433", "false", "WV"),
        ("39A433", "true", "RI"),
    ]


def test_differences_from_cms_are_listed(athena: StaffingLake) -> None:
    hours = pbj(
        "a.csv", [pbj_row("015009", "2024-04-01", 10, rn="40"), pbj_row("015010", "2024-04-01", 10, rn="40")]
    )
    cms = provider(
        "b.csv",
        [
            provider_row("015009", "2024-11-01", total="4.02010", rn="3.9"),
            provider_row("015010", "2024-11-01", total="4.02"),
        ],
    )
    # Whichever comes later finds them: the hours beside what CMS reports, and the other way round.
    assert athena.run(hours, checks=["reconciliation"]).checks["reconciliation"] == []
    for upload in (cms, hours):
        run = athena.run(upload, checks=["reconciliation"])
        assert [row["ccn"] for row in run.checks["reconciliation"]] == ["015009"]


# --- any uploads, in any order ---------------------------------------------------------------------

ccns = st.sampled_from(
    ["015009", "15009", " 015009.0 ", "51A009", "51a009", "039433", "3.9E+124", "", "1234567"]
)
days = st.sampled_from(
    [
        "20240401",
        "2024-04-04",
        "20240405",
        "2024-04-06",
        "20240407.0",
        "2024-05-01",
        "20240630",
        "2024-07-01",
        "20230229",
        "04/01/2024",
    ]
)
census = st.sampled_from(["10", "10", "9", "52.0", "0", "", "-1", "12.5", " 7 "])
hour = st.sampled_from(
    [*["0", "0", "8", "7.5", "", ".5", "5.", "0.005", "13946", "9999999.99", " 3.25"] * 9, "1e2"]
)
state = st.sampled_from(["RI", "RI", "WV", "wv ", "XX"])


@st.composite
def pbj_records(draw: st.DrawFn) -> list[object]:
    day = draw(days)
    text = day.replace("-", "")
    quarter = draw(
        st.sampled_from(
            [f"{text[:4]}Q{(int(text[4:6]) + 2) // 3}" if text[:8].isdigit() else "2024Q2"] * 9 + ["2024Q1"]
        )
    )
    values = draw(st.lists(hour, min_size=24, max_size=24)) if draw(st.booleans()) else ["8"] * 24
    return [draw(ccns), "Home", "Town", draw(state), "County", "7", quarter, day, draw(census), *values]


@st.composite
def provider_records(draw: st.DrawFn) -> list[object]:
    return provider_row(
        draw(ccns),
        draw(
            st.sampled_from(["2024-04-01", "20240501", "06/01/2024", "2024-11-01", "2024-10-01", "nonsense"])
        ),
        draw(st.sampled_from(["20", "25", "", "0", "3.0", "x"])),
        draw(state),
        draw(st.sampled_from(["", "4.29361", "3.5", "-1"])),
        draw(st.sampled_from(["", "1.28749"])),
        draw(st.sampled_from(["1", "5", "7", "", "5.0"])),
    )


@st.composite
def uploads(draw: st.DrawFn) -> Upload:
    name, second = draw(st.sampled_from(["a.csv", "b.csv", "c/d.csv"])), draw(st.integers(0, 3))
    if draw(st.integers(0, 2)):
        return pbj(name, draw(st.lists(pbj_records(), min_size=1, max_size=12)), second)
    return provider(name, draw(st.lists(provider_records(), min_size=1, max_size=6)), second)


def assert_equal(athena: StaffingLake, model: Model) -> None:
    """Every table and view is as the model says."""
    tables = {
        "silver_pbj_daily": model.silver("pbj"),
        "silver_provider_info": model.silver("provider_info"),
        "gold_daily_staffing_fact": model.facts(),
        "gold_quarterly_provider_fact": model.provider_facts(),
        "gold_facility_dim": model.facilities(),
        **{name: model.view(name) for name in VIEWS},
    }
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(tables, pool.map(athena.view, tables), strict=True))
    for name, expected in tables.items():
        rows = [
            {
                column: value
                for column, value in row.items()
                if column not in ("uploaded_at", "upload_id", "run_id")
            }
            for row in found[name]
        ]
        assert plain(rows, expected) == plain(expected, expected), name


# To make a failure smaller would take many runs.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


def settings_of(examples: int) -> settings:
    return settings(
        max_examples=examples, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck)
    )


@pytest.mark.timeout(1800)  # a busy machine takes long for so many statements
@settings_of(2)
@given(data=st.data())
def test_any_uploads_in_any_order_give_what_the_model_says(tables: StaffingLake, data: st.DataObject) -> None:
    publish_and_compare(tables, data)


@pytest.mark.slow
@pytest.mark.timeout(0)
@settings_of(100)
@given(data=st.data())
def test_many_uploads_in_any_order_give_what_the_model_says(
    tables: StaffingLake, data: st.DataObject
) -> None:
    publish_and_compare(tables, data)


def publish_and_compare(tables: StaffingLake, data: st.DataObject) -> None:
    tables.clear()
    model = Model()
    # Two uploads under one name in the same second cannot be.
    known = data.draw(
        st.lists(uploads(), min_size=1, max_size=3, unique_by=lambda one: (one.key, one.second))
    )
    for _ in range(data.draw(st.integers(1, 2))):
        batch = data.draw(
            st.lists(st.sampled_from(known), min_size=1, max_size=2, unique_by=lambda one: one.key)
        )
        run = tables.run(
            *batch, checks=["count_lines", "superseded", "silver_key_unique", "silver_gold_agree"]
        )
        accounts = model.run((one.dataset, one.key, one.body, one.second) for one in batch)
        for one in batch:
            counts, account = run.counts[one.key], accounts[one.key]
            assert (counts.lines, counts.rejected_by_reason) == (account.read, account.rejected)
            outcomes = {(row["upload_id"], row["outcome"]): 0 for row in run.checks["count_lines"]}
            for row in run.checks["count_lines"]:
                outcomes[row["upload_id"], row["outcome"]] += int(row["lines"])
            accepted = outcomes.get((one.upload_id, "accepted"), 0)
            assert accepted == account.accepted
            assert outcomes.get((one.upload_id, "valid"), 0) == accepted + account.superseded
            if one.dataset == "pbj":
                lost = [row for row in run.checks["superseded"] if row["upload_id"] == one.upload_id]
                assert sum(int(row["superseded_identical"]) for row in lost) == account.identical
                assert sum(int(row["superseded_different"]) for row in lost) == account.different
        assert run.checks["silver_key_unique"] == []
        assert list(gates.silver_and_gold_agree(run.checks["silver_gold_agree"])) == []
    assert_equal(tables, model)


def test_the_results_of_the_pipeline_have_their_statements() -> None:
    names = {Path(name).stem for name in statements.statements(f"{DAG}/merge")}
    assert names == {name for names in RESULTS.values() for name in names}
