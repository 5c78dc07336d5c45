"""What must hold, and what is worth a look, before quarters are published: pure functions over the rows of the checks.

A row is what a statement of ``include/sql/nurse_staffing/check/`` returned, as text; '' is NULL. Functions that give a
:data:`~medlaunch.declaration.Mismatch` stop the run; those that give warnings do not: unlikely values are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from medlaunch.declaration import LineCounts, Mismatch, Row

FLAGS = (
    "emp_ctr_mismatch",
    "hours_missing",
    "census_zero_with_hours",
    "census_without_hours",
    "hprd_above_24",
)
#: A state may gain or lose this share of its resident days between two quarters without a warning.
RESIDENT_DAYS_SHARE = Decimal("0.30")
#: More rejected records than this share of a file are worth a warning.
REJECT_SHARE = Decimal("0.01")

_LISTED = 5


# --- what must hold --------------------------------------------------------------------------------


def keys_are_unique(rows: Iterable[Row]) -> Iterator[Mismatch]:
    """A mismatch for each key that several rows of silver would have; ``rows`` of ``silver_key_unique``."""
    for row in rows:
        yield f"{row['result']} of {row['slice']}: {row['result_rows']} rows of facility {row['ccn']} on {row['day']}"


def silver_and_gold_agree(rows: Iterable[Row]) -> Iterator[Mismatch]:
    """A mismatch where a count or sum of a quarter differs; ``rows`` of ``silver_gold_agree``."""
    for row in rows:
        for what in [name.removeprefix("silver_") for name in row if name.startswith("silver_")]:
            silver, gold = row[f"silver_{what}"], row[f"gold_{what}"]
            if Decimal(silver or 0) != Decimal(gold or 0):
                yield f"{what} of {row['slice']}: silver has {silver or 'none'}, the fact {gold or 'none'}"


def states_stay_in_band(rows: Iterable[Row], max_share: float) -> Iterator[Mismatch]:
    """One mismatch that lists the states whose HPRD differs by more than a share from the quarter published before.

    ``rows`` of ``state_changes``.
    """
    band = Decimal(str(max_share))
    outside = [
        f"{row['state']} {row['slice']} {_ratio(row['total_hprd'])}, {row['previous_quarter']} "
        f"{_ratio(row['previous_total_hprd'])} ({Decimal(row['hprd_change']):+.0%})"
        for row in rows
        if row["hprd_change"] and abs(Decimal(row["hprd_change"])) > band
    ]
    if outside:
        yield (
            f"hours per resident and day differ by more than {band:.0%} from the quarter before: {_listed(outside)}. If an "
            "upload is not whole, upload it again under its name. If the figures are right, trigger a run with the param "
            "expect_change (MEDLAUNCH_MAX_CHANGE_SHARE is the limit)"
        )


# --- what is worth a look --------------------------------------------------------------------------


def resident_days_outside_band(rows: Iterable[Row]) -> Iterator[str]:
    """States whose resident days differ much from the quarter published before; ``rows`` of ``state_changes``."""
    found: dict[str, list[str]] = {}
    for row in rows:
        change = row["resident_days_change"]
        if change and abs(Decimal(change)) > RESIDENT_DAYS_SHARE:
            found.setdefault(row["slice"], []).append(f"{row['state']} {Decimal(change):+.0%}")
    for slice_, states in found.items():
        yield f"{slice_}: resident days differ by more than {RESIDENT_DAYS_SHARE:.0%} from the quarter before: {_listed(states)}"


def incomplete_facilities(rows: Iterable[Row]) -> Iterator[str]:
    """Facilities with fewer rows than their quarter has days; ``rows`` of ``quarter_coverage``."""
    for row in rows:
        incomplete, facilities = int(row["incomplete_facilities"]), int(row["facilities"])
        if incomplete:
            yield (
                f"{row['slice']}: {incomplete:,} of {facilities:,} facilities ({Decimal(incomplete) / facilities:.1%}) have "
                "fewer days than the quarter"
            )


def flagged_rows(rows: Iterable[Row]) -> Iterator[str]:
    """Rows with unlikely values, by flag; ``rows`` of ``flags``."""
    for row in rows:
        counts = {flag: int(row[flag] or 0) for flag in FLAGS}
        if any(counts.values()):
            said = ", ".join(f"{flag} {count:,}" for flag, count in counts.items() if count)
            yield f"{row['slice']}: unlikely values, which are kept: {said}"


def unknown_facilities(rows: Iterable[Row]) -> Iterator[str]:
    """Facilities of PBJ that Provider Information does not name; ``rows`` of ``unknown_ccn``."""
    for slice_, found in _by_slice(rows).items():
        yield f"{slice_}: {len(found):,} facilities are not in Provider Information: {_listed([row['ccn'] for row in found])}"


def differences_from_cms(rows: Iterable[Row]) -> Iterator[str]:
    """Facilities whose figures differ from those that CMS reports; ``rows`` of ``reconciliation``."""
    for slice_, found in _by_slice(rows).items():
        named = [
            f"{row['ccn']} {_ratio(row['total_hprd'])} (CMS {_ratio(row['cms_total_hprd'])})" for row in found
        ]
        yield f"{slice_}: {len(found):,} facilities differ from CMS's own hours per resident and day: {_listed(named)}"


def many_rejects(uploads: Mapping[str, LineCounts]) -> Iterator[str]:
    """Files of which a large share was rejected."""
    for key, counts in uploads.items():
        if counts.lines and Decimal(counts.rejected) / counts.lines > REJECT_SHARE:
            share = Decimal(counts.rejected) / counts.lines
            yield f"{key}: {counts.rejected:,} of {counts.lines:,} records ({share:.1%}) were rejected"


def superseded(rows: Iterable[Row]) -> dict[str, int]:
    """Superseded records, identical to what replaced them or different; ``rows`` of ``superseded``."""
    total: Counter[str] = Counter()
    for row in rows:
        for name in ("superseded_identical", "superseded_different"):
            total[name] += int(row[name])
    return dict(total)


def _by_slice(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["slice"], []).append(row)
    return found


def _ratio(text: str) -> str:
    return f"{Decimal(text):.5f}" if text else "none"


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_LISTED]) + (
        f" and {len(texts) - _LISTED:,} more" if len(texts) > _LISTED else ""
    )
