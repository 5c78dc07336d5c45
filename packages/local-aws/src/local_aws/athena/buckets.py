"""Buckets of Hive tables: which rows are in which file."""

from __future__ import annotations

import itertools
import re

from local_aws.athena.engine import Session
from local_aws.athena.errors import not_supported
from local_aws.athena.plan import Scan
from local_aws.athena.tables import Table
from local_aws.athena.types import Type, duckdb_type

# More combinations of values than this are not told apart.
MAX_COMBINATIONS = 100
# Types with a hash here.
HASHED = ("tinyint", "smallint", "integer", "bigint", "date", "boolean", "varchar", "char")


def bucket_number(columns: list[tuple[str, Type]], count: int) -> str:
    """The number of a row's bucket: Hive's first bucketing function, as Trino's HiveBucketingV1 has it."""
    h = "0"
    for sql, t in columns:
        if t.base in ("tinyint", "smallint", "integer"):
            one = f"CAST({sql} AS BIGINT)"
        elif t.base == "bigint":
            one = f"xor({sql} & 4294967295, ({sql} >> 32) & 4294967295)"
        elif t.base == "date":
            one = f"CAST({sql} - DATE '1970-01-01' AS BIGINT)"
        elif t.base == "boolean":
            one = f"CAST({sql} AS BIGINT)"
        elif t.base in ("varchar", "char"):
            one = f"hive_bytes_hash(hex(encode({sql})))"
        else:
            raise not_supported(f"Buckets by a column of type {t}")
        h = f"((({h}) * 31 + coalesce({one}, 0)) & 4294967295)"
    return f"(({h}) & 2147483647) % {count}"


def wanted_buckets(table: Table, scan: Scan, session: Session) -> set[int] | None:
    """The buckets in which rows can be that fulfil the query's equalities, None where they do not say."""
    columns, count = table.storage.get("BucketColumns") or [], table.storage.get("NumberOfBuckets") or 0
    if not columns or count <= 0 or table.parameters.get("bucketing_format", "hive").lower() != "hive":
        return None
    types, values = dict(table.columns), []
    for name in [str(c).lower() for c in columns]:
        chosen = next((b.constants for b in scan.bounds.get(name, []) if b.op == "in"), None)
        if chosen is None or types[name].base not in HASHED:
            return None
        values.append([(f"CAST({c} AS {duckdb_type(types[name])})", types[name]) for c in chosen])
    combinations = list(itertools.islice(itertools.product(*values), MAX_COMBINATIONS + 1))
    if len(combinations) > MAX_COMBINATIONS:
        return None
    row = session.rows("SELECT " + ", ".join(bucket_number(list(c), count) for c in combinations))[0]
    return {int(n) for n in row}


def bucket_of(url: str) -> int | None:
    """The bucket that a file's name tells: Athena's and awswrangler's ..._bucket-00001..., or Hive's 000001_0."""
    name = url.rsplit("/", 1)[-1]
    m = re.search(r"bucket-(\d+)", name) or re.match(r"(\d{6})_\d+", name)
    return int(m.group(1)) if m else None
