"""What a generator says about the files it wrote: the truth that a pipeline's figures are compared with.

It is computed while the lines are made, from what was put into each of them on purpose. Nothing here
reads the files back, and nothing here runs the pipeline's rules.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class DefectiveLine:
    """One line that was made defective, or a duplicate, on purpose.

    ``line_number`` and ``record_number`` are 1-based; the line is the physical one where the value starts.
    ``reject_reasons`` lists all that apply, in the order of the rules; of a line that is not rejected, too
    (then it can only hold the reasons that do not reject). ``outcome``: accepted, superseded or rejected.
    """

    kind: str
    line_number: int
    record_number: int
    facility_id: str | None
    reject_reason: str | None
    reject_reasons: list[str]
    invalid_accreditations: int
    outcome: str


@dataclass(slots=True)
class FileAccount:
    """One file. ``lines == accepted + superseded + rejected``; blank lines are not lines.

    ``bytes`` is the size on disk, ``content_bytes`` the size uncompressed. ``mtime`` in seconds (UTC).
    ``skipped`` says why the file is not data; such a file has no lines.
    """

    snapshot: str
    file: str
    mtime: int
    format: str
    skipped: str | None = None
    bytes: int = 0
    content_bytes: int = 0
    lines: int = 0
    accepted: int = 0
    superseded: int = 0
    rejected: int = 0
    blank_lines: int = 0
    rejected_by_reason: Counter[str] = field(default_factory=Counter)
    rejected_by_any_reason: Counter[str] = field(default_factory=Counter)
    snapshot_date_differs: int = 0
    valid_without_accreditations: int = 0
    invalid_accreditations_of_valid_lines: int = 0
    invalid_accreditations_of_rejected_lines: int = 0
    defective: list[DefectiveLine] = field(default_factory=list)

    @property
    def valid(self) -> int:
        """Lines that are not rejected, superseded ones among them."""
        return self.accepted + self.superseded


@dataclass(slots=True)
class SliceReconciliation:
    """The results of one snapshot, after duplicates: one record a facility, the one uploaded last.

    ``facilities_by_state`` and ``accredited_by_state`` are keyed by state code; a state without a facility
    has no key, one without an accredited facility none in ``accredited_by_state``.
    """

    snapshot: str
    facilities: int = 0
    facilities_by_state: Counter[str] = field(default_factory=Counter)
    accredited_by_state: Counter[str] = field(default_factory=Counter)
    expiring_accreditations: int = 0
    expiring_facilities: int = 0
    without_valid_date: int = 0


@dataclass(slots=True)
class Account:
    """Everything that one call wrote; ``files`` in the order of upload (their modification times)."""

    domain: str
    seed: int
    as_of: str
    window_end: str
    files: list[FileAccount] = field(default_factory=list)
    snapshots: dict[str, SliceReconciliation] = field(default_factory=dict)

    @property
    def data_files(self) -> list[FileAccount]:
        """The files that are data, in the order of upload."""
        return [file for file in self.files if file.skipped is None]

    @property
    def skipped(self) -> dict[str, str]:
        """``<snapshot>/<file>`` -> why it is not data."""
        return {f"{one.snapshot}/{one.file}": one.skipped for one in self.files if one.skipped is not None}

    def total(self, figure: str, snapshot: str | None = None) -> int:
        """The sum of one of the files' figures (``"lines"``, ``"superseded"``...), of one snapshot or all."""
        return sum(getattr(one, figure) for one in self.files if snapshot in (None, one.snapshot))

    def rejected_by_reason(self, snapshot: str | None = None) -> dict[str, int]:
        """Rejected lines by the first reason that applies, of one snapshot or all."""
        return _summed(one.rejected_by_reason for one in self.files if snapshot in (None, one.snapshot))

    def rejected_by_any_reason(self, snapshot: str | None = None) -> dict[str, int]:
        """Rejected lines by each reason that applies: a line counts once for each of its reasons."""
        return _summed(one.rejected_by_any_reason for one in self.files if snapshot in (None, one.snapshot))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as ``--expect`` writes them."""
        totals = ("lines", "accepted", "superseded", "rejected", "blank_lines", "bytes", "content_bytes",
                  "snapshot_date_differs", "valid_without_accreditations",
                  "invalid_accreditations_of_valid_lines", "invalid_accreditations_of_rejected_lines")  # fmt: skip
        return {
            "domain": self.domain,
            "seed": self.seed,
            "as_of": self.as_of,
            "window_end": self.window_end,
            "totals": {name: self.total(name) for name in totals}
            | {
                "rejected_by_reason": self.rejected_by_reason(),
                "rejected_by_any_reason": self.rejected_by_any_reason(),
            },
            "snapshots": {
                name: _plain(one)
                | {
                    figure: self.total(figure, name)
                    for figure in ("lines", "accepted", "superseded", "rejected")
                }
                | {"rejected_by_reason": self.rejected_by_reason(name)}
                for name, one in self.snapshots.items()
            },
            "files": [_plain(file) for file in self.files],
        }

    def write(self, path: Path) -> None:
        """Write :meth:`as_dict` as indented JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.as_dict(), indent=2, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")


def _plain(account: FileAccount | SliceReconciliation) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for one in fields(account):
        value = getattr(account, one.name)
        if isinstance(value, Counter):
            value = dict(sorted(value.items()))
        elif isinstance(value, list):
            value = [asdict(line) for line in value]
        plain[one.name] = value
    return plain


def _summed(counts: Iterable[Counter[str]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))
