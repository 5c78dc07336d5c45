"""What can pass is tried again, what cannot fails at once."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowException
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from medlaunch.ingest.fetch_http import FetchFailed, FetchRefused
from medlaunch.operate.retries import RetryTransientErrors, delay, permanent_reason


def refusal(code: str, status: int) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "because"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "PutObject")


@pytest.mark.parametrize(
    "error",
    [
        refusal("SlowDown", 503),
        refusal("InternalError", 500),
        refusal("InternalError", 200),  # S3 reports it inside of a success, too
        refusal("TooManyRequestsException", 400),
        refusal("ThrottlingException", 400),
        refusal("RequestTimeout", 400),
        refusal("RequestTimeTooSkewed", 403),
        refusal("ExpiredToken", 400),
        refusal("OperationAborted", 409),
        refusal("429", 429),
        EndpointConnectionError(endpoint_url="http://s3"),
        ReadTimeoutError(endpoint_url="http://s3"),
        ConnectionResetError("reset"),
        FetchFailed("busy"),
        FetchFailed("busy", retry_after=6 * 3600),
        OSError(28, "No space left on device"),
        MemoryError(),
        AirflowException("Final state of Athena job is CANCELLED"),
    ],
)
def test_what_can_pass_is_tried_again(error: Exception) -> None:
    assert permanent_reason(error) is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (refusal("AccessDenied", 403), "PutObject is refused with AccessDenied: because"),
        (refusal("403", 403), "403"),
        (refusal("NoSuchBucket", 404), "NoSuchBucket"),
        (refusal("InvalidRequestException", 400), "InvalidRequestException"),
        (refusal("AuthorizationError", 403), "AuthorizationError"),
        (refusal("EntityNotFoundException", 400), "EntityNotFoundException"),
        (FetchRefused("the server answers 404"), "FetchRefused: the server answers 404"),
        (FetchFailed("busy", retry_after=7 * 3600), "longer wait than 6:00:00: busy"),
        (FileNotFoundError("s3://b/k does not exist"), "s3://b/k does not exist"),
        (KeyError("upload_id"), "upload_id"),
        (TypeError("unexpected"), "unexpected"),
        (msgspec.ValidationError("Expected `str`"), "Expected `str`"),
    ],
)
def test_what_cannot_pass_fails_at_once_with_its_reason(error: Exception, reason: str) -> None:
    found = permanent_reason(error)
    assert found is not None
    assert reason in found
    decision = RetryTransientErrors().evaluate(error, 1, 3)
    assert decision.action is RetryAction.FAIL
    assert reason in (decision.reason or "")


def test_the_wait_doubles_up_to_its_bound_and_is_never_the_same() -> None:
    first, longest = timedelta(seconds=30), timedelta(minutes=10)
    for number in (*range(1, 12), 10_000):
        bound = min(30 * 2 ** min(number - 1, 30), 600)
        waits = [delay(number, first, longest).total_seconds() for _ in range(200)]
        assert all(bound / 2 <= wait <= bound for wait in waits)
        assert len(set(waits)) > 100


def test_the_policy_waits_as_the_task_says() -> None:
    task = SimpleNamespace(retry_delay=timedelta(seconds=8), max_retry_delay=timedelta(seconds=10))
    context: Any = {"ti": SimpleNamespace(task=task)}
    decision = RetryTransientErrors().evaluate(OSError("x"), 5, 9, context)
    assert decision.action is RetryAction.RETRY
    assert timedelta(seconds=5) <= (decision.retry_delay or timedelta()) <= timedelta(seconds=10)


def test_a_server_is_left_alone_for_as_long_as_it_says() -> None:
    task = SimpleNamespace(retry_delay=timedelta(seconds=8), max_retry_delay=timedelta(seconds=10))
    context: Any = {"ti": SimpleNamespace(task=task)}
    for seconds, least, most in ((900, 900, 900), (1, 4, 8)):
        decision = RetryTransientErrors().evaluate(FetchFailed("x", retry_after=seconds), 1, 9, context)
        assert decision.action is RetryAction.RETRY
        wait = (decision.retry_delay or timedelta()).total_seconds()
        assert least <= wait <= most
