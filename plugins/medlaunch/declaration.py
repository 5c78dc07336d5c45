"""What a pipeline is: plain data, without Airflow or boto3.

A module of :mod:`medlaunch.pipelines` declares one :class:`Pipeline`. Its DAG, assets, permissions, the operators'
tools, the documentation and the demo are derived from it; generic code names no domain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias

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
        skipped_members: files of an archive that could not be read, with the reason of each; the others count.

    Raises:
        ValueError: if the outcomes do not add up to the lines.
    """

    lines: int
    slices: dict[str, dict[str, int]]
    measures: dict[str, int] = {}
    bytes_read: int = 0
    skipped_members: dict[str, str] = {}

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
    """Rows by key in an Iceberg table; publishing the slices of a run is one MERGE.

    The MERGE reads the run's staged rows, and leaves each slice of the run with exactly these: it also deletes
    what the slice no longer has. Its guards let a second MERGE of the same rows commit nothing.

    Attributes:
        name: of the result, whose staged files are below ``staging/<dag_id>/run=<run>/<name>/``.
        table: the Iceberg table.
        merge: the statement below ``include/sql/<dag_id>/``; gets ``run`` and ``slices``.
        keys: columns that name a row within its slice.
        slice_column: the column whose value is the row's slice.
    """

    name: str
    table: str
    merge: str
    keys: tuple[str, ...]
    slice_column: str


Result: TypeAlias = PartitionedResult | IcebergResult


class Lines(msgspec.Struct, kw_only=True):
    """What became of lines: ``read == accepted + superseded + rejected``, always."""

    read: int = 0
    accepted: int = 0
    superseded: int = 0
    rejected: int = 0
    rejected_by_reason: dict[str, int] = {}

    def add(self, other: Lines) -> None:
        self.read += other.read
        self.accepted += other.accepted
        self.superseded += other.superseded
        self.rejected += other.rejected
        for reason, count in other.rejected_by_reason.items():
            self.rejected_by_reason[reason] = self.rejected_by_reason.get(reason, 0) + count


#: A sentence that says which counts do not match, or which bound a slice is out of.
Mismatch: TypeAlias = str
Row: TypeAlias = Mapping[str, str]


class SliceCounts(Protocol):
    """What a check may know of a slice of the run: its lines now, and in the version that is published."""

    @property
    def slice(self) -> str: ...

    @property
    def lines(self) -> Lines: ...

    @property
    def rows(self) -> Mapping[str, int]: ...

    @property
    def previous_accepted(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class CheckContext:
    """What a pipeline's own checks look at, after the generic ones.

    Attributes:
        params: of the run, validated.
        slices: what was reconciled of each slice.
        rows: what the statements of ``include/sql/<dag_id>/check/`` returned, by their file's name without ``.sql``.
        document: reads a document of the run, by its name and type.
    """

    params: Mapping[str, str]
    slices: Sequence[SliceCounts]
    rows: Mapping[str, Sequence[Row]]
    document: Callable[[str, type[Any]], Any]


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """One pipeline.

    Attributes:
        dag_id: its DAG, and its folder in ``include/sql``.
        title: its name for people.
        datasets: the uploads it takes.
        slice_column: the partition column of its tables; its values are the slices.
        slice_name: one slice, for people: ``snapshot``, ``quarter``.
        record_name: one accepted line, and several, for people: ``("facility", "facilities")``.
        results: what it publishes of each slice.
        tags: of its DAG, beside ``medlaunch``.
        read_params: validates the params of a run; returns them as text, for the statements and the documents.
            ValueError fails the run at once.
        checks: yields what does not match; the run then fails before it publishes.
        summarise: what the results of a run say, in one sentence for its note; empty if nothing needs saying.
        recompute: a slice is computed from all uploads it is made of; False: a run merges only its own uploads.
    """

    dag_id: str
    title: str
    datasets: tuple[Dataset, ...]
    slice_column: str
    slice_name: str
    record_name: tuple[str, str]
    results: tuple[Result, ...]
    read_params: Callable[[Mapping[str, Any]], dict[str, str]]
    checks: Callable[[CheckContext], Iterator[Mismatch]]
    summarise: Callable[[Mapping[str, str], Sequence[SliceCounts]], str]
    tags: tuple[str, ...] = ()
    recompute: bool = True

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that change when a slice is published or rolled back."""
        return tuple(result.table for result in self.results if result.table)

    def dataset(self, name: str) -> Dataset:
        """The dataset of a name; KeyError if the pipeline has none."""
        return {one.name: one for one in self.datasets}[name]
