"""The reference list of states: ``include/reference/states.csv`` is the one place for it."""

from __future__ import annotations

import csv
from pathlib import Path


def read_states(path: Path) -> frozenset[str]:
    """The two-letter codes of a CSV file with a column ``state_code``.

    Raises:
        ValueError: naming the file, if there is no such column or no code in it.
    """
    with path.open(encoding="utf-8", newline="") as file:
        codes = frozenset(row.get("state_code") or "" for row in csv.DictReader(file))
    if not codes or "" in codes:
        raise ValueError(f"{path} has rows without a state_code; it must be a CSV with that column")
    return codes
