"""Numbers."""

from __future__ import annotations

import statistics

from local_aws.athena.udf import fail, udf


@udf("DOUBLE DOUBLE DOUBLE", "DOUBLE")
def normal_cdf(mean: float, sd: float, value: float) -> float:
    if sd <= 0:
        raise fail("INVALID_FUNCTION_ARGUMENT", "standardDeviation must be > 0")
    return statistics.NormalDist(mean, sd).cdf(value)


@udf("DOUBLE DOUBLE DOUBLE", "DOUBLE")
def inverse_normal_cdf(mean: float, sd: float, p: float) -> float:
    if not 0 < p < 1:
        raise fail("INVALID_FUNCTION_ARGUMENT", "p must be 0 > p > 1")
    if sd <= 0:
        raise fail("INVALID_FUNCTION_ARGUMENT", "sd must be > 0")
    return statistics.NormalDist(mean, sd).inv_cdf(p)
