"""AWS on a laptop: moto's services and an Athena that really runs SQL, behind one port.

>>> with local_aws.serve(state=folder) as server:          # doctest: +SKIP
...     boto3.client("athena", endpoint_url=server.url)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local_aws.server import Server, serve

__all__ = ["Server", "serve"]


def __getattr__(name: str) -> Any:
    # moto and DuckDB take a second to import; `python -m local_aws --help` needs neither.
    if name in __all__:
        from local_aws import server

        return getattr(server, name)
    raise AttributeError(name)
