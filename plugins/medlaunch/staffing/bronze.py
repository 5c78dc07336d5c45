"""Lines of bronze and of the quarantine, and their counts: what both loaders write."""

from __future__ import annotations

import base64
import re
from collections import Counter, defaultdict
from collections.abc import Mapping

import msgspec

from medlaunch.declaration import VALID, BronzeWriter, LineCounts, LineWriter

#: The slice of rejected records that do not say where they belong.
UNKNOWN_SLICE = "unknown"

_QUARTER = re.compile(r"20[0-9]{2}Q[1-4]")
_encode = msgspec.json.encode


def known_slice(quarter: str) -> str:
    """The quarter that a rejected record names, or ``unknown``: nonsense must not make partitions without end."""
    return quarter if _QUARTER.fullmatch(quarter) else UNKNOWN_SLICE


class _RejectedLine(msgspec.Struct):
    """A rejected record in bronze: that it was there, and why it counts for nothing."""

    reject_reason: str
    source_key: str
    upload_id: str
    line_number: int


class _QuarantineLine(msgspec.Struct, omit_defaults=True):
    """A rejected record. ``raw_base64`` is there where ``raw`` cannot show all bytes."""

    reject_reason: str
    source_key: str
    line_number: int
    raw: str
    raw_base64: str | None = None


class BronzeLines:
    """Collects the bronze lines of an upload by slice, writes many at once, and counts them by outcome.

    :attr:`valid` takes lines of accepted records, as text with their line feed; call :meth:`flush` every few
    thousand and at the end.
    """

    def __init__(self, out: BronzeWriter, rejects: LineWriter):
        self._out, self._rejects = out, rejects
        self.valid: defaultdict[str, list[str]] = defaultdict(list)
        self.slices: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def reject(
        self, slice_: str, reason: str, raw: bytes, source_key: str, upload_id: str, line: int
    ) -> None:
        """Account for one rejected record: that it was there goes to bronze, its content to the quarantine."""
        self.slices[slice_][reason] += 1
        self._out.write(slice_, _encode(_RejectedLine(reason, source_key, upload_id, line)) + b"\n")
        self._rejects.write(_encode(_QuarantineLine(reason, source_key, line, *_text(raw))) + b"\n")

    def flush(self) -> None:
        """Write what was collected."""
        for slice_, lines in self.valid.items():
            if lines:
                self.slices[slice_][VALID] += len(lines)
                self._out.write(slice_, "".join(lines).encode())
        self.valid.clear()

    def counts(self, measures: Mapping[str, int], skipped: Mapping[str, str], bytes_read: int) -> LineCounts:
        """The counts of everything that was written."""
        slices = {name: dict(counts) for name, counts in sorted(self.slices.items())}
        return LineCounts(
            lines=sum(sum(counts.values()) for counts in slices.values()),
            slices=slices,
            measures=dict(sorted(measures.items())),
            bytes_read=bytes_read,
            skipped_members=dict(skipped),
        )


def _text(raw: bytes) -> tuple[str, str | None]:
    """Bytes as text, and in base64 if the text cannot show them all."""
    raw = raw.rstrip(b"\r\n")
    try:
        return raw.decode(), None
    except UnicodeDecodeError:
        return raw.decode(errors="backslashreplace"), base64.b64encode(raw).decode()
