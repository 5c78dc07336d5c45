"""Facility records as a pure function of a seed, a facility's number and the date of a snapshot.

A facility is a function of (seed, number), so facilities persist from one snapshot to the next without any
of them being kept in memory; what changes (renewals, staff, openings, closures) depends on the date alone.
"""

from __future__ import annotations

import calendar
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from sample_data.facility_catalogue import KINDS, NAMES, STREETS, UNITS, Kind
from sample_data.places import PLACES
from sample_data.randomness import Stream, several, stream

_POOL = 512
_EARLIEST_YEAR, _LATEST_YEAR = 1910, 9_900

#: (number, whether it is open on the snapshot's date, its record as JSON, state code, valid_until of each of
#: its accreditations as ordinals of :meth:`datetime.date.toordinal`, in the order of the array).
Facility = tuple[int, bool, str, str, list[int | None]]


@dataclass(frozen=True)
class Horizon:
    """The dates around which validity ends: ``as_of``, and the last day of the expiry window.

    Raises ValueError if the window ends before it begins or lies outside the years 1910 to 9900.
    """

    as_of: date
    window_end: date

    def __post_init__(self) -> None:
        if self.window_end < self.as_of:
            raise ValueError(f"the window's last day {self.window_end} is before as_of {self.as_of}")
        if self.as_of.year < _EARLIEST_YEAR or self.window_end.year > _LATEST_YEAR:
            raise ValueError(
                f"as_of {self.as_of} to {self.window_end} is outside the years {_EARLIEST_YEAR} to {_LATEST_YEAR}"
            )

    @classmethod
    def six_months(cls, as_of: date) -> Horizon:
        """The default window, P6M: calendar months, clamped at the month's end."""
        year, month = divmod(as_of.year * 12 + as_of.month - 1 + 6, 12)
        last_day = calendar.monthrange(year, month + 1)[1]
        return cls(as_of, date(year, month + 1, min(as_of.day, last_day)))


def facilities(seed: int, snapshot: date, horizon: Horizon) -> Iterator[Facility]:
    """All facilities there ever are, number 1 onwards, without end, as they stand on ``snapshot``.

    Of the facilities about 15 % have an accreditation that ends within the horizon (0.5 % on each of its
    first and last day), 0.5 % one that ended the day before and 0.5 % one that ends the day after, 14 % one
    that expired longer ago, 4 % are renewed in the months before as_of, 3 % have none; all others, and the
    further accreditations of these, end mostly later: 2 % of them within the horizon, too.
    """
    random = stream(seed, "facilities")
    kinds = _kinds(seed)
    starts = [
        (
            _quoted(one.city),
            f'", "city": "{_quoted(one.city)}", "state": "{one.state}", "zip": "{one.zip}"',
            one.state,
        )
        for one in PLACES
    ]
    names = [_quoted(name) for name in NAMES]
    streets = [f"{_quoted(street)}{unit}" for street in STREETS for unit in UNITS]
    # Most systems repeat the snapshot's date in each record, some do not.
    tails = [f'], "snapshot_date": "{snapshot}"}}'] * 19 + ["]}"]
    months = (snapshot.year - horizon.as_of.year) * 12 + snapshot.month - horizon.as_of.month
    today, as_of, window_end = snapshot.toordinal(), horizon.as_of.toordinal(), horizon.window_end.toordinal()
    earliest = as_of - 1_200
    days_of = [date.fromordinal(day).isoformat() for day in range(earliest, window_end + 1_300)]

    number = 0
    while True:
        number += 1
        kind, services, labs, suffixes, accreditors = kinds[int(random() * 100)]
        city, place, state = starts[int(random() * len(starts))]
        name, suffix = names[int(random() * len(names))], suffixes[int(random() * len(suffixes))]
        form = random()
        if form < 0.25:
            name = f"{city} {suffix}"
        elif form < 0.8:
            name = f"{name} {suffix}"
        else:
            name = f"{name} {suffix} of {city}"
        street = streets[int(random() * len(streets))]
        house = 100 + int(random() * 9_800)
        # The product of two: there are more small facilities than large ones.
        employees = kind.smallest + int(random() * random() * kind.spread)
        drift = random()
        if drift < 0.35:
            employees = max(1, employees + int(drift * 20 - 3) * months)

        fate = random()
        if fate < 0.006:
            is_open = today < as_of - int(fate * 20_000)
        elif fate < 0.018:
            is_open = today >= as_of - int((fate - 0.006) * 10_000)
        else:
            is_open = True

        # How many accreditations, and what becomes of the one that stands out.
        how_many = random()
        fortune = random()
        span = random()
        days: list[int | None] = []
        pieces = []
        if fortune >= 0.03:
            count = 1 if how_many < 0.42 else 2 if how_many < 0.84 else 3
            special = int(how_many * 1_000) % count
            for position in range(count):
                body, before, after, term = accreditors[int(random() * len(accreditors))]
                identifier = int(random() * 10_000_000)
                other = random()
                if position != special:
                    if other < 0.15:
                        day = as_of - 2 - int(other * 5_600)
                    elif other < 0.98:
                        day = window_end + 2 + int(other * 900)
                    else:
                        day = as_of + int(span * (window_end - as_of + 1))
                elif fortune < 0.16:
                    day = as_of + int(span * (window_end - as_of + 1))
                elif fortune < 0.165:
                    day = as_of
                elif fortune < 0.17:
                    day = window_end
                elif fortune < 0.175:
                    day = as_of - 1
                elif fortune < 0.18:
                    day = window_end + 1
                elif fortune < 0.33:
                    day = as_of - 2 - int(span * 900)
                elif fortune < 0.37:
                    renewed_on = as_of - int(span * 120)
                    day = renewed_on - 20 + int(other * 65)
                    if today >= renewed_on:
                        day += term
                else:
                    day = window_end + 2 + int(span * 900)
                days.append(day)
                pieces.append(
                    f'{{"accreditation_body": "{body}", "accreditation_id": "{before}{identifier:07d}{after}", '
                    f'"valid_until": "{days_of[day - earliest]}"}}'
                )
        yield (
            number,
            is_open,
            f'{{"facility_id": "FAC{number:07d}", "facility_name": "{name}", "location": {{"address": "{house} {street}'
            f'{place}}}, "employee_count": {employees}, "services": {services[int(random() * _POOL)]}, '
            f'"labs": {labs[int(random() * _POOL)]}, "accreditations": [{", ".join(pieces)}'
            f"{tails[int(random() * 20)]}",
            state,
            days,
        )


#: Kind, services, labs, suffixes, and of each accreditor (name, identifier's start, its end, term in days).
_Prepared = tuple[Kind, list[str], list[str], list[str], list[tuple[str, str, str, int]]]


def _kinds(seed: int) -> list[_Prepared]:
    """The kinds by their weights (100 entries), with their arrays already written as JSON."""
    random = stream(seed, "pools")
    prepared: list[_Prepared] = []
    for kind in KINDS:
        services = [_json(several(random, kind.services, 1 + int(random() * 6))) for _ in range(_POOL)]
        labs = [_json(_labs(random, kind)) for _ in range(_POOL)]
        accreditors = []
        for one in kind.accreditors:
            before, _, after = one.identifier.partition("{n}")
            accreditors.append((_quoted(one.name), before, after, one.years * 365))
        suffixes = [_quoted(suffix) for suffix in kind.suffixes]
        prepared += [(kind, services, labs, suffixes, accreditors)] * kind.weight
    if len(prepared) != 100:
        raise AssertionError(f"the weights of facility_catalogue.KINDS add up to {len(prepared)}, not 100")
    return prepared


def _labs(random: Stream, kind: Kind) -> list[dict[str, object]]:
    labs = several(random, kind.labs, int(random() * (kind.most_labs + 1)))
    return [
        {"lab_name": lab.name, "certifications": several(random, lab.certifications, 1 + int(random() * 2))}
        for lab in labs
    ]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _quoted(text: str) -> str:
    """A text as it stands between the quotes of a JSON string."""
    return _json(text)[1:-1]
