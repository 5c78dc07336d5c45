"""The partitions of a table that a query's conditions leave: registered ones, and those of partition projection."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import re
from dataclasses import dataclass

from local_aws.athena.catalog import Catalog
from local_aws.athena.engine import Session
from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.plan import Bound, Scan
from local_aws.athena.tables import Partition, Table
from local_aws.athena.types import Type, duckdb_type, hive_type, quote, text

_FIXED = {
    "WEEK": dt.timedelta(weeks=1),
    "DAY": dt.timedelta(days=1),
    "HOUR": dt.timedelta(hours=1),
    "MINUTE": dt.timedelta(minutes=1),
    "SECOND": dt.timedelta(seconds=1),
}


@dataclass
class Partitions:
    """Finds partitions. now: what NOW means in the range of a projected column."""

    catalog: Catalog
    session: Session
    now: dt.datetime

    def of(self, table: Table, scan: Scan | None = None) -> list[Partition]:
        """The partitions that the query's conditions leave."""
        keys = table.partition_keys
        if not keys:
            return [Partition((), table.location)]
        bounds = self._bounds(table, scan) if scan is not None else {}
        found = self._projected(table, bounds) if table.projected else self.catalog.partitions(table)
        if scan is None or not scan.filters or not found:
            return found
        columns = []
        for i, (n, t) in enumerate(keys):
            values = ", ".join("NULL" if p.values[i] is None else text(str(p.values[i])) for p in found)
            columns.append(f"CAST(unnest(CAST([{values}] AS VARCHAR[])) AS {duckdb_type(t)}) AS {quote(n)}")
        source = f"SELECT unnest(range({len(found)})) AS i, {', '.join(columns)}"
        sql = f"SELECT p.i FROM ({source}) AS p WHERE {' AND '.join(scan.filters)} ORDER BY p.i"
        return [found[i] for (i,) in self.session.rows(sql)]

    def _bounds(self, table: Table, scan: Scan) -> dict[str, list[tuple[str, list[str | None]]]]:
        """The constants of each column's bounds, as text."""
        flat: list[tuple[str, Bound]] = [(n, b) for n, bs in scan.bounds.items() for b in bs]
        constants = [c for _, b in flat for c in b.constants]
        if not constants or not table.projected:
            return {}
        row = self.session.rows("SELECT " + ", ".join(f"CAST({c} AS VARCHAR)" for c in constants))[0]
        values = iter(row)
        out: dict[str, list[tuple[str, list[str | None]]]] = {}
        for n, b in flat:
            out.setdefault(n, []).append((b.op, [next(values) for _ in b.constants]))
        return out

    def _projected(
        self, table: Table, bounds: dict[str, list[tuple[str, list[str | None]]]]
    ) -> list[Partition]:
        """https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html"""
        candidates = []
        for n, _ in table.partition_keys:
            kind = table.parameters.get(f"projection.{n}.type", "").lower()
            allowed: set[str] | None = None
            for op, values in bounds.get(n, []):
                if op == "in":
                    found = {v for v in values if v is not None}
                    allowed = found if allowed is None else allowed & found
            low = max(
                (v[0] for op, v in bounds.get(n, []) if op in (">", ">=") and v[0] is not None), default=None
            )
            high = min(
                (v[0] for op, v in bounds.get(n, []) if op in ("<", "<=") and v[0] is not None), default=None
            )
            if kind == "injected":
                if allowed is None:
                    raise QueryError(
                        "CONSTRAINT_VIOLATION",
                        f"For the injected projected partition column {n}, the WHERE clause must contain only static equality conditions, and at least one such condition must be present.",
                    )
                candidates.append(sorted(allowed))
            elif kind == "enum":
                values_text = self._property(table, n, "values")
                listed = [v.strip() for v in values_text.split(",")]
                candidates.append([v for v in listed if allowed is None or v in allowed])
            elif kind == "integer":
                candidates.append(self._integers(table, n, allowed, low, high))
            elif kind == "date":
                candidates.append(self._dates(table, n, allowed, low, high))
            elif not kind:
                raise QueryError(
                    "INVALID_TABLE_PROPERTY",
                    f"For projection enabled tables, property projection.{n}.type must be set (table {table.database}.{table.name})",
                )
            else:
                raise QueryError(
                    "INVALID_TABLE_PROPERTY",
                    f"Unknown projection type '{kind}' of partition column {n} in table {table.database}.{table.name}",
                )
        count = functools.reduce(lambda a, b: a * len(b), candidates, 1)
        if count > 1_000_000:
            raise QueryError(
                "HIVE_EXCEEDED_PARTITION_LIMIT",
                f"Query over table '{table.database}.{table.name}' can potentially read {count} partitions",
            )
        return [
            Partition(chosen, _projected_location(table, chosen)) for chosen in itertools.product(*candidates)
        ]

    def projected_location(self, table: Table, values: tuple[str | None, ...]) -> str:
        """Where rows of a partition have to be written so that the projection finds them. Raises where it
        would not."""
        chosen = []
        for (n, t), v in zip(table.partition_keys, values, strict=True):
            bounds = {n: [("in", [v])]}
            only = _with_key(table, n, t)
            found = self._projected(only, bounds) if v is not None else []
            if not found:
                raise QueryError(
                    "CONSTRAINT_VIOLATION",
                    f"Partition column {n} has the value {v}, which its projection in table {table.database}.{table.name} does not produce: no query could read the row",
                )
            chosen.append(str(found[0].values[0]))
        return _projected_location(table, tuple(chosen))

    def _property(self, table: Table, column: str, name: str) -> str:
        value = table.parameters.get(f"projection.{column}.{name}")
        if value is None:
            raise QueryError(
                "INVALID_TABLE_PROPERTY",
                f"Missing required property projection.{column}.{name} of table {table.database}.{table.name}",
            )
        return value

    def _integers(
        self, table: Table, n: str, allowed: set[str] | None, low: str | None, high: str | None
    ) -> list[str]:
        first, _, last = self._property(table, n, "range").partition(",")
        a, b = int(first), int(last)
        step = int(table.parameters.get(f"projection.{n}.interval", "1"))
        digits = int(table.parameters.get(f"projection.{n}.digits", "0"))

        def written(i: int) -> str:
            return str(i).zfill(digits)

        if allowed is not None:
            return [
                written(int(v))
                for v in sorted(allowed)
                if re.fullmatch(r"-?\d+", v) and a <= int(v) <= b and (int(v) - a) % step == 0
            ]
        start, stop = a, b
        if low is not None and re.fullmatch(r"-?\d+", low) and int(low) > a:
            start = a + -(-(int(low) - a) // step) * step
        if high is not None and re.fullmatch(r"-?\d+", high):
            stop = min(stop, int(high))
        if (stop - start) // step > 1_000_000:
            raise QueryError(
                "HIVE_EXCEEDED_PARTITION_LIMIT",
                f"The range of projected column {n} holds too many partitions",
            )
        return [written(i) for i in range(start, stop + 1, step)]

    def _dates(
        self, table: Table, n: str, allowed: set[str] | None, low: str | None, high: str | None
    ) -> list[str]:
        pattern = _java_format(self._property(table, n, "format"))
        first, _, last = self._property(table, n, "range").partition(",")
        a, b = self._moment(first.strip(), pattern), self._moment(last.strip(), pattern)
        unit = table.parameters.get(f"projection.{n}.interval.unit", "").upper().rstrip("S")
        if not unit:
            fine = {"%S": "SECOND", "%M": "MINUTE", "%H": "HOUR", "%d": "DAY", "%m": "MONTH"}
            unit = next((u for k, u in fine.items() if k in pattern), "YEAR")
        step = int(table.parameters.get(f"projection.{n}.interval", "1"))
        if allowed is not None:
            found = []
            for v in sorted(allowed):
                try:
                    moment = dt.datetime.strptime(v, pattern)
                except ValueError:
                    try:
                        # A DATE column: the value is ISO, the folder has the format.
                        moment = dt.datetime.fromisoformat(v)
                    except ValueError:
                        continue
                if a <= moment <= b:
                    found.append(moment.strftime(pattern))
            return found
        for bound, is_low in ((low, True), (high, False)):
            if bound is None:
                continue
            try:
                moment = dt.datetime.strptime(bound, pattern)
            except ValueError:
                try:
                    moment = dt.datetime.fromisoformat(bound)
                except ValueError:
                    continue
            # Whole steps before the bound may be skipped, if steps are of fixed length.
            if is_low and unit in _FIXED and moment > a:
                length = _FIXED[unit] * step
                a += (moment - a) // length * length
            elif not is_low:
                b = min(b, moment)
        out = []
        moment, i, start = a, 0, a
        while moment <= b:
            out.append(moment.strftime(pattern))
            i += step
            moment = (
                start + _FIXED[unit] * i
                if unit in _FIXED
                else _months(start, i * (12 if unit == "YEAR" else 1))
            )
            if len(out) > 1_000_000:
                raise QueryError(
                    "HIVE_EXCEEDED_PARTITION_LIMIT",
                    f"The range of projected column {n} holds too many partitions",
                )
        return list(dict.fromkeys(out))

    def _moment(self, value: str, pattern: str) -> dt.datetime:
        m = re.fullmatch(
            r"NOW\s*(?:([+-])\s*(\d+)\s*(YEAR|MONTH|WEEK|DAY|HOUR|MINUTE|SECOND)S?)?", value, re.I
        )
        if m is None:
            try:
                return dt.datetime.strptime(value, pattern)
            except ValueError as e:
                raise QueryError(
                    "INVALID_TABLE_PROPERTY", f"'{value}' in a projection's range does not match its format"
                ) from e
        moment = self.now.replace(tzinfo=None)
        if m.group(1):
            count = int(m.group(2)) * (1 if m.group(1) == "+" else -1)
            unit = m.group(3).upper()
            moment = (
                moment + _FIXED[unit] * count
                if unit in _FIXED
                else _months(moment, count * (12 if unit == "YEAR" else 1))
            )
        return moment


def _with_key(table: Table, name: str, t: Type) -> Table:
    """The table as if it had one partition column only."""
    return Table({**table.description, "PartitionKeys": [{"Name": name, "Type": hive_type(t)}]})


def _projected_location(table: Table, values: tuple[str, ...]) -> str:
    template = table.parameters.get("storage.location.template")
    names = [n for n, _ in table.partition_keys]
    if not template:
        folders = "".join(f"{n}={v}/" for n, v in zip(names, values, strict=True))
        return table.location.rstrip("/") + "/" + folders
    for n, v in zip(names, values, strict=True):
        template = template.replace("${" + n + "}", v)
    return template


def _months(moment: dt.datetime, count: int) -> dt.datetime:
    index = moment.year * 12 + moment.month - 1 + count
    year, month = divmod(index, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, 28))


def _java_format(pattern: str) -> str:
    table = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S", "yy": "%y"}

    def one(m: re.Match[str]) -> str:
        if m.group().startswith("'"):
            return m.group().strip("'")
        if m.group() not in table:
            raise not_supported(f"'{m.group()}' in a projection's date format")
        return table[m.group()]

    return re.sub(r"'[^']*'|([A-Za-z])\1*", one, pattern)
