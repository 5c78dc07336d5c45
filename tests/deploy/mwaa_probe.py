"""Started as a process of Amazon MWAA: reads plugins and DAGs from ``AIRFLOW_HOME``, and says what it found.

``python mwaa_probe.py FOLDER...``: folders that MWAA does not have are taken off the path first.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

sys.path[:] = [entry for entry in sys.path if entry not in {*sys.argv[1:], str(Path(__file__).parent)}]

home = Path(os.environ["AIRFLOW_HOME"])


def peak_megabytes() -> float:
    """What this process needed at most. getrusage would count what its parent had when it was forked."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / 1024  # macOS counts bytes


# What the scheduler and the web server do.
from airflow import plugins_manager  # noqa: E402

plugins, plugin_errors = plugins_manager._get_plugins()
library_needed_by_plugins = "medlaunch" in sys.modules

# What the DAG processor does.
from airflow.dag_processing.dagbag import BundleDagBag  # noqa: E402

began = time.monotonic()
bag = BundleDagBag(dag_folder=home / "dags", bundle_path=home / "dags", bundle_name="dags-folder")
seconds = time.monotonic() - began

import medlaunch.athena.statements  # noqa: E402
import medlaunch.settings  # noqa: E402

print(
    json.dumps(
        {
            "python": list(sys.version_info[:2]),
            "plugins": [one.name for one in plugins],
            "plugin_errors": plugin_errors,
            "library_needed_by_plugins": library_needed_by_plugins,
            "dags": {dag_id: len(dag.tasks) for dag_id, dag in bag.dags.items()},
            "dag_files": sorted(Path(dag.fileloc).name for dag in bag.dags.values()),
            "import_errors": {str(file): error for file, error in bag.import_errors.items()},
            "parsed": sorted(Path(file).relative_to(home).as_posix() for file in bag.file_last_changed),
            "library": sorted(
                module.__file__
                for name, module in sys.modules.items()
                if name.split(".")[0] == "medlaunch" and getattr(module, "__file__", None)
            ),
            "include": str(medlaunch.settings.settings().include_dir),
            "statements": len(medlaunch.athena.statements.statements("facility_accreditation/tables")),
            "bucket": medlaunch.settings.settings().bucket,
            "seconds": seconds,
            "megabytes": peak_megabytes(),
        }
    )
)
