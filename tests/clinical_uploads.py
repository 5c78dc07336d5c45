"""Loads FHIR uploads in memory."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from medlaunch.clinical.loading import load
from medlaunch.declaration import LineCounts

ROOT = Path(__file__).parents[1]


class Upload:
    """What a loader may know about an upload."""

    def __init__(self, key: str, upload_id: str):
        self.key, self.upload_id, self.slice = key, upload_id, None


class Lines:
    """Keeps the lines that a loader writes, to bronze or to the quarantine."""

    def __init__(self) -> None:
        self.data = b""

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.data.splitlines()]


class Bronze(Lines):
    def write(self, slice_: str, lines: bytes) -> None:
        assert slice_ == "all"
        self.data += lines


class Rejects(Lines):
    def write(self, lines: bytes, /) -> int:
        self.data += lines
        return len(lines)


def load_bytes(key: str, content: bytes, upload_id: str = "u") -> tuple[LineCounts, Bronze, Rejects]:
    """Counts, bronze lines and rejects of one upload."""
    bronze, rejects = Bronze(), Rejects()
    counts = load(
        io.BytesIO(content), Upload(key, upload_id), bronze, rejects, reference=ROOT / "include/reference"
    )
    return counts, bronze, rejects
