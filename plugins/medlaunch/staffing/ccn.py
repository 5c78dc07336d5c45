"""CMS Certification Numbers: six characters that name a facility.

Two digits of the state, then digits or, for units of a hospital and facilities of Medicaid alone, a letter in the
third place (``51A009``). Spreadsheets and data frames that take them for numbers drop zeros (``15009``), add a
fraction (``676345.0``) or read ``38E157`` as 3.8e+158; the last cannot be undone.
"""

from __future__ import annotations

import re

_FRACTION = re.compile(r"\.0+$")
_DIGITS = re.compile(r"[0-9]{1,6}")
_CCN = re.compile(r"[0-9]{2}[0-9A-Z][0-9]{3}")


def parse_ccn(text: str) -> str | None:
    """The CCN in a field, with what spreadsheets did to it undone; None if it is none. Letters always stay."""
    text = _FRACTION.sub("", text.strip().upper())
    if _DIGITS.fullmatch(text):
        text = text.zfill(6)
    return text if _CCN.fullmatch(text) else None
