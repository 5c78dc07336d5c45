"""The matrix: in which step, which fault, and how the pipeline recovers from it.

Each cell makes a lake with the same uploads, lets one thing go wrong, lets the pipeline recover, and compares
everything with the undisturbed result.
"""

from __future__ import annotations

import gzip
import json
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from medlaunch.aws.objects import in_parallel
from tests.factories import facility, lines
from tests.faults.harness import Lake, Outcome
from tests.faults.proxy import (
    Action,
    Connection,
    Gate,
    Rule,
    error_in_success,
    first,
    kill_after,
    kill_before,
    kill_when_succeeded,
    no_answer,
    refuse,
    reset,
    stall,
    truncate,
)
from tests.faults.stage import (
    CORRECTED,
    DAY,
    EXTRA,
    OTHER,
    REJECTED,
    UPLOADS,
    Stage,
    failed_at_once,
    require,
    rules_fired,
)

#: Every step that changes something, in its order.
STEPS = (
    "claim_uploads",
    "load_bronze",
    "plan_slices",
    "prepare_tables",
    "extract.facilities",
    "extract.facility_metrics",
    "extract.facility_rejects",
    "extract.accredited_facilities_by_state",
    "extract.expiring_accreditations",
    "extract.filter_expiring",
    "check_results",
    "publish_results",
    "write_report",
    "archive_uploads",
)
#: Seconds to wait for what comes within some; a busy machine takes its time.
_TIMEOUT_SECONDS = 600
NO_RETRY = {"MEDLAUNCH_TASK_RETRIES": "0"}
MOVES = "UpdatePartition|CreatePartition"


@dataclass(frozen=True)
class Cell:
    """``play`` carries the cell out and raises if anything is not as it must be."""

    group: str
    step: str
    fault: str
    recovery: str
    play: Callable[[Stage], None]

    @property
    def name(self) -> str:
        return f"{self.step} / {self.fault} / {self.recovery}"


Row = tuple[str, str, str, Callable[[Stage], None]]


# --- processes that die ----------------------------------------------------------------------------


def killed() -> Iterator[Row]:
    for step in STEPS:
        for moment in ("before", "in the middle of", "after"):
            yield step, f"SIGKILL {moment} its effects", "retry", partial(_kill, step=step, moment=moment)
    for moment in ("before", "after"):
        yield (
            "wait_for_uploads", f"SIGKILL {moment} its listing", "retry",
            partial(_kill, step="wait_for_uploads", moment=moment),
        )  # fmt: skip
    for step in STEPS:
        for moment in ("in the middle of", "after"):
            yield (
                step, f"SIGKILL {moment} its effects", "next run",
                partial(_kill, step=step, moment=moment, retried=False),
            )  # fmt: skip
    for what, rule in {
        "between two partitions": partial(Rule, operation=MOVES, nth=5),
        "before the manifest": partial(Rule, key="prod/manifests/", writes=True),
        "between two manifests": partial(Rule, key="prod/manifests/", writes=True, nth=2),
        "before the old version is marked": partial(Rule, operation="PutObjectTagging"),
    }.items():
        for recovery in ("retry", "next run"):
            yield (
                "publish_results",
                f"SIGKILL {what}",
                recovery,
                partial(_kill_publishing, rule=rule, recovery=recovery),
            )
    for step in ("load_bronze", "extract.facility_metrics", "publish_results", "archive_uploads"):
        yield step, "the task and its scheduler killed", "next run", partial(_kill_scheduler, step=step)
    yield "alert", "SIGKILL before SNS has the message", "retry", partial(_kill_alert, action=kill_before)
    # Whether SNS has the message is not known then: twice is better than never.
    yield (
        "alert", "SIGKILL after SNS has the message, sent twice", "retry",
        partial(_kill_alert, action=kill_after, messages=2),
    )  # fmt: skip


def kill_rule(stage: Stage, step: str, moment: str) -> Rule:
    writes = stage.writes(step)
    if moment == "before":
        # A step that only reads dies at its first request.
        return Rule(kill_before, task=step, writes=True if writes else None, attempt=1)
    if moment == "in the middle of" and writes:
        return Rule(kill_after, task=step, writes=True, nth=(writes + 1) // 2, attempt=1)
    # How often a query is asked after differs from run to run.
    if queries := stage.requests(step, "StartQueryExecution"):
        return Rule(
            kill_when_succeeded(queries), task=step, operation="GetQueryExecution", times=None, attempt=1
        )
    return Rule(kill_after, task=step, nth=stage.requests(step), attempt=1)


def _kill(stage: Stage, step: str, moment: str, retried: bool = True) -> None:
    kill(stage, kill_rule(stage, step, moment), retried)


def kill(stage: Stage, rule: Rule, retried: bool, *, merges: bool = False) -> None:
    """A try dies where the rule says, and is tried again, or the next run takes over.

    ``merges``: a run of the pipeline reads its own uploads only.
    """
    lake = stage.lake()
    outcome = lake.run([rule], settings=None if retried else NO_RETRY)
    rules_fired([rule])
    require(any(one["killed"] for one in outcome.tries), "Nothing was killed", outcome)
    require(outcome.state == ("success" if retried else "failed"), "Not the end that was expected", outcome)
    stage.recover(lake, [outcome], rows_only=merges and not retried)


def _kill_publishing(stage: Stage, rule: Callable[..., Rule], recovery: str) -> None:
    made = partial(rule, kill_before, task="publish_results", attempt=1)
    killed_publishing(stage, made, EXTRA | CORRECTED, recovery == "retry", reports=True)


def killed_publishing(
    stage: Stage, rule: Callable[[], Rule], more: Mapping[str, bytes], retried: bool, *, reports: bool = False
) -> None:
    """What readers see already is published anew, with ``more`` uploads, and that is where it dies."""
    lake = stage.lake()
    before = lake.run()
    lake.upload_all(more)
    made = rule()
    outcome = lake.run([made], settings=None if retried else NO_RETRY)
    rules_fired([made])
    require(outcome.state == ("success" if retried else "failed"), "Not the expected end", outcome)
    stage.recover(lake, [before, outcome], stage.story.uploads, more, reports=reports)


def _kill_scheduler(stage: Stage, step: str) -> None:
    writes = stage.writes(step)
    lake = stage.lake()
    dead: list[Any] = []

    def kill(connection: Connection) -> None:
        connection.swallow()
        dead[0].kill()
        connection.drop()

    rule = Rule(kill, task=step, writes=True, nth=(writes + 1) // 2)
    with lake.running([rule]) as run:
        dead.append(run)
    require(run.outcome.state == "died", "The scheduler lives", run.outcome)
    # The report is written beside the archiving, and may have died with it.
    stage.recover(lake, [run.outcome], reports=step != "archive_uploads")


def _kill_alert(stage: Stage, action: Action, messages: int = 1) -> None:
    lake = stage.lake()
    rules = [
        Rule(refuse(403, "AccessDenied"), task="load_bronze", operation="GetObject", times=None),
        Rule(action, task="alert", service="sns"),
    ]
    outcome = lake.run(rules)
    rules_fired(rules)
    require(outcome.state == "failed", "The run does not fail", outcome)
    messages_seen = lake.read_alerts()
    require(len(messages_seen) == messages, f"{len(messages_seen)} alerts", outcome)
    require(
        {one["run"]["id"] for one in messages_seen} == {outcome.run_id}, "Another run has alerted", outcome
    )
    # One of two is taken off, so that the comparison finds no other.
    del lake.alerts[1:]
    stage.recover(lake, [outcome])


# --- S3 --------------------------------------------------------------------------------------------

_REFUSALS: dict[str, Action] = {
    "503 SlowDown": refuse(503, "SlowDown"),
    "500 InternalError": refuse(500, "InternalError"),
    "connection reset": reset,
}


def s3() -> Iterator[Row]:
    # Now and then, all along: the clients have to get over it without the task being tried again.
    for fault, action in _REFUSALS.items():
        yield (
            "every step",
            f"S3: {fault} at every fourth request",
            "the client's retry",
            partial(_now_and_then, action=action),
        )
    # As long as a try lasts: the task has to be tried again.
    for step in ("claim_uploads", "load_bronze", "plan_slices", "extract.filter_expiring", "check_results",
                 "publish_results", "write_report", "archive_uploads"):  # fmt: skip
        yield (
            step,
            "S3: 503 SlowDown for a whole try",
            "retry",
            partial(outage, step=step, action=refuse(503, "SlowDown")),
        )
    for step in ("load_bronze", "publish_results", "archive_uploads"):
        yield step, "S3: connection reset for a whole try", "retry", partial(outage, step=step, action=reset)
        yield step, "S3: 500 InternalError for three tries", "next run", partial(_long_outage, step=step)
    bodies = {
        "load_bronze": "landing/",
        "extract.filter_expiring": "staging/.*/facilities/",
        "check_results": "athena-results/",
        "publish_results": "staging/.*plans",
    }
    for step, key in bodies.items():
        yield step, "S3: stalled body", "the client's retry", partial(_body, step=step, key=key, action=stall)
        yield (
            step,
            "S3: truncated body",
            "the client's retry",
            partial(_body, step=step, key=key, action=truncate),
        )
    for step, rule in {
        "load_bronze": partial(Rule, operation="PutObject"),
        "publish_results": partial(Rule, key="prod/manifests/", writes=True),
        "archive_uploads": partial(Rule, operation="CopyObject"),
    }.items():
        yield (
            step,
            "S3: a write takes effect, and its answer never comes",
            "the client's retry",
            partial(_no_answer, step=step, rule=rule),
        )
    for step, operation in {
        "wait_for_uploads": "ListObjects",
        "claim_uploads": "ListObjects",
        "load_bronze": "GetObject",
        "plan_slices": "PutObject",
        "extract.facility_metrics": "ListObjects|DeleteObjects",
        "publish_results": "CopyObject",
        "archive_uploads": "DeleteObject",
    }.items():
        yield (
            step,
            f"S3: AccessDenied to {operation}",
            "next run",
            partial(_denied, step=step, operation=operation),
        )
    yield "claim_uploads", "the listing changes between its pages", "next run", _changing_listing
    for step in ("publish_results", "archive_uploads"):
        yield (
            step,
            "S3: every second copy throttled",
            "the client's retry",
            partial(_copies, step=step, action=refuse(503, "SlowDown")),
        )
        yield (
            step,
            "S3: a copy answers 200 with an error in it",
            "the client's retry",
            partial(_copies, step=step, action=error_in_success),
        )
    yield (
        "load_bronze",
        "S3: the clocks differ (RequestTimeTooSkewed) for a try",
        "retry",
        partial(outage, step="load_bronze", action=refuse(403, "RequestTimeTooSkewed")),
    )
    yield (
        "load_bronze",
        "S3: credentials have expired for a try",
        "retry",
        partial(outage, step="load_bronze", action=refuse(400, "ExpiredToken")),
    )


def _now_and_then(stage: Stage, action: Action) -> None:
    lake = stage.lake()
    rules = [
        Rule(action, task=step, service="s3", nth=nth, attempt=1)
        for step in STEPS
        for nth in range(2, 1 + max(2, sum(one.task == step and one.service == "s3" for one in stage.undisturbed().requests)), 4)
    ]  # fmt: skip
    outcome = lake.run(rules)
    require(sum(rule.fired for rule in rules) >= len(STEPS), "Too few requests were refused", outcome)
    require(outcome.state == "success", "The run fails", outcome)
    require(all(one["try"] == 1 for one in outcome.tries), "A task had to be tried again", outcome)
    stage.recover(lake, [outcome])


def outage(stage: Stage, step: str, action: Action) -> None:
    lake = stage.lake()
    rule = Rule(action, task=step, service="s3", nth=2, times=None, attempt=1)
    outcome = lake.run([rule])
    rules_fired([rule])
    require(outcome.state == "success", "The run fails", outcome)
    require(any(one["try"] == 2 for one in outcome.attempts(step)), f"{step} was not tried again", outcome)
    stage.recover(lake, [outcome])


def _long_outage(stage: Stage, step: str) -> None:
    lake = stage.lake()
    rule = Rule(refuse(500, "InternalError"), task=step, service="s3", writes=True, nth=2, times=None)
    # In the middle of the step, then nothing at all.
    outcome = lake.run([rule], settings={"MEDLAUNCH_TASK_RETRIES": "1"})
    require(outcome.state == "failed", "The run does not fail", outcome)
    require(max(one["try"] for one in outcome.attempts(step)) == 2, "Not tried again", outcome)
    stage.recover(lake, [outcome])


def _body(stage: Stage, step: str, key: str, action: Action) -> None:
    lake = stage.lake()
    rules = [Rule(action, task=step, operation="GetObject", key=key, times=2)]
    outcome = lake.run(rules, settings={"MEDLAUNCH_AWS_READ_TIMEOUT_SECONDS": "2"})
    rules_fired(rules)
    require(outcome.state == "success", "The run fails", outcome)
    require(all(one["try"] == 1 for one in outcome.tries), "A task had to be tried again", outcome)
    stage.recover(lake, [outcome])


def _no_answer(stage: Stage, step: str, rule: Callable[..., Rule]) -> None:
    lake = stage.lake()
    made = rule(no_answer, task=step)
    outcome = lake.run([made], settings={"MEDLAUNCH_AWS_READ_TIMEOUT_SECONDS": "2"})
    rules_fired([made])
    require(outcome.state == "success", "The run fails", outcome)
    require(all(one["try"] == 1 for one in outcome.tries), "A task had to be tried again", outcome)
    stage.recover(lake, [outcome])


def _denied(stage: Stage, step: str, operation: str) -> None:
    lake = stage.lake()
    rule = Rule(refuse(403, "AccessDenied"), task=step, operation=operation, times=None)
    outcome = lake.run([rule])
    rules_fired([rule])
    failed_at_once(outcome, step, lake, "AccessDenied")
    stage.recover(lake, [outcome])


def _changing_listing(stage: Stage) -> None:
    """Pages of two keys; after the first one, an upload comes that belongs before it, and another one after it."""
    early = {f"{OTHER}/0 early.jsonl": lines(facility(77))}
    lake = stage.lake()
    path = re.compile(r"(list-type=2)(&max-keys=\d+)?")
    pages = 0

    def small_pages(connection: Connection) -> None:
        nonlocal pages
        pages += 1
        if pages == 2:
            lake.upload_all(early | EXTRA)
        connection.forward(path=path.sub(r"\1&max-keys=2", connection.exchange.path))

    rule = Rule(small_pages, task="claim_uploads", operation="ListObjectsV2", times=None)
    outcome = lake.run([rule])
    require(pages >= 4, f"{pages} pages were listed")
    require(outcome.state == "success", "The run fails", outcome)
    runs = stage.recover(lake, [outcome], UPLOADS, early | EXTRA, reports=False)
    require(runs == 2, f"It took {runs} runs")


def _copies(stage: Stage, step: str, action: Action) -> None:
    lake = stage.lake()
    count = sum(one.task == step and one.operation == "CopyObject" for one in stage.undisturbed().requests)
    rules = [Rule(action, task=step, operation="CopyObject", nth=nth) for nth in range(1, count + 1, 2)]
    outcome = lake.run(rules)
    require(sum(rule.fired for rule in rules) >= count // 2, "Too few copies were refused", outcome)
    require(outcome.state == "success", "The run fails", outcome)
    require(all(one["try"] == 1 for one in outcome.tries), "A task had to be tried again", outcome)
    stage.recover(lake, [outcome])


# --- Athena ----------------------------------------------------------------------------------------

#: Takes longer than anybody waits, and next to no memory.
ENDLESS = """SELECT count(*)
FROM UNNEST(sequence(1, 10000)) AS a(x)
CROSS JOIN UNNEST(sequence(1, 10000)) AS b(y)
CROSS JOIN UNNEST(sequence(1, 10000)) AS c(z)
WHERE (x * y + z) % 7 = 3"""
_METRICS = "extract.facility_metrics"


def athena() -> Iterator[Row]:
    for step in ("prepare_tables", _METRICS, "check_results"):
        yield step, "Athena: FAILED, can be tried again", "retry", partial(query_fails, step=step)
        yield step, "Athena: FAILED for good", "next run", partial(_query_is_wrong, step=step)
        yield step, "Athena: CANCELLED", "retry", partial(_query_is_cancelled, step=step)
        yield (
            step,
            "Athena: TooManyRequestsException, three times",
            "the client's retry",
            partial(_athena_throttles, step=step, times=3),
        )
    yield (
        _METRICS,
        "Athena: TooManyRequestsException for a whole try",
        "retry",
        partial(_athena_throttles, step=_METRICS, times=None),
    )
    yield _METRICS, "Athena: its answers about a query fail for a while", "retry", _athena_is_mute
    for step in ("prepare_tables", _METRICS):
        yield step, "Athena: a query that never ends", "retry", partial(_endless, step=step)
        yield step, "SIGKILL while its query runs", "retry", partial(_orphan, step=step)
    yield "extract.facilities", "Athena: half of an UNLOAD is there", "retry", _half_written
    yield "check_results", "Athena's counts are not the loader's", "next run", _counts_disagree
    yield "check_results", "a result has a row too many", "next run", _row_too_many
    yield "publish_results", "Glue: throttled", "the client's retry", _glue_throttles
    yield "publish_results", "Glue: AccessDeniedException", "next run", _glue_denies


def query_fails(stage: Stage, step: str, of: str = "") -> None:
    """Athena says of the first try's query (of those, with ``of`` in their text) that it failed for its own reason."""
    lake = stage.lake()

    def fail(connection: Connection) -> None:
        query_id = connection.exchange.json()["QueryExecutionId"]
        query = lake.athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Query"]
        if of not in query:
            connection.forward()
            return
        lake.athena.stop_query_execution(QueryExecutionId=query_id)

        def failed(body: dict[str, Any]) -> None:
            body["QueryExecution"]["Status"] |= {
                "State": "FAILED",
                "StateChangeReason": "GENERIC_INTERNAL_ERROR: injected",
                "AthenaError": {
                    "ErrorCategory": 1,
                    "ErrorType": 401,
                    "Retryable": True,
                    "ErrorMessage": "injected",
                },
            }

        connection.forward_changed(failed)

    rule = Rule(fail, task=step, operation="GetQueryExecution", times=None, attempt=1)
    outcome = lake.run([rule])
    rules_fired([rule])
    require(outcome.state == "success", "The run fails", outcome)
    require(any(one["try"] == 2 for one in outcome.attempts(step)), "Not tried again", outcome)
    stage.recover(lake, [outcome])


def _query_is_wrong(stage: Stage, step: str) -> None:
    lake = stage.lake()
    rule = Rule(
        _instead("SELECT no_such_column FROM no_such_table"), task=step, operation="StartQuery", times=None
    )
    outcome = lake.run([rule])
    rules_fired([rule])
    failed_at_once(outcome, step, lake, "no_such_table")
    stage.recover(lake, [outcome])


def _instead(query: str) -> Action:
    def start(connection: Connection) -> None:
        connection.forward_request(connection.exchange.json() | {"QueryString": query})

    return start


def _query_is_cancelled(stage: Stage, step: str) -> None:
    """Somebody stops the query in the console."""
    lake = stage.lake()

    def start_and_stop(connection: Connection) -> None:
        connection.forward_request(connection.exchange.json() | {"QueryString": ENDLESS})
        for one in lake.queries("QUEUED", "RUNNING"):
            lake.athena.stop_query_execution(QueryExecutionId=one["QueryExecutionId"])

    rule = Rule(start_and_stop, task=step, operation="StartQuery", attempt=1)
    outcome = lake.run([rule])
    rules_fired([rule])
    require(outcome.state == "success", "The run fails", outcome)
    require(any(one["try"] == 2 for one in outcome.attempts(step)), "Not tried again", outcome)
    stage.recover(lake, [outcome])


def _athena_throttles(stage: Stage, step: str, times: int | None) -> None:
    lake = stage.lake()
    rule = Rule(
        refuse(400, "TooManyRequestsException", "You have exceeded the limit"),
        task=step, operation="StartQuery", times=times, attempt=1,
    )  # fmt: skip
    outcome = lake.run([rule])
    rules_fired([rule])
    require(outcome.state == "success", "The run fails", outcome)
    again = any(one["try"] == 2 for one in outcome.attempts(step))
    require(again == (times is None), "Tried again, or not, against expectation", outcome)
    stage.recover(lake, [outcome])


def _athena_is_mute(stage: Stage) -> None:
    lake = stage.lake()
    rules = [
        Rule(_instead(ENDLESS), task=_METRICS, operation="StartQuery", attempt=1),
        Rule(
            refuse(500, "InternalServerException"),
            task=_METRICS,
            operation="GetQueryExecution",
            times=30,
            attempt=1,
        ),
    ]
    outcome = lake.run(rules, settings={"MEDLAUNCH_ATHENA_TIMEOUT_SECONDS": "30"})
    rules_fired(rules)
    require(outcome.state == "success", "The run fails", outcome)
    stage.recover(lake, [outcome])


def _endless(stage: Stage, step: str) -> None:
    lake = stage.lake()
    rule = Rule(_instead(ENDLESS), task=step, operation="StartQuery", attempt=1)
    outcome = lake.run([rule], settings={"MEDLAUNCH_ATHENA_TIMEOUT_SECONDS": "10"})
    rules_fired([rule])
    require(outcome.state == "success", "The run fails", outcome)
    require(any(one["try"] == 2 for one in outcome.attempts(step)), "Not tried again", outcome)
    require(lake.queries("CANCELLED"), "The query that never ends was not stopped", outcome)
    stage.recover(lake, [outcome])


def _orphan(stage: Stage, step: str) -> None:
    """The query goes on although its task is dead; the next try must not write beside it."""
    lake = stage.lake()

    def start_and_die(connection: Connection) -> None:
        # As Athena knows it: the statement of the task, which takes very long.
        body = connection.exchange.json()
        connection.swallow(body | {"QueryString": f"{_comment(body['QueryString'])}\n{ENDLESS}"})
        connection.kill()

    rule = Rule(start_and_die, task=step, operation="StartQuery", attempt=1)
    outcome = lake.run([rule])
    rules_fired([rule])
    require(outcome.state == "success", "The run fails", outcome)
    stage.recover(lake, [outcome])


def _comment(statement: str) -> str:
    return "\n".join(f"-- {line}" for line in statement.splitlines())


def _half_written(stage: Stage) -> None:
    """The first try leaves a file of wrong rows in the place it writes to."""
    lake = stage.lake()
    rows = gzip.compress(lines({"facility_id": "FAC99999", "facility_name": "half", "employee_count": 1}))

    def leave_half(connection: Connection) -> None:
        target = re.search(r"s3://[^/]+/(staging/[^']+/)'", connection.exchange.json()["QueryString"])
        assert target
        for day in (DAY, OTHER):
            key = f"{target[1]}snapshot_date={day}/20261101_half_written.gz"
            lake.s3.put_object(Bucket=lake.bucket, Key=key, Body=rows)
        connection.kill()

    rule = Rule(leave_half, task="extract.facilities", operation="StartQuery", body="UNLOAD")
    outcome = lake.run([rule])
    rules_fired([rule])
    require(outcome.state == "success", "The run fails", outcome)
    stage.recover(lake, [outcome])


def _counts_disagree(stage: Stage) -> None:
    """A line of bronze is gone between the loader and Athena."""
    lake = stage.lake()

    def lose_a_line() -> None:
        listing = lake.s3.list_objects_v2(
            Bucket=lake.bucket, Prefix=f"bronze/facilities/snapshot_date={OTHER}/"
        )
        (key,) = [one["Key"] for one in listing["Contents"]]
        body = lake.s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read()
        lake.s3.put_object(Bucket=lake.bucket, Key=key, Body=body.split(b"\n", 1)[1])

    rule = Rule(first(lose_a_line), task="plan_slices", operation="PutObject")
    outcome = lake.run([rule])
    rules_fired([rule])
    failed_at_once(outcome, "check_results", lake, "the loader counts")
    _nothing_published(lake)
    stage.recover(lake, [outcome])


def _row_too_many(stage: Stage) -> None:
    """A result has the same file twice when it is counted."""
    lake = stage.lake()

    def double_a_file() -> None:
        listing = lake.s3.list_objects_v2(Bucket=lake.bucket, Prefix="staging/")
        keys = [one["Key"] for one in listing["Contents"] if "/facility_metrics/snapshot_date=" in one["Key"]]
        lake.s3.copy_object(
            Bucket=lake.bucket, Key=f"{keys[0]}-again", CopySource={"Bucket": lake.bucket, "Key": keys[0]}
        )

    rule = Rule(first(double_a_file), task="check_results", operation="StartQuery")
    outcome = lake.run([rule])
    rules_fired([rule])
    failed_at_once(outcome, "check_results", lake, "facility_metrics")
    _nothing_published(lake)
    stage.recover(lake, [outcome])


def _nothing_published(lake: Lake) -> None:
    listing = lake.s3.list_objects_v2(Bucket=lake.bucket, Prefix="prod/")
    require(not listing.get("Contents"), "A run whose counts disagree has published something")


def _glue_throttles(stage: Stage) -> None:
    lake = stage.lake()
    rules = [Rule(refuse(400, "ThrottlingException"), service="glue", nth=nth) for nth in (1, 4, 5, 9)]
    outcome = lake.run(rules)
    rules_fired(rules)
    require(outcome.state == "success", "The run fails", outcome)
    require(all(one["try"] == 1 for one in outcome.tries), "A task had to be tried again", outcome)
    stage.recover(lake, [outcome])


def _glue_denies(stage: Stage) -> None:
    lake = stage.lake()
    rule = Rule(refuse(400, "AccessDeniedException"), service="glue", operation=MOVES, nth=3, times=None)
    outcome = lake.run([rule])
    rules_fired([rule])
    failed_at_once(outcome, "publish_results", lake, "AccessDeniedException")
    stage.recover(lake, [outcome])


# --- alerts ----------------------------------------------------------------------------------------


def alerts() -> Iterator[Row]:
    yield "alert", "SNS: down for three messages", "retry", partial(_sns, times=6)
    yield "alert", "SNS: down for good", "next run", partial(_sns, times=None)
    yield (
        "alert",
        "SNS: AuthorizationError",
        "next run",
        partial(_sns, times=None, code="AuthorizationError", status=403),
    )


def _sns(stage: Stage, times: int | None, code: str = "InternalFailure", status: int = 500) -> None:
    lake = stage.lake()
    rules = [
        Rule(refuse(403, "AccessDenied"), task="load_bronze", operation="GetObject", times=None),
        Rule(refuse(status, code), service="sns", times=times),
    ]
    outcome = lake.run(rules)
    rules_fired(rules)
    require(outcome.state == "failed", "The run does not fail", outcome)
    require(outcome.tasks["alert"] == "failed", "The alert task does not fail", outcome)
    count = len(lake.read_alerts())
    require(count == (0 if times is None else 1), f"{count} alerts")
    stage.recover(lake, [outcome], alerts="at most")


# --- the worker ------------------------------------------------------------------------------------


def worker() -> Iterator[Row]:
    yield (
        "extract.filter_expiring",
        "the worker's disk is full for a try",
        "retry",
        partial(_disk_full, tries=1),
    )
    yield "extract.filter_expiring", "the worker's disk is full", "next run", partial(_disk_full, tries=9)
    for days in (-400, 400):
        yield (
            "every step",
            f"the worker's clock is {days:+} days off in every second step",
            "none needed",
            partial(_clock, days=days),
        )


MANY = {f"{DAY}/many.jsonl": lines(*(facility(n, *["2026-12-01"] * 4) for n in range(1, 25_001)))}
#: More than Airflow's database has, less than what the filter puts aside for :data:`MANY`.
_FILE_BYTES = 8 * 1024**2


def _disk_full(stage: Stage, tries: int) -> None:
    lake = stage.lake(MANY)

    def fill(event: dict[str, Any]) -> dict[str, Any]:
        full = (
            event["event"] == "try" and event["task"] == "extract.filter_expiring" and event["try"] <= tries
        )
        return {"file_bytes": _FILE_BYTES} if full else {}

    outcome = lake.run(on_event=fill)
    attempts = len(outcome.attempts("extract.filter_expiring"))
    require(attempts == (2 if tries == 1 else 3), f"{attempts} tries", outcome)
    require(outcome.state == ("success" if tries == 1 else "failed"), "Not the expected end", outcome)
    stage.recover(lake, [outcome], MANY)


def _clock(stage: Stage, days: int) -> None:
    lake = stage.lake()
    count = 0

    def jump(event: dict[str, Any]) -> dict[str, Any]:
        nonlocal count
        count += event["event"] == "try"
        return {"clock_days": days} if event["event"] == "try" and count % 2 else {}

    outcome = lake.run(on_event=jump)
    require(outcome.state == "success", "The run fails", outcome)
    stage.recover(lake, [outcome])


# --- data ------------------------------------------------------------------------------------------


def data() -> Iterator[Row]:
    yield "load_bronze", "a gzip bomb of 2 GB", "skipped", _bomb
    yield "load_bronze", "a line of 200 MB", "rejected", _long_line
    yield (
        "load_bronze",
        "one file in parts; SIGKILL in one of them and while their rejects are joined",
        "retry",
        _parts,
    )
    yield "load_bronze", "10,000 small files; SIGKILL in load, publish and archive", "retry", _small_files


def _bomb(stage: Stage) -> None:
    packer = zlib.compressobj(9, wbits=31)
    block = b"\0" * 1024**2
    bomb = b"".join([*(packer.compress(block) for _ in range(2048)), packer.flush()])
    lake = stage.lake(UPLOADS | {f"{DAY}/bomb.jsonl.gz": bomb})
    outcome = lake.run(seconds=300)
    require(outcome.state == "success", "The run fails", outcome)
    key = f"quarantine/facilities/skipped/{DAY}/bomb.jsonl.gz"
    aside = lake.s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read()
    require(aside == bomb, "The bomb is not kept as it came")
    peak = max(one["memory"] for one in outcome.attempts("load_bronze"))
    require(peak < 450, f"A try took {peak:.0f} MB")
    lake.s3.delete_object(Bucket=lake.bucket, Key=key)
    stage.recover(lake, [outcome], reports=False)


def _long_line(stage: Stage) -> None:
    name = "x" * (200 * 1024**2)
    line = lines(facility(1000), facility(1001, facility_name=name), facility(1002))
    lake = stage.lake({f"{DAY}/long.jsonl": line})
    outcome = lake.run(seconds=300)
    require(outcome.state == "success", "The run fails", outcome)
    peak = max(one["memory"] for one in outcome.attempts("load_bronze"))
    require(peak < 450, f"A try took {peak:.0f} MB")
    kept = lake.s3.get_object(Bucket=lake.bucket, Key=f"quarantine/facilities/{DAY}/long.jsonl_rejects.jsonl")
    require(kept["ContentLength"] < 1024**2, "The whole line is in quarantine")
    manifest = _manifest(lake, DAY)
    require((manifest["lines"]["accepted"], manifest["lines"]["rejected"]) == (2, 1), f"{manifest['lines']}")


def _manifest(lake: Lake, day: str) -> dict[str, Any]:
    key = f"prod/manifests/facility_accreditation/{day}.json"
    return json.loads(lake.s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read())


def _parts(stage: Stage) -> None:
    good = [facility(number, services=["x" * 500]) for number in range(400)]
    bad = [facility(number, employee_count=-1) for number in range(400, 403)]
    lake = stage.lake({f"{DAY}/large.jsonl": lines(bad[0], *good[:200], bad[1], *good[200:], bad[2])})
    rules = [
        Rule(kill_after, task="load_bronze", operation="PutObject", key=r"bronze/.*\.00001-", attempt=1),
        Rule(kill_after, task="plan_slices", operation="PutObject", key="quarantine/", attempt=1),
    ]
    outcome = lake.run(rules, settings={"MEDLAUNCH_LOAD_PART_BYTES": str(2**16)})
    rules_fired(rules)
    require(outcome.state == "success", "The run fails", outcome)
    manifest = _manifest(lake, DAY)
    require(
        (manifest["lines"]["accepted"], manifest["lines"]["rejected"]) == (400, 3), f"{manifest['lines']}"
    )
    key = f"quarantine/facilities/{DAY}/large.jsonl_rejects.jsonl"
    kept = lake.s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read().splitlines()
    require([json.loads(line)["line_number"] for line in kept] == [1, 202, 403], f"{kept}")


def _small_files(stage: Stage, count: int = 10_000) -> None:
    lake = stage.lake({})
    in_parallel(lambda n: lake.upload(f"{DAY}/{n:05d}.jsonl", lines(facility(n))), range(count))
    rules = [
        Rule(kill_after, task="load_bronze", writes=True, nth=count * 3 // 10, attempt=1),
        Rule(kill_after, task="publish_results", writes=True, nth=3, attempt=1),
        Rule(kill_after, task="archive_uploads", writes=True, nth=count * 7 // 10 + 1, attempt=1),
    ]
    settings = {"MEDLAUNCH_LOAD_GROUP_BYTES": str(2**28), "MEDLAUNCH_MAX_LOAD_GROUPS": "8"}
    outcome = lake.run(rules, settings=settings, seconds=3600)
    rules_fired(rules)
    require(outcome.state == "success", "The run fails", outcome)
    manifest = _manifest(lake, DAY)
    require(manifest["lines"]["accepted"] == count, f"{manifest['lines']}")
    require(len(manifest["inputs"]) == count, f"{len(manifest['inputs'])} inputs")
    left, kept = (_count(lake, prefix) for prefix in ("landing/", "archive/"))
    require((left, kept) == (0, count), f"{left} files in landing, {kept} in archive")


def _count(lake: Lake, prefix: str) -> int:
    pages = lake.s3.get_paginator("list_objects_v2").paginate(Bucket=lake.bucket, Prefix=prefix)
    return sum(page["KeyCount"] for page in pages)


# --- uploads that change while they are processed --------------------------------------------------

_A = f"{OTHER}/a.jsonl"
_MOMENTS: dict[str, Callable[..., Rule]] = {
    "claim_uploads: after the listing": partial(Rule, task="claim_uploads", writes=True),
    "load_bronze: before it is read": partial(
        Rule, task="load_bronze", operation="GetObject", key=f"landing/.*{_A}"
    ),
    "load_bronze: after it was read": partial(
        Rule, task="load_bronze", operation="PutObject", key=f"bronze/.*{OTHER}"
    ),
    "plan_slices: begin": partial(Rule, task="plan_slices"),
    "check_results: begin": partial(Rule, task="check_results"),
    "publish_results: between copies and switch": partial(Rule, task="publish_results", service="glue"),
    "archive_uploads: before the copy": partial(
        Rule, task="archive_uploads", operation="CopyObject", key=f"archive/.*{_A}"
    ),
    "archive_uploads: between copy and removal": partial(
        Rule, task="archive_uploads", operation="DeleteObject", key=f"landing/.*{_A}"
    ),
}
_READ = tuple(_MOMENTS)[2:]


def uploads() -> Iterator[Row]:
    for moment, rule in _MOMENTS.items():
        step, _, when = moment.partition(": ")
        yield (
            step,
            f"an upload is overwritten {when}",
            "next run",
            partial(_overwritten, rule=rule, read=moment in _READ),
        )
        yield (
            step,
            f"an upload is deleted {when}",
            "none needed",
            partial(_deleted, rule=rule, read=moment in _READ),
        )
    for moment in _READ:
        step, _, when = moment.partition(": ")
        yield (
            step,
            f"an upload comes a second time {when}",
            "next run",
            partial(_doubled, rule=_MOMENTS[moment]),
        )
    yield "every step", "another upload of the same snapshot arrives", "next run", _arriving
    yield (
        "publish_results",
        "overwritten, and killed before the switch",
        "retry",
        partial(_overwritten_and_killed, operation="publish_results"),
    )
    yield (
        "archive_uploads",
        "overwritten, and killed after the first copy",
        "retry",
        partial(_overwritten_and_killed, operation="archive_uploads"),
    )


def _overwritten(stage: Stage, rule: Callable[..., Rule], read: bool) -> None:
    lake = stage.lake()
    made = rule(first(lambda: _later(lake, CORRECTED)))
    outcome = lake.run([made])
    rules_fired([made])
    require(outcome.state == "success", "The run fails", outcome)
    require(_count(lake, "landing/") == 1, "The new version has left landing unread", outcome)
    if read:
        stage.recover(lake, [outcome], UPLOADS, CORRECTED, reports=False)
    else:
        # The first version is gone before it could be read; in the undisturbed result the second one
        # has replaced it.
        stage.recover(lake, [outcome], UPLOADS | CORRECTED, reports=False)


def _later(lake: Lake, uploads: dict[str, bytes]) -> None:
    """Upload in another second, by which S3 can tell which is the later one."""
    now = int(time.time())
    while int(time.time()) == now:
        time.sleep(0.02)
    lake.upload_all(uploads)


def _deleted(stage: Stage, rule: Callable[..., Rule], read: bool) -> None:
    lake = stage.lake()
    made = rule(first(lambda: lake.s3.delete_object(Bucket=lake.bucket, Key=f"landing/facilities/{_A}")))
    outcome = lake.run([made])
    rules_fired([made])
    require(outcome.state == "success", "The run fails", outcome)
    rest = UPLOADS if read else {key: body for key, body in UPLOADS.items() if key != _A}
    stage.recover(lake, [outcome], rest, reports=False)


def _doubled(stage: Stage, rule: Callable[..., Rule]) -> None:
    """The same content once more under the same name."""
    again = {_A: UPLOADS[_A]}
    lake = stage.lake()
    made = rule(first(lambda: _later(lake, again)))
    outcome = lake.run([made])
    rules_fired([made])
    require(outcome.state == "success", "The run fails", outcome)
    stage.recover(lake, [outcome], UPLOADS, again, reports=False)


def _arriving(stage: Stage) -> None:
    lake = stage.lake()
    arrived: dict[str, bytes] = {}

    def arrive(event: dict[str, Any]) -> None:
        if event["event"] == "try" and event["task"] != "wait_for_uploads":
            number = 100 + len(arrived)
            one = {
                f"{DAY}/z{number}.jsonl": lines(
                    facility(number), facility(1, facility_name=f"by {number}"), b"x\n"
                )
            }
            arrived.update(one)
            lake.upload_all(one)

    outcome = lake.run(on_event=arrive)
    require(outcome.state == "success", "The run fails", outcome)
    require(len(arrived) >= len(STEPS), f"{len(arrived)} uploads arrived")
    # The first came before the listing.
    stage.recover(lake, [outcome], UPLOADS, arrived, reports=False)


def _overwritten_and_killed(stage: Stage, operation: str) -> None:
    lake = stage.lake()
    rules = [
        _MOMENTS["plan_slices: begin"](first(lambda: _later(lake, CORRECTED))),
        Rule(kill_before, task="publish_results", operation=MOVES)
        if operation == "publish_results"
        else Rule(kill_after, task="archive_uploads", operation="CopyObject"),
    ]
    outcome = lake.run(rules)
    rules_fired(rules)
    require(outcome.state == "success", "The run fails", outcome)
    stage.recover(lake, [outcome], UPLOADS, CORRECTED, reports=False)


# --- two runs at once ------------------------------------------------------------------------------

_GATES: dict[str, Callable[..., Rule]] = {
    "claim_uploads: after the listing": partial(Rule, task="claim_uploads", writes=True),
    "load_bronze: before the first write": partial(Rule, task="load_bronze", writes=True),
    "plan_slices: after the published manifest was read": partial(
        Rule, task="plan_slices", operation="PutObject", key="plans"
    ),
    "extract.facilities: begin": partial(Rule, task="extract.facilities"),
    "publish_results: begin": partial(Rule, task="publish_results"),
    "publish_results: after the copies": partial(Rule, task="publish_results", key="prod/publications/"),
    "publish_results: before the first partition": partial(Rule, task="publish_results", operation=MOVES),
    "publish_results: between two partitions": partial(Rule, task="publish_results", operation=MOVES, nth=5),
    "publish_results: before a manifest": partial(
        Rule, task="publish_results", key="prod/manifests/", writes=True
    ),
    "write_report: begin": partial(Rule, task="write_report"),
    "archive_uploads: before a copy": partial(Rule, task="archive_uploads", operation="CopyObject"),
    "archive_uploads: before a removal": partial(Rule, task="archive_uploads", operation="DeleteObject"),
}


def parallel() -> Iterator[Row]:
    for moment, rule in _GATES.items():
        step, _, when = moment.partition(": ")
        yield (
            step,
            f"another run takes the same uploads, and one more, {when}",
            "next run",
            partial(overtaken, rule=rule),
        )
    yield "every step", "two runs side by side", "next run", _side_by_side


def overtaken(
    stage: Stage, rule: Callable[..., Rule], more: Mapping[str, bytes] = REJECTED, *, merges: bool = False
) -> None:
    """A run is held; another one, which has seen more uploads, runs from its begin to its end.

    ``merges``: a run of the pipeline reads its own uploads only.
    """
    lake = stage.lake()
    gate = Gate()
    made = rule(gate.hold)
    # It waits however long the other one takes.
    settings = {"MEDLAUNCH_AWS_READ_TIMEOUT_SECONDS": "900"}
    with lake.running([made], settings=settings) as slow:
        require(gate.reached.wait(_TIMEOUT_SECONDS), "The first run never comes to where it is held")
        lake.upload_all(more)
        quick = lake.run()
        gate.opened.set()
    require(quick.state == "success", "The run that overtakes fails", quick)
    require(slow.outcome.state in ("success", "failed"), "The slow run does not end", slow.outcome)
    runs = [slow.outcome, quick]
    stage.recover(lake, runs, stage.story.uploads, more, reports=False, rows_only=merges)


def _side_by_side(stage: Stage) -> None:
    lake = stage.lake()
    with lake.running() as one, lake.running() as other:
        pass
    require(one.outcome.state in ("success", "failed"), "It does not end", one.outcome)
    require(other.outcome.state in ("success", "failed"), "It does not end", other.outcome)
    stage.recover(lake, [one.outcome, other.outcome], reports=False)


# --- a bucket without versioning -------------------------------------------------------------------


def unversioned() -> Iterator[Row]:
    yield "every step", "no versioning: undisturbed", "none needed", partial(_unversioned, rules=list)
    for step in ("publish_results", "archive_uploads"):
        rules = partial(_kill_in_the_middle, step)
        yield (
            step,
            "no versioning: SIGKILL in the middle of its effects",
            "retry",
            partial(_unversioned, rules=rules),
        )
    for moment in (
        "load_bronze: before it is read",
        "check_results: begin",
        "archive_uploads: between copy and removal",
    ):
        step, _, when = moment.partition(": ")
        yield (
            step,
            f"no versioning: an upload is overwritten {when}",
            "next run",
            partial(_unversioned_overwritten, moment=moment),
        )


def _kill_in_the_middle(step: str) -> list[Rule]:
    return [Rule(kill_after, task=step, writes=True, nth=5, attempt=1)]


def _unversioned(stage: Stage, rules: Callable[[], list[Rule]]) -> None:
    lake = stage.lake(versioning=False)
    made = rules()
    outcome = lake.run(made)
    rules_fired(made)
    require(outcome.state == "success", "The run fails", outcome)
    stage.recover(lake, [outcome])


def _unversioned_overwritten(stage: Stage, moment: str) -> None:
    """The first version cannot be archived any more; the results are right all the same."""
    lake = stage.lake(versioning=False)
    made = _MOMENTS[moment](first(lambda: _later(lake, CORRECTED)))
    outcome: Outcome = lake.run([made])
    rules_fired([made])
    require(outcome.state == "success", "The run fails", outcome)
    require(_count(lake, "landing/") == 1, "The new version has left landing unread", outcome)
    stage.recover(
        lake, [outcome], *([UPLOADS, CORRECTED] if moment in _READ else [UPLOADS | CORRECTED]), reports=False
    )
