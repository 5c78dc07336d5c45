"""Which columns CMS's files have, and how each was spelled over the years: ``include/reference/*_columns.csv``.

A row gives one spelling: ``header``, the ``column`` it stands for, and whether the column is ``required``. A header with
several rows is ambiguous: it stands for the first of them that no other header of the file stands for.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from medlaunch.formats.csv_records import normalise


class Spellings(NamedTuple):
    """What :meth:`medlaunch.formats.csv_records.CsvRecords.read_header` needs to know."""

    aliases: Mapping[str, Sequence[str]]
    required: Sequence[str]


@lru_cache(maxsize=8)
def read_spellings(path: Path) -> Spellings:
    """Read a list of headers.

    Raises:
        ValueError: naming the file and the row, if a row is incomplete.
    """
    aliases: dict[str, list[str]] = {}
    required: dict[str, None] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name, column = normalise(row.get("header") or ""), row.get("column")
            if not name or not column or row.get("required") not in ("yes", "no"):
                raise ValueError(f"{path}: a row needs header, column and required (yes or no): {row}")
            columns = aliases.setdefault(name, [])
            if column not in columns:
                columns.append(column)
            if row["required"] == "yes":
                required[column] = None
    return Spellings(aliases, tuple(required))


@lru_cache(maxsize=8)
def read_states(path: Path) -> frozenset[str]:
    """The two-letter codes of ``states.csv``.

    Raises:
        ValueError: naming the file, if it lists none.
    """
    with path.open(encoding="utf-8", newline="") as file:
        states = frozenset(row.get("state_code") or "" for row in csv.DictReader(file))
    if not states or "" in states:
        raise ValueError(f"{path} must be a CSV whose rows all have a state_code")
    return states
