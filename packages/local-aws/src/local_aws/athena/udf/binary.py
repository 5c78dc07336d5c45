"""Bytes: encodings and digests."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import struct

from local_aws.athena.udf import fail, udf

_INVALID = "INVALID_FUNCTION_ARGUMENT"
_XXH_PRIMES = (
    0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5,
)  # fmt: skip


@udf("BLOB VARCHAR", "BLOB")
def digest(data: bytes, algorithm: str) -> bytes:
    return hashlib.new(algorithm, data, usedforsecurity=False).digest()


@udf("BLOB BLOB VARCHAR", "BLOB")
def hmac_(data: bytes, key: bytes, algorithm: str) -> bytes:
    return hmac.new(key, data, algorithm).digest()


@udf("BLOB", "BIGINT")
def crc32(data: bytes) -> int:
    return binascii.crc32(data)


@udf("BIGINT VARCHAR", "BLOB")
def pack_integer(value: int, form: str) -> bytes:
    return struct.pack(form, value)


@udf("DOUBLE VARCHAR", "BLOB")
def pack_float(value: float, form: str) -> bytes:
    return struct.pack(form, value)


@udf("BLOB VARCHAR", "BIGINT")
def unpack_integer(data: bytes, form: str) -> int:
    size = struct.calcsize(form)
    if len(data) != size:
        raise fail("INVALID_FUNCTION_ARGUMENT", f"expected {size}-byte input, but got instead: {len(data)}")
    return int(struct.unpack(form, data)[0])


@udf("BLOB VARCHAR", "VARCHAR")
def unpack_float(data: bytes, form: str) -> str:
    """As text, for DuckDB makes NULL of a NaN."""
    size = struct.calcsize(form)
    if len(data) != size:
        raise fail(
            "INVALID_FUNCTION_ARGUMENT",
            f"Input floating-point value must be exactly {size} bytes long",
        )
    return repr(float(struct.unpack(form, data)[0]))


@udf("BLOB", "VARCHAR")
def to_base32(data: bytes) -> str:
    return base64.b32encode(data).decode()


@udf("VARCHAR", "BLOB")
def from_base32(text: str) -> bytes:
    try:
        return base64.b32decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 8))
    except binascii.Error as e:
        raise fail("INVALID_FUNCTION_ARGUMENT", f"Illegal base32 text: {text}") from e


@udf("BLOB VARCHAR", "VARCHAR")
def from_utf8(data: bytes, replacement: str) -> str:
    text = data.decode("utf-8", "replace")
    return text if replacement == "\ufffd" else text.replace("\ufffd", replacement)


@udf("VARCHAR", "BLOB")
def from_base64(text: str) -> bytes:
    """As Java decodes it: the padding may be missing, but not a part of it."""
    data = text.rstrip("=")
    padding = len(text) - len(data)
    wrong = re.search(r"[^A-Za-z0-9+/]", data)
    if wrong:
        raise fail(_INVALID, f"Illegal base64 character {ord(wrong.group()):x}")
    if text and len(data) < 2:
        raise fail(_INVALID, "Input byte[] should at least have 2 bytes for base64 bytes")
    if len(data) % 4 == 1:
        raise fail(_INVALID, "Last unit does not have enough valid bits")
    if padding not in (0, -len(data) % 4):
        raise fail(_INVALID, "Input byte array has wrong 4-byte ending unit")
    return base64.b64decode(data + "=" * (-len(data) % 4))


@udf("BLOB", "BLOB")
def murmur3(data: bytes) -> bytes:
    """The 128 bits of MurmurHash3 for 64-bit machines."""
    # With Iceberg's libraries, which hash by it.
    import mmh3

    return mmh3.hash_bytes(data)


@udf("BLOB", "BLOB")
def xxhash64(data: bytes) -> bytes:
    """https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md#xxh64-algorithm-description"""
    mask, (p1, p2, p3, p4, p5) = (1 << 64) - 1, _XXH_PRIMES

    def turn(value: int, bits: int) -> int:
        return (value << bits | value >> (64 - bits)) & mask

    def mixed(lane: int, word: int) -> int:
        return turn((lane + word * p2) & mask, 31) * p1 & mask

    at, size = 0, len(data)
    if size >= 32:
        lanes = [(p1 + p2) & mask, p2, 0, -p1 & mask]
        while at <= size - 32:
            lanes = [mixed(a, w) for a, w in zip(lanes, struct.unpack_from("<4Q", data, at), strict=True)]
            at += 32
        value = sum(turn(a, bits) for a, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & mask
        for lane in lanes:
            value = ((value ^ mixed(0, lane)) * p1 + p4) & mask
    else:
        value = p5
    value = (value + size) & mask
    while at <= size - 8:
        value = (turn(value ^ mixed(0, struct.unpack_from("<Q", data, at)[0]), 27) * p1 + p4) & mask
        at += 8
    if at <= size - 4:
        value = (turn(value ^ struct.unpack_from("<I", data, at)[0] * p1 & mask, 23) * p2 + p3) & mask
        at += 4
    for byte in data[at:]:
        value = turn(value ^ byte * p5 & mask, 11) * p1 & mask
    for shift, prime in ((33, p2), (29, p3), (32, 1)):
        value = (value ^ value >> shift) * prime & mask
    return struct.pack(">Q", value)
