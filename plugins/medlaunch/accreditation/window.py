"""The expiry window: an ISO 8601 duration, counted in the calendar."""

from __future__ import annotations

import re
from datetime import date

import pendulum

_DURATION = re.compile(r"P(?:([0-9]+)Y)?(?:([0-9]+)M)?(?:([0-9]+)D)?|P([0-9]+)W")


def window_end(as_of: date, window: str) -> date:
    """The last day of the window that begins on ``as_of``; both days belong to it.

    Years and months are calendar months, clamped at the month's end (``P1M`` from 31 January ends on the
    last of February); days and weeks are counted after them. ``P0D`` is the day itself.

    Raises:
        ValueError: if the window is no ISO 8601 duration of years, months and days, or of weeks, or if it
            ends after the year 9999; a number of more than nine digits counts as that.
    """
    match = _DURATION.fullmatch(window)
    if not match or match.lastindex is None:
        raise ValueError(
            f"{window!r} is not a window: give an ISO 8601 duration of years, months and days or of weeks, "
            "such as P6M, P1Y6M, P180D or P2W; times of day, signs and fractions are not possible"
        )
    try:
        if any(number and len(number) > 9 for number in match.groups()):
            raise OverflowError
        years, months, days, weeks = (int(number or 0) for number in match.groups())
        end = pendulum.date(as_of.year, as_of.month, as_of.day).add(
            years=years, months=months, weeks=weeks, days=days
        )
    except (OverflowError, ValueError) as error:
        raise ValueError(
            f"The window {window} from {as_of} ends after the year 9999: give a shorter one"
        ) from error
    return date(end.year, end.month, end.day)
