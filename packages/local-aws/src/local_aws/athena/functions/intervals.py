"""Literals of intervals (https://trino.io/docs/435/language/types.html#interval-day-to-second)."""

from __future__ import annotations

import re

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena.errors import not_supported
from local_aws.athena.expressions import E
from local_aws.athena.plan import Compiler

_MS = {"DAY": 86400000, "HOUR": 3600000, "MINUTE": 60000, "SECOND": 1000}


def interval(c: Compiler, node: exp.Interval) -> E:
    """INTERVAL '2' DAY and the like."""
    unit = node.args["unit"]
    name = unit.name.upper() if unit is not None and not isinstance(unit, exp.IntervalSpan) else ""
    value = node.this
    negative = False
    while isinstance(value, exp.Neg | exp.Paren):
        negative ^= isinstance(value, exp.Neg)
        value = value.this
    if isinstance(unit, exp.IntervalSpan) and isinstance(value, exp.Literal):
        return _span(c, value.name.strip(), unit, negative, node)
    if not name or not isinstance(value, exp.Literal):
        raise not_supported(f"INTERVAL of this form ({node.sql('trino')})")
    text = value.name.strip()
    if not re.fullmatch(r"[+-]?\d+(\.\d{1,3})?", text) or ("." in text and name != "SECOND"):
        raise c.fail("INVALID_LITERAL", f"'{text}' is not a valid interval literal", node)
    number = float(text) if "." in text else int(text)
    if negative:
        number = -number
    name = name.rstrip("S")
    if name in ("YEAR", "MONTH"):
        months = int(number) * (12 if name == "YEAR" else 1)
        return E(f"to_months({months})", ty.INTERVAL_YEAR, value=months)
    if name not in _MS:
        raise c.fail(
            "",
            f"mismatched input '{name}'. Expecting: 'DAY', 'HOUR', 'MINUTE', 'MONTH', 'SECOND', 'YEAR'",
            node,
        )
    ms = round(number * _MS[name])
    if ms % _MS["DAY"] == 0:
        return E(f"to_days({ms // _MS['DAY']})", ty.INTERVAL_DAY, value=ms)
    return E(f"to_milliseconds({ms})", ty.INTERVAL_DAY, value=ms)


def _span(c: Compiler, text: str, unit: exp.IntervalSpan, negative: bool, node: exp.Expression) -> E:
    """INTERVAL '1-2' YEAR TO MONTH, INTERVAL '1 02:03:04.5' DAY TO SECOND and what lies between."""
    first, last = (str(unit.args[k].name).upper().rstrip("S") for k in ("this", "expression"))
    sign = -1 if negative else 1
    if text[:1] in "+-":
        sign, text = (-sign if text[0] == "-" else sign), text[1:]
    if (first, last) == ("YEAR", "MONTH"):
        m = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
        if m is not None:
            months = sign * (int(m.group(1)) * 12 + int(m.group(2) or 0))
            return E(f"to_months({months})", ty.INTERVAL_YEAR, value=months)
    units = list(_MS)
    if first in units and last in units[units.index(first) + 1 :]:
        chosen = units[units.index(first) : units.index(last) + 1]
        separators = {"HOUR": r"\s+", "MINUTE": ":", "SECOND": ":"}
        # The last ones may be missing.
        pattern = ""
        for u in reversed(chosen):
            digits = r"(\d+(?:\.\d{1,3})?)" if u == "SECOND" else r"(\d+)"
            pattern = f"(?:{separators[u]}{digits}{pattern})?" if u != first else digits + pattern
        m = re.fullmatch(pattern, text)
        if m is not None:
            ms = sign * round(sum(float(v or 0) * _MS[u] for u, v in zip(chosen, m.groups(), strict=True)))
            return E(f"to_milliseconds({ms})", ty.INTERVAL_DAY, value=ms)
    raise c.fail("INVALID_LITERAL", f"'{text}' is not a valid interval literal", node)
