"""Parts of a large upload, so that several tasks load it side by side."""

from __future__ import annotations

from typing import BinaryIO, cast

import msgspec

from medlaunch.aws.documents import Run
from medlaunch.aws.objects import ObjectChanged, in_parallel, open_object
from medlaunch.declaration import Cut
from medlaunch.formats import ranges
from medlaunch.formats.content import UnreadableUpload, is_compressed

# Line feeds are counted in pieces of this size, many at a time.
_PIECE = 32 * 1024**2


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of an upload, from ``start`` up to ``end``; those up to ``header`` come before them.

    ``number`` is its place among ``of`` parts, from 0; ``first_line`` the number of the line with which it begins.
    """

    number: int
    of: int
    start: int
    end: int
    header: int
    first_line: int


def cut(run: Run, how: Cut, key: str, etag: str, size: int, part_bytes: int) -> list[Part]:
    """Cut an upload into parts of about ``part_bytes``; none, if it must be loaded as a whole.

    The same bytes are always cut in the same way. Reads the upload once, to count its lines.
    """

    def open_at(offset: int) -> BinaryIO:
        return cast(BinaryIO, open_object(run.s3, run.bucket, key, etag, offset))

    wanted = -(-size // part_bytes)
    header = 0
    try:
        with open_at(0) as stream:
            if is_compressed(stream.read(4)):
                return []
        if how is Cut.CSV:
            found, header = ranges.cut_csv(open_at, size, wanted)
        else:
            found = ranges.cut_json(open_at, size, wanted)
        if len(found) == 1:
            return []
        feeds = _count_line_feeds(run, key, etag, found)
    except (ObjectChanged, UnreadableUpload):
        return []  # the task that loads it finds out
    return [
        Part(
            number=number,
            of=len(found),
            start=one.start,
            end=one.end,
            header=header if number else 0,
            first_line=first_line,
        )
        for number, (one, first_line) in enumerate(zip(found, ranges.first_lines(feeds), strict=True))
    ]


def _count_line_feeds(run: Run, key: str, etag: str, parts: list[ranges.Part]) -> list[int]:
    """The line feeds of each part."""
    pieces = [
        (number, start, min(start + _PIECE, part.end))
        for number, part in enumerate(parts)
        for start in range(part.start, part.end, _PIECE)
    ]

    def count(piece: tuple[int, int, int]) -> int:
        _, start, end = piece
        with open_object(run.s3, run.bucket, key, etag, start, end) as stream:
            return ranges.count_line_feeds(cast(BinaryIO, stream))

    counts = [0] * len(parts)
    for (number, _, _), feeds in zip(pieces, in_parallel(count, pieces), strict=True):
        counts[number] += feeds
    return counts
