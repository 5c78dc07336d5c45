"""Which failures are worth another try, and when.

A try that fails is repeated only if the next one can succeed without anybody doing anything: throttling,
outages, broken connections, a full disk, a query that Athena gave up. Refusals and mistakes fail at once,
with the reason, so that the alert comes after seconds and not after all tries.
"""

from __future__ import annotations

import random
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryDecision, RetryPolicy
from botocore.exceptions import ClientError, ParamValidationError

if TYPE_CHECKING:
    from airflow.sdk import Context

# AWS answers most refusals with a status from 400 on, and these passing troubles too.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
# https://docs.aws.amazon.com/athena/latest/APIReference/CommonErrors.html
_TRANSIENT = frozenset(
    {
        "BandwidthLimitExceeded",
        "ConcurrentModificationException",
        "ConcurrentRunsExceededException",
        "ConditionalRequestConflict",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteBody",
        "LimitExceededException",
        "OperationAborted",
        "OperationTimeoutException",
        "PriorRequestNotComplete",
        "RequestExpired",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeTooSkewed",
        "RequestTimeout",
        "RequestTimeoutException",
        "ResourceNotReadyException",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
# An HTTP status says less than a code, and is all that an answer to HEAD has.
_TRANSIENT_STATUS = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
# Wrong input or wrong code stays wrong.
_MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    FileNotFoundError,
    LookupError,
    NameError,
    NotImplementedError,
    ParamValidationError,
    TypeError,
    ValueError,
)


# The longest wait that another side may ask for; beyond it, the next run asks again.
_LONGEST_WAIT = timedelta(hours=6)


def permanent_reason(error: BaseException) -> str | None:
    """Why another try could only fail again; None if it may succeed.

    Errors of this repository may say so themselves: ``permanent`` (bool), ``retry_after`` (seconds).
    """
    if getattr(error, "permanent", False):
        return f"{type(error).__name__}: {error}"
    if _asked_wait(error) > _LONGEST_WAIT:
        return f"It asks for a longer wait than {_LONGEST_WAIT}: {error}"
    if isinstance(error, ClientError):
        answer = error.response.get("Error", {})
        code = answer.get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if not 400 <= status < 500 or status in _TRANSIENT_STATUS or code in _TRANSIENT:
            return None
        return f"{error.operation_name} is refused with {code}: {answer.get('Message', '')}"
    # UnicodeError among them: what was read is not what it should be.
    if isinstance(error, _MISTAKES):
        return f"{type(error).__name__}: {error}"
    return None


def _asked_wait(error: BaseException) -> timedelta:
    """How long the other side wants to be left alone."""
    return timedelta(seconds=getattr(error, "retry_after", None) or 0)


def delay(try_number: int, first: timedelta, longest: timedelta) -> timedelta:
    """How long to wait after a try: twice as long after each, up to a bound, at random in the upper half.

    ``try_number`` counts from 1. What failed together does not come back together.
    """
    bound = min(first * 2 ** min(try_number - 1, 20), longest)
    return bound * random.uniform(0.5, 1)  # noqa: S311  # spreads load, guards nothing


class RetryTransientErrors(RetryPolicy):
    """The retry policy of every task here; reads ``retries``, ``retry_delay`` and ``max_retry_delay`` of the task."""

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002  # the names are Airflow's
        context: Context | None = None,
    ) -> RetryDecision:
        reason = permanent_reason(exception)
        if reason is not None:
            return RetryDecision.fail(f"Not tried again, as that could not help. {reason}")
        if context is None:
            return RetryDecision.default()
        task = context["ti"].task
        longest = task.max_retry_delay or timedelta(days=1)
        if not isinstance(longest, timedelta):
            longest = timedelta(seconds=longest)
        wait = max(delay(try_number, task.retry_delay, longest), _asked_wait(exception))
        return RetryDecision.retry(
            wait, f"{type(exception).__name__} may pass; next try in {wait.total_seconds():.0f} s"
        )

    def serialize(self) -> dict[str, Any]:
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> RetryTransientErrors:  # noqa: ARG003
        return cls()
