"""Find expiring accreditations in raw uploads, without Airflow.

Reads one upload, a folder of them or everything below an S3 prefix, applies the same rules with the same
code as the pipeline, and writes for each snapshot:

  expiring_soon.csv            one row per accreditation that expires within the window
  expiring_facilities.ndjson   the whole record of each facility that has one
  rejects.jsonl                each rejected line or accreditation with its reason (if there are any)

The snapshot date is the name of the folder that an upload is in (YYYY-MM-DD), unless it is given; what
is in no such folder is skipped.
With uploads of one snapshot the files are written into OUTPUT itself, with more into OUTPUT/YYYY-MM-DD/.
Of several lines about one facility the last one of the latest upload counts; uploads are taken in the
order of their modification times, then of their names.

Exit status: 0 done; 1 some upload could not be read, and the results are without it; 2 wrong arguments
or nothing to read.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from medlaunch.accreditation.bronze import load
from medlaunch.accreditation.expiry import ExpiryCounts, filter_expiring
from medlaunch.accreditation.rules import RejectReason
from medlaunch.accreditation.sorting import ExternalSort
from medlaunch.accreditation.window import window_end
from medlaunch.declaration import LineCounts
from medlaunch.formats.content import UnreadableUpload
from medlaunch.lake import parse_date
from medlaunch.pipelines import FACILITY_ACCREDITATION
from medlaunch.progress import Progress, Watched
from medlaunch.settings import settings

CSV_NAME = "expiring_soon.csv"
NDJSON_NAME = "expiring_facilities.ndjson"
REJECTS_NAME = "rejects.jsonl"
_LARGE_BUFFER = 1024 * 1024
_EXTENSIONS = FACILITY_ACCREDITATION.datasets[0].extensions


class UsageError(ValueError):
    """What was asked for is not possible; the message says how to ask."""


@dataclass(frozen=True)
class Source:
    """One upload that can be opened; ``modified`` and ``key`` decide which of two is the later one."""

    key: str
    snapshot: date
    size: int
    modified: datetime
    open: Callable[[], AbstractContextManager[BinaryIO]]

    @property
    def upload_id(self) -> str:
        return self.key

    @property
    def slice(self) -> str:
        return f"{self.snapshot}"


class Snapshot(msgspec.Struct, kw_only=True):
    """The counts of one snapshot: ``lines == accepted + superseded + rejected``."""

    snapshot_date: date
    uploads: int
    unreadable: dict[str, str]
    lines: int
    accepted: int
    superseded: int
    rejected: int
    rejected_by_reason: dict[str, int]
    snapshot_date_differs: int
    accreditations: int
    accreditations_quarantined: int
    bytes_read: int
    expiring_facilities: int
    expiring_accreditations: int
    outputs: list[str]


class Summary(msgspec.Struct, kw_only=True):
    """What a call did."""

    as_of: date
    expiry_window: str
    window_end: date
    snapshots: list[Snapshot]
    skipped: dict[str, str]
    seconds: float


# --- where uploads come from -----------------------------------------------------------------------


def find_sources(location: str, snapshot: date | None) -> tuple[list[Source], dict[str, str]]:
    """The uploads at a path or S3 URL, and what is there but no upload, with the reason.

    Raises:
        UsageError: if no upload is there whose snapshot date is known.
    """
    found = _in_s3(location) if location.startswith("s3://") else _in_folder(Path(location))
    sources: list[Source] = []
    skipped: dict[str, str] = {}
    for key, size, modified, opener in found:
        *folders, name = key.split("/")
        if name.startswith(".") or not name:
            skipped[key] = "hidden file or folder marker"
        elif not name.lower().removesuffix(".gz").endswith(_EXTENSIONS):
            skipped[key] = "not .jsonl, .ndjson or .json, plain or .gz"
        elif size == 0:
            skipped[key] = "zero bytes"
        else:
            day = snapshot or _snapshot_of(folders)
            if day is None:
                skipped[key] = (
                    "in no folder named after a date; --snapshot-date YYYY-MM-DD gives its snapshot"
                )
            else:
                sources.append(Source(key, day, size, modified, opener))
    if not sources:
        raise UsageError(
            f"No upload found at {location}" + "".join(f"\n  {k}: {v}" for k, v in skipped.items())
        )
    return sorted(sources, key=lambda source: (source.modified, source.key)), skipped


def _snapshot_of(folders: list[str]) -> date | None:
    """The date of the nearest folder that is named after one."""
    for folder in reversed(folders):
        with contextlib.suppress(ValueError):
            return parse_date(folder)
    return None


_Found = Iterator[tuple[str, int, datetime, Callable[[], AbstractContextManager[BinaryIO]]]]


def _in_folder(path: Path) -> _Found:
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            status = file.stat()
            modified = datetime.fromtimestamp(status.st_mtime, UTC)
            yield file.resolve().as_posix(), status.st_size, modified, partial(_open_file, file)


def _open_file(path: Path) -> BinaryIO:
    return path.open("rb")


def _in_s3(url: str) -> _Found:
    from medlaunch.aws.objects import list_objects, open_object, s3_client, split_s3_url

    bucket, prefix = split_s3_url(url)
    client = s3_client()
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    for stored in list_objects(client, bucket, prefix):
        if stored.key == prefix or stored.key.startswith(folder):

            def opener(key: str = stored.key, etag: str = stored.etag) -> AbstractContextManager[BinaryIO]:
                return cast(AbstractContextManager[BinaryIO], open_object(client, bucket, key, etag))

            yield stored.key, stored.size, stored.last_modified, opener


# --- where results go ------------------------------------------------------------------------------


class LocalOutput:
    """Writes files that appear whole or not at all."""

    def __init__(self, folder: str):
        self._folder = Path(folder)

    def place(self, name: str) -> str:
        return str(self._folder / name)

    @contextlib.contextmanager
    def write(self, name: str, content_type: str) -> Iterator[BinaryIO]:  # noqa: ARG002 - of S3's writer
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with unfinished.open("wb", _LARGE_BUFFER) as file:
                yield file
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)


class S3Output:
    """Writes objects that appear whole or not at all."""

    def __init__(self, url: str):
        from medlaunch.aws.objects import s3_client, split_s3_url

        self._bucket, prefix = split_s3_url(url)
        self._prefix = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
        self._client = s3_client()

    def place(self, name: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{name}"

    @contextlib.contextmanager
    def write(self, name: str, content_type: str) -> Iterator[BinaryIO]:
        from medlaunch.aws.objects import ObjectWriter

        with ObjectWriter(self._client, self._bucket, self._prefix + name, content_type) as writer:
            yield cast(BinaryIO, writer)

    def remove(self, name: str) -> None:
        self._client.delete_object(Bucket=self._bucket, Key=self._prefix + name)


class _OneSlice:
    """Bronze of one slice, in one file."""

    def __init__(self, file: BinaryIO):
        self._file = file

    def write(self, slice_: str, lines: bytes) -> None:  # noqa: ARG002 - of the protocol
        self._file.write(lines)


# --- work ------------------------------------------------------------------------------------------


class _Line(msgspec.Struct, gc=False):
    facility_id: str | None = None
    reject_reason: str | None = None


def left_out(bronze: BinaryIO) -> tuple[ExternalSort, int]:
    """Which of the canonical lines do not count: the rejected, and all but the last of each facility.

    Returns their numbers (from 0, as sortable text), and how many were superseded, in bounded memory.
    """
    decode = msgspec.json.Decoder(_Line).decode
    out = ExternalSort()
    superseded = 0
    with ExternalSort() as by_facility:
        for number, text in enumerate(bronze):
            line = decode(text)
            if line.reject_reason is None:
                by_facility.add(f"{line.facility_id}\0{number:015d}".encode())
            else:
                out.add(b"%015d" % number)
        earlier, earlier_number = b"", b""
        for item in by_facility:
            facility, _, number_text = item.partition(b"\0")
            if facility == earlier:
                superseded += 1
                out.add(earlier_number)
            earlier, earlier_number = facility, number_text
    return out, superseded


def accepted_lines(bronze: BinaryIO, out: ExternalSort) -> Iterator[bytes]:
    """The canonical lines that are not left out."""
    numbers = iter(out)
    skip = int(next(numbers, b"-1"))
    for number, line in enumerate(bronze):
        if number == skip:
            skip = int(next(numbers, b"-1"))
        else:
            yield line


def run_snapshot(
    sources: list[Source],
    output: LocalOutput | S3Output,
    folder: str,
    *,
    as_of: date,
    window: str,
    reference: Path,
    progress: Progress,
) -> Snapshot:
    """Load the uploads of one snapshot, oldest first, and write its results into ``folder`` of ``output``."""
    snapshot = sources[0].snapshot
    loaded: list[LineCounts] = []
    unreadable: dict[str, str] = {}
    with (
        tempfile.TemporaryFile(buffering=_LARGE_BUFFER) as bronze,
        tempfile.TemporaryFile() as rejects,
    ):
        for source in sources:
            before = bronze.tell(), rejects.tell()
            try:
                with source.open() as stream:
                    watched = cast(BinaryIO, Watched(stream, progress))
                    loaded.append(
                        load(
                            watched,
                            source,
                            _OneSlice(cast(BinaryIO, bronze)),
                            cast(BinaryIO, rejects),
                            reference=reference,
                        )
                    )
            except UnreadableUpload as error:
                unreadable[source.key] = str(error)
                for file, length in zip((bronze, rejects), before, strict=True):
                    file.seek(length)
                    file.truncate()
        progress.say(f"{snapshot}: finding the latest line of each facility")
        bronze.seek(0)
        out, superseded = left_out(cast(BinaryIO, bronze))
        bronze.seek(0)
        progress.say(f"{snapshot}: filtering")
        names = [folder + name for name in (CSV_NAME, NDJSON_NAME, REJECTS_NAME)]
        with (
            out,
            output.write(names[0], "text/csv; charset=utf-8") as csv_out,
            output.write(names[1], "application/x-ndjson") as ndjson_out,
        ):
            expiring = filter_expiring(
                accepted_lines(cast(BinaryIO, bronze), out),
                as_of=as_of,
                window=window,
                snapshot_date=snapshot,
                csv_out=csv_out,
                ndjson_out=ndjson_out,
            )
        if rejects.tell():
            rejects.seek(0)
            with output.write(names[2], "application/x-ndjson") as rejects_out:
                while chunk := rejects.read(_LARGE_BUFFER):
                    rejects_out.write(chunk)
        else:
            # Those of an earlier call would no longer be true.
            output.remove(names.pop())
    return _account(
        snapshot, loaded, unreadable, superseded, expiring, [output.place(name) for name in names]
    )


def _account(
    snapshot: date,
    loaded: list[LineCounts],
    unreadable: dict[str, str],
    superseded: int,
    expiring: ExpiryCounts,
    outputs: list[str],
) -> Snapshot:
    by_reason: Counter[str] = Counter()
    measures: Counter[str] = Counter()
    for counts in loaded:
        by_reason.update(counts.rejected_by_reason)
        measures.update(counts.measures)

    def total(name: str) -> int:
        return sum(getattr(counts, name) for counts in loaded)

    return Snapshot(
        snapshot_date=snapshot,
        uploads=len(loaded),
        unreadable=unreadable,
        lines=total("lines"),
        accepted=expiring.facilities_read,
        superseded=superseded,
        rejected=total("rejected"),
        rejected_by_reason={str(reason): by_reason[reason] for reason in RejectReason if by_reason[reason]},
        snapshot_date_differs=measures["snapshot_date_differs"],
        accreditations=measures["accreditations"],
        accreditations_quarantined=measures["accreditations_quarantined"],
        bytes_read=total("bytes_read"),
        expiring_facilities=expiring.expiring_facilities,
        expiring_accreditations=expiring.expiring_accreditations,
        outputs=outputs,
    )


def as_text(summary: Summary) -> str:
    """The summary for people."""
    lines = [f"As of {summary.as_of}, window {summary.expiry_window} (until {summary.window_end} included)"]
    for one in summary.snapshots:
        lines += [
            "",
            f"Snapshot {one.snapshot_date}: {one.uploads:,} uploads, {one.bytes_read:,} bytes",
            f"  lines read {one.lines:,} = accepted {one.accepted:,} + superseded {one.superseded:,}"
            f" + rejected {one.rejected:,}",
            *(f"    {reason} {count:,}" for reason, count in one.rejected_by_reason.items()),
            f"  accreditations without a usable date {one.accreditations_quarantined:,} of {one.accreditations:,}",
            f"  expiring: {one.expiring_accreditations:,} accreditations of {one.expiring_facilities:,} facilities",
            *(f"  {place}" for place in one.outputs),
            *(f"  NOT READ {key}: {reason}" for key, reason in one.unreadable.items()),
        ]
    lines += ["", *(f"Skipped {key}: {reason}" for key, reason in summary.skipped.items())]
    return "\n".join([*lines, f"Done in {summary.seconds:.1f} s"])


def _date(text: str) -> date:
    try:
        return parse_date(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m medlaunch.accreditation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--input", required=True, metavar="PATH", help="file, folder or s3://bucket/prefix")
    parser.add_argument("--output", required=True, metavar="PATH", help="folder or s3://bucket/prefix")
    parser.add_argument(
        "--as-of", type=_date, metavar="YYYY-MM-DD", help="first day of the window (default: today, UTC)"
    )
    parser.add_argument(
        "--expiry-window",
        default="P6M",
        metavar="DURATION",
        help="ISO 8601: P6M, P1Y6M, P180D, P2W (default: P6M); its last day is included",
    )
    parser.add_argument(
        "--snapshot-date", type=_date, metavar="YYYY-MM-DD", help="of all uploads, whatever their folders say"
    )
    parser.add_argument(
        "--reference", type=Path, metavar="FOLDER", help="holds states.csv (default: include/reference)"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    return parser


def run(arguments: argparse.Namespace) -> Summary:
    """Do what the command line asks for.

    Raises:
        ValueError: for arguments that cannot be used, and if there is nothing to read.
    """
    started = time.monotonic()
    as_of = arguments.as_of or datetime.now(UTC).date()
    end = window_end(as_of, arguments.expiry_window)
    reference = arguments.reference or settings().reference_dir
    sources, skipped = find_sources(arguments.input, arguments.snapshot_date)
    output = (S3Output if arguments.output.startswith("s3://") else LocalOutput)(arguments.output)
    progress = Progress(sum(source.size for source in sources), arguments.quiet)
    snapshots = sorted({source.snapshot for source in sources})
    counted = [
        run_snapshot(
            [source for source in sources if source.snapshot == snapshot],
            output,
            f"{snapshot}/" if len(snapshots) > 1 else "",
            as_of=as_of,
            window=arguments.expiry_window,
            reference=reference,
            progress=progress,
        )
        for snapshot in snapshots
    ]
    progress.clear()
    return Summary(
        as_of=as_of,
        expiry_window=arguments.expiry_window,
        window_end=end,
        snapshots=counted,
        skipped=skipped,
        seconds=round(time.monotonic() - started, 3),
    )


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    try:
        summary = run(arguments)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    text: Any = (
        msgspec.json.format(msgspec.json.encode(summary)).decode() if arguments.json else as_text(summary)
    )
    print(text)
    return 1 if any(one.unreadable for one in summary.snapshots) else 0


if __name__ == "__main__":
    sys.exit(main())
