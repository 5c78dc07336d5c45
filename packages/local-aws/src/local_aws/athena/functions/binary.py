"""Bytes: encodings and digests (https://trino.io/docs/435/functions/binary.html)."""

from __future__ import annotations

from collections.abc import Callable

from local_aws.athena.expressions import raise_sql
from local_aws.athena.functions.registry import Overload, Table
from local_aws.athena.types import BIGINT, DOUBLE, INTEGER, REAL, VARBINARY, VARCHAR


def _hmac(algorithm: str) -> list[Overload]:
    def sql(data: str, key: str) -> str:
        return f"py_hmac({data}, {key}, '{algorithm}')"

    return [Overload((VARBINARY, VARBINARY), VARBINARY, sql)]


def _from_base64(text: str) -> str:
    # DuckDB wants the padding that Trino can do without.
    padded = f"length({text}) % 4 = 0 AND regexp_full_match({text}, '[A-Za-z0-9+/]*={{0,2}}')"
    return f"CASE WHEN {padded} THEN from_base64({text}) ELSE py_from_base64({text}) END"


def _from_hex(text: str) -> str:
    # DuckDB takes an odd number of digits.
    bad = raise_sql(
        "INVALID_FUNCTION_ARGUMENT", f"'Invalid input ' || {text} || ' with odd length'", "VARCHAR"
    )
    return f"unhex(CASE WHEN length({text}) % 2 = 1 THEN {bad} ELSE {text} END)"


def _of_text(sql: str | Callable[[str], str]) -> list[Overload]:
    """A decoder, of texts and of the bytes that they are."""

    def of_bytes(data: str) -> str:
        text = f"decode({data})"
        return f"{sql}({text})" if isinstance(sql, str) else sql(text)

    return [Overload((VARCHAR,), VARBINARY, sql), Overload((VARBINARY,), VARBINARY, of_bytes)]


FUNCTIONS: Table = {
    "crc32": [Overload((VARBINARY,), BIGINT, "py_crc32")],
    "from_base32": _of_text("py_from_base32"),
    "from_base64": _of_text(_from_base64),
    "from_base64url": _of_text(lambda text: f"py_from_base64(replace(replace({text}, '-', '+'), '_', '/'))"),
    "from_big_endian_32": [
        Overload((VARBINARY,), INTEGER, lambda data: f"CAST(py_unpack_integer({data}, '>i') AS INTEGER)")
    ],
    "from_big_endian_64": [Overload((VARBINARY,), BIGINT, lambda data: f"py_unpack_integer({data}, '>q')")],
    "from_hex": _of_text(_from_hex),
    "from_ieee754_32": [
        Overload((VARBINARY,), REAL, lambda data: f"CAST(py_unpack_float({data}, '>f') AS FLOAT)")
    ],
    "from_ieee754_64": [
        Overload((VARBINARY,), DOUBLE, lambda data: f"CAST(py_unpack_float({data}, '>d') AS DOUBLE)")
    ],
    "from_utf8": [
        Overload((VARBINARY,), VARCHAR, lambda data: f"py_from_utf8({data}, chr(65533))"),
        Overload((VARBINARY, VARCHAR), VARCHAR, "py_from_utf8"),
    ],
    "hmac_md5": _hmac("md5"),
    "hmac_sha1": _hmac("sha1"),
    "hmac_sha256": _hmac("sha256"),
    "hmac_sha512": _hmac("sha512"),
    "murmur3": [Overload((VARBINARY,), VARBINARY, "py_murmur3")],
    "md5": [Overload((VARBINARY,), VARBINARY, lambda data: f"unhex(md5({data}))")],
    "sha1": [Overload((VARBINARY,), VARBINARY, lambda data: f"unhex(sha1({data}))")],
    "sha256": [Overload((VARBINARY,), VARBINARY, lambda data: f"unhex(sha256({data}))")],
    "sha512": [Overload((VARBINARY,), VARBINARY, lambda data: f"py_digest({data}, 'sha512')")],
    "to_base32": [Overload((VARBINARY,), VARCHAR, "py_to_base32")],
    "to_base64": [Overload((VARBINARY,), VARCHAR, "to_base64")],
    "to_base64url": [
        Overload(
            (VARBINARY,), VARCHAR, lambda data: f"replace(replace(to_base64({data}), '+', '-'), '/', '_')"
        )
    ],
    "to_big_endian_32": [Overload((INTEGER,), VARBINARY, lambda n: f"py_pack_integer({n}, '>i')")],
    "to_big_endian_64": [Overload((BIGINT,), VARBINARY, lambda n: f"py_pack_integer({n}, '>q')")],
    "to_hex": [Overload((VARBINARY,), VARCHAR, "hex")],
    "to_ieee754_32": [Overload((REAL,), VARBINARY, lambda x: f"py_pack_float(CAST({x} AS DOUBLE), '>f')")],
    "to_ieee754_64": [Overload((DOUBLE,), VARBINARY, lambda x: f"py_pack_float({x}, '>d')")],
    "xxhash64": [Overload((VARBINARY,), VARBINARY, "py_xxhash64")],
    "to_utf8": [Overload((VARCHAR,), VARBINARY, "encode")],
}
