"""An upload, file by file: what both loaders have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from medlaunch.declaration import BronzeWriter, LineCounts, LineWriter, UploadRef
from medlaunch.formats import Item
from medlaunch.formats.content import Unreadable, UnreadableUpload, open_files
from medlaunch.formats.csv_records import EMPTY_FILE, CsvRecords, normalise
from medlaunch.staffing.bronze import BronzeLines
from medlaunch.staffing.headers import read_spellings, read_states

_EXTENSIONS = (".csv",)
# What is wrong with the upload as a whole.
_DAMAGED = frozenset(Unreadable)
# Columns that mean nothing here are named where they are few: of PBJ. Provider Information has more than fifty.
_NAMED = 20


class FileLoader(Protocol):
    """Writes the records of one file to bronze: each has the fields of the loader's columns, in their order."""

    def load(self, records: Iterable[Item[tuple[str, ...]]], lines: BronzeLines) -> None: ...

    @property
    def measures(self) -> Mapping[str, int]: ...


def load_files(
    stream: BinaryIO,
    upload: UploadRef,
    out: BronzeWriter,
    rejects: LineWriter,
    *,
    reference: Path,
    first_line: int | None,
    spellings: str,
    columns: Sequence[str],
    loader: Callable[[frozenset[str], str, str], FileLoader],
) -> LineCounts:
    """Load a CSV file, or the CSV files of a zip archive, whose ``columns`` have the ``spellings``.

    ``loader`` makes the loader of a file from the codes of states, its source key and the id of the upload. A member
    of an archive whose header is no good, or which is empty, does not harm the others. ``first_line`` is the number of
    the line with which a part of an upload begins, after the header; None: the stream is the whole upload.

    Raises:
        UnreadableUpload: if the upload is damaged, or none of its files can be read.
    """
    aliases, required = read_spellings(reference / spellings)
    states = read_states(reference / "states.csv")
    lines = BronzeLines(out, rejects)
    later_part = first_line is not None and first_line > 1
    measures: Counter[str] = Counter()
    skipped: dict[str, str] = {}
    bytes_read, files = 0, 0
    first: UnreadableUpload | None = None
    for name, content in open_files(stream, _EXTENSIONS):
        records = CsvRecords(content, is_part=first_line is not None)
        source_key = f"{upload.key}!{name}" if name else upload.key
        file = loader(states, source_key, upload.upload_id)
        try:
            header = records.read_header(aliases, required)
            if later_part:
                records.begin_at(header, cast(int, first_line))
            file.load(records.items(header.getter(columns)), lines)
        except UnreadableUpload as error:
            if not name or error.reason in _DAMAGED:
                raise
            skipped[source_key] = error.reason
            first = first or error
        else:
            files += 1
            measures.update(file.measures)
            measures["repaired_lines"] += records.repaired_lines
            if not later_part:
                measures["ignored_columns"] += len(header.unknown)
                if len(header.unknown) <= _NAMED:
                    measures.update(f"ignored_column_{normalise(one)}" for one in header.unknown)
        bytes_read += content.bytes_read
        lines.flush()
    if not files:
        raise first or UnreadableUpload(EMPTY_FILE, "the archive has no file *.csv")
    return lines.counts(measures, skipped, bytes_read)
