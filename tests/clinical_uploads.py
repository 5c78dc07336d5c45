"""Loads FHIR uploads in memory."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
from pathlib import Path
from typing import Any

from medlaunch.clinical.loading import load
from medlaunch.declaration import LineCounts

ROOT = Path(__file__).parents[1]
#: Makes the pseudonyms of tests.
KEY = b"the key of tests, not of anything else"


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


def load_bytes(
    name: str, content: bytes, upload_id: str = "u", *, key: bytes = KEY
) -> tuple[LineCounts, Bronze, Rejects]:
    """Counts, bronze lines and rejects of one upload ``name``; ``key`` makes the pseudonyms."""
    bronze, rejects = Bronze(), Rejects()
    counts = load(
        io.BytesIO(content),
        Upload(name, upload_id),
        bronze,
        rejects,
        reference=ROOT / "include/reference",
        key=key,
    )
    return counts, bronze, rejects


def pseudonym(kind: str, id_: str, key: bytes = KEY) -> str:
    """What stands for a resource in published tables."""
    return hmac.new(key, f"{kind}/{id_}".encode(), hashlib.sha256).hexdigest()[:32]
