"""What an upload's bytes are, and its decompressed content, bounded against bombs.

The first bytes decide, not the name: plain, gzip, or a zip archive whose members are files of their own.
"""

from __future__ import annotations

import io
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import IO, BinaryIO, NamedTuple

try:  # Decompresses about three times as fast; the image of MWAA does not have it.
    from isal import isal_zlib as _inflate
except ImportError:
    _inflate = zlib

#: How much is kept of the bytes of a record that is longer than its limit.
KEPT_BYTES = 64 * 1024

BOM = b"\xef\xbb\xbf"
#: RFC 1952, section 2.3.1 (ID1, ID2). Neither JSON nor a CSV header can begin with these bytes.
GZIP_MAGIC = b"\x1f\x8b"
#: APPNOTE.TXT of PKWARE, sections 4.3.7 and 4.3.16: a local file header, or the end of an archive without members.
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")

_BUFFER = 256 * 1024
_HEAD = 4
# An archive up to this size stays in memory.
_SPOOL = 8 * 1024**2
# The directory of a zip archive is read at once: about ten thousand members.
_DIRECTORY = 1024**2
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
)


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
    its own size (deflate ends near 1,030; real records reach about 10). A zip archive may have ``zip_bytes`` and
    ``members`` data files. A record may have ``record_bytes``.
    """

    record_bytes: int = 16 * 1024**2
    total_bytes: int = 20 * 1024**3
    ratio: int = 1000
    ratio_from_bytes: int = 1024**3
    zip_bytes: int = 1024**3
    members: int = 1000


DEFAULT_LIMITS = Limits()


class _Source(io.RawIOBase):
    """Decompressed bytes; ``bytes_read`` counts those of the upload."""

    bytes_read = 0

    def readable(self) -> bool:
        return True


class _Raw(_Source):
    """The upload's bytes as they come."""

    def __init__(self, stream: BinaryIO, head: bytes):
        self._stream, self._head = stream, head
        self._readinto = getattr(stream, "readinto", None)

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

    def __init__(self, raw: _Source):
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
    return _plain_or_gzip(stream, _read_head(stream), limits, must_be_gzip)


def open_plain(stream: BinaryIO) -> Content:
    """The bytes of a part of an upload as they come, whatever they look like."""
    return Content(_Raw(stream, b""))


def is_compressed(head: bytes) -> bool:
    """Whether an upload with these first bytes (four or more) is gzip or a zip archive."""
    return head.startswith((GZIP_MAGIC, *ZIP_MAGIC))


def _read_head(stream: BinaryIO) -> bytes:
    head = b""
    while len(head) < _HEAD and (chunk := stream.read(_BUFFER)):
        head += chunk
    return head


def _plain_or_gzip(stream: BinaryIO, head: bytes, limits: Limits, must_be_gzip: bool = False) -> Content:
    if must_be_gzip or head.startswith(GZIP_MAGIC):
        return Content(_Gunzip(stream, head, limits))
    return Content(_Raw(stream, head))


# --- zip -------------------------------------------------------------------------------------------


def open_files(
    stream: BinaryIO, extensions: tuple[str, ...], limits: Limits = DEFAULT_LIMITS
) -> Iterator[tuple[str, Content]]:
    """The data files of an upload, each with its name: the upload itself (""), or the members of a zip archive.

    Of an archive those members are data whose name ends in one of ``extensions`` (lower case), in the order of their
    names, which are labels and nothing more: no file is named by them. Folders, ``__MACOSX/``, names that begin with a
    dot and all other members are skipped, archives in the archive too. A content may be read until the next one is
    asked for. A damaged member does not harm the others: the caller may go on with the next.

    Raises:
        UnreadableUpload: now or while reading, if an archive is damaged, encrypted or too large.
    """
    head = _read_head(stream)
    if head.startswith(ZIP_MAGIC):
        yield from _members(stream, head, extensions, limits)
    else:
        yield "", _plain_or_gzip(stream, head, limits)


def _members(
    stream: BinaryIO, head: bytes, extensions: tuple[str, ...], limits: Limits
) -> Iterator[tuple[str, Content]]:
    # The directory, which alone says what the members are, is at the end of an archive, and a stream of S3 does not
    # go back: docs/decisions/0022-zip-archives-are-spooled.md.
    with tempfile.SpooledTemporaryFile(_SPOOL) as spool:
        size = 0
        while head:
            size += len(head)
            if size > limits.zip_bytes:
                raise UnreadableUpload(
                    Unreadable.ARCHIVE_TOO_LARGE, f"the zip archive has more than {limits.zip_bytes:,} bytes"
                )
            spool.write(head)
            head = stream.read(_BUFFER)
        try:
            archive = zipfile.ZipFile(_BoundedReads(spool))
        except _DAMAGED as error:
            raise UnreadableUpload(
                Unreadable.CORRUPT_ARCHIVE, f"the zip archive has no directory that can be read ({error})"
            ) from error
        members = [one for one in archive.infolist() if _is_data(one.filename, extensions)]
        if len(members) > limits.members:
            raise UnreadableUpload(
                Unreadable.ARCHIVE_TOO_LARGE,
                f"the zip archive has {len(members):,} data files, more than {limits.members:,}",
            )
        decompressed = 0

        def count(more: int) -> None:
            nonlocal decompressed
            decompressed += more
            check_size(decompressed, size, limits)

        for member in sorted(members, key=lambda one: (one.filename, one.header_offset)):
            yield member.filename, Content(_Member(archive, member, count))


def _is_data(name: str, extensions: tuple[str, ...]) -> bool:
    parts = re.split(r"[/\\]", name)
    hidden = any(part.startswith(".") and part != ".." for part in parts)
    return not hidden and parts[0] != "__MACOSX" and parts[-1].lower().endswith(extensions)


class _BoundedReads:
    """A file whose every read is bounded: zipfile reads as many bytes as an archive tells it to."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self.tell, self.seekable = file.tell, file.seekable

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and offset < 0:
            raise zipfile.BadZipFile("an offset before the beginning")
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(_DIRECTORY + 1 if size < 0 else min(size, _DIRECTORY + 1))
        if len(data) > _DIRECTORY:
            raise zipfile.BadZipFile(f"a directory of more than {_DIRECTORY:,} bytes")
        return data


class _Member(_Source):
    """Decompressed bytes of a member of a zip archive."""

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, count: Callable[[int], None]):
        self._archive, self._member, self._count = archive, member, count
        self._file: IO[bytes] | None = None
        self.bytes_read = member.compress_size

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            if self._file is None:
                self._file = self._open()
            chunk = self._file.read1(len(buffer))  # type: ignore[attr-defined]
        except _DAMAGED as error:
            raise UnreadableUpload(
                Unreadable.CORRUPT_ARCHIVE,
                f"{self._member.filename!r} of the zip archive cannot be read ({error})",
            ) from error
        self._count(len(chunk))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _open(self) -> IO[bytes]:
        if self._member.flag_bits & 1:
            raise NotImplementedError("it is encrypted")
        if self._member.compress_type not in _METHODS:
            raise NotImplementedError(f"compression method {self._member.compress_type}; 0 and 8 are read")
        return self._archive.open(self._member)
