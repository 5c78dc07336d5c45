"""The rules of the nurse staffing pipeline once more, written down as plainly as possible.

Shares no code with the product: whole files in memory, exact fractions, no fast path. From the bytes of uploads to every
table and view, as text as a CSV would have it.
"""

from __future__ import annotations

import calendar
import csv
import gzip
import io
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any


def _words(text: str) -> list[str]:
    return text.split()


STATES = set(
    _words(
        "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA "
        "RI SC SD TN TX UT VT VA WA WV WI WY PR GU VI AS MP"
    )
)
JOBS = _words("rndon rnadmin rn lpnadmin lpn cna natrn medaide")
HOURS = [job + kind for job in JOBS for kind in ("", "_emp", "_ctr")]
GROUPS = {
    "rn": ["rndon", "rnadmin", "rn"],
    "lpn": ["lpnadmin", "lpn"],
    "aide": ["cna", "natrn", "medaide"],
    "direct": ["rn", "lpn", "cna", "natrn", "medaide"],
    "total": JOBS,
}
PBJ_TEXTS = (
    "provnum",
    "provname",
    "city",
    "state",
    "county_name",
    "county_fips",
    "cy_qtr",
    "workdate",
    "mdscensus",
)
PBJ_REQUIRED = [
    "provnum",
    "state",
    "cyqtr",
    "workdate",
    "mdscensus",
    *(f"hrs{hour.replace('_', '')}" for hour in HOURS),
]

_C = " Staffing Hours per Resident per Day"
#: Canonical column -> headers of the three vocabularies; a trailing type says how it is read.
PROVIDER = {
    "ccn": ["PROVNUM", "Federal Provider Number", "CMS Certification Number (CCN)"],
    "state": ["STATE", "Provider State"],
    "processing_date": ["FILEDATE", "Processing Date"],
    "provider_name:text": ["PROVNAME", "Provider Name"],
    "address:text": ["ADDRESS", "Provider Address"],
    "city:text": ["CITY", "Provider City", "City/Town"],
    "zip:text": ["ZIP", "Provider Zip Code", "ZIP Code"],
    "county:text": ["COUNTY_NAME", "Provider County Name", "County/Parish"],
    "ownership_type:text": ["OWNERSHIP", "Ownership Type"],
    "certified_beds:int": ["BEDCERT", "Number of Certified Beds"],
    "avg_residents:decimal2": ["RESTOT", "Average Number of Residents per Day"],
    "avg_residents_footnote:note": ["Average Number of Residents per Day Footnote"],
    "overall_rating:stars": ["OVERALL_RATING"],
    "overall_rating_footnote:note": ["OVERALL_RATING_FN", "Overall Rating Footnote"],
    "inspection_rating:stars": ["SURVEY_RATING", "Health Inspection Rating"],
    "inspection_rating_footnote:note": ["SURVEY_RATING_FN", "Health Inspection Rating Footnote"],
    "qm_rating:stars": ["QUALITY_RATING", "QM Rating"],
    "qm_rating_footnote:note": ["QUALITY_RATING_FN", "QM Rating Footnote"],
    "staffing_rating:stars": ["STAFFING_RATING"],
    "staffing_rating_footnote:note": ["STAFFING_RATING_FN", "Staffing Rating Footnote"],
    "reported_staffing_footnote:note": ["STAFFING_FLAG", "Reported Staffing Footnote"],
    "aide_hprd:decimal5": ["AIDHRD", "Reported Nurse Aide" + _C],
    "lpn_hprd:decimal5": ["VOCHRD", "Reported LPN" + _C],
    "rn_hprd:decimal5": ["RNHRD", "Reported RN" + _C],
    "licensed_hprd:decimal5": ["TOTLICHRD", "Reported Licensed" + _C],
    "total_hprd:decimal5": ["TOTHRD", "Reported Total Nurse" + _C],
    "weekend_total_hprd:decimal5": ["Total number of nurse staff hours per resident per day on the weekend"],
    "weekend_rn_hprd:decimal5": ["Registered Nurse hours per resident per day on the weekend"],
    "adjusted_total_hprd:decimal5": ["ADJ_TOTAL", "Adjusted Total Nurse" + _C],
    "casemix_total_hprd:decimal5": ["EXP_TOTAL", "CM_TOTAL", "Case-Mix Total Nurse" + _C],
    "fines:int": ["FINE_CNT", "Number of Fines"],
    "fines_usd:dollars": ["FINE_TOT", "Total Amount of Fines in Dollars"],
    "payment_denials:int": ["PAYDEN_CNT", "Number of Payment Denials"],
    "penalties:int": ["TOT_PENLTY_CNT", "Total Number of Penalties"],
    "special_focus_status:focus": ["SFF", "SFFStatus", "Special Focus Status"],
    "chain_name:text": ["Affiliated Entity Name", "Chain Name"],
    "latitude:degrees": ["Latitude"],
    "longitude:degrees": ["Longitude"],
    "location_footnote:note": ["Geocoding Footnote"],
}
PROVIDER_REQUIRED = ["ccn", "provider_name", "state", "certified_beds", "processing_date"]
# What windows-1252 has at 80 to 9F, by the table of WHATWG.
_CP1252 = "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ"


class Skipped(Exception):
    """A file that counts for nothing, and why."""


# --- files -----------------------------------------------------------------------------------------


def plain(header: str) -> str:
    return "".join(letter for letter in header.lower() if letter in "abcdefghijklmnopqrstuvwxyz0123456789")


def members(key: str, body: bytes) -> list[tuple[str, bytes]]:
    """The files of an upload: (source key, content)."""
    if body[:2] == b"\x1f\x8b":
        return [(key, gzip.decompress(body))]
    if body[:4] != b"PK\x03\x04":
        return [(key, body)]
    with zipfile.ZipFile(io.BytesIO(body)) as packed:
        names = [
            name
            for name in sorted(packed.namelist())
            if name.lower().endswith(".csv")
            and not name.startswith("__MACOSX/")
            and not name.rsplit("/", 1)[-1].startswith(".")
        ]
        return [(f"{key}!{name}", packed.read(name)) for name in names]


def decode(content: bytes) -> tuple[str, int]:
    """The text of a file, and how many lines of it are windows-1252."""
    lines, repaired = [], 0
    for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        try:
            lines.append(line.decode())
        except UnicodeDecodeError:
            repaired += 1
            lines.append("".join(_CP1252[byte - 0x80] if 0x80 <= byte < 0xA0 else chr(byte) for byte in line))
    return "\n".join(lines), repaired


def records(text: str) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank, each with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""))
    line = 1
    for fields in reader:
        if any(one.strip() for one in fields):
            yield line, fields
        line = reader.line_num + 1


def columns(dataset: str, header: list[str]) -> dict[str, int]:
    names = [plain(one) for one in header]
    if dataset == "pbj":
        known = {plain(one): plain(one) for one in [*PBJ_TEXTS, *PBJ_REQUIRED]}
        if "hrsrndon" in names and "hrsmedaidectr" not in names:
            known["hrsrndonadmin"] = "hrsmedaidectr"
        else:
            known["hrsrndonadmin"] = "hrsrndon"
        required = PBJ_REQUIRED
    else:
        known = {plain(one): name.split(":")[0] for name, headers in PROVIDER.items() for one in headers}
        required = PROVIDER_REQUIRED
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        if name in known:
            found.setdefault(known[name], place)
    for name in required:
        if name not in found:
            raise Skipped(f"header_missing_column:{name}")
    for name, count in Counter(known[name] for name in names if name in known).items():
        if count > 1:
            raise Skipped(f"header_duplicate_column:{name}")
    return found


# --- fields ----------------------------------------------------------------------------------------


def ccn_of(text: str) -> str | None:
    text = re.sub(r"\.0+\Z", "", text.strip().upper())
    if re.fullmatch("[0-9]{1,6}", text):
        text = text.rjust(6, "0")
    return text if re.fullmatch("[0-9]{2}[0-9A-Z][0-9]{3}", text) else None


def date_of(text: str, american: bool = False) -> date | None:
    text = text.strip()
    for pattern in (r"(?P<y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})(\.0)?", "(?P<y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})",
                    *(["(?P<m>[0-9]{2})/(?P<d>[0-9]{2})/(?P<y>[0-9]{4})"] if american else [])):  # fmt: skip
        if match := re.fullmatch(pattern, text):
            year, month, day = int(match["y"]), int(match["m"]), int(match["d"])
            if year and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]:
                return date(year, month, day)
    return None


def quarter(day: date) -> str:
    return f"{day.year:04}Q{[1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4][day.month - 1]}"


def number(text: str, scale: int, digits: int, signed: bool = False) -> Decimal | None:
    """A plain decimal; None if blank, ValueError if it is none."""
    text = text.strip()
    if not text:
        return None
    if not re.fullmatch(("-?" if signed else "") + r"([0-9]+(\.[0-9]*)?|\.[0-9]+)", text):
        raise ValueError
    exact = Decimal(text)
    if abs(exact) > Decimal("9" * digits).scaleb(-scale):
        raise ValueError
    return exact.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP) + 0


def whole(text: str, digits: int) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not re.fullmatch(f"[0-9]{{1,{digits}}}" + r"(\.0)?", text):
        raise ValueError
    return int(text.split(".")[0])


def stars(text: str) -> int | None:
    rating = whole(text, 1)
    if rating in (0, 6, 7, 8, 9):
        raise ValueError
    return rating


def note(text: str) -> str | None:
    return ",".join(filter(None, (code.strip().removesuffix(".0") for code in text.split(",")))) or None


READ: dict[str, Callable[[str], Any]] = {
    "text": lambda text: text.strip() or None,
    "int": lambda text: whole(text, 9),
    "decimal2": lambda text: number(text, 2, 9),
    "decimal5": lambda text: number(text, 5, 10),
    "dollars": lambda text: number(text.replace("$", "").replace(",", ""), 2, 14),
    "degrees": lambda text: number(text, 6, 9, signed=True),
    "stars": stars,
    "note": note,
    "focus": lambda text: {"Y": "SFF", "SFF": "SFF", "SFF CANDIDATE": "SFF Candidate"}.get(
        " ".join(text.upper().split())
    ),
}


# --- rows ------------------------------------------------------------------------------------------


def pbj_row(fields: list[str], width: int, at: dict[str, int]) -> dict[str, Any] | str:
    """A row of silver, or the reason why there is none."""
    if len(fields) != width:
        return "wrong_field_count"

    def value(name: str) -> str:
        return fields[at[name]] if name in at else ""

    ccn = ccn_of(value("provnum"))
    if ccn is None:
        return "ccn_invalid"
    state = value("state").strip().upper()
    if state not in STATES:
        return "state_invalid"
    day = date_of(value("workdate"))
    if day is None:
        return "work_date_invalid"
    if value("cyqtr").strip().upper() != quarter(day):
        return "quarter_mismatch"
    try:
        census = whole(value("mdscensus"), 6)
    except ValueError:
        return "census_invalid"
    try:
        hours = {name: number(value(f"hrs{name.replace('_', '')}"), 2, 9) for name in HOURS}
    except ValueError:
        return "hours_invalid"
    fips = value("countyfips").strip()
    fips = fips.removesuffix(".0")
    row: dict[str, Any] = {
        "ccn": ccn,
        "work_date": day,
        "quarter": quarter(day),
        "provider_name": value("provname").strip() or None,
        "city": value("city").strip() or None,
        "state": state,
        "county_name": value("countyname").strip() or None,
        "county_fips": (fips.rjust(3, "0") if fips.isdigit() else fips) or None,
        "census": census,
    }
    row |= {f"hrs_{name}": hour for name, hour in hours.items()}
    known = {name: hour or Decimal(0) for name, hour in hours.items()}
    total = sum(known[job] for job in JOBS)
    row["emp_ctr_mismatch"] = any(
        abs(known[job] - known[job + "_emp"] - known[job + "_ctr"]) > Decimal("0.01") for job in JOBS
    )
    row["hours_missing"] = None in hours.values()
    row["census_zero_with_hours"] = census == 0 and total > 0
    row["census_without_hours"] = bool(census) and total == 0
    row["hprd_above_24"] = bool(census) and total > 24 * (census or 0)
    return row


def provider_row(fields: list[str], width: int, at: dict[str, int]) -> dict[str, Any] | str:
    if len(fields) != width:
        return "wrong_field_count"
    ccn = ccn_of(fields[at["ccn"]])
    if ccn is None:
        return "ccn_invalid"
    state = fields[at["state"]].strip().upper()
    if state not in STATES:
        return "state_invalid"
    day = date_of(fields[at["processing_date"]], american=True)
    if day is None:
        return "processing_date_invalid"
    row: dict[str, Any] = {"ccn": ccn, "state": state, "processing_date": day, "quarter": quarter(day)}
    invalid = 0
    for name in PROVIDER:
        column, _, kind = name.partition(":")
        if kind:
            try:
                row[column] = READ[kind](fields[at[column]]) if column in at else None
            except ValueError:
                row[column] = None
                invalid += 1
    row["fields_invalid"] = invalid
    return row


@dataclass
class Read:
    """What an upload holds: records, valid rows with their order, rejects, and members that count for nothing."""

    records: int = 0
    repaired: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    rows: list[tuple[tuple[int, str, int], dict[str, Any]]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def read(dataset: str, key: str, body: bytes, second: int) -> Read:
    """Read an upload that came at a second."""
    result = Read()
    files = members(key, body)
    for source_key, content in files:
        text, repaired = decode(content)
        lines = records(text)
        _, header = next(lines, (0, None))
        try:
            if header is None:
                raise Skipped("empty_file")
            at = columns(dataset, header)
            rows = list(lines)
            if not rows:
                raise Skipped("empty_file")
        except Skipped as reason:
            result.skipped[source_key] = str(reason)
            continue
        result.repaired += repaired
        for line, fields in rows:
            result.records += 1
            row = (pbj_row if dataset == "pbj" else provider_row)(fields, len(header), at)
            if isinstance(row, str):
                result.rejected[row] += 1
            else:
                result.rows.append(((second, source_key, line), row))
    return result


# --- tables ----------------------------------------------------------------------------------------


@dataclass
class Accounts:
    """What became of the records of one upload in one run."""

    read: int
    rejected: dict[str, int]
    accepted: int = 0
    identical: int = 0
    different: int = 0

    @property
    def superseded(self) -> int:
        return self.identical + self.different


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[name] == other[name] for name in ("state", "census", *(f"hrs_{hour}" for hour in HOURS)))


class Model:
    """Silver as it is after some runs; everything else follows from it."""

    def __init__(self) -> None:
        self.pbj: dict[Any, tuple[tuple[int, str, int], dict[str, Any]]] = {}
        self.provider: dict[Any, tuple[tuple[int, str, int], dict[str, Any]]] = {}

    def run(self, uploads: Iterable[tuple[str, str, bytes, int]]) -> dict[str, Accounts]:
        """Take uploads (dataset, key, body, second); returns the accounts by key."""
        accounts = {}
        candidates: dict[str, dict[Any, list[tuple[Any, dict[str, Any], str]]]] = {
            "pbj": defaultdict(list),
            "provider_info": defaultdict(list),
        }
        for dataset, key, body, second in uploads:
            upload = read(dataset, key, body, second)
            accounts[key] = Accounts(upload.records, dict(upload.rejected))
            for order, row in upload.rows:
                day = row["work_date"] if dataset == "pbj" else row["processing_date"]
                candidates[dataset][row["ccn"], day].append((order, row, key))
        for dataset, table in (("pbj", self.pbj), ("provider_info", self.provider)):
            for name, found in candidates[dataset].items():
                found.sort(key=lambda one: one[0])
                order, row, _ = found[-1]
                if name not in table or table[name][0] < order:
                    table[name] = (order, row)
                kept_order, kept = table[name]
                for place, (order, row, key) in enumerate(found):
                    if order == kept_order:
                        accounts[key].accepted += 1
                        continue
                    following = found[place + 1][1] if place + 1 < len(found) else kept
                    if dataset == "pbj" and not same(row, following):
                        accounts[key].different += 1
                    else:
                        accounts[key].identical += 1
        return accounts

    # --- gold

    def silver(self, dataset: str) -> list[dict[str, Any]]:
        table = self.pbj if dataset == "pbj" else self.provider
        return [
            row | {"source_key": order[1], "source_line": order[2]}
            for _, (order, row) in sorted(table.items())
        ]

    def facts(self) -> list[dict[str, Any]]:
        rows = []
        for _, (_, row) in sorted(self.pbj.items()):
            hours = {name: row[f"hrs_{name}"] or Decimal("0.00") for name in HOURS}
            fact = {name: row[name] for name in ("ccn", "work_date", "state", "census", "quarter")}
            fact |= {
                f"{group}_hours": sum((hours[job] for job in jobs), Decimal("0.00"))
                for group, jobs in GROUPS.items()
            }
            for kind, column in (("_emp", "employee_hours"), ("_ctr", "contract_hours")):
                fact[column] = sum((hours[job + kind] for job in JOBS), Decimal("0.00"))
            rows.append(fact)
        return rows

    def provider_facts(self) -> list[dict[str, Any]]:
        latest: dict[tuple[str, str], dict[str, Any]] = {}
        for (ccn, _), (_, row) in sorted(self.provider.items()):
            latest[ccn, row["quarter"]] = row
        names = _words(
            "ccn processing_date state avg_residents overall_rating inspection_rating qm_rating staffing_rating aide_hprd "
            "lpn_hprd rn_hprd licensed_hprd total_hprd weekend_total_hprd weekend_rn_hprd adjusted_total_hprd "
            "casemix_total_hprd fines fines_usd payment_denials penalties special_focus_status quarter"
        )
        facts = []
        for row in latest.values():
            year, place = int(row["quarter"][:4]), int(row["quarter"][5])
            staffing = f"{year:04}Q{place - 2}" if place > 2 else f"{year - 1:04}Q{place + 2}"
            facts.append(
                {name: row[name] for name in names}
                | {"beds": row["certified_beds"], "staffing_quarter": staffing}
            )
        return facts

    def facilities(self) -> list[dict[str, Any]]:
        known: dict[str, dict[str, Any]] = {}
        names = _words(
            "ccn provider_name address city county state zip ownership_type chain_name latitude longitude "
            "overall_rating inspection_rating qm_rating staffing_rating"
        )
        for (ccn, day), (_, row) in sorted(self.pbj.items()):
            known[ccn] = dict.fromkeys(names) | {
                name: row[{"county": "county_name"}.get(name, name)]
                for name in ("ccn", "provider_name", "city", "county", "state")
            }
            known[ccn] |= {"in_provider_info": False, "as_of": day}
        for (ccn, day), (_, row) in sorted(self.provider.items()):
            known[ccn] = {name: row[name] for name in names} | {"in_provider_info": True, "as_of": day}
        return list(known.values())

    # --- views

    def view(self, name: str) -> list[dict[str, Any]]:
        return list(getattr(self, name)())

    def _groups(self, *keys: str) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Facts by these keys; a facility's state is that of its last day."""
        found: defaultdict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
        for fact in self.facts():
            fact["month"] = (
                f"{fact['work_date']:%Y-%m}" if fact["work_date"].year > 999 else str(fact["work_date"])[:7]
            )
            found[tuple(fact[key] for key in keys)].append(fact)
        for values, facts in found.items():
            group = dict(zip(keys, values, strict=True))
            group["quarter"] = facts[-1]["quarter"]
            group["state"] = (
                max(facts, key=lambda fact: fact["work_date"])["state"] if "ccn" in keys else group["state"]
            )
            yield group, facts

    def _hprd(self, *keys: str) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        for group, facts in self._groups(*keys):
            group |= {"days": len(facts)} | staffing([fact for fact in facts if fact["census"]])
            if "ccn" not in keys:
                group["facilities"] = len({fact["ccn"] for fact in facts})
            yield group, facts

    def v_hprd_facility_quarter(self) -> Iterator[dict[str, Any]]:
        for group, facts in self._hprd("ccn", "quarter"):
            year, place = int(group["quarter"][:4]), int(group["quarter"][5])
            days = sum(calendar.monthrange(year, month)[1] for month in range(3 * place - 2, 3 * place + 1))
            group["incomplete"] = len(facts) < days
            group["days_without_rn"] = sum(bool(fact["census"]) and not fact["rn_hours"] for fact in facts)
            residents = group["resident_days"]
            group["cms_excluded"] = None
            if residents:
                total, aide = (
                    Fraction(group["total_hours"]) / residents,
                    Fraction(group["aide_hours"]) / residents,
                )
                if total < Fraction(3, 2):
                    group["cms_excluded"] = "low"
                elif total > 12:
                    group["cms_excluded"] = "high"
                elif aide > Fraction(21, 4):
                    group["cms_excluded"] = "aide"
            yield group

    def v_hprd_facility_month(self) -> Iterator[dict[str, Any]]:
        return (group for group, _ in self._hprd("ccn", "month"))

    def v_hprd_state_quarter(self) -> Iterator[dict[str, Any]]:
        return ranked([group for group, _ in self._hprd("state", "quarter")], "quarter")

    def v_hprd_state_month(self) -> Iterator[dict[str, Any]]:
        return ranked([group for group, _ in self._hprd("state", "month")], "month")

    def _gap(self, *keys: str) -> Iterator[dict[str, Any]]:
        for group, facts in self._groups(*keys):
            lived = [fact for fact in facts if fact["census"]]
            ends = staffing([fact for fact in lived if fact["work_date"].weekday() >= 5])
            days = staffing([fact for fact in lived if fact["work_date"].weekday() < 5])
            for name in ends:
                group[f"weekend_{name}"], group[f"weekday_{name}"] = ends[name], days[name]
            for kind in GROUPS:
                group[f"{kind}_gap"] = None
                if ends["resident_days"] and days["resident_days"]:
                    group[f"{kind}_gap"] = five(
                        Fraction(ends[f"{kind}_hours"]) / ends["resident_days"]
                        - Fraction(days[f"{kind}_hours"]) / days["resident_days"]
                    )
            yield group

    def v_weekend_gap_facility_quarter(self) -> Iterator[dict[str, Any]]:
        return self._gap("ccn", "quarter")

    def v_weekend_gap_state_quarter(self) -> Iterator[dict[str, Any]]:
        return self._gap("state", "quarter")

    def _mix(self, *keys: str) -> Iterator[dict[str, Any]]:
        for group, facts in self._groups(*keys):
            employees = sum((fact["employee_hours"] for fact in facts), Decimal(0))
            contract = sum((fact["contract_hours"] for fact in facts), Decimal(0))
            share = ratio(contract, employees + contract)
            group |= {
                "days": len(facts),
                "employee_hours": employees,
                "contract_hours": contract,
                "contract_share": share,
            }
            yield group | {"permanent_share": None if share is None else 1 - share}

    def v_staffing_mix_facility_month(self) -> Iterator[dict[str, Any]]:
        return self._mix("ccn", "month")

    def v_staffing_mix_state_month(self) -> Iterator[dict[str, Any]]:
        return self._mix("state", "month")

    def beds(self, ccn: str, month: str) -> tuple[int | None, bool]:
        """Beds in a month, and whether only a later snapshot knows them."""
        year, place = int(month[:4]), int(month[5:])
        end = date(year, place, calendar.monthrange(year, place)[1])
        known = sorted((day, row["certified_beds"]) for (one, day), (_, row) in self.provider.items()
                       if one == ccn and row["certified_beds"])  # fmt: skip
        until = [beds for day, beds in known if day <= end]
        if until:
            return until[-1], False
        return (known[0][1], True) if known else (None, False)

    def v_bed_utilization_facility_month(self) -> Iterator[dict[str, Any]]:
        for group, facts in self._groups("ccn", "month"):
            beds, later = self.beds(group["ccn"], group["month"])
            observed = [fact["census"] for fact in facts if fact["census"] is not None]
            group |= {
                "days": len(facts),
                "observed_days": len(observed),
                "resident_days": sum(observed),
                "beds": beds,
            }
            group |= {
                "beds_from_later_snapshot": later,
                "bed_days": None if beds is None else beds * len(observed),
            }
            yield group | occupancy(group["resident_days"], group["bed_days"])

    def v_bed_utilization_state_month(self) -> Iterator[dict[str, Any]]:
        for group, facts in self._groups("state", "month"):
            homes: defaultdict[str, list[int]] = defaultdict(list)
            for fact in facts:
                homes[fact["ccn"]] += [] if fact["census"] is None else [fact["census"]]
            known = {ccn: beds for ccn in homes if (beds := self.beds(ccn, group["month"])[0]) is not None}
            group |= {"facilities": len(homes), "facilities_without_beds": len(homes) - len(known)}
            group |= {"beds": sum(known.values()), "observed_days": sum(len(homes[ccn]) for ccn in known)}
            group |= {"resident_days": sum(sum(homes[ccn]) for ccn in known)}
            group |= {"bed_days": sum(beds * len(homes[ccn]) for ccn, beds in known.items())}
            yield group | occupancy(group["resident_days"], group["bed_days"])

    def v_staffing_vs_occupancy_month(self) -> Iterator[dict[str, Any]]:
        homes = {(one["ccn"], one["month"]): one for one in self.v_bed_utilization_facility_month()}
        for group in self.v_hprd_facility_month():
            home = homes[group["ccn"], group["month"]]
            names = ("ccn", "state", "quarter", "month", "resident_days", "total_hours", "total_hprd")
            yield {name: group[name] for name in names} | {
                name: home[name] for name in ("beds", "bed_days", "occupancy", "over_capacity")
            }

    def v_hprd_reconciliation(self) -> Iterator[dict[str, Any]]:
        ours = {(one["ccn"], one["quarter"]): one for one in self.v_hprd_facility_quarter()}
        for cms in self.provider_facts():
            one = ours.get((cms["ccn"], cms["staffing_quarter"]))
            if one is None:
                continue
            row = {"ccn": one["ccn"], "state": one["state"], "staffing_quarter": one["quarter"]}
            row |= {"processing_date": cms["processing_date"], "resident_days": one["resident_days"]}
            for kind in ("total", "rn"):
                mine, theirs = one[f"{kind}_hprd"], cms[f"{kind}_hprd"]
                row |= {
                    f"{kind}_hours": one[f"{kind}_hours"],
                    f"{kind}_hprd": mine,
                    f"cms_{kind}_hprd": theirs,
                }
                row[f"{kind}_difference"] = None if mine is None or theirs is None else mine - theirs
            yield row


#: Each table that readers see, and its rows.
TABLES: dict[str, Callable[[Model], list[dict[str, Any]]]] = {
    "silver_pbj_daily": lambda model: model.silver("pbj"),
    "silver_provider_info": lambda model: model.silver("provider_info"),
    "gold_daily_staffing_fact": Model.facts,
    "gold_quarterly_provider_fact": Model.provider_facts,
    "gold_facility_dim": Model.facilities,
}
VIEWS = [name for name in vars(Model) if name.startswith("v_")]


def five(exact: Fraction) -> Decimal:
    """Rounded half up, away from zero, to five decimals."""
    magnitude = (abs(exact) * 100_000 * 2 + 1) // 2
    return Decimal(int(magnitude) * (-1 if exact < 0 else 1)).scaleb(-5)


def ratio(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    return five(Fraction(part) / Fraction(whole)) if whole else None


def staffing(facts: list[dict[str, Any]]) -> dict[str, Any]:
    residents = sum(fact["census"] for fact in facts)
    found: dict[str, Any] = {"resident_days": residents}
    for group in GROUPS:
        hours = sum((fact[f"{group}_hours"] for fact in facts), Decimal(0))
        found |= {f"{group}_hours": hours, f"{group}_hprd": ratio(hours, residents)}
    return found


def ranked(groups: list[dict[str, Any]], period: str) -> Iterator[dict[str, Any]]:
    for one in groups:

        def place(other: dict[str, Any]) -> tuple[Any, ...]:
            return (other["total_hprd"] is None, -(other["total_hprd"] or Decimal(0)), other["state"])

        before = [other for other in groups if other[period] == one[period] and place(other) < place(one)]
        yield one | {f"rank_in_{period}": len(before) + 1}


def occupancy(residents: int, bed_days: int | None) -> dict[str, Any]:
    return {
        "occupancy": ratio(residents, bed_days or 0),
        "over_capacity": bool(bed_days is not None and Fraction(residents) > Fraction(105, 100) * bed_days),
    }
