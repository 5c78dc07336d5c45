"""What a pipeline is: plain data, without Airflow or boto3.

A module of :mod:`medlaunch.pipelines` declares one :class:`Pipeline`. Its DAG, assets, permissions, the operators'
tools, the documentation and the demo are derived from it; generic code names no domain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias, cast

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


class Cut(StrEnum):
    """How a large plain upload is cut into parts that are loaded side by side; see ``formats.ranges``."""

    JSON_LINES = "json_lines"
    CSV = "csv"


class Loader(Protocol):
    """Reads one upload once, in constant memory, and writes canonical lines and rejects.

    The same bytes give the same output. ``reference`` is the folder of reference data, ``include/reference``. A loader
    of a dataset whose uploads are loaded in parts takes ``first_line``, too: the number of the line with which a part
    begins, after the header if the format has one; None: the stream is the whole upload.

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
        pseudonyms: the loader takes ``key``, the secret with which it makes pseudonyms, so that no statement needs it.
        cut: how a large upload is loaded in parts; None: it never is.
        slice_of_folder: reads the first folder of a key as the slice; ValueError says that it is none. None: any
            folder will do, or no folder, and the loader finds the slice in the lines.
    """

    name: str
    extensions: tuple[str, ...]
    loader: str
    pseudonyms: bool = False
    cut: Cut | None = None
    slice_of_folder: Callable[[str], str] | None = None

    def import_loader(self, key: bytes | None = None) -> Loader:
        """The function that ``loader`` names, with the key of its pseudonyms, if it makes any; its module is imported here
        and nowhere else."""
        module, _, name = self.loader.partition(":")
        function = getattr(import_module(module), name)
        return cast(Loader, partial(function, key=key) if self.pseudonyms else function)


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

    The MERGE reads the run's staged rows. Whether it also deletes rows of a slice that are not staged, or keeps a row
    that is newer than the staged one, is its own to say. Its guards let a second MERGE of the same rows commit nothing.

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


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What a pipeline found worth a look, beside what must hold.

    Attributes:
        warnings: one sentence each; they go into the run's report and stop nothing.
        measures: counts that only the statements of a run know, for its report.
    """

    warnings: list[str] = []
    measures: dict[str, int] = {}


@dataclass(frozen=True, kw_only=True)
class CheckContext:
    """What a pipeline's own checks look at, after the generic ones.

    Attributes:
        params: of the run, validated.
        slices: what was reconciled of each slice.
        uploads: what the loader counted in each upload of the run, by its key.
        rows: what the statements of ``include/sql/<dag_id>/check/`` returned, by their file's name without ``.sql``.
        document: reads a document of the run, by its name and type.
    """

    params: Mapping[str, str]
    slices: Sequence[SliceCounts]
    uploads: Mapping[str, LineCounts]
    rows: Mapping[str, Sequence[Row]]
    document: Callable[[str, type[Any]], Any]


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """One pipeline.

    A DAG may run several side by side, its *tracks*: each claims, checks, publishes and is rolled back by itself, so that
    one that fails does not hold up another. They share the folder of SQL, title, tags, params and queue.

    Attributes:
        dag_id: its DAG, and its folder in ``include/sql``.
        track: which of several of its DAG; also the id of its task group, and the folder of its checks in ``check/``.
        title: the name of its DAG for people.
        datasets: the uploads it takes.
        slice_column: the partition column of its tables; its values are the slices.
        slice_name: one slice, for people: ``snapshot``, ``quarter``.
        record_name: one row of the first result, and several, for people: ``("facility", "facilities")``.
        results: what it publishes of each slice.
        tags: of its DAG, beside ``medlaunch``.
        read_params: validates the params of a run; returns them as text, for the statements and the documents.
            ValueError fails the run at once.
        checks: yields what does not match; the run then fails before it publishes.
        findings: what is worth a look, but stops nothing.
        summarise: what the results of a run say, in one sentence for its note; empty if nothing needs saying.
        recompute: a slice is computed from all uploads it is made of; False: a run merges only its own uploads.
        view_settings: settings whose values its tables and views are made with, by their names.
        refresh: results depend on the day or the params too: a run without uploads computes what is published anew.
        stale_after: how long nothing may be published, where that is longer than ``MEDLAUNCH_STALE_AFTER_SECONDS``.
    """

    dag_id: str
    track: str = ""
    title: str
    datasets: tuple[Dataset, ...]
    slice_column: str
    slice_name: str
    record_name: tuple[str, str]
    results: tuple[Result, ...]
    read_params: Callable[[Mapping[str, Any]], dict[str, str]]
    checks: Callable[[CheckContext], Iterator[Mismatch]]
    summarise: Callable[[Mapping[str, str], Sequence[SliceCounts]], str]
    findings: Callable[[CheckContext], Findings] = lambda _: Findings()
    tags: tuple[str, ...] = ()
    view_settings: tuple[str, ...] = ()
    recompute: bool = True
    refresh: bool = False
    stale_after: timedelta = timedelta(0)

    @property
    def name(self) -> str:
        """Names the pipeline in keys, tables and params: ``facility_accreditation``, ``nurse_staffing.pbj``."""
        return f"{self.dag_id}.{self.track}" if self.track else self.dag_id

    @property
    def checks_folder(self) -> str:
        """Below ``include/sql``: the statements that are counted and compared before the pipeline publishes."""
        return f"{self.dag_id}/check" + (f"/{self.track}" if self.track else "")

    def task_id(self, name: str) -> str:
        """The id of a task of the pipeline, which is in the track's task group if there are several."""
        return f"{self.track}.{name}" if self.track else name

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that change when a slice is published or rolled back."""
        return tuple(result.table for result in self.results if result.table)

    def dataset(self, name: str) -> Dataset:
        """The dataset of a name; KeyError if the pipeline has none."""
        return {one.name: one for one in self.datasets}[name]
