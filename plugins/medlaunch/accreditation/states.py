"""The reference list of states: ``include/reference/states.csv`` is the one place for it."""

from __future__ import annotations

import csv
from pathlib import Path


def read_states(path: Path) -> dict[str, str]:
    """State names by their two-letter codes, from a CSV file with ``state_code`` and ``state_name``.

    Raises:
        ValueError: naming the file, if a row lacks one of them or there is no row.
    """
    with path.open(encoding="utf-8", newline="") as file:
        states = {row.get("state_code"): row.get("state_name") for row in csv.DictReader(file)}
    if not states or not all(code and name for code, name in states.items()):
        raise ValueError(f"{path} must be a CSV whose rows all have a state_code and a state_name")
    return {str(code): str(name) for code, name in states.items()}
