"""Exits with 0 if a component of Airflow is healthy: ``healthy.py scheduler``.

Asks the API server, which reads the heartbeats that components write to the database. So "healthy" means that the
component works and reaches the database, not only that its process exists. Uses only the standard library, because
starting Airflow for each check would cost seconds of CPU.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request

URL = os.environ.get("AIRFLOW_HEALTH_URL", "http://api-server:8080/api/v2/monitor/health")


def status(part: str) -> str:
    """Airflow's status of a component: ``metadatabase``, ``scheduler``, ``triggerer`` or ``dag_processor``."""
    # Directly to the container, not through a proxy of the environment.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(URL, timeout=5) as answer:
        return (json.load(answer).get(part) or {}).get("status") or "unknown"


if __name__ == "__main__":
    try:
        found = status(sys.argv[1])
    except (OSError, ValueError) as error:
        found = f"no answer from {URL}: {error}"
    print(found)
    sys.exit(found != "healthy")
