"""What is asked of digests and approximate sets, which are made by aggregates and hold all of their values here.

https://trino.io/docs/435/functions/qdigest.html, .../tdigest.html, .../hyperloglog.html
"""

from __future__ import annotations

from local_aws.athena import types as ty
from local_aws.athena.expressions import E, cast, raise_text
from local_aws.athena.functions.registry import Call, Overload, Special, Table
from local_aws.athena.types import DOUBLE, HYPERLOGLOG, Type


def _value_type(c: Call, digest: E) -> Type:
    if digest.type.base == "qdigest":
        return digest.type.args[0]
    if digest.type.base != "tdigest":
        raise c.unexpected()
    return DOUBLE


def _at(digest: str, share: str) -> str:
    """The value at the floor of share * count."""
    bounds = raise_text("GENERIC_INTERNAL_ERROR", "quantile must be between [0,1]", "BIGINT")
    index = f"CAST(least(floor({share} * len({digest}) + 1e-12) + 1, len({digest})) AS BIGINT)"
    return f"{digest}[CASE WHEN {share} BETWEEN 0 AND 1 THEN {index} ELSE {bounds} END]"


def _value(c: Call, digest: E, quantile: E) -> E:
    t, share = _value_type(c, digest), cast(quantile, DOUBLE).sql
    if digest.type == ty.TDIGEST:
        return E(f"py_approx_percentile({digest.sql}, CAST([] AS DOUBLE[]), [{share}])[1]", t)
    return E(_at(digest.sql, share), t)


def _values(c: Call, digest: E, quantiles: E) -> E:
    t = _value_type(c, digest)
    c.element_type(quantiles)
    shares = cast(quantiles, ty.array(DOUBLE)).sql
    if digest.type == ty.TDIGEST:
        return E(f"py_approx_percentile({digest.sql}, CAST([] AS DOUBLE[]), {shares})", ty.array(t))
    return E(f"list_transform({shares}, lambda λp: {_at(digest.sql, 'λp')})", ty.array(t))


def _quantile(c: Call, digest: E, value: E) -> E:
    if digest.type.base != "qdigest":
        raise c.unexpected()
    below = f"len(list_filter({digest.sql}, lambda λv: λv < {value.sql}))"
    outside = f"{value.sql} < {digest.sql}[1] OR {value.sql} > {digest.sql}[-1]"
    return E(f"CASE WHEN {outside} THEN NULL ELSE CAST({below} AS DOUBLE) / len({digest.sql}) END", DOUBLE)


FUNCTIONS: Table = {
    "empty_approx_set": [Overload((), HYPERLOGLOG, lambda: "CAST([] AS VARCHAR[])")],
    "quantile_at_value": Special(_quantile, strict=True),
    "value_at_quantile": Special(_value, strict=True),
    "values_at_quantiles": Special(_values, strict=True),
}
