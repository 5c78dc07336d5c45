"""Iceberg tables over time: small files become large ones, and snapshots go that no rollback may go back to.

Each MERGE adds files, and a snapshot that keeps the files before it. Athena removes neither by itself: OPTIMIZE does the
one, VACUUM the other (https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-data-optimization.html). How long
snapshots are kept is a property of the table, ``vacuum_max_snapshot_age_seconds``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from medlaunch.athena.queries import QueryFailed, render
from medlaunch.athena.statements import Identifier
from medlaunch.operate.report import many
from medlaunch.publish.iceberg import snapshots

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

    from medlaunch.athena.queries import Queries

log = logging.getLogger(__name__)

# Athena stops after so many files and says so by one of these errors; what it did stays done, and the same statement
# goes on from there.
_MORE = ("ICEBERG_OPTIMIZE_MORE_RUNS_NEEDED", "ICEBERG_VACUUM_MORE_RUNS_NEEDED")
#: How often a statement is repeated in one run: 20,000 files each is more than any week makes.
ROUNDS = 10


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What an Iceberg table consists of."""

    files: int
    bytes: int
    snapshots: int

    def text(self) -> str:
        return f"{many(self.files, 'file')} ({self.bytes / 1e6:,.1f} MB), {many(self.snapshots, 'snapshot')}"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one table; ``before`` and ``after`` are None if there is no such table yet."""

    table: str
    before: State | None
    after: State | None

    def line(self) -> str:
        """One line for the run's note."""
        if self.before is None or self.after is None:
            return f"{self.table}: not there yet, its pipeline has published nothing"
        return f"{self.table}: {self.before.text()} before; {self.after.text()} now"


def maintain(queries: Queries, glue: GlueClient, database: str, table: str) -> Outcome:
    """Rewrite a table's small files and remove its old snapshots; doing it again changes nothing.

    Readers and runs of the pipeline go on meanwhile. Of a MERGE and an OPTIMIZE of the same files one commits, and the
    other one's task is tried again.

    Raises:
        QueryFailed: if Athena fails, or is not done after :data:`ROUNDS`.
    """
    try:
        glue.get_table(DatabaseName=database, Name=table)
    except glue.exceptions.EntityNotFoundException:
        return Outcome(table=table, before=None, after=None)
    before = _state(queries, table)
    for statement in ("optimize", "vacuum"):
        _repeat(queries, render(f"common/maintain/{statement}.sql", {"table": Identifier(table)}))
    return Outcome(table=table, before=before, after=_state(queries, table))


def _state(queries: Queries, table: str) -> State:
    (row,) = queries.rows(render("common/maintain/files.sql", {"table": Identifier(table)}))
    return State(files=int(row["files"]), bytes=int(row["bytes"]), snapshots=len(snapshots(queries, table)))


def _repeat(queries: Queries, text: str) -> None:
    for left in reversed(range(ROUNDS)):
        try:
            queries.run(text)
        except QueryFailed as error:
            if not left or not any(code in str(error) for code in _MORE):
                raise
            log.info("%s", error)
        else:
            return


def summary(outcomes: Sequence[Outcome]) -> str:
    """What a run did, in one line."""
    done = [(one.before, one.after) for one in outcomes if one.before and one.after]
    if not done:
        return "No Iceberg table is there yet"
    before, after = (
        f"{many(sum(one.files for one in states), 'file')} and {many(sum(one.snapshots for one in states), 'snapshot')}"
        for states in zip(*done, strict=True)
    )
    return f"Maintained {many(len(done), 'Iceberg table')}: {before} before, {after} now"
