"""Exit status 0 if a part of Airflow is healthy: ``healthy.py scheduler``.

The API server knows: each part writes its heartbeat into the database. So "healthy" means that the part works
and reaches the database, not just that its process is there. Python alone, as starting Airflow for each check
would take seconds of CPU.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request

URL = os.environ.get("AIRFLOW_HEALTH_URL", "http://api-server:8080/api/v2/monitor/health")


def status(part: str) -> str:
    """What Airflow says of a part: ``metadatabase``, ``scheduler``, ``triggerer`` or ``dag_processor``."""
    # Straight to the container, whatever proxy the environment names.
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
