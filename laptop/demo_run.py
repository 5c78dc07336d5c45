"""The process in which the demonstration runs its DAG: ``python -m laptop.demo_run DAG_ID FD``.

It loads Airflow at once. For each line with a run's conf (JSON) on its standard input it runs the DAG with
``dag.test()``, and writes what happens as JSON lines to the file descriptor ``FD``. Its standard output is Airflow's log.
It ends when its standard input does, that is, with its parent.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any

from airflow.configuration import conf
from airflow.dag_processing.dagbag import DagBag
from airflow.listeners import hookimpl
from airflow.sdk.listener import get_listener_manager


def send(**event: Any) -> None:
    """Write one event."""
    os.write(int(sys.argv[2]), json.dumps(event).encode() + b"\n")


class Progress:
    """Airflow listener: sends when tasks start and end."""

    @hookimpl
    def on_task_instance_running(self, task_instance: Any) -> None:
        _send_task(task_instance, "running")

    @hookimpl
    def on_task_instance_success(self, task_instance: Any) -> None:
        _send_task(task_instance, "success")

    @hookimpl
    def on_task_instance_skipped(self, task_instance: Any) -> None:
        _send_task(task_instance, "skipped")

    @hookimpl
    def on_task_instance_failed(self, task_instance: Any, error: Any) -> None:
        again = str(task_instance.state) == "up_for_retry"
        _send_task(task_instance, "up_for_retry" if again else "failed", error=str(error))


def _send_task(task_instance: Any, state: str, **more: str) -> None:
    label = getattr(task_instance, "rendered_map_index", None)
    send(
        event="task",
        task=task_instance.task_id,
        map_index=task_instance.map_index,
        label=label,
        state=state,
        **more,
    )


def _read_standard_input(confs: queue.SimpleQueue[Any]) -> None:
    """Hand on each conf; at the end the process ends, whatever it is doing."""
    for line in sys.stdin:
        confs.put(json.loads(line))
    os._exit(1)


def main() -> int:
    dag_id = sys.argv[1]
    bag = DagBag(Path(conf.get("core", "dags_folder")))
    if bag.import_errors or dag_id not in bag.dags:
        errors = "\n".join(f"{file}: {error}" for file, error in bag.import_errors.items())
        send(event="error", text=errors or f"There is no DAG {dag_id} in {conf.get('core', 'dags_folder')}")
        return 2
    dag = bag.dags[dag_id]
    get_listener_manager().add_listener(Progress())
    confs: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_read_standard_input, args=(confs,), daemon=True).start()
    send(event="ready", tasks=[task.task_id for task in dag.topological_sort()])
    while True:
        run = dag.test(run_conf=confs.get())
        send(event="run", state=str(run.state), run_id=run.run_id)


if __name__ == "__main__":
    sys.exit(main())
