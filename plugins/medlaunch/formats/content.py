"""What an upload's bytes are, and its decompressed content, bounded against bombs."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from enum import StrEnum
from typing import BinaryIO, NamedTuple

try:  # Decompresses about three times as fast; the image of MWAA does not have it.
    from isal import isal_zlib as _inflate
except ImportError:
    _inflate = zlib

#: How much is kept of the bytes of a record that is longer than its limit.
KEPT_BYTES = 64 * 1024

BOM = b"\xef\xbb\xbf"
#: RFC 1952, section 2.3.1 (ID1, ID2). Neither JSON nor a CSV header can begin with these bytes.
GZIP_MAGIC = b"\x1f\x8b"

_BUFFER = 256 * 1024


class Unreadable(StrEnum):
    """Why the bytes of an upload cannot be read."""

    CORRUPT_ARCHIVE = "corrupt_archive"
    ARCHIVE_TOO_LARGE = "archive_too_large"


class UnreadableUpload(Exception):
    """The upload cannot be read to its end; nothing of it may be used. ``reason`` is for counting."""

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = str(reason)
        self.detail = detail


class Limits(NamedTuple):
    """Bounds on what an upload may cost, in bytes.

    An archive may decompress to at most ``total_bytes``, and beyond ``ratio_from_bytes`` to at most ``ratio`` times
    its own size (deflate ends near 1,030; facility records reach about 10). A record may have ``record_bytes``.
    """

    record_bytes: int = 16 * 1024**2
    total_bytes: int = 20 * 1024**3
    ratio: int = 1000
    ratio_from_bytes: int = 1024**3


DEFAULT_LIMITS = Limits()


class _Raw(io.RawIOBase):
    """The upload's bytes as they come; ``bytes_read`` counts them."""

    def __init__(self, stream: BinaryIO, head: bytes):
        self._stream, self._head = stream, head
        self._readinto = getattr(stream, "readinto", None)
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def _take(self, size: int) -> bytes:
        chunk = self._head[:size] or self._stream.read(size)
        self._head = self._head[size:]
        self.bytes_read += len(chunk)
        return chunk

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._readinto and not self._head:
            size: int = self._readinto(buffer) or 0
            self.bytes_read += size
            return size
        chunk = self._take(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


class _Gunzip(_Raw):
    """Decompressed bytes of a gzip of any number of members (RFC 1952), zero-padded or not."""

    def __init__(self, stream: BinaryIO, head: bytes, limits: Limits):
        super().__init__(stream, head)
        self._limits = limits
        self._member = _inflate.decompressobj(wbits=31)
        self._input = b""
        self._held_back = False  # output that did not fit may be left inside the decompressor
        self._total = 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            if self._member.eof and not self._next_member():
                return 0
            if not self._input and not self._held_back:
                self._input = self._take(_BUFFER)
                if not self._input:
                    raise UnreadableUpload(
                        Unreadable.CORRUPT_ARCHIVE, "the gzip file ends inside its compressed data"
                    )
            try:
                chunk = self._member.decompress(self._input, len(buffer))
            except (zlib.error, _inflate.error) as error:
                raise UnreadableUpload(
                    Unreadable.CORRUPT_ARCHIVE,
                    f"not gzip, or damaged, within the first {self.bytes_read:,} bytes ({error})",
                ) from error
            self._input = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            self._held_back = len(chunk) == len(buffer)
            if chunk:
                self._total += len(chunk)
                check_size(self._total, self.bytes_read, self._limits)
                buffer[: len(chunk)] = chunk
                return len(chunk)

    def _next_member(self) -> bool:
        while not (rest := self._input.lstrip(b"\0")):
            self._input = self._take(_BUFFER)
            if not self._input:
                return False
        self._input = rest
        self._member = _inflate.decompressobj(wbits=31)
        self._held_back = False
        return True


def check_size(decompressed: int, compressed: int, limits: Limits) -> None:
    """Compare what was decompressed so far with what it was made of.

    Raises:
        UnreadableUpload: if it is more than the limits allow.
    """
    if decompressed > limits.total_bytes:
        raise UnreadableUpload(
            Unreadable.ARCHIVE_TOO_LARGE, f"it decompresses to more than {limits.total_bytes:,} bytes"
        )
    if decompressed > limits.ratio_from_bytes and decompressed > limits.ratio * compressed:
        raise UnreadableUpload(
            Unreadable.ARCHIVE_TOO_LARGE,
            f"{compressed:,} bytes decompress to more than {decompressed:,}, over {limits.ratio} times",
        )


class Content:
    """An upload's decompressed bytes; iterating gives its lines, each with its line feed."""

    def __init__(self, raw: _Raw):
        # Not a subclass: those iterate at half the speed (CPython looks up their readline for each line).
        self._buffered = io.BufferedReader(raw, _BUFFER)
        self._raw = raw
        self.read = self._buffered.read
        self.readline = self._buffered.readline

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._buffered)

    @property
    def bytes_read(self) -> int:
        """Bytes taken from the upload so far, compressed ones where it is compressed."""
        return self._raw.bytes_read


def open_content(stream: BinaryIO, limits: Limits = DEFAULT_LIMITS, *, must_be_gzip: bool = False) -> Content:
    """The content of an upload: what its first bytes say, gzip or plain, whatever its name is.

    With ``must_be_gzip`` an upload that does not begin like gzip counts as damaged, not as plain.

    Raises:
        UnreadableUpload: now or while reading, if compressed data is damaged or too large.
    """
    head = b""
    while len(head) < len(GZIP_MAGIC) and (chunk := stream.read(_BUFFER)):
        head += chunk
    if must_be_gzip or head.startswith(GZIP_MAGIC):
        return Content(_Gunzip(stream, head, limits))
    return Content(_Raw(stream, head))
