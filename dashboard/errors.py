"""What went wrong with a query, in words for the reader of a page: what is the matter, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from dashboard.config import Config


class QueryError(RuntimeError):
    """A query without an answer. ``matter`` and ``remedy`` are sentences; ``detail`` is what Athena said."""

    kind = "failed"

    def __init__(self, matter: str, remedy: str, detail: str = ""):
        super().__init__(f"{matter} {remedy}")
        self.matter, self.remedy, self.detail = matter, remedy, detail


class Missing(QueryError):
    """A table, a view or the database does not exist."""

    kind = "missing"


class Slow(QueryError):
    """A query was stopped because it took too long."""

    kind = "slow"

    def __init__(self, name: str, seconds: int):
        super().__init__(
            f"The query took longer than {seconds} seconds and was stopped.",
            "Choose one state or a shorter period, or try again in a minute. DASHBOARD_QUERY_SECONDS raises the limit.",
            name,
        )


class Down(QueryError):
    kind = "down"


class Forbidden(QueryError):
    kind = "forbidden"


class TooMuch(QueryError):
    kind = "too_much"


def explained(error: Exception, name: str, config: Config) -> QueryError:
    """The error of a query, by what AWS says."""
    if isinstance(error, QueryError):
        return error
    said = " ".join(str(one) for one in _causes(error))
    low = said.lower()
    if any(isinstance(one, NoCredentialsError | PartialCredentialsError) for one in _causes(error)):
        return Forbidden(
            "The dashboard has no AWS credentials.",
            "Start it with a role or a profile that may read the tables (docs/dashboard.md).",
            said,
        )
    if any(isinstance(one, ConnectionError | HTTPClientError) for one in _causes(error)):
        return Down(
            "Athena does not answer.",
            "On a laptop: is the stack running (make status)? On AWS: look at the network, the endpoint and the region.",
            said,
        )
    if "bytes scanned limit" in low:
        return TooMuch(
            "The query would read more than the workgroup allows.",
            "Choose one state or a shorter period. The limit is the workgroup's (docs/dashboard.md).",
            said,
        )
    # Before what is missing: Glue's and S3's refusals also name the table.
    if any(word in low for word in ("accessdenied", "access denied", "not authorized", "permission")):
        return Forbidden(
            f"The dashboard may not read what {name} needs.",
            "Ask for the reader role of this environment (docs/dashboard.md).",
            said,
        )
    if "workgroup" in low and "not found" in low:
        return Missing(
            f"There is no workgroup {config.workgroup}.",
            "Set DASHBOARD_WORKGROUP, or deploy the stack that makes it.",
            said,
        )
    if any(
        word in low
        for word in ("table_not_found", "schema_not_found", "does not exist", "entitynotfound", "not found")
    ):
        return Missing(
            f"The database {config.database} has no table for this page yet.",
            "The pipeline creates its tables in its first run: upload a file, or look at its runs in Airflow.",
            said,
        )
    if any(word in low for word in ("throttl", "toomanyrequests", "too many requests", "slow down")):
        return Down("Athena is busy.", "Try again in a minute.", said)
    if any(isinstance(one, BotoCoreError | ClientError) for one in _causes(error)):
        return QueryError("Athena refused the query.", "Look at the settings of the dashboard.", said)
    return QueryError("The query failed.", "The detail says why. Report it if it stays.", said)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
