"""Where a large upload may be cut, so that its parts, read side by side, give exactly what one reader gives.

A part begins at a line of which the bytes around it prove that a reader of the whole upload begins a record there:

* **CSV**: a line that is a record by itself, of five or more fields, with an even number of quotes. By the rules of
  ``csv_records`` no quoted text goes on over such a line, whatever is before it.
* **JSON lines**: a line before which, as far as a value over lines may reach, every line is a value by itself, or is
  followed by an object, which shows that nothing goes on there.

The parts' items, one part after the other, are those of the whole; the number of a part's first line is one more than
the line feeds before it. Only plain uploads can be cut: see :func:`~medlaunch.formats.content.is_compressed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import BinaryIO, NamedTuple

from medlaunch.formats import json_records
from medlaunch.formats.content import DEFAULT_LIMITS, Content, Limits, open_plain
from medlaunch.formats.csv_records import CSV_LIMITS, CsvRecords, is_record
from medlaunch.formats.json_scan import is_object, is_value, text_start

#: How far behind an offset a line is looked for at which a part may begin.
SEARCH_BYTES = 16 * 1024**2

_CHUNK = 1024**2

#: Opens an upload at an offset.
OpenAt = Callable[[int], BinaryIO]


class Part(NamedTuple):
    """Bytes of an upload from ``start`` up to ``end``."""

    start: int
    end: int


def cut_csv(open_at: OpenAt, size: int, parts: int, limits: Limits = CSV_LIMITS) -> tuple[list[Part], int]:
    """Cut a CSV upload of ``size`` bytes into at most ``parts`` parts of similar size.

    Args:
        open_at: opens the upload at an offset.
        size: bytes of the upload.
        parts: how many parts there may be; there are fewer where no line proves that it is safe to cut.
        limits: those with which the parts are read.

    Returns:
        The parts, and where the header ends. The bytes up to there come before those of each later part.

    Raises:
        UnreadableUpload: if there is no header.
    """
    with open_at(0) as stream:
        reader = CsvRecords(open_plain(stream), limits)
        width = reader.read_header({}, ()).width
    begin = reader.header_bytes
    return _cut(open_at, size, parts, begin, limits, lambda lines: csv_start(lines, width)), begin


def cut_json(open_at: OpenAt, size: int, parts: int, limits: Limits = DEFAULT_LIMITS) -> list[Part]:
    """Cut an upload of JSON lines of ``size`` bytes into at most ``parts`` parts of similar size.

    Another one (an array, values over lines) is one part; arguments as :func:`cut_csv`.
    """
    with open_at(0) as stream:
        texts = (line[text_start(line) :] for _, line in _lines(open_plain(stream), limits))
        first = next(filter(None, texts), b"")
    if not first.startswith(b"{") or not is_value(first):
        return [Part(0, size)]
    return _cut(open_at, size, parts, 0, limits, json_start)


def csv_start(lines: Iterable[tuple[int, bytes]], width: int) -> int | None:
    """The offset of the first of some lines at which a part may begin; ``width`` is that of the header.

    ``lines`` are those of a file from the beginning of a line on, each with its offset.
    """
    for offset, line in lines:
        if not line.count(b'"') % 2 and is_record(line, width):
            return offset
    return None


def json_start(lines: Iterable[tuple[int, bytes]]) -> int | None:
    """The offset of the first of some lines at which a part may begin; see :func:`csv_start`."""
    clear: int | None = None  # a value that begins before this offset may reach so far beyond it
    open_before = False
    for offset, line in lines:
        if clear is None or (open_before and not is_object(line)):
            clear = offset
        if offset - clear >= json_records.LOOK_AHEAD:
            return offset
        # Also a line that begins in the middle of a value: what follows its end may begin another one.
        text = line[text_start(line) :]
        open_before = bool(text) and not is_value(text)
    return None


def count_line_feeds(stream: BinaryIO) -> int:
    """The line feeds of a part."""
    return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(_CHUNK), b""))


def first_lines(line_feeds: Sequence[int]) -> list[int]:
    """The number of the first line of each part, from the line feeds of each."""
    return [1 + before for before in accumulate(line_feeds, initial=0)][:-1]


def _cut(
    open_at: OpenAt,
    size: int,
    parts: int,
    begin: int,
    limits: Limits,
    find: Callable[[Iterable[tuple[int, bytes]]], int | None],
) -> list[Part]:
    starts = [0]
    for number in range(1, parts):
        offset = max(begin, size * number // parts, 1)
        if starts[-1] < offset < size:
            # One byte earlier: the offset itself may be the beginning of a line.
            with open_at(offset - 1) as stream:
                found = find(_lines_after(open_plain(stream), limits))
            if found is not None and offset - 1 + found < size:
                starts.append(offset - 1 + found)
    return [Part(*one) for one in zip(starts, [*starts[1:], size], strict=True)]


def _lines_after(content: Content, limits: Limits) -> Iterator[tuple[int, bytes]]:
    """The lines after the first line feed, with their offsets, as far as it is worth looking."""
    offset = 0
    while piece := content.readline(limits.record_bytes + 1):
        offset += len(piece)
        if piece.endswith(b"\n"):
            break
        if offset > SEARCH_BYTES:
            return
    for at, line in _lines(content, limits):
        if at > SEARCH_BYTES:
            return
        yield offset + at, line


def _lines(content: Content, limits: Limits) -> Iterator[tuple[int, bytes]]:
    """Lines with their offsets; of one that is longer than a record, the beginning."""
    offset = 0
    while line := content.readline(limits.record_bytes + 1):
        yield offset, line
        offset += len(line)
        while line and not line.endswith(b"\n"):
            line = content.readline(limits.record_bytes + 1)
            offset += len(line)
