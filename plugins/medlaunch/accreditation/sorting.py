"""Sort more than fits into memory."""

from __future__ import annotations

import os
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import IO

# What a hundred thousand records leave to sort fits; larger runs gain nothing and fall out of the cache.
_MEMORY = 16 * 1024**2
_RUNS = 64
# A bytes object and its place in a list, beside the bytes themselves (CPython, 64 bit).
_OVERHEAD = 41


class ExternalSort:
    """Sorts byte strings that hold no line feed, as ``sorted`` does, in about ``memory`` bytes.

    What does not fit waits in sorted runs in a temporary file, which is gone with the object.
    """

    def __init__(self, memory: int = _MEMORY):
        self._memory = memory
        self._items: list[bytes] = []
        self._size = 0
        self._file: IO[bytes] | None = None
        self._runs: list[tuple[int, int]] = []

    def add(self, item: bytes) -> None:
        self._items.append(item)
        self._size += len(item) + _OVERHEAD
        if self._size > self._memory:
            self._spill()

    def batches(self) -> Iterator[list[bytes]]:
        """All items in order, in lists of bounded size; to be called once, after the last ``add``."""
        if self._runs:
            self._spill()
            yield from self._merged()
        elif self._items:
            self._items.sort()
            yield self._items

    def __iter__(self) -> Iterator[bytes]:
        for batch in self.batches():
            yield from batch

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> ExternalSort:
        return self

    def __exit__(self, *exit_details: object) -> None:
        self.close()

    def _spill(self) -> None:
        self._items.sort()
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._write_run(self._file, [self._items])
        self._items, self._size = [], 0
        if len(self._runs) == _RUNS:
            # So that a merge never reads from more runs at once than there is memory for.
            file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
            merged = self._merged()
            self._runs = []
            self._write_run(file, merged)
            self._file.close()
            self._file = file

    def _write_run(self, file: IO[bytes], batches: Iterable[list[bytes]]) -> None:
        start = file.tell()
        for batch in batches:
            if batch:
                batch.append(b"")  # for the last line feed, without a copy of the whole
                file.write(b"\n".join(batch))
        if file.tell() > start:
            self._runs.append((start, file.tell()))

    def _merged(self) -> Iterator[list[bytes]]:
        assert self._file is not None
        self._file.flush()
        chunk = max(16 * 1024, self._memory // len(self._runs) // 2)
        runs = [_Run(self._file.fileno(), start, end, chunk) for start, end in self._runs]
        while runs:
            # Up to the least of the last items read, nothing smaller can still come from any run. One
            # sort of sorted pieces costs a fraction of taking the items one by one from a heap.
            bound = min((run.items[-1] for run in runs if run.has_more), default=None)
            batch: list[bytes] = []
            for run in runs:
                cut = len(run.items) if bound is None else bisect_right(run.items, bound)
                batch += run.items[:cut]
                del run.items[:cut]
            batch.sort()
            yield batch
            runs = [run for run in runs if run.items or run.read()]


class _Run:
    """The next items of one sorted run."""

    def __init__(self, file: int, start: int, end: int, chunk: int):
        self._file, self._next, self._end, self._chunk = file, start, end, chunk
        self.items: list[bytes] = []
        self.read()

    @property
    def has_more(self) -> bool:
        return self._next < self._end

    def read(self) -> bool:
        """Read more whole items; False if there are none."""
        size = self._chunk
        while self.has_more:
            data = os.pread(self._file, min(size, self._end - self._next), self._next)
            cut = data.rfind(b"\n")
            if cut >= 0:
                self.items = data[:cut].split(b"\n")
                self._next += cut + 1
                return True
            size *= 2
        return False
