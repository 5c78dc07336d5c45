"""One SNS message per failed run, whatever made it fail, and one per run that skipped data.

Three parts, which every DAG wires in the same way::

    @dag(..., on_failure_callback=alerts.alert_fallback,
         default_args={"on_failure_callback": alerts.store_error, ...})
    def pipeline() -> None:
        ...
        [everything, that, can, fail, in, parallel] >> alerts.alert()

``store_error`` runs in the failing task's process, the only place that knows the exception. The task
``alert`` runs after everything has ended, publishes one message that names all failed tasks, killed ones
too, and then fails, so that the run stays failed. The DAG's callback publishes only where that task could
not: the run timed out, or the task itself was killed or out of tries. Where nothing failed, the same task publishes a
warning if the run skipped objects that were meant as data; the run is a success.

A message may come twice in one case: the alert task dies between SNS's answer and the moment when Airflow
has stored it. The other way round it would be lost.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import TriggerRule, task
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout
from botocore.config import Config

from medlaunch.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

#: DAGs with this tag are tools for operators: they claim no uploads, and their alerts say so.
TOOL_TAG = "operations"
ALERT_TASK = "alert"
REPORT_TASK = "write_report"
ERROR = "error"
PUBLISHED = "published"
#: XCom key of a run's report: its outcome and key, and what it skipped.
REPORT = "report"
#: Airflow Variable of a DAG with the id of the run whose failure makes Airflow pause it; medlaunch_plugin, which
#: sees the runs before, writes it.
PAUSES_VARIABLE = "medlaunch_failure_pauses__"

_ERROR_CHARACTERS = 2_000
_LISTED = 20
# SNS takes 256 KB (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html); the rest is for its envelope.
_MESSAGE_BYTES = 200_000

# Airflow kills the process of a DAG callback after 50 seconds ([dag_processor] dag_file_processor_timeout),
# imports included, so that S3, SNS and the waiting between attempts together must take clearly less.
_QUICK = Config(connect_timeout=3, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 2})
_CALLBACK_TIMEOUT_SECONDS = 15.0

_WHAT_HAPPENED = {
    "task_failure": "a task failed",
    "timed_out": "the run timed out",
    "all_tasks_deadlocked": "no task could run any more",
}
_WHAT_TO_DO_OPERATIONS = (
    "A tool for operators did not finish; nothing that it had not done yet has changed. Follow the runbook: read "
    "the error, then clear the failed task, which continues, or start the tool again."
)
_WHAT_TO_DO_PAUSED = (
    " Airflow has paused the DAG, because this many runs in a row have failed: no run starts until it is unpaused. "
    "Remove the cause first; then unpause, and the next run takes what waits in landing/. Nothing has to be repaired."
)
_WHAT_TO_DO_SKIPPED = (
    "These objects could not be loaded and were moved to quarantine/<dataset>/skipped/ (a file of an archive stays in "
    "it, below archive/); everything else was published. "
    "Follow the runbook: find out what they are, and have what was meant as data uploaded again."
)
_WHAT_TO_DO = (
    "Uploads leave landing/ only after their results are published, and readers see whole slices only, so "
    "nothing is lost. Follow the runbook: find the cause in the task's log, remove it, then clear the failed "
    "tasks together with everything downstream, or let the next run take the uploads."
)


_NO_UPLOADS: dict[str, Any] = {
    "bucket": None,
    "count": None,
    "keys": [],
    "note": "This DAG claims no uploads.",
}

# --- what failed -----------------------------------------------------------------------------------


def store_error(context: Context) -> None:
    """Task callback: keep the error of a task's last try for the alert, in a small XCom."""
    error = context.get("exception")
    if error is None:
        # Airflow calls this in the dag processor for a task whose process is gone. Nothing is known of the
        # error there, and an XCom pushed from there hangs that process until it is killed.
        return
    ti = context["ti"]
    ti.xcom_push(
        ERROR,
        {
            "task": ti.task_id,
            "map_index": ti.map_index,
            "try": ti.try_number,
            "what": "timed_out" if isinstance(error, AirflowTaskTimeout) else "raised",
            "error": {"type": type(error).__name__, "text": describe(error)},
            "log_url": ti.log_url,
        },
    )


def describe(error: BaseException | str) -> str:
    """An error's text, bounded, and without what may be content of a record.

    The errors of AWS, Airflow and this repository name keys, lines and settings, never values of records.
    What other libraries and Python itself put between quotes may be such a value, and so may what an
    engine quotes when it meets data that it cannot read; both are left out. The log has the whole text.
    """
    text = str(error).strip() or "(no text)"
    ours = type(error).__module__.partition(".")[0] in ("airflow", "botocore", "medlaunch")
    if not ours or _BAD_DATA.search(text):
        text = _QUOTED.sub("'…'", text)
    return text if len(text) <= _ERROR_CHARACTERS else text[: _ERROR_CHARACTERS - 1] + "…"


_BAD_DATA = re.compile(r"HIVE_BAD_DATA|HIVE_CURSOR_ERROR|INVALID_CAST_ARGUMENT|INVALID_FUNCTION_ARGUMENT")
_QUOTED = re.compile(r"""(?<!\w)(['"`]).*?\1(?!\w)|(?<=input_value=)\S+""", re.DOTALL)


def failed_instances(states: Mapping[str, Any], task_ids: Iterable[str]) -> list[tuple[str, int]]:
    """The failed tasks of a run as (task id, map index), from what Airflow says of its states.

    Airflow names a mapped instance ``<task id>_<map index>``. Tasks that never ran because another one
    failed are no failures of their own.
    """
    known = set(task_ids)
    failed = []
    for name, state in states.items():
        if state != "failed" or name == ALERT_TASK:
            continue
        task_id, _, index = name.rpartition("_")
        mapped = name not in known and task_id in known and index.isdigit()
        failed.append((task_id, int(index)) if mapped else (name, -1))
    return sorted(failed)


def _failures(context: Context, run_url: str) -> tuple[list[dict[str, Any]], int]:
    """What is known of the failed tasks: the first of them, and how many there are."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    dag, run_id = context["dag"], context["run_id"]
    states = RuntimeTaskInstance.get_task_states(dag_id=dag.dag_id, run_ids=[run_id]).get(run_id, {})
    failed = failed_instances(states, dag.task_ids)
    return [_failure(dag.dag_id, run_id, run_url, *one) for one in failed[:_LISTED]], len(failed)


def _failure(dag_id: str, run_id: str, run_url: str, task_id: str, map_index: int) -> dict[str, Any]:
    stored = _pull(dag_id, run_id, task_id, map_index, ERROR)
    if stored is not None:
        return stored
    return {
        "task": task_id,
        "map_index": map_index,
        "try": None,
        "what": "killed",
        "error": {
            "type": "Killed",
            "text": "The task's process ended without an error: it was killed, ran out of memory, or its worker was lost.",
        },
        "log_url": f"{run_url}/tasks/{task_id}" + (f"/mapped/{map_index}" if map_index >= 0 else ""),
    }


def _pull(dag_id: str, run_id: str, task_id: str, map_index: int, key: str) -> Any:
    from airflow.sdk.execution_time.xcom import XCom

    return XCom.get_one(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index, key=key)


# --- the message -----------------------------------------------------------------------------------


def _message(context: Context, reason: str, sent_by: str, *, pauses: bool) -> dict[str, Any]:
    """Everything that is known of a failed run, as the body of its alert.

    ``pauses``: the failure is one too many in a row, and Airflow pauses the DAG.
    """
    config = settings()
    dag, run_id, dag_run = context["dag"], context["run_id"], context.get("dag_run")
    run_url = _run_url(dag.dag_id, run_id)
    failures, count = _failures(context, run_url)
    if reason == "timed_out" and (ti := context.get("ti")) is not None:
        failures.append(
            {
                "task": ti.task_id,
                "map_index": ti.map_index,
                "try": ti.try_number,
                "what": "unfinished",
                "error": {
                    "type": "RunTimedOut",
                    "text": f"Had not ended after {dag.dagrun_timeout}, the run's limit.",
                },
                "log_url": ti.log_url,
            }
        )
    is_tool = TOOL_TAG in dag.tags
    uploads, params = (_NO_UPLOADS, None) if is_tool else _uploads(dag.dag_id, run_id)
    given = {name: str(value) for name, value in (context.get("params") or {}).items()}
    return {
        "summary": _summary(dag.dag_id, reason, failures, count, pauses=pauses),
        "pipeline": dag.dag_id,
        "environment": config.environment,
        "severity": "error",
        "what": reason,
        "run": {
            "id": run_id,
            "url": run_url,
            "started_at": _iso(getattr(dag_run, "start_date", None)),
            "failed_at": _iso(datetime.now(UTC)),
            "params": given if params is None else params,
        },
        "dag_paused": pauses,
        "failed_runs_in_a_row": dag.max_consecutive_failed_dag_runs if pauses else None,
        "failed_tasks_count": count,
        "failed_tasks": failures,
        "uploads": uploads,
        "what_to_do": (_WHAT_TO_DO_OPERATIONS if is_tool else _WHAT_TO_DO)
        + (_WHAT_TO_DO_PAUSED if pauses else ""),
        "runbook": runbook(f"{dag.dag_id}_failed"),
        "sent_by": sent_by,
    }


def runbook(name: str) -> str:
    """Where a runbook can be read."""
    return f"{settings().runbook_url.rstrip('/')}/{name}.md"


def _summary(
    dag_id: str, reason: str, failures: list[dict[str, Any]], count: int, *, pauses: bool = False
) -> str:
    names = ", ".join(_name(one) for one in failures[:3])
    more = f" and {count - 3} more" if count > 3 else ""
    paused = " and is paused now" if pauses else ""
    return f"{dag_id} failed{paused}: {_WHAT_HAPPENED.get(reason, reason)}" + (
        f" ({names}{more})" if names else ""
    )


def _name(failure: Mapping[str, Any]) -> str:
    index = failure["map_index"]
    return failure["task"] if index is None or index < 0 else f"{failure['task']}[{index}]"


def _run_url(dag_id: str, run_id: str) -> str:
    from airflow.sdk.configuration import conf

    base = conf.get("api", "base_url", fallback=None) or "http://localhost:8080"
    return f"{base.rstrip('/')}/dags/{dag_id}/runs/{quote(run_id)}"


def _uploads(dag_id: str, run_id: str) -> tuple[dict[str, Any], dict[str, str] | None]:
    """The uploads that the run had claimed, and its params, from its batches; an alert goes out without them too."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from medlaunch.aws.documents import Run
    from medlaunch.ingest.uploads import BATCH, Batch
    from medlaunch.pipelines import by_dag

    config = settings()
    batches = []
    try:
        s3 = S3Hook(aws_conn_id=config.aws_conn_id, config=_QUICK).get_conn()
        for name in [one.name for one in by_dag().get(dag_id, ())] or [dag_id]:
            with contextlib.suppress(FileNotFoundError):
                run = Run(s3, config.bucket, name, run_id, config.environment)
                batches.append(run.get(BATCH, Batch))
    except Exception as error:
        log.warning("The batch of %s could not be read", run_id, exc_info=True)
        note = f"The run's batch could not be read ({type(error).__name__}); uploads are in landing/."
        return {"bucket": config.bucket, "count": None, "keys": [], "note": note}, None
    if not batches:
        note = "The run failed before it had claimed uploads; they are in landing/."
        return {"bucket": config.bucket, "count": None, "keys": [], "note": note}, None
    keys = [upload.key for batch in batches for upload in batch.uploads]
    return {"bucket": config.bucket, "count": len(keys), "keys": keys[:_LISTED]}, batches[0].params


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


def fit(message: dict[str, Any]) -> str:
    """The message as JSON text that SNS takes: long texts are shortened until it is small enough."""
    for limit in (_ERROR_CHARACTERS, 500, 100):
        for failure in message.get("failed_tasks", ()):
            failure["error"]["text"] = failure["error"]["text"][:limit]
        text = json.dumps(message, indent=2, ensure_ascii=False)
        # The hook wraps the text in JSON once more, which makes quotes and what is not ASCII longer.
        if len(json.dumps({"default": text})) <= _MESSAGE_BYTES:
            return text
    if "uploads" in message:
        message["uploads"]["keys"] = message["uploads"]["keys"][:1]
    return json.dumps(message, indent=2, ensure_ascii=False)


def subject(message: Mapping[str, Any]) -> str:
    """An SNS subject: at most 100 printable ASCII characters in one line."""
    text = f"[{message['environment']}] {message['summary']}".encode("ascii", "replace").decode()
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= 100 else text[:97] + "..."


def publish(message: dict[str, Any], timeout_seconds: float = 0.0, topic_arn: str | None = None) -> str:
    """Publish a message and return its SNS message id.

    Args:
        message: body of the alert.
        timeout_seconds: how long a refused message is sent again before giving up.
        topic_arn: another topic than that of the alerts.

    Raises:
        botocore.exceptions.BotoCoreError, ClientError: if SNS does not take the message.
    """
    import tenacity
    from airflow.providers.amazon.aws.hooks.sns import SnsHook

    config = settings()
    # The topic's region counts, whatever the connection's is.
    topic = topic_arn or config.alerts_topic_arn
    region = topic.split(":")[3]
    hook = SnsHook(aws_conn_id=config.aws_conn_id, region_name=region, config=_QUICK)
    attempts = tenacity.Retrying(
        stop=tenacity.stop_before_delay(timeout_seconds),
        wait=tenacity.wait_exponential(multiplier=0.5, max=4),
        before_sleep=tenacity.before_sleep_log(log, logging.WARNING),
        reraise=True,
    )
    answer = attempts(
        hook.publish_to_target,
        target_arn=topic,
        message=fit(message),
        subject=subject(message),
        message_attributes={
            "pipeline": message["pipeline"],
            "environment": message["environment"],
            "severity": message["severity"],
        },
    )
    return answer["MessageId"]


# --- who publishes ---------------------------------------------------------------------------------


def alert() -> Any:
    """The task that alerts: wire it directly downstream of everything that can fail side by side.

    It runs when all of that has ended. (What comes after tasks that failed counts as ended as soon as the
    first of them has, so that wiring the alert to that alone would alert while the others still run.) If nothing failed it
    succeeds, without network calls unless data was skipped. Else it publishes one message and fails, so that the run stays failed; when SNS refuses it is retried, with
    pauses of up to five minutes.
    """

    @task(
        task_id=ALERT_TASK,
        trigger_rule=TriggerRule.ALL_DONE,
        retries=6,
        retry_delay=timedelta(seconds=min(10.0, settings().retry_delay_seconds)),
        retry_exponential_backoff=2.0,
        max_retry_delay=timedelta(minutes=5),
        execution_timeout=timedelta(minutes=2),
    )
    def alert_task(**context: Any) -> None:
        """Publishes one alert that names every failed task, then fails, so that the run stays failed.

        When nothing failed: publishes a warning if data was skipped, and succeeds.
        """
        _alert(context)  # type: ignore[arg-type]

    return alert_task()


def _alert(context: Context) -> None:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    dag, run_id = context["dag"], context["run_id"]
    states = RuntimeTaskInstance.get_task_states(dag_id=dag.dag_id, run_ids=[run_id]).get(run_id, {})
    if not failed_instances(states, dag.task_ids):
        _warn_of_skipped_data(context)
        return
    message = _message(context, "task_failure", sent_by="task", pauses=_pauses(context))
    message_id = publish(message)
    context["ti"].xcom_push(PUBLISHED, {"message_id": message_id, "clear_number": _clear_number(context)})
    raise AirflowFailException(
        f"{message['summary']}. Alert {message_id} was published; the run stays failed."
    )


def report_tasks(task_ids: Iterable[str]) -> list[str]:
    """The tasks of a DAG that write a report: one of each of its pipelines."""
    return [one for one in task_ids if one.rpartition(".")[2] == REPORT_TASK]


def _warn_of_skipped_data(context: Context) -> None:
    """Publish a warning if the run skipped objects that were meant as data; it stays a success."""
    pulled = context["ti"].xcom_pull(task_ids=report_tasks(context["dag"].task_ids), key=REPORT) or ()
    reports = [one for one in pulled if one and one["skipped_count"]]
    if not reports:
        return
    dag_id, run_id, config = context["dag"].dag_id, context["run_id"], settings()
    count = sum(one["skipped_count"] for one in reports)
    objects = [one for report in reports for one in report["skipped"]]
    message = {
        "summary": f"{dag_id} skipped {count} {'object' if count == 1 else 'objects'} that could not be loaded",
        "pipeline": dag_id,
        "environment": config.environment,
        "severity": "warning",
        "status": "warning",
        "what": "skipped_data",
        "run": {"id": run_id, "url": _run_url(dag_id, run_id)},
        "skipped": {"bucket": config.bucket, "count": count, "objects": objects[:_LISTED]},
        "reports": [f"s3://{config.bucket}/{one['key']}" for one in reports],
        "what_to_do": _WHAT_TO_DO_SKIPPED,
        "runbook": runbook("skipped_data"),
        "sent_by": "task",
    }
    message_id = publish(message)
    log.warning("%s; warning %s was published", message["summary"], message_id)


def alert_fallback(context: Context) -> None:
    """DAG callback: publish the alert of a failed run if its alert task did not.

    Makes only calls that Airflow answers in the dag processor (pull an XCom, states of tasks,
    connections); any other one would hang that process until it is killed, and the alert with it.
    """
    dag_id, run_id = context["dag"].dag_id, context["run_id"]
    try:
        published = _pull(dag_id, run_id, ALERT_TASK, -1, PUBLISHED)
    except ImportError:
        # dag.test() calls this without anything to ask; its alert task has run in this same process.
        log.info("Not under a scheduler; the alert task of %s is the one that alerts", run_id)
        return
    # After tasks were cleared, the run may fail anew while its alert task is as it was.
    if published and published["clear_number"] == _clear_number(context):
        log.info("Alert %s was published for %s by its alert task", published["message_id"], run_id)
        return
    reason = str(context.get("reason", "task_failure"))
    # Airflow counts failures where a task failed, not those by a timeout of the run.
    pauses = reason == "task_failure" and _pauses_if_last(context)
    message = _message(context, reason, sent_by="dag_callback", pauses=pauses)
    message_id = publish(message, _CALLBACK_TIMEOUT_SECONDS)
    log.info(
        "Alert %s was published for %s by the DAG's callback: %s", message_id, run_id, message["summary"]
    )


def _pauses_if_last(context: Context) -> bool:
    """Whether the runs before this one failed, as many as Airflow allows but one."""
    from airflow.sdk import Variable

    return Variable.get(f"{PAUSES_VARIABLE}{context['dag'].dag_id}", default=None) == context["run_id"]


def _pauses(context: Context) -> bool:
    """Whether Airflow pauses the DAG when this run fails: not while a newer run waits for its turn."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    if not _pauses_if_last(context):
        return False
    unfinished = RuntimeTaskInstance.get_dr_count(dag_id=context["dag"].dag_id, states=["queued", "running"])
    return unfinished <= 1


def send_stale(message: dict[str, Any]) -> str:
    """Publish the alert that nothing was published for too long; returns its SNS message id."""
    return publish({**message, "runbook": runbook(f"{message['dag']}_stale")})


# --- success ---------------------------------------------------------------------------------------


def on_success() -> Callable[[Context], None] | None:
    """The DAG's callback for a run that succeeded; None unless a topic for it is configured."""
    return notify_success if settings().success_topic_arn else None


def notify_success(context: Context) -> None:
    """DAG callback: publish what a run published to the topic of successes; nothing if it published nothing.

    As with :func:`alert_fallback` only an XCom may be asked for here. Not retried beyond a quarter of
    a minute: a message that does not get through leaves the run as good as it is.
    """
    config = settings()
    dag_id, run_id = context["dag"].dag_id, context["run_id"]
    try:
        tasks = report_tasks(context["dag"].task_ids)
        reports = [_pull(dag_id, run_id, one, -1, REPORT) for one in tasks]
        texts = [_pull(dag_id, run_id, one, -1, "return_value") for one in tasks]
    except ImportError:
        log.info("Not under a scheduler; no message that %s succeeded", run_id)
        return
    published = [
        (report, text)
        for report, text in zip(reports, texts, strict=True)
        if report and report["outcome"] == "published"
    ]
    if not published:
        return
    message = {
        "summary": f"{dag_id}: {'; '.join(text.partition('. ')[0] for _, text in published)}",
        "pipeline": dag_id,
        "environment": config.environment,
        "severity": "info",
        "what": "published",
        "run": {"id": run_id, "url": _run_url(dag_id, run_id)},
        "text": "\n\n".join(text for _, text in published),
        "reports": [f"s3://{config.bucket}/{report['key']}" for report, _ in published],
        "sent_by": "dag_callback",
    }
    message_id = publish(message, _CALLBACK_TIMEOUT_SECONDS, config.success_topic_arn)
    log.info("Message %s was published: %s succeeded", message_id, run_id)


def _clear_number(context: Context) -> int:
    return getattr(context.get("dag_run"), "clear_number", None) or 0
