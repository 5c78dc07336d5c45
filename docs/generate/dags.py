"""``docs/reference/dags.md``: every DAG as it is in the code, with its tasks in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, TriggerRule

from docs.generate.markdown import code, page, table

_INTRODUCTION = """
Made from the DAG objects. This and more is in the Airflow UI: the DAG's and each task's
documentation, the params form, and the graph.
"""


def dags(found: Mapping[str, DAG]) -> str:
    """The page, as Markdown, for DAGs by their ids."""
    return page("DAGs", _INTRODUCTION, *(_describe(dag) for _, dag in sorted(found.items())))


def _describe(dag: DAG) -> str:
    tasks = list(dag.topological_sort())
    blocks = [
        f"## {dag.dag_id}",
        (dag.doc_md or "").strip(),
        table(["Setting", "Value"], _settings(dag)),
        *(["### Params", table(["Param", "Default", "Type", "Meaning"], _params(dag))] if dag.params else []),
        "### Graph",
        _graph(tasks),
        "### Tasks",
        "In the order in which they can run. A trigger rule is given where it is not `all_success`.",
        table(
            ["Task", "What it does", "How"], ([code(one.task_id), _words(one), _how(one)] for one in tasks)
        ),
    ]
    assets = [(asset, task) for task in tasks for asset in task.outlets if isinstance(asset, Asset)]
    if assets:
        blocks += [
            "### Assets",
            "Each event carries the rows, the slices and the run.",
            table(
                ["Asset", "URI", "Updated by"],
                ([code(asset.name), code(asset.uri), code(task.task_id)] for asset, task in assets),
            ),
        ]
    return "\n\n".join(blocks)


def _settings(dag: DAG) -> list[list[object]]:
    defaults = dag.default_args
    return [
        ["Name in the UI", dag.dag_display_name],
        ["Schedule", _schedule(dag)],
        ["Runs at once", dag.max_active_runs],
        ["Run timeout", _duration(dag.dagrun_timeout)],
        ["Paused after failed runs in a row", dag.max_consecutive_failed_dag_runs],
        ["Retries of a task", f"{defaults['retries']}, the first after {_duration(defaults['retry_delay'])}"],
        ["Owner", defaults["owner"]],
        ["Tags", ", ".join(code(tag) for tag in sorted(dag.tags))],
    ]


def _schedule(dag: DAG) -> str:
    # The pages show the defaults, so a DAG that waits for uploads is one without a queue here.
    if dag.schedule == "@continuous":
        return "`@continuous`; with `MEDLAUNCH_UPLOADS_QUEUE_URL` set, the queue's events and `MEDLAUNCH_SWEEP_CRON`"
    return code(dag.schedule) if dag.schedule else "only by hand"


def _duration(value: timedelta | None) -> str:
    if value is None:
        return "none"
    seconds = value.total_seconds()
    for size, name in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {name}"
    return f"{seconds:g} s"


def _params(dag: DAG) -> list[list[object]]:
    rows: list[list[object]] = []
    for name in dag.params:
        param = dag.params.get_param(name)
        kinds = param.schema["type"] if isinstance(param.schema["type"], list) else [param.schema["type"]]
        rule = " or ".join(str(kind) for kind in kinds)
        if form := param.schema.get("format"):
            rule += f", a {form}"
        if pattern := param.schema.get("pattern"):
            rule += f", matching {code(pattern)}"
        default = "empty" if param.value is None else code(param.value)
        rows.append([code(name), default, rule, param.description or ""])
    return rows


def _words(task: Any) -> str:
    """The first paragraph of a task's documentation."""
    text = (task.doc_md or task.doc or "").strip()
    if not text:
        raise ValueError(f"{task.dag_id}.{task.task_id} has no documentation")
    return text.split("\n\n")[0]


def _how(task: Any) -> str:
    parts = ["Python" if task.operator_name.startswith("@task") else code(task.operator_name)]
    if task.is_mapped:
        parts.append("mapped, one task per group")
    elif folders := getattr(task, "folders", None):
        parts.append("all of " + ", ".join(code(f"{folder}/") for group in folders for folder in group))
    elif file := getattr(task, "sql", None):
        parts.append(f"[`{file.rsplit('/', 1)[-1]}`](../../include/sql/{file})")
    if getattr(task, "deferrable", False):
        parts.append("deferrable")
    if (rule := TriggerRule(task.trigger_rule)) != TriggerRule.ALL_SUCCESS:
        parts.append(f"rule {code(rule.value)}")
    return ", ".join(parts)


def _graph(tasks: list[Any]) -> str:
    """The graph for Mermaid, which GitHub draws; an arrow from or to all of a group replaces the single ones."""
    groups: dict[str, list[Any]] = {}
    for task in tasks:
        groups.setdefault(_group(task), []).append(task)
    lines = ["```mermaid", "flowchart LR"]
    for group, members in groups.items():
        labels = [f'{_id(one.task_id)}["{one.task_id.rsplit(".", 1)[-1]}"]' for one in members]
        if group:
            lines.append(f"    subgraph {_id(group)}_group [{group}]")
            lines += [f"        {label}" for label in labels]
            lines.append("    end")
        else:
            lines += [f"    {label}" for label in labels]
    by_id = {task.task_id: task for task in tasks}
    arrows = {
        (_end(task, by_id[down], groups, down=False), _end(by_id[down], task, groups, down=True)): None
        for task in tasks
        for down in sorted(task.downstream_task_ids)
    }
    lines += [f"    {start} --> {end}" for start, end in arrows]
    return "\n".join([*lines, "```"])


def _end(task: Any, other: Any, groups: Mapping[str, list[Any]], *, down: bool) -> str:
    """Where an arrow ends: the group of ``task`` if each member at that edge of it has the same arrow."""
    group = _group(task)
    members = {one.task_id for one in groups[group]}
    if not group or other.task_id in members:
        return _id(task.task_id)
    if down:
        edge = {one.task_id for one in groups[group] if not one.upstream_task_ids & members}
        same = edge <= other.downstream_task_ids
    else:
        edge = {one.task_id for one in groups[group] if not one.downstream_task_ids & members}
        same = edge <= other.upstream_task_ids
    return f"{_id(group)}_group" if same else _id(task.task_id)


def _group(task: Any) -> str:
    return (task.task_group.group_id if task.task_group else None) or ""


def _id(task_id: str) -> str:
    return task_id.replace(".", "_")
