"""URLs (https://trino.io/docs/435/functions/url.html)."""

from __future__ import annotations

from local_aws.athena.functions.registry import Overload, Table
from local_aws.athena.types import BIGINT, VARCHAR

_SCHEME = "[A-Za-z][A-Za-z0-9+.-]*"
_AUTHORITY = f"^{_SCHEME}://(?:[^/?#@]*@)?"


def _part(pattern: str, empty: bool = False) -> list[Overload]:
    """What a pattern's group finds in a URL. empty: it may be."""

    def sql(url: str) -> str:
        found = f"regexp_extract({url}, '{pattern}', 1)"
        return found if empty else f"nullif({found}, '')"

    return [Overload((VARCHAR,), VARCHAR, sql)]


def _port(url: str) -> str:
    found = rf"regexp_extract({url}, '{_AUTHORITY}[^/?#:]*:([0-9]+)', 1)"
    return f"CAST(nullif({found}, '') AS BIGINT)"


FUNCTIONS: Table = {
    "url_decode": [Overload((VARCHAR,), VARCHAR, lambda text: f"url_decode(replace({text}, '+', '%20'))")],
    "url_encode": [
        Overload(
            (VARCHAR,), VARCHAR, lambda text: f"replace(replace(url_encode({text}), '%20', '+'), '%2A', '*')"
        )
    ],
    "url_extract_fragment": _part("#(.*)$"),
    "url_extract_host": _part(rf"{_AUTHORITY}(\[[^\]]*\]|[^/?#:]*)"),
    "url_extract_parameter": [Overload((VARCHAR, VARCHAR), VARCHAR, "py_url_extract_parameter")],
    "url_extract_path": _part(f"^{_SCHEME}://[^/?#]*([^?#]*)", empty=True),
    "url_extract_port": [Overload((VARCHAR,), BIGINT, _port)],
    "url_extract_protocol": _part(f"^({_SCHEME}):"),
    "url_extract_query": _part("^[^?#]*[?]([^#]*)"),
}
