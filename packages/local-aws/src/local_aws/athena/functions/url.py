"""URLs (https://trino.io/docs/435/functions/url.html)."""

from __future__ import annotations

from local_aws.athena.functions.registry import Overload, Table
from local_aws.athena.types import BIGINT, VARCHAR


def _part(name: str) -> list[Overload]:
    return [Overload((VARCHAR,), VARCHAR, lambda url: f"py_url_part({url}, '{name}')")]


def _port(url: str) -> str:
    return f"CAST(nullif(py_url_part({url}, 'port'), '') AS BIGINT)"


FUNCTIONS: Table = {
    "url_decode": [Overload((VARCHAR,), VARCHAR, lambda text: f"url_decode(replace({text}, '+', '%20'))")],
    "url_encode": [
        Overload(
            (VARCHAR,), VARCHAR, lambda text: f"replace(replace(url_encode({text}), '%20', '+'), '%2A', '*')"
        )
    ],
    "url_extract_fragment": _part("fragment"),
    "url_extract_host": _part("host"),
    "url_extract_parameter": [Overload((VARCHAR, VARCHAR), VARCHAR, "py_url_parameter")],
    "url_extract_path": _part("path"),
    "url_extract_port": [Overload((VARCHAR,), BIGINT, _port)],
    "url_extract_protocol": _part("scheme"),
    "url_extract_query": _part("query"),
}
