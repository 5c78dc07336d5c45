"""Amazon Ion, text and binary, as the Ion Hive SerDe reads and writes it.

https://docs.aws.amazon.com/athena/latest/ug/ion-serde.html
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from amazon.ion import simpleion
from amazon.ion.core import IonType
from amazon.ion.exceptions import IonException
from amazon.ion.simple_types import IonPyNull
from amazon.ion.symbols import SymbolToken

from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.formats import BATCH, rows_to_parquet
from local_aws.athena.types import Type

_RANGES = {"tinyint": 8, "smallint": 16, "integer": 32, "bigint": 64}
Extractor = Callable[[Any], Any]


def ion_to_parquet(
    source: Any, url: str, target: Path, columns: list[tuple[str, Type]], properties: Mapping[str, str]
) -> None:
    """The columns of an Ion document as Parquet: each value at the top is a row. Raises HIVE_BAD_DATA."""
    exact = properties.get("ion.path_extractor.case_sensitive", "").lower() == "true"
    extract = {n: _extractor(properties.get(f"ion.{n}.path_extractor"), n, exact) for n, _ in columns}
    lenient = properties.get("ion.fail_on_overflow", "").lower() == "false"
    overflows = {
        n: properties.get(f"ion.{n}.fail_on_overflow", "false" if lenient else "true").lower() == "false"
        for n, _ in columns
    }

    def rows() -> Iterator[dict[str, Any]]:
        for value in simpleion.load(source, single_value=False, parse_eagerly=False):
            yield {n: _from_ion(extract[n](value), t, exact, overflows[n]) for n, t in columns}

    try:
        rows_to_parquet(target, columns, rows())
    except (IonException, pa.ArrowInvalid, pa.ArrowTypeError, ValueError, OverflowError) as e:
        raise QueryError("HIVE_BAD_DATA", f"Cannot read Ion file {url}: {str(e).splitlines()[0]}") from e


def _extractor(path: str | None, column: str, exact: bool) -> Extractor:
    """A search path such as (identification name): names, and positions in lists."""
    if path is None:
        steps: list[str] = [column]
    else:
        m = re.fullmatch(r"\s*\(\s*(.*?)\s*\)\s*", path)
        if m is None:
            raise QueryError("HIVE_CURSOR_ERROR", f"'{path}' is no path extractor: (name name ...)")
        steps = m.group(1).split()
    for step in steps:
        if step == "*" or "::" in step:
            raise not_supported(f"'{step}' in the path extractor '{path}'")

    def extract(value: Any) -> Any:
        for step in steps:
            if step.isdigit():
                at = int(step)
                items = list(value.values()) if isinstance(value, Mapping) else value
                value = items[at] if isinstance(items, list) and at < len(items) else None
            else:
                value = _field(value, step.strip("'\""), exact)
            if value is None:
                break
        return value

    return extract


def _field(value: Any, name: str, exact: bool) -> Any:
    if not isinstance(value, Mapping):
        return None
    if exact:
        return value.get(name)
    return next((v for k, v in value.items() if k.lower() == name.lower()), None)


def _from_ion(value: Any, t: Type, exact: bool, overflow: bool) -> Any:
    """A value as pyarrow takes it. Raises ValueError for one that does not fit the type."""
    if value is None or isinstance(value, IonPyNull):
        return None
    if t.base in _RANGES and isinstance(value, int) and not isinstance(value, bool):
        bits = _RANGES[t.base]
        if not -(1 << bits - 1) <= value < 1 << bits - 1 and not overflow:
            raise ValueError(f"{value} is out of range for {t}")
        return (int(value) + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
    if t.base in ("double", "real") and isinstance(value, int | float | Decimal):
        return float(value)
    if t.base == "decimal" and isinstance(value, int | Decimal):
        return Decimal(value)
    if t.base in ("varchar", "char"):
        found = value.text if isinstance(value, SymbolToken) else value
        if isinstance(found, str):
            if t.p is not None and len(found) > t.p and not overflow:
                raise ValueError(f"'{found}' is longer than {t}")
            return str(found)[: t.p]
    if t.base == "varbinary" and isinstance(value, bytes):
        return bytes(value)
    if t.base == "boolean" and getattr(value, "ion_type", None) is IonType.BOOL:
        return bool(value)
    if t.base in ("timestamp", "date") and isinstance(value, dt.datetime):
        # Ion's timestamps have an offset, Hive's are UTC.
        zone = value.tzinfo or dt.UTC
        moment = dt.datetime(*value.timetuple()[:6], value.microsecond, zone).astimezone(dt.UTC)
        return moment.date() if t.base == "date" else moment.replace(tzinfo=None)
    if t.base == "array" and isinstance(value, list):
        return [_from_ion(v, t.args[0], exact, overflow) for v in value]
    if t.base == "map" and isinstance(value, Mapping):
        return [(k, _from_ion(v, t.args[1], exact, overflow)) for k, v in value.items()]
    if t.base == "row" and isinstance(value, Mapping):
        return {
            n: _from_ion(_field(value, n or "", exact), a, exact, overflow)
            for n, a in zip(t.names, t.args, strict=True)
        }
    raise ValueError(f"{value!r} is no {t}")


def parquet_to_ion(source: Path, target: Path, columns: list[tuple[str, Type]], binary: bool) -> None:
    """The rows of a Parquet file as Ion. NULLs are left out, as the SerDe does by default."""
    types = dict(columns)
    with target.open("wb") as out:
        for batch in pq.ParquetFile(source).iter_batches(BATCH):
            rows = [
                {n: _to_ion(v, types[n]) for n, v in row.items() if v is not None}
                for row in batch.to_pylist(maps_as_pydicts="strict")
            ]
            # Each batch may begin with Ion's version marker: it resets the symbols.
            simpleion.dump(rows, out, binary=binary, sequence_as_stream=True)
            if not binary:
                out.write(b"\n")


def _to_ion(value: Any, t: Type) -> Any:
    if value is None:
        return None
    if t.base == "array":
        return [_to_ion(v, t.args[0]) for v in value]
    if t.base == "map":
        return {str(k): _to_ion(v, t.args[1]) for k, v in value.items()}
    if t.base == "row":
        names = [n or f"field{i}" for i, n in enumerate(t.names)]
        return {n: _to_ion(value[n], a) for n, a in zip(names, t.args, strict=True) if value[n] is not None}
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=dt.UTC)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    return value
