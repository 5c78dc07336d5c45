"""The facility uploads are what they claim to be: read again, naively, and counted independently."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sample_data.__main__ import main
from sample_data.account import Account, FileAccount
from sample_data.facilities import iter_records, write_single, write_uploads
from sample_data.facility_defects import ALL_DEFECTS, BAD_DEFECTS, REJECTING, TRUNCATED_LAST_LINE
from sample_data.facility_records import Horizon
from sample_data.places import PLACES

ROOT = Path(__file__).parents[2]
with (ROOT / "include/reference/states.csv").open(newline="", encoding="utf-8") as _states:
    STATES = {row["state_code"] for row in csv.DictReader(_states)}
SNAPSHOTS = ("2026-09-01", "2026-10-01", "2026-11-01")
# SHA-256 of some content: a change of the generator changes it; another platform, Python or hash seed must not.
PINNED = "3e4c8324a4f555d467068158022e16a994190f053b8b6ada5bda4e05e285ec04"
AS_OF, WINDOW_END = date(2026, 11, 20), date(2027, 5, 20)


# --- an independent reading --------------------------------------------------------------------------


@dataclass
class Read:
    """One value or broken line, as the rules see it; written from the rules, not from the generator."""

    line_number: int
    reasons: list[str]
    id: str = ""
    state: str = ""
    dates: list[date | None] = field(default_factory=list)
    differs: bool = False

    @property
    def reject_reason(self) -> str | None:
        return next((reason for reason in self.reasons if reason in REJECTING), None)


def content_of(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def parse(text: str) -> Any:
    def no_constant(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    return json.loads(text, parse_constant=no_constant)


def values_of(content: bytes, shape: str) -> Iterator[tuple[int, Any]]:
    """(physical line, value) of each value; of a broken line, the value is None."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    if shape.startswith("lines"):
        for number, line in enumerate(content.split(b"\n"), start=1):
            if line.strip(b" \t\r"):
                try:
                    yield number, parse(line.decode())
                except ValueError:
                    yield number, None
        return
    text = content.decode()
    at, end = 0, len(text)
    inside = {"[": 1, "]": 1, ",": 1} if shape.startswith("array") else {}
    if inside:
        assert isinstance(json.loads(text), list)
    while at < end:
        if text[at].isspace() or (text[at] in inside):
            at += 1
            continue
        value, after = json.JSONDecoder().raw_decode(text, at)
        yield text.count("\n", 0, at) + 1, value
        at = after


def judge(line_number: int, record: Any, snapshot: str) -> Read:
    if not isinstance(record, dict):
        return Read(line_number, ["malformed_json"])
    reasons = []
    identity = record.get("facility_id")
    identity = identity.strip().upper() if isinstance(identity, str) else ""
    if not re.fullmatch("FAC[0-9]+", identity):
        reasons.append("facility_id_does_not_start_with_FAC")
    name = record.get("facility_name")
    if not isinstance(name, str) or not name.strip():
        reasons.append("facility_name_blank_after_trim")
    count = record.get("employee_count")
    if isinstance(count, str) and re.fullmatch("[0-9]+", count.strip()):
        count = int(count)
    if type(count) is not int or not 0 <= count < 2**63:
        reasons.append("employee_count_negative_or_invalid")
    location = record.get("location")
    state = location.get("state") if isinstance(location, dict) else None
    state = state.strip().upper() if isinstance(state, str) else ""
    if state not in STATES:
        reasons.append("state_invalid")
    accreditations = record.get("accreditations")
    dates: list[date | None] = []
    if not isinstance(accreditations, list) or not accreditations:
        reasons.append("accreditations_missing_or_empty")
    else:
        dates = [
            real_date(one.get("valid_until")) if isinstance(one, dict) else None for one in accreditations
        ]
        if None in dates:
            reasons.append("invalid_or_missing_valid_until")
    own = real_date(record.get("snapshot_date"))
    return Read(
        line_number, reasons, identity, state, dates, own is not None and own != date.fromisoformat(snapshot)
    )


def real_date(value: Any) -> date | None:
    if not isinstance(value, str) or not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return None
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def verify(account: Account, folder: Path, as_of: date = AS_OF, window_end: date = WINDOW_END) -> None:
    """Compare every figure of an account with the files on disk."""
    on_disk = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert on_disk == sorted(f"{one.snapshot}/{one.file}" for one in account.files)
    winners: dict[tuple[str, str], tuple[FileAccount, Read]] = {}
    superseded: Counter[str] = Counter()
    path_of = {id(one): folder / one.snapshot / one.file for one in account.files}
    for one in sorted(account.data_files, key=lambda one: path_of[id(one)].stat().st_mtime):
        content = content_of(path_of[id(one)])
        assert one.bytes == path_of[id(one)].stat().st_size
        assert one.content_bytes == len(content)
        read = [judge(number, value, one.snapshot) for number, value in values_of(content, one.format)]
        rejected = [line for line in read if line.reject_reason]
        valid = [line for line in read if not line.reject_reason]
        assert one.lines == len(read) == one.accepted + one.superseded + one.rejected
        assert one.rejected == len(rejected)
        assert one.rejected_by_reason == Counter(line.reject_reason for line in rejected)
        assert one.rejected_by_any_reason == Counter(reason for line in rejected for reason in line.reasons)
        assert one.snapshot_date_differs == sum(line.differs for line in read)
        assert one.valid_without_accreditations == sum(
            "accreditations_missing_or_empty" in v.reasons for v in valid
        )
        assert one.invalid_accreditations_of_valid_lines == sum(line.dates.count(None) for line in valid)
        assert one.invalid_accreditations_of_rejected_lines == sum(
            line.dates.count(None) for line in rejected
        )
        for defective in one.defective:
            line = read[defective.record_number - 1]
            assert (defective.line_number, defective.reject_reason, defective.reject_reasons) == (
                line.line_number,
                line.reject_reason,
                line.reasons,
            ), (one.file, defective)
            assert defective.invalid_accreditations == line.dates.count(None)
            assert (defective.facility_id or "") == line.id
            assert (defective.outcome == "rejected") == bool(line.reject_reason)
        explained = {
            defective.record_number for defective in one.defective if defective.outcome == "rejected"
        }
        assert explained == {number for number, line in enumerate(read, start=1) if line.reject_reason}
        for line in valid:
            key = (one.snapshot, line.id)
            if key in winners:
                superseded[f"{key[0]}/{winners[key][0].file}"] += 1
            winners[key] = (one, line)
    for one in account.data_files:
        assert one.superseded == superseded[f"{one.snapshot}/{one.file}"]
    for name, results in account.snapshots.items():
        lines = [line for (snapshot, _), (_, line) in winners.items() if snapshot == name]
        valid_dates = [[day for day in line.dates if day] for line in lines]
        expiring = [sum(as_of <= day <= window_end for day in days) for days in valid_dates]
        accredited = Counter(
            line.state
            for line, days in zip(lines, valid_dates, strict=True)
            if any(day >= as_of for day in days)
        )
        assert results.facilities == len(lines) == account.total("accepted", name)
        assert results.facilities_by_state == Counter(line.state for line in lines)
        assert results.accredited_by_state == accredited
        assert results.expiring_accreditations == sum(expiring)
        assert results.expiring_facilities == sum(1 for count in expiring if count)
        assert results.without_valid_date == sum(not days for days in valid_dates)


def digest(folder: Path) -> dict[str, tuple[str, float]]:
    return {
        path.relative_to(folder).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Account]:
    folder = tmp_path_factory.mktemp("uploads")
    return folder, write_uploads(folder, records=3_000, seed=7, defective=0.05)


# --- the account -------------------------------------------------------------------------------------


def test_the_account_is_what_a_naive_reader_finds(uploads: tuple[Path, Account]) -> None:
    folder, account = uploads
    verify(account, folder)
    for reason in REJECTING:
        assert account.rejected_by_reason()[reason] > 10
    for figure in (
        "superseded",
        "blank_lines",
        "snapshot_date_differs",
        "invalid_accreditations_of_valid_lines",
    ):
        assert account.total(figure) > 0


def test_the_account_of_another_window(tmp_path: Path) -> None:
    account = write_uploads(
        tmp_path,
        records=800,
        snapshots=["2024-02-29"],
        as_of="2024-02-29",
        window_end="2024-08-27",
        defective=0.1,
    )
    verify(account, tmp_path, date(2024, 2, 29), date(2024, 8, 27))
    assert account.snapshots["2024-02-29"].expiring_facilities > 50


@given(
    records=st.integers(1, 60),
    seed=st.integers(0, 2**64),
    defective=st.floats(0, 1),
    snapshots=st.lists(st.dates(date(1970, 1, 2), date(2200, 1, 1)), min_size=1, max_size=3, unique=True),
)
@settings(max_examples=30, deadline=None)
def test_the_account_of_any_small_upload(
    records: int, seed: int, defective: float, snapshots: list[date], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    verify(
        write_uploads(folder, records=records, snapshots=snapshots, seed=seed, defective=defective), folder
    )


def test_every_kind_of_dirt_occurs_even_in_few_records(tmp_path: Path) -> None:
    account = write_uploads(tmp_path, records=200, defective=0.01)
    kinds = {defective.kind for file in account.files for defective in file.defective}
    assert kinds == {defects.name for defects in ALL_DEFECTS} | {TRUNCATED_LAST_LINE}
    verify(account, tmp_path)


def test_clean_uploads_have_only_corrections(tmp_path: Path) -> None:
    account = write_uploads(tmp_path, records=1_500, defective=0)
    verify(account, tmp_path)
    assert account.total("rejected") == account.total("blank_lines") == 0
    assert account.total("superseded") > 50
    assert not any(file.defective for file in account.files)


def test_dirt_has_its_share(uploads: tuple[Path, Account]) -> None:
    _, account = uploads
    lines = Counter(defective.kind for file in account.files for defective in file.defective)
    del lines[TRUNCATED_LAST_LINE]
    of_two_lines = {
        "duplicate",
        "duplicate_conflicting",
        "duplicate_in_other_case",
        "rejected_then_right",
        "right_then_rejected",
    }
    facilities = sum(count // 2 if kind in of_two_lines else count for kind, count in lines.items())
    assert facilities == len(SNAPSHOTS) * 3_000 * 0.05


def test_a_rejected_line_never_supersedes(uploads: tuple[Path, Account]) -> None:
    _, account = uploads
    outcomes: dict[str, set[tuple[str, ...]]] = {}
    for file in account.files:
        by_facility: dict[tuple[str, str | None], list[str]] = {}
        for defective in file.defective:
            by_facility.setdefault((defective.kind, defective.facility_id), []).append(defective.outcome)
        for (kind, _), found in by_facility.items():
            outcomes.setdefault(kind, set()).add(tuple(found))
    assert ("accepted", "rejected") in outcomes["right_then_rejected"]
    assert ("rejected", "accepted") in outcomes["rejected_then_right"]
    assert ("superseded", "accepted") in outcomes["duplicate_in_other_case"]


def test_expectations_are_written_as_json(tmp_path: Path) -> None:
    account = write_uploads(tmp_path / "uploads", records=100)
    account.write(tmp_path / "expect" / "account.json")
    stored = json.loads((tmp_path / "expect" / "account.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(account.as_dict()))
    totals = stored["totals"]
    assert totals["lines"] == totals["accepted"] + totals["superseded"] + totals["rejected"] > 300
    assert sum(totals["rejected_by_reason"].values()) == totals["rejected"]
    assert sum(one["lines"] for one in stored["files"]) == totals["lines"]
    assert sum(one["lines"] for one in stored["snapshots"].values()) == totals["lines"]


# --- files -------------------------------------------------------------------------------------------


def test_files_come_in_all_shapes_under_awkward_names(uploads: tuple[Path, Account]) -> None:
    folder, account = uploads
    names = {one.file for one in account.data_files}
    for awkward in (" ", "+", "%", "'", '"', "&", ",", "í", "☂"):
        assert any(awkward in name for name in names), awkward
    assert {"facilities.ndjson", "facilities.ndjson.gz"} <= names
    assert {one.format for one in account.data_files} == {
        "lines", "lines_crlf", "lines_bom", "lines_unterminated",
        "array", "array_of_lines", "array_pretty", "concatenated", "concatenated_pretty",
    }  # fmt: skip
    day = folder / SNAPSHOTS[2]
    assert content_of(day / "excel%20export+bom.jsonl").startswith(b"\xef\xbb\xbf{")
    crlf = content_of(day / "windows export (CRLF).jsonl")
    assert crlf.count(b"\r\n") == crlf.count(b"\n") > 100
    assert not content_of(day / "ambulatory.JSONL.gz").endswith(b"\n")
    assert not content_of(day / "facilities.ndjson").endswith((b"\n", b"}"))
    assert content_of(day / "nothing today.ndjson.gz") == b""
    for one in account.data_files:
        assert one.lines > 0 or one.file == "nothing today.ndjson.gz"


def test_what_is_no_data_is_said_to_be_set_aside(uploads: tuple[Path, Account]) -> None:
    folder, account = uploads
    assert account.skipped == {
        f"{day}/{name}": reason
        for day in SNAPSHOTS
        for name, reason in {
            ".keep": "hidden_file",
            "zero bytes.jsonl": "empty_object",
            "READ ME.txt": "unknown_extension",
            "contacts.xlsx": "unknown_extension",
        }.items()
    }
    assert (folder / SNAPSHOTS[0] / "zero bytes.jsonl").stat().st_size == 0


def test_a_damaged_gzip_on_request(tmp_path: Path) -> None:
    account = write_uploads(tmp_path, records=50, damaged_gzip=True)
    damaged = [key for key, reason in account.skipped.items() if reason == "corrupt_archive"]
    assert len(damaged) == 3
    for key in damaged:
        with pytest.raises((zlib.error, EOFError, gzip.BadGzipFile)):
            gzip.decompress((tmp_path / key).read_bytes())


def test_modification_times_are_the_order_of_upload(uploads: tuple[Path, Account]) -> None:
    folder, account = uploads
    times = [(folder / one.snapshot / one.file).stat().st_mtime for one in account.files]
    assert times == sorted(set(times)) == [one.mtime for one in account.files]
    last = account.files[-1]
    assert (last.snapshot, last.file) == (SNAPSHOTS[0], "late arrivals.ndjson")
    assert [one.file for one in account.files if one.snapshot == SNAPSHOTS[1]][
        -1
    ] == "facilities_corrected.jsonl"


def test_the_late_file_brings_news_and_corrections(uploads: tuple[Path, Account]) -> None:
    folder, account = uploads
    late = account.files[-1]
    ids = {
        json.loads(line)["facility_id"]
        for line in (folder / late.snapshot / late.file).read_bytes().splitlines()
    }
    before = {
        record["facility_id"]
        for one in account.data_files[:-1]
        if one.snapshot == late.snapshot
        for _, record in values_of(content_of(folder / one.snapshot / one.file), one.format)
        if isinstance(record, dict) and "facility_id" in record
    }
    assert len(ids & before) > 5
    assert len(ids - before) > 5


def test_writing_again_replaces_and_foreign_files_are_refused(tmp_path: Path) -> None:
    write_uploads(tmp_path, records=400, seed=1)
    first = digest(tmp_path)
    write_uploads(tmp_path, records=10, seed=1, defective=0)
    write_uploads(tmp_path, records=400, seed=1)
    assert digest(tmp_path) == first
    (tmp_path / SNAPSHOTS[1] / "mine.jsonl").write_bytes(b"{}")
    with pytest.raises(ValueError, match=r"2026-10-01/mine\.jsonl was not written by this call"):
        write_uploads(tmp_path, records=400, seed=1)
    with pytest.raises(ValueError, match="was not written by this call"):
        write_uploads(tmp_path, records=400, seed=1, snapshots=SNAPSHOTS[1:])
    assert (tmp_path / SNAPSHOTS[1] / "mine.jsonl").read_bytes() == b"{}"


# --- the same everywhere -----------------------------------------------------------------------------


def test_the_same_arguments_write_the_same_files(uploads: tuple[Path, Account], tmp_path: Path) -> None:
    folder, account = uploads
    again = write_uploads(tmp_path / "again", records=3_000, seed=7, defective=0.05, workers=2)
    assert digest(tmp_path / "again") == digest(folder)
    assert again == account
    write_uploads(tmp_path / "other", records=3_000, seed=8, defective=0.05)
    same = {name for name, found in digest(tmp_path / "other").items() if found == digest(folder)[name]}
    assert all(re.search(r"keep|zero|READ|xlsx|nothing", name) for name in same)


def test_content_is_pinned_for_every_platform_and_python() -> None:
    found = hashlib.sha256(
        b"".join(iter_records(2_000, seed=7, snapshot="2026-11-01", defective=0.1))
    ).hexdigest()
    assert found == PINNED


def test_no_hash_order_no_clock(tmp_path: Path) -> None:
    digests = []
    for hash_seed, zone in (("1", "UTC"), ("2", "Pacific/Auckland")):
        folder = tmp_path / hash_seed
        subprocess.run(
            [sys.executable, "-m", "sample_data", "facilities", "--out", str(folder), "--records", "150"],
            check=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": zone},
        )
        digests.append(digest(folder))
    assert digests[0] == digests[1]


# --- realistic ---------------------------------------------------------------------------------------


def records_of(n: int, **arguments: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in iter_records(n, defective=0, **arguments)]


def test_records_have_the_promised_size_and_share_of_expiring_facilities() -> None:
    lines = list(iter_records(20_000, defective=0))
    assert 520 < sum(map(len, lines)) / len(lines) < 590
    ends = [
        [date.fromisoformat(one["valid_until"]) for one in json.loads(line)["accreditations"]]
        for line in lines
    ]

    def share(first: date, last: date) -> float:
        return sum(any(first <= day <= last for day in days) for days in ends) / len(ends)

    assert 0.14 < share(AS_OF, WINDOW_END) < 0.165
    for day in (AS_OF, WINDOW_END, date(2026, 11, 19), date(2027, 5, 21)):
        assert 0.002 < share(day, day) < 0.012, day
    assert share(date(2000, 1, 1), date(2026, 11, 18)) > 0.15
    assert share(date(2028, 5, 20), date(2040, 1, 1)) > 0.3
    assert 0.02 < sum(not days for days in ends) / len(ends) < 0.04


def test_records_are_plain_json_in_the_usual_style() -> None:
    for line in iter_records(500, defective=0):
        record = json.loads(line)
        assert line == json.dumps(record, ensure_ascii=False).encode() + b"\n"
        assert list(record)[:4] == ["facility_id", "facility_name", "location", "employee_count"]
        assert record["services"]
        for lab in record["labs"]:
            assert lab["lab_name"]
            assert lab["certifications"]


# First digits of the ZIP codes of each state, written down independently of sample_data/places.py.
ZIP_PREFIXES = {
    "AL": "35 36", "AK": "995 996 997 998 999", "AS": "96799", "AZ": "85 86", "AR": "716 717 718 719 72", "CA": "90 91 92 93 94 95 960 961",
    "CO": "80 81", "CT": "06", "DE": "19", "DC": "200 202 203 204 205", "FL": "32 33 34", "GA": "30 31 398 399",
    "GU": "969", "HI": "967 968", "ID": "83", "IL": "60 61 62", "IN": "46 47", "IA": "50 51 52", "KS": "66 67",
    "KY": "40 41 42", "LA": "70 71", "ME": "039 04", "MD": "206 207 208 209 21", "MA": "01 02 055", "MI": "48 49",
    "MN": "55 56", "MP": "9695", "MS": "386 387 388 389 39", "MO": "63 64 65", "MT": "59", "NE": "68 69", "NV": "88 89",
    "NH": "03", "NJ": "07 08", "NM": "87 88", "NY": "10 11 12 13 14", "NC": "27 28", "ND": "58", "OH": "43 44 45",
    "OK": "73 74", "OR": "97", "PA": "15 16 17 18 190 191 192 193 194 195 196", "PR": "006 007 009", "RI": "028 029",
    "SC": "29", "SD": "57", "TN": "37 380 381 382 383 384 385", "TX": "75 76 77 78 79 885", "UT": "84", "VT": "05",
    "VA": "201 220 221 222 223 224 225 226 227 228 229 23 240 241 242 243 244 245 246", "VI": "008", "WA": "98 990 991 992 993 994",
    "WV": "247 248 249 25 26", "WI": "53 54", "WY": "82 83",
}  # fmt: skip


def test_cities_states_and_zip_codes_agree() -> None:
    assert {place.state for place in PLACES} == STATES == set(ZIP_PREFIXES)
    for place in PLACES:
        assert re.fullmatch(r"[0-9]{5}", place.zip)
        assert place.zip.startswith(tuple(ZIP_PREFIXES[place.state].split())), place
        assert place.city
    assert len({place.zip for place in PLACES}) == len(PLACES)
    known = {(place.city, place.state, place.zip) for place in PLACES}
    for record in records_of(2_000):
        location = record["location"]
        assert (location["city"], location["state"], location["zip"]) in known
        assert re.match(r"[0-9]+ \w", location["address"])


def test_facilities_persist_and_change() -> None:
    early, late = (
        {record["facility_id"]: record for record in records_of(8_000, snapshot=day)}
        for day in (SNAPSHOTS[0], SNAPSHOTS[2])
    )
    both = early.keys() & late.keys()
    assert len(both) > 7_800
    for key in both:
        assert early[key]["facility_name"] == late[key]["facility_name"]
        assert early[key]["location"] == late[key]["location"]
        assert [one["accreditation_id"] for one in early[key]["accreditations"]] == [
            one["accreditation_id"] for one in late[key]["accreditations"]
        ]
    numbers = range(1, 7_900)
    assert sum(f"FAC{one:07d}" in early and f"FAC{one:07d}" not in late for one in numbers) > 5
    assert sum(f"FAC{one:07d}" in late and f"FAC{one:07d}" not in early for one in numbers) > 5
    assert sum(early[key]["employee_count"] != late[key]["employee_count"] for key in both) > 500
    renewed = [key for key in both if early[key]["accreditations"] != late[key]["accreditations"]]
    assert len(renewed) > 50
    for key in renewed:
        ends = [[one["valid_until"] for one in year[key]["accreditations"]] for year in (early, late)]
        assert all(before <= after for before, after in zip(*ends, strict=True))


# --- one large file ----------------------------------------------------------------------------------


def test_single_file_has_exactly_the_lines_and_the_bad_share(tmp_path: Path) -> None:
    account = write_single(tmp_path / "2026-11-01" / "big.ndjson", records=20_000)
    verify(account, tmp_path)
    [file] = account.files
    assert file.lines == 20_000
    assert file.superseded == 0
    bad = file.rejected + sum(defective.outcome == "accepted" for defective in file.defective)
    assert bad == len(file.defective) == 200
    assert {defective.kind for defective in file.defective} == {defects.name for defects in BAD_DEFECTS}
    assert all(
        defective.outcome == "rejected" or defective.invalid_accreditations for defective in file.defective
    )
    lines = (tmp_path / "2026-11-01" / "big.ndjson").read_bytes()
    assert lines == b"".join(iter_records(20_000))
    packed = write_single(tmp_path / "2026-11-01" / "big.ndjson.gz", records=20_000)
    assert content_of(tmp_path / "2026-11-01" / "big.ndjson.gz") == lines
    assert packed.files[0].bytes < len(lines) / 4
    assert packed.snapshots == account.snapshots


def test_memory_does_not_grow_with_the_records() -> None:
    def peak(records: int) -> int:
        tracemalloc.start()
        for _ in iter_records(records):
            pass
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)
    assert peak(8_000) < peak(1_000) + 100_000


# --- arguments ---------------------------------------------------------------------------------------


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "facilities",
        "--out",
        str(tmp_path / "uploads"),
        "--records",
        "120",
        "--seed",
        "3",
        "--defective",
        "0.3",
    ]
    arguments += [
        "--snapshots",
        "2026-01-31, 2026-02-28",
        "--as-of",
        "2026-03-01",
        "--expect",
        str(tmp_path / "e.json"),
    ]
    assert main(arguments) == 0
    expected = json.loads((tmp_path / "e.json").read_text(encoding="utf-8"))
    assert f"{expected['totals']['lines']} lines" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "uploads").iterdir()) == ["2026-01-31", "2026-02-28"]
    assert expected["window_end"] == "2026-09-01"
    assert expected["totals"]["rejected"] > 20
    assert main(["facilities", "--single", str(tmp_path / "one.ndjson.gz"), "--records", "50"]) == 0
    assert len(content_of(tmp_path / "one.ndjson.gz").splitlines()) == 50


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--records", "0"], "records must be 1 or more, not 0"),
        (["--defective", "1.5"], "must be from 0 to 1, not 1.5"),
        (["--snapshots", "2026-13-01"], "'2026-13-01' is not a date: write it YYYY-MM-DD"),
        (["--snapshots", "20261101"], "'20261101' is not a date"),
        (["--snapshots", "2026-11-01,2026-11-01"], "one or more different dates"),
        (["--snapshots", ","], "one or more different dates, not none"),
        (["--as-of", "today"], "'today' is not a date"),
        (["--as-of", "2026-11-20", "--window-end", "2026-11-19"], "is before as_of 2026-11-20"),
        (["--as-of", "0001-01-01"], "outside the years"),
    ],
)
def test_arguments_that_make_no_sense(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["facilities", "--out", str(tmp_path / "uploads"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "uploads").exists()


def test_the_target_must_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ValueError, match="is a file; uploads are written into a folder"):
        write_uploads(tmp_path / "file", records=10)


@pytest.mark.parametrize(
    ("as_of", "end"),
    [
        ("2026-11-20", "2027-05-20"),
        ("2026-08-31", "2027-02-28"),
        ("2027-08-31", "2028-02-29"),
        ("2026-06-30", "2026-12-30"),
    ],
)
def test_six_months_are_calendar_months(as_of: str, end: str) -> None:
    assert Horizon.six_months(date.fromisoformat(as_of)).window_end == date.fromisoformat(end)
