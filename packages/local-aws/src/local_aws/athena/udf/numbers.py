"""Numbers. The results are texts, for DuckDB makes NULL of a NaN that a function in Python gives."""

from __future__ import annotations

import statistics

from local_aws.athena.udf import fail, udf


@udf("DOUBLE DOUBLE DOUBLE", "VARCHAR")
def normal_cdf(mean: float, sd: float, value: float) -> str:
    if sd <= 0:
        raise fail("INVALID_FUNCTION_ARGUMENT", "standardDeviation must be > 0")
    return repr(statistics.NormalDist(mean, sd).cdf(value))


@udf("DOUBLE DOUBLE DOUBLE", "VARCHAR")
def inverse_normal_cdf(mean: float, sd: float, p: float) -> str:
    if not 0 < p < 1:
        raise fail("INVALID_FUNCTION_ARGUMENT", "p must be 0 > p > 1")
    if sd <= 0:
        raise fail("INVALID_FUNCTION_ARGUMENT", "sd must be > 0")
    return repr(statistics.NormalDist(mean, sd).inv_cdf(p))
