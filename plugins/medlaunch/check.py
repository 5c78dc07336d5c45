"""Check files before they are uploaded: each line by the rules that the pipeline applies to it.

The pipeline's own loaders read the files, so a line that passes here is accepted there. Needs neither Airflow nor AWS.

  python -m medlaunch.check FILE...

A finding is printed as FILE:LINE: REASON, one per rejected line, and one for a file that cannot be read or that its
name keeps out. The lines of a file do not appear in the output unless --raw asks for them. What a file holds is found
by its extension and its first lines; --dataset says it.

Exit status: 0 everything is accepted; 1 something is not; 2 wrong arguments, or a file that cannot be opened or is of
no known kind.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from medlaunch import lake
from medlaunch.declaration import Dataset, LineCounts
from medlaunch.formats.content import UnreadableUpload, open_files
from medlaunch.lake import SkipReason
from medlaunch.pipelines import PIPELINES
from medlaunch.progress import Progress, Watched
from medlaunch.settings import settings

# How much of a file is read to see what it holds, in bytes of its content.
_HEAD = 256 * 1024
_RAW_SHOWN = 200


class CannotCheck(ValueError):
    """What was asked for is not possible; the message says how to ask."""


class Finding(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the pipeline would not take. ``line`` from 1; None for a file as a whole. ``member`` of a zip archive."""

    reason: str
    line: int | None = None
    member: str | None = None
    other_reasons: list[str] = []
    note: str | None = None
    raw: str | None = None


class FileReport(msgspec.Struct, kw_only=True):
    """What would become of a file: ``lines == accepted + rejected``; ``findings`` are the first ones of ``found``."""

    file: str
    dataset: str
    lines: int = 0
    accepted: int = 0
    rejected: int = 0
    rejected_by_reason: dict[str, int] = {}
    measures: dict[str, int] = {}
    found: int = 0
    findings: list[Finding] = []

    def add(self, finding: Finding, limit: int) -> None:
        self.found += 1
        if self.found <= limit:
            self.findings.append(finding)


@dataclass(frozen=True)
class _Upload:
    """The upload that a file would be."""

    key: str
    slice: str | None
    upload_id: str = "check"


class _Reject(msgspec.Struct):
    """What the quarantine lines of all loaders have in common."""

    reject_reason: str
    source_key: str
    line_number: int
    reject_reasons: list[str] = []
    note: str | None = None
    raw: str = ""


class _Nowhere:
    """Takes canonical lines and keeps none."""

    def write(self, slice_: str, lines: bytes) -> None:
        pass


class _Findings:
    """Takes quarantine lines and makes findings of them."""

    def __init__(self, report: FileReport, limit: int, show_raw: bool):
        self._report, self._limit, self._show_raw = report, limit, show_raw

    def write(self, lines: bytes, /) -> int:
        for line in lines.splitlines():
            reject = msgspec.json.decode(line, type=_Reject)
            _, _, member = reject.source_key.partition("!")
            finding = Finding(
                reason=reject.reject_reason,
                line=reject.line_number,
                member=member or None,
                other_reasons=[one for one in reject.reject_reasons if one != reject.reject_reason],
                note=reject.note,
                raw=reject.raw[:_RAW_SHOWN] if self._show_raw else None,
            )
            self._report.add(finding, self._limit)
        return len(lines)


def datasets() -> list[Dataset]:
    """The datasets of all pipelines."""
    return [one for pipeline in PIPELINES.values() for one in pipeline.datasets]


def check_file(
    path: Path,
    dataset: Dataset,
    *,
    folder: str | None,
    reference: Path,
    progress: Progress,
    limit: int = sys.maxsize,
    show_raw: bool = False,
) -> FileReport:
    """Read a file as its pipeline would, and report each line that it would reject.

    Args:
        folder: the folder below ``landing/<dataset>/`` that the file is to be uploaded to, if there is one.
        reference: the folder of reference data.
        limit: how many findings are kept; all are counted.

    Raises:
        OSError: if the file cannot be read.
    """
    report = FileReport(file=f"{path}", dataset=dataset.name)
    key = lake.landing_key(dataset.name, f"{folder}/{path.name}" if folder else path.name)
    place = lake.parse_landing_key(dataset, key, path.stat().st_size)
    if isinstance(place, SkipReason):
        report.add(Finding(reason=place), limit)
        return report
    with path.open("rb") as file:
        stream = cast(BinaryIO, Watched(file, progress))
        rejects = _Findings(report, limit, show_raw)
        try:
            counts = _load(dataset, stream, _Upload(key, place.slice), rejects, reference)
        except UnreadableUpload as error:
            # Nothing of it is used, so what was found up to there says nothing.
            report.found, report.findings = 0, []
            report.add(Finding(reason=error.reason, note=error.detail), limit)
            return report
    for source, reason in counts.skipped_members.items():
        report.add(Finding(reason=reason, member=source.partition("!")[2]), limit)
    report.lines, report.accepted, report.rejected = counts.lines, counts.valid, counts.rejected
    report.rejected_by_reason = counts.rejected_by_reason
    report.measures = {name: count for name, count in counts.measures.items() if count}
    return report


def _load(
    dataset: Dataset, stream: BinaryIO, upload: _Upload, rejects: _Findings, reference: Path
) -> LineCounts:
    # Nothing is kept, so that any key will do.
    return dataset.import_loader(b"")(stream, upload, _Nowhere(), rejects, reference=reference)


def find_dataset(path: Path, choices: Sequence[Dataset], folder: str | None, reference: Path) -> Dataset:
    """Which of several datasets a file is of: the one that accepts the most of its first lines.

    Raises:
        CannotCheck: if none accepts any, or the extension is that of none.
        OSError: if the file cannot be read.
    """
    name = path.name.lower().removesuffix(".gz")
    fitting = [one for one in choices if name.endswith(one.extensions)]
    if not fitting:
        known = sorted({extension for one in choices for extension in one.extensions})
        raise CannotCheck(
            f"{path}: no dataset takes such a name; they end in {', '.join(known)}, or that and .gz"
        )
    if len(fitting) == 1:
        return fitting[0]
    extensions = tuple({extension for one in fitting for extension in one.extensions})
    head = _read_head(path, extensions)
    accepted = {
        one.name: _accepted(one, head, folder_of(path, one, folder), path.name, reference) for one in fitting
    }
    best = max(fitting, key=lambda one: accepted[one.name])
    if not accepted[best.name]:
        raise CannotCheck(
            f"{path}: its first lines are accepted by none of {', '.join(accepted)}. Say what it holds: --dataset"
        )
    return best


def _read_head(path: Path, extensions: tuple[str, ...]) -> bytes:
    """The first whole lines of a file, or of the first file of an archive; nothing if it is damaged."""
    with path.open("rb") as file, contextlib.suppress(UnreadableUpload, StopIteration):
        members = open_files(file, extensions)
        _, content = next(members)  # which can be read as long as the others are still to come
        head = b""
        while len(head) < _HEAD and (line := content.readline(_HEAD)):
            head += line
        return head
    return b""


def _accepted(dataset: Dataset, head: bytes, folder: str | None, name: str, reference: Path) -> int:
    # The head is not compressed, whatever the name says.
    name = name.removesuffix(".gz").removesuffix(".GZ")
    key = lake.landing_key(dataset.name, f"{folder}/{name}" if folder else name)
    ignored = _Findings(FileReport(file=name, dataset=dataset.name), 0, False)
    try:
        return _load(dataset, io.BytesIO(head), _Upload(key, folder), ignored, reference).valid
    except UnreadableUpload:
        return 0


def folder_of(path: Path, dataset: Dataset, given: str | None) -> str | None:
    """The folder that says the slice: the given one, the one that the file is in, or that of today.

    None if the dataset needs none.

    Raises:
        CannotCheck: if one is given that says no slice.
    """
    if dataset.slice_of_folder is None:
        return given
    if given is not None:
        try:
            return dataset.slice_of_folder(given)
        except ValueError as error:
            raise CannotCheck(f"--folder {given}: {error}") from error
    for folder in (path.resolve().parent.name, f"{datetime.now(UTC).date()}"):
        with contextlib.suppress(ValueError):
            return dataset.slice_of_folder(folder)
    raise CannotCheck(f"{path}: say which folder it is to be uploaded to: --folder")


# --- what is printed -------------------------------------------------------------------------------


def as_text(report: FileReport) -> Iterable[str]:
    """Findings as compilers print them, then one line that sums up."""
    for one in report.findings:
        place = report.file + (f"!{one.member}" if one.member else "")
        more = "".join(f", {reason}" for reason in one.other_reasons)
        note = f" ({one.note})" if one.note else ""
        raw = f": {one.raw}" if one.raw else ""
        yield f"{place}:{f'{one.line}:' if one.line else ''} {one.reason}{more}{note}{raw}"
    if report.found > len(report.findings):
        yield f"{report.file}: and {report.found - len(report.findings):,} more findings"
    counts = ", ".join(f"{reason} {count:,}" for reason, count in report.rejected_by_reason.items())
    yield (
        f"{report.file}: {report.dataset}, {report.lines:,} lines, {report.accepted:,} accepted, "
        f"{report.rejected:,} rejected" + (f" ({counts})" if counts else "")
    )


def _parser(choices: Sequence[Dataset]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m medlaunch.check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--dataset", choices=[one.name for one in choices], help="what the files hold")
    parser.add_argument(
        "--folder",
        help="folder below landing/<dataset>/ that they are to be uploaded to, where it says the slice "
        "(default: the name of the folder that a file is in, or else today in UTC)",
    )
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="json: one object per file"
    )
    parser.add_argument("--max-findings", type=int, default=100, metavar="N", help="per file (default: 100)")
    parser.add_argument(
        "--raw", action="store_true", help=f"show the first {_RAW_SHOWN} characters of each line"
    )
    parser.add_argument(
        "--reference", type=Path, metavar="FOLDER", help="reference data (default: include/reference)"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    choices = datasets()
    arguments = _parser(choices).parse_args(argv)
    reference = arguments.reference or settings().reference_dir
    if arguments.dataset:
        choices = [one for one in choices if one.name == arguments.dataset]
    found = 0
    try:
        progress = Progress(sum(one.stat().st_size for one in arguments.files), arguments.quiet)
        for path in arguments.files:
            dataset = (
                choices[0] if arguments.dataset else find_dataset(path, choices, arguments.folder, reference)
            )
            report = check_file(
                path,
                dataset,
                folder=folder_of(path, dataset, arguments.folder),
                reference=reference,
                progress=progress,
                limit=arguments.max_findings,
                show_raw=arguments.raw,
            )
            progress.clear()
            lines = as_text(report) if arguments.format == "text" else [msgspec.json.encode(report).decode()]
            print(*lines, sep="\n", flush=True)
            found += report.found
    except (CannotCheck, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
