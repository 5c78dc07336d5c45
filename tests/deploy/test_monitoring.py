"""The profile `monitoring`: the board asks for metrics that Airflow has, from where they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import airflow
import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/monitoring"
BOARD: dict[str, Any] = json.loads((FOLDER / "grafana/airflow.json").read_text(encoding="utf-8"))
SERVICES = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))["services"]
# Airflow's own list of what it sends.
LIST = Path(airflow.__file__).parent / "_shared/observability/metrics/metrics_template.yaml"


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("panel", BOARD["panels"], ids=lambda one: one["title"])
def test_a_panel_asks_for_metrics_of_airflow(panel: dict[str, Any]) -> None:
    """As the StatsD exporter names them: dots become underscores, and a timer has a sum and a count."""
    kinds = {
        f"airflow_{one['name'].replace('.', '_')}": one["type"]
        for one in yaml.safe_load(LIST.read_text(encoding="utf-8"))["metrics"]
    }
    names = {name for one in panel["targets"] for name in re.findall(r"\bairflow_\w+", one["expr"])}
    assert names
    for name in names:
        timer = re.sub(r"_(sum|count)$", "", name)
        kind = kinds.get(name) or kinds[timer]
        assert (kind == "timer") == (timer != name), f"{name} is a {kind}"
    assert panel["datasource"]["uid"] == read("grafana/datasource.yaml")["datasources"][0]["uid"]


def test_metrics_go_from_airflow_to_the_board() -> None:
    environment = SERVICES["scheduler"]["environment"]
    assert environment["AIRFLOW__METRICS__STATSD_HOST"] in SERVICES
    (target,) = read("prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target.partition(":")[0] == environment["AIRFLOW__METRICS__STATSD_HOST"]
    url = read("grafana/datasource.yaml")["datasources"][0]["url"]
    host = re.fullmatch(r"http://([\w-]+):9090", url)
    assert host
    assert host[1] in SERVICES
    assert host[1] in SERVICES["grafana"]["environment"]["NO_PROXY"].split(",")
    mounts = dict(one.split(":")[:2] for one in SERVICES["grafana"]["volumes"])
    assert all((ROOT / one).is_file() for one in mounts)
    folder = read("grafana/boards.yaml")["providers"][0]["options"]["path"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == mounts["./deploy/monitoring/grafana/airflow.json"] == f"{folder}/airflow.json"
