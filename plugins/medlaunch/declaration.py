"""What a pipeline is: plain data, without Airflow or boto3.

A module of :mod:`medlaunch.pipelines` declares one :class:`Pipeline`. Its DAG, assets, permissions, the operators'
tools, the documentation and the demo are derived from it; generic code names no domain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

import msgspec

#: The outcome of a line that breaks no rule; every other outcome is a reject reason.
VALID = "valid"


class LineCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a loader read from one upload: each line has exactly one outcome, in exactly one slice.

    Attributes:
        lines: what the reader gave: JSON values, CSV records, or pieces that are none; blank lines do not count.
        slices: lines by slice and outcome; the outcome is ``valid`` or the first reject reason. A rejected line
            whose slice cannot be read belongs to a slice that the loader names.
        measures: other counts of the domain, each a sum over lines.
        bytes_read: bytes of the upload, compressed ones where it is compressed.

    Raises:
        ValueError: if the outcomes do not add up to the lines.
    """

    lines: int
    slices: dict[str, dict[str, int]]
    measures: dict[str, int] = {}
    bytes_read: int = 0

    def __post_init__(self) -> None:
        outcomes = sum(sum(counts.values()) for counts in self.slices.values())
        if outcomes != self.lines:
            raise ValueError(f"{self.lines} lines were read, and {outcomes} have an outcome")

    @property
    def valid(self) -> int:
        return sum(counts.get(VALID, 0) for counts in self.slices.values())

    @property
    def rejected(self) -> int:
        return self.lines - self.valid

    @property
    def rejected_by_reason(self) -> dict[str, int]:
        """Rejected lines of all slices, by their first reason."""
        total: dict[str, int] = {}
        for counts in self.slices.values():
            for reason, count in counts.items():
                if reason != VALID:
                    total[reason] = total.get(reason, 0) + count
        return total


class UploadRef(Protocol):
    """What a loader may know about an upload."""

    @property
    def key(self) -> str:
        """Its key below ``landing/``; the name tells how it is compressed."""

    @property
    def upload_id(self) -> str:
        """Names this version of the upload."""

    @property
    def slice(self) -> str | None:
        """The slice that its folder says; None if only its lines know."""


class BronzeWriter(Protocol):
    """Takes canonical lines: bronze is partitioned by slice."""

    def write(self, slice_: str, lines: bytes) -> None:
        """Write whole lines, each with its line feed."""


class LineWriter(Protocol):
    """Takes whole lines; an object appears only if something is written."""

    def write(self, lines: bytes, /) -> int: ...


class Loader(Protocol):
    """Reads one upload once, in constant memory, and writes canonical lines and rejects.

    The same bytes give the same output. ``reference`` is the folder of reference data, ``include/reference``.

    Raises:
        UnreadableUpload: if the upload cannot be read to its end; what was written must not be used.
    """

    def __call__(
        self, stream: BinaryIO, upload: UploadRef, out: BronzeWriter, rejects: LineWriter, *, reference: Path
    ) -> LineCounts: ...


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Uploads of one kind, ``landing/<name>/<folder>/<file>``.

    Attributes:
        name: the prefix below ``landing/``; may hold a slash (``fhir/encounters``).
        extensions: endings of data files, lower case, without ``.gz``, which each may have too.
        loader: ``module:function``, a :class:`Loader`; imported by the task that loads.
        slice_of_folder: reads the first folder of a key as the slice; ValueError says that it is none. None: any
            folder will do, or no folder, and the loader finds the slice in the lines.
    """

    name: str
    extensions: tuple[str, ...]
    loader: str
    slice_of_folder: Callable[[str], str] | None = None


@dataclass(frozen=True, kw_only=True)
class PartitionedResult:
    """Files of a slice; publishing moves the location of the table's partition to the new ones.

    ``table`` None: an export, files only. ``rows_of`` names the result whose rows it holds, if it is not its own.
    """

    name: str
    table: str | None
    rows_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class IcebergResult:
    """Rows by key in an Iceberg table; publishing a slice is one MERGE.

    Attributes:
        name: of the result.
        table: the Iceberg table.
        merge: the SQL file of the MERGE, below ``include/sql/<dag_id>/``.
        keys: columns that name a row.
        slice_column: the column whose value is the row's slice.
    """

    name: str
    table: str
    merge: str
    keys: tuple[str, ...]
    slice_column: str


Result: TypeAlias = PartitionedResult | IcebergResult
