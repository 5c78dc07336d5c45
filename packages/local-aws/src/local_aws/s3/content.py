"""Objects' bytes: received from a request with their checksums, joined, copied, and cut into ranges."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from local_aws.http import Request
from local_aws.s3.errors import S3Error
from local_aws.s3.keys import BodyFile, bodies

BLOCK = 1 << 20


class Hashing:
    """A body's MD5 and, where asked for, its checksum, while it is written."""

    def __init__(self, algorithm: str | None) -> None:
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.algorithm = algorithm
        self._crc = 0
        self._hash = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256}.get(algorithm or "", lambda: None)()

    def update(self, block: bytes) -> None:
        self.md5.update(block)
        if self.algorithm == "CRC32":
            self._crc = zlib.crc32(block, self._crc)
        elif self._hash is not None:
            self._hash.update(block)

    def checksum(self) -> str | None:
        """Base64 of the checksum; None for an algorithm that Python has not (CRC32C, CRC64NVME)."""
        if self.algorithm == "CRC32":
            return base64.b64encode(self._crc.to_bytes(4, "big")).decode()
        return base64.b64encode(self._hash.digest()).decode() if self._hash is not None else None


def checksum_of(path: Path, algorithm: str) -> str | None:
    hashing = Hashing(algorithm)
    with path.open("rb") as body:
        while block := body.read(BLOCK):
            hashing.update(block)
    return hashing.checksum()


def etag_of(path: Path, size: int) -> str:
    """An ETag like that of a multipart upload in parts of 64 MB, which is how engines write large files."""
    part = 64 << 20
    digests: list[bytes] = []
    with path.open("rb", buffering=0) as f:
        while True:
            digest, left = hashlib.md5(usedforsecurity=False), part
            while left and (block := f.read(min(BLOCK, left))):
                digest.update(block)
                left -= len(block)
            if left == part and digests:
                break
            digests.append(digest.digest())
            if left:
                break
    if size <= part:
        return digests[0].hex()
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def append(source: BinaryIO | Any, target: BinaryIO | Any, size: int) -> None:
    """Copies inside the kernel, without the interpreter's lock."""
    left = size
    while left:
        try:
            moved = os.copy_file_range(source.fileno(), target.fileno(), min(left, 1 << 28))
        except (OSError, AttributeError):
            while block := source.read(BLOCK):
                target.write(block)
            return
        if not moved:
            return
        left -= moved


# --------------------------------------------------------------------------------------- receiving


class _AwsChunked:
    """Decodes aws-chunked content; trailers are there at the end.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
    """

    def __init__(self, source: Any) -> None:
        self._source = _Buffered(source)
        self._left = 0
        self._done = False
        self.trailers: dict[str, str] = {}

    def read(self, size: int) -> bytes:
        if self._done:
            return b""
        if not self._left:
            line = self._source.readline()
            self._left = int(line.split(b";")[0].strip() or b"0", 16)
            if not self._left:
                self._done = True
                while line := self._source.readline().strip():
                    name, _, value = line.decode("latin-1").partition(":")
                    self.trailers[name.strip().lower()] = value.strip()
                return b""
        block = self._source.read(min(size, self._left))
        self._left -= len(block)
        if not self._left:
            self._source.readline()
        return block


class _Buffered:
    def __init__(self, source: Any) -> None:
        self._source = source
        self._buffer = b""

    def _fill(self) -> bool:
        block = self._source.read(1 << 17)
        self._buffer += block
        return bool(block)

    def readline(self) -> bytes:
        while b"\n" not in self._buffer:
            if not self._fill():
                line, self._buffer = self._buffer, b""
                return line
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    def read(self, size: int) -> bytes:
        if not self._buffer and not self._fill():
            raise _incomplete()
        block, self._buffer = self._buffer[:size], self._buffer[size:]
        return block


def _incomplete(detail: str = "") -> S3Error:
    text = "You did not provide the number of bytes specified by the Content-Length HTTP header"
    return S3Error(400, "IncompleteBody", text + detail)


def algorithm_of(headers: dict[str, str]) -> str | None:
    """The checksum algorithm that a request names or uses."""
    named = headers.get("x-amz-sdk-checksum-algorithm") or headers.get(
        "x-amz-trailer", ""
    ).lower().removeprefix("x-amz-checksum-")
    if named:
        return named.upper()
    for name in ("crc32", "crc32c", "crc64nvme", "sha1", "sha256"):
        if f"x-amz-checksum-{name}" in headers:
            return name.upper()
    return None


def receive(r: Request, algorithm: str | None) -> tuple[BodyFile, str, str | None]:
    """Streams a request's body into a file and checks it. Returns file, MD5 and checksum."""
    encoded = "aws-chunked" in r.headers.get("content-encoding", "") or r.headers.get(
        "x-amz-content-sha256", ""
    ).startswith("STREAMING-")
    source: Any = _AwsChunked(r.body) if encoded else r.body
    path = bodies().new()
    hashing = Hashing(algorithm)
    size = 0
    try:
        with path.open("wb", buffering=0) as f:
            while block := source.read(BLOCK):
                hashing.update(block)
                f.write(block)
                size += len(block)
        expected_size = r.headers.get("x-amz-decoded-content-length") if encoded else None
        if expected_size is not None and int(expected_size) != size:
            raise _incomplete(f": {size} of {expected_size}")
        digest = hashing.md5
        sent_md5 = r.headers.get("content-md5")
        if sent_md5 and sent_md5 != base64.b64encode(digest.digest()).decode():
            raise S3Error(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
        sent = None
        if algorithm:
            name = f"x-amz-checksum-{algorithm.lower()}"
            sent = r.headers.get(name) or (source.trailers.get(name) if encoded else None)
        computed = hashing.checksum()
        if sent and computed and sent != computed:
            raise S3Error(
                400, "BadDigest", f"The {algorithm} you specified did not match the calculated checksum."
            )
        return BodyFile(path, size), digest.hexdigest(), sent or computed
    except BaseException:
        path.unlink(missing_ok=True)
        raise


# ------------------------------------------------------------------------------------------ ranges


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """Start and end (exclusive) of a single byte range; None for what S3 ignores."""
    m = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if m is None or not (m.group(1) or m.group(2)):
        return None
    if m.group(1):
        start = int(m.group(1))
        end = min(int(m.group(2)) + 1, size) if m.group(2) else size
        if m.group(2) and int(m.group(2)) < start:
            return None
        if start >= size:
            raise _invalid_range(header, size)
        return start, end
    length = int(m.group(2))
    if not length or not size:
        raise _invalid_range(header, size)
    return max(0, size - length), size


def _invalid_range(header: str, size: int) -> S3Error:
    return S3Error(
        416,
        "InvalidRange",
        "The requested range is not satisfiable",
        [("Content-Range", f"bytes */{size}")],
        RangeRequested=header,
        ActualObjectSize=str(size),
    )
