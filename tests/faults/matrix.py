"""All cells of the matrix, by groups."""

from __future__ import annotations

from tests.faults import cells, clinical, staffing
from tests.faults.cells import Cell
from tests.faults.stack import stacks

GROUPS = (
    cells.killed,
    cells.s3,
    cells.athena,
    cells.alerts,
    cells.worker,
    cells.data,
    cells.uploads,
    cells.parallel,
    cells.unversioned,
    stacks,
    staffing.staffing,
    clinical.clinical,
)


def matrix() -> list[Cell]:
    """All cells."""
    return [
        Cell(group.__name__, step, fault, recovery, play)
        for group in GROUPS
        for step, fault, recovery, play in group()
    ]
