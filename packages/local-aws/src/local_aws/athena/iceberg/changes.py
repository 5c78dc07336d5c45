"""INSERT, UPDATE, DELETE, MERGE and CREATE TABLE AS of Iceberg tables.

Rows are changed by writing the files that hold them anew (copy on write). What is to be done is found
first, by one query, and kept in a temporary table that names rows by file and position; DuckDB moves it to
disk where it is large. Then the files in it are read once more and written as they should be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena.assignment import assignable, assigned
from local_aws.athena.context import Context, Outcome
from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.expressions import E, cast
from local_aws.athena.iceberg.scan import Planned, deleted_positions, rows
from local_aws.athena.iceberg.table import FILE, POSITION, IcebergTable
from local_aws.athena.iceberg.write import commit, write, writing
from local_aws.athena.parser import parse_query
from local_aws.athena.plan import Bound, Query, Relation, Scope
from local_aws.athena.pruning import constrain
from local_aws.athena.relations import from_item, from_table
from local_aws.athena.select import QueryCompiler, no_aggregate
from local_aws.athena.tables import Table
from local_aws.athena.types import Type, duckdb_type, quote

# The table of what is to be done: one row for each row to update, delete or insert.
CHANGES = '"$changes"'
# A MERGE's source, where it is read before the target.
SOURCE = '"$source"'


# -------------------------------------------------------------------------------------------- INSERT


def insert(
    context: Context,
    table: Table,
    sql: str,
    tree: exp.Insert,
    columns: list[str] | None,
) -> Outcome:
    """https://docs.aws.amazon.com/athena/latest/ug/insert-into.html"""
    assert isinstance(table, IcebergTable)
    body, query, compiler = context.compile(sql, node=tree.expression)
    wanted = table.columns
    names = columns if columns is not None else [n for n, _ in wanted]
    _known(table, names, "Insert column name does not exist in target table: {}")
    types = [dict(wanted)[n] for n in names]
    given = [f.type for f in query.fields]
    if not _all_assignable(given, types):
        raise QueryError(
            "TYPE_MISMATCH",
            f"Insert query has mismatched column types: Table: [{_listed(types)}], Query: [{_listed(given)}]",
            (1, 1),
        )
    items = []
    for i, (n, t) in enumerate(wanted):
        if n in names:
            j = names.index(n)
            value = assigned(compiler, E(f'q."c{j}"', given[j]), t)
        else:
            value = f"CAST(NULL AS {duckdb_type(t)})"
        items.append(f'{value} AS "c{i}"')
    with writing(context) as files:
        added = write(files, table.metadata, f"SELECT {', '.join(items)} FROM ({body}) AS q")
        commit(files, table, added)
    return context.counted(sum(f.record_count for f in added))


def _known(table: IcebergTable, names: list[str], message: str) -> None:
    have = dict(table.columns)
    for n in names:
        if n not in have:
            raise QueryError("COLUMN_NOT_FOUND", message.format(n), (1, 1))
        if names.count(n) > 1:
            raise QueryError("DUPLICATE_COLUMN_NAME", f"Column name is specified more than once: {n}", (1, 1))


def _listed(types: list[Type]) -> str:
    return ", ".join(map(str, types))


def _all_assignable(given: list[Type], wanted: list[Type]) -> bool:
    return len(given) == len(wanted) and all(map(assignable, given, wanted))


# ---------------------------------------------------------------------------- UPDATE, DELETE, MERGE


@dataclass
class _Case:
    """One WHEN clause: `values` are the SQL of columns by name; None deletes."""

    number: int
    matched: bool
    condition: str | None
    values: dict[str, str] | None


@dataclass
class _Target:
    table: IcebergTable
    scan: Any
    sql: str
    relation: Relation
    compiler: QueryCompiler
    cases: list[_Case] = field(default_factory=list)

    def hidden(self, name: str) -> str:
        f = next(f for f in self.relation.fields if f.name == name)
        self.compiler.touch(f)
        return f.sql


def _target(context: Context, sql: str, node: exp.Expression, *, alias: bool = True) -> _Target:
    compiler = context.compiler(sql)
    if node.args.get("alias") is not None and not alias:
        raise compiler.fail("", f"mismatched input '{node.alias}'. Only MERGE's target has an alias", node)
    if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
        raise not_supported(f"Changing {node.sql('trino')[:60]}")
    from_sql, relation = from_table(compiler, node, Scope([]))
    found = compiler.scans[-1].table if len(compiler.scans) == 1 else None
    if not isinstance(found, IcebergTable) or compiler.scans[0].token not in from_sql.split(" ")[0]:
        raise QueryError(
            "NOT_SUPPORTED",
            f"Modifying rows is only supported for Iceberg tables, which {node.name} is not",
            (1, 1),
        )
    return _Target(found, compiler.scans[0], from_sql, relation, compiler)


def update(context: Context, sql: str) -> Outcome:
    """https://docs.aws.amazon.com/athena/latest/ug/update-statement.html"""
    tree = parse_query(sql)
    if not isinstance(tree, exp.Update) or tree.args.get("from_") or tree.args.get("from"):
        raise QueryError(
            "", "mismatched input. Expecting: UPDATE table SET column = expression [WHERE ...]", (1, 1)
        )
    t = _target(context, sql, tree.this, alias=False)
    scope = Scope([t.relation])
    values = _assignments(t, tree.expressions, scope, "UPDATE table column types don't match SET expressions")
    t.cases = [_Case(0, True, None, values)]
    return _where(context, t, tree, scope)


def delete(context: Context, sql: str) -> Outcome:
    """https://docs.aws.amazon.com/athena/latest/ug/delete-statement.html"""
    tree = parse_query(sql)
    if not isinstance(tree, exp.Delete) or tree.args.get("using") or tree.args.get("tables"):
        raise QueryError("", "mismatched input. Expecting: DELETE FROM table [WHERE ...]", (1, 1))
    t = _target(context, sql, tree.this, alias=False)
    t.cases = [_Case(0, True, None, None)]
    return _where(context, t, tree, Scope([t.relation]))


def _where(context: Context, t: _Target, tree: exp.Expression, scope: Scope) -> Outcome:
    where = ""
    condition = tree.args.get("where")
    if condition is not None:
        where = f" WHERE {t.compiler.boolean(condition.this, scope, 'WHERE clause').sql}"
        no_aggregate(t.compiler, condition.this, "WHERE clause")
        constrain(t.compiler, condition.this, scope, None)
    return _carry_out(context, t, t.sql, "0", where, may_repeat=False)


def _assignments(t: _Target, nodes: list[exp.Expression], scope: Scope, mismatch: str) -> dict[str, str]:
    """SET column = expression, ..."""
    columns = dict(t.table.columns)
    names: list[str] = []
    values: list[E] = []
    for node in nodes:
        if not isinstance(node, exp.EQ) or not isinstance(node.this, exp.Column) or node.this.table:
            raise QueryError(
                "", f"mismatched input '{node.sql('trino')[:60]}'. Expecting: SET column = expression", (1, 1)
            )
        names.append(node.this.name.lower())
        values.append(t.compiler.expr(node.expression, scope))
        no_aggregate(t.compiler, node.expression, "SET expression")
    for n in names:
        if n not in columns:
            raise QueryError("COLUMN_NOT_FOUND", f"The UPDATE SET target column {n} doesn't exist", (1, 1))
        if names.count(n) > 1:
            raise QueryError("DUPLICATE_COLUMN_NAME", f"Column name is specified more than once: {n}", (1, 1))
    types = [columns[n] for n in names]
    if not _all_assignable([v.type for v in values], types):
        have = _listed([v.type for v in values])
        raise QueryError(
            "TYPE_MISMATCH", f"{mismatch}: Table: [{_listed(types)}], Expressions: [{have}]", (1, 1)
        )
    return {n: assigned(t.compiler, v, columns[n]) for n, v in zip(names, values, strict=True)}


def merge(context: Context, sql: str) -> Outcome:
    """https://docs.aws.amazon.com/athena/latest/ug/merge-into-statement.html"""
    tree = parse_query(sql)
    if not isinstance(tree, exp.Merge):
        raise QueryError(
            "", "mismatched input. Expecting: MERGE INTO table USING source ON condition", (1, 1)
        )
    t = _target(context, sql, tree.this)
    compiler = t.compiler
    source_sql, sources = from_item(compiler, tree.args["using"], Scope([]))
    scope = Scope([t.relation, *sources])
    if tree.args.get("using_cond") or tree.args.get("on") is None:
        raise QueryError("", "mismatched input. Expecting: MERGE INTO ... USING ... ON condition", (1, 1))
    on = compiler.boolean(tree.args["on"], scope, "MERGE ON condition").sql
    constrain(compiler, tree.args["on"], scope, {id(f) for f in t.relation.fields})
    for i, when in enumerate(tree.args["whens"].expressions):
        t.cases.append(_when(t, when, i, scope))
    t.hidden(FILE)
    found = f"{t.hidden(FILE)} IS NOT NULL"
    case = f"CASE WHEN {found} THEN {_choice(t.cases, True)} ELSE {_choice(t.cases, False)} END"
    source_sql = _narrowed(context, t, tree.args["on"], source_sql, sources)
    join = "LEFT" if any(not c.matched for c in t.cases) else "INNER"
    return _carry_out(context, t, f"{source_sql} {join} JOIN {t.sql} ON {on}", case, "", may_repeat=True)


def _narrowed(
    context: Context, t: _Target, on: exp.Expression, source_sql: str, sources: list[Relation]
) -> str:
    """Reads the source first, so that only those files of the target are read that its keys can be in.

    Otherwise each MERGE would read the keys of all the history in the table. Trino's dynamic filters do the same.
    """
    snapshot = t.table.metadata.current_snapshot()
    summary = snapshot.summary if snapshot is not None else None
    alias = re.search(r" AS (r\d+)$", source_sql)
    keys = list(_keys(t, on, sources))
    several = summary is not None and int(summary.get("total-data-files") or 0) > 1
    if alias is None or source_sql.startswith("LATERAL") or not keys or not several:
        return source_sql
    body = context.resolve(Query(f"SELECT * FROM {source_sql}", []), t.compiler)
    context.session.execute(f"CREATE OR REPLACE TEMP TABLE {SOURCE} AS {body}")
    for column, sql in keys:
        for op, least in ((">=", "min"), ("<=", "max")):
            constant = f"(SELECT {least}({sql}) FROM {SOURCE} AS {alias.group(1)})"
            t.scan.bounds.setdefault(column, []).append(Bound(op, [constant]))
    return f"{SOURCE} AS {alias.group(1)}"


def _keys(t: _Target, node: exp.Expression, sources: list[Relation]) -> Iterator[tuple[str, str]]:
    """The target's columns that a condition wants equal to something of the source, and the SQL of that."""
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.And):
        yield from _keys(t, node.this, sources)
        yield from _keys(t, node.expression, sources)
    if not isinstance(node, exp.EQ):
        return
    scope, compiler = Scope([t.relation, *sources]), t.compiler
    for column, value in ((node.this, node.expression), (node.expression, node.this)):
        if not isinstance(column, exp.Column) or any(value.find_all(exp.Query)):
            continue
        found = compiler.lookup(scope, [p.name for p in column.parts], column)
        saved, compiler.references = compiler.references, []
        try:
            e = compiler.expr(value, scope)
            references = compiler.references
        finally:
            compiler.references = saved
        theirs = bool(references) and all(any(f is x for r in sources for x in r.fields) for f in references)
        if found is None or not theirs or not any(found[0] is x for x in t.relation.fields):
            continue
        common = ty.common(e.type, found[0].type)
        numbers = e.type.base in ty.NUMERIC and found[0].type.base in ty.NUMERIC
        if found[0].origins and common is not None and (common.base == found[0].type.base or numbers):
            yield found[0].origins[0][1], cast(e, common).sql


def _choice(cases: list[_Case], matched: bool) -> str:
    """The number of the first clause that applies, -1 for none."""
    whens = [f"WHEN {c.condition or 'true'} THEN {c.number}" for c in cases if c.matched == matched]
    return f"CASE {' '.join(whens)} ELSE -1 END" if whens else "-1"


def _when(t: _Target, when: exp.Expression, number: int, scope: Scope) -> _Case:
    compiler = t.compiler
    if when.args.get("source"):
        raise QueryError("", "mismatched input 'BY'. Expecting: 'AND', 'THEN'", (1, 1))
    matched = bool(when.args.get("matched"))
    node = when.args.get("condition")
    condition = compiler.boolean(node, scope, "WHEN condition").sql if node is not None else None
    then = when.args["then"]
    if isinstance(then, exp.Update) and matched:
        mismatch = f"MERGE table column types don't match for MERGE case {number}, SET expressions"
        return _Case(number, True, condition, _assignments(t, then.expressions, scope, mismatch))
    if isinstance(then, exp.Insert) and not matched:
        return _Case(number, False, condition, _inserted(t, then, number, scope))
    if matched and then.name.upper() == "DELETE":
        return _Case(number, True, condition, None)
    raise QueryError("", f"mismatched input '{then.sql('trino')[:60]}' in WHEN clause {number + 1}", (1, 1))


def _inserted(t: _Target, node: exp.Insert, number: int, scope: Scope) -> dict[str, str]:
    columns = dict(t.table.columns)
    given = node.this.expressions if node.this is not None else None
    if any(isinstance(c, exp.Column) and c.table for c in given or []):
        raise QueryError("", "mismatched input '.'. INSERT's columns are the target's own names", (1, 1))
    names = [c.name.lower() for c in given] if given is not None else list(columns)
    _known(t.table, names, "Merge insert column name {} doesn't exist in target table")
    cells = node.expression.expressions if isinstance(node.expression, exp.Tuple) else [node.expression]
    values = [t.compiler.expr(c, scope) for c in cells]
    types = [columns[n] for n in names]
    have = [v.type for v in values]
    if not _all_assignable(have, types):
        raise QueryError(
            "TYPE_MISMATCH",
            f"MERGE table column types don't match for MERGE case {number}, INSERT expressions: Table: [{_listed(types)}], Expressions: [{_listed(have)}]",
            (1, 1),
        )
    return {n: assigned(t.compiler, v, columns[n]) for n, v in zip(names, values, strict=True)}


def _carry_out(
    context: Context, t: _Target, source: str, case: str, where: str, *, may_repeat: bool
) -> Outcome:
    """Finds the rows to change, writes their files anew and commits."""
    session, table = context.session, t.table
    columns = table.columns
    f, p = t.hidden(FILE), t.hidden(POSITION)
    inserting = any(not c.matched for c in t.cases)
    changed = [n for n, _ in columns if inserting or any(n in (c.values or {}) for c in t.cases)]
    items = [f'{f} AS "$f"', f'{p} AS "$p"', f'{case} AS "$case"']
    for n in changed:
        d = duckdb_type(dict(columns)[n])
        whens = " ".join(
            f"WHEN {c.number} THEN {c.values[n]}" for c in t.cases if c.values is not None and n in c.values
        )
        # Only the clause that applies may compute its values: they may fail for other rows.
        value = f'CASE "$case" {whens} END' if whens else "NULL"
        items.append(f"CAST({value} AS {d}) AS {quote('v_' + n)}")
    query = Query(f"SELECT {', '.join(items)} FROM {source}{where}", [])
    body = context.resolve(query, t.compiler)
    # A row that is matched without being changed matters only for the check that it is matched once.
    session.execute(
        f'CREATE OR REPLACE TEMP TABLE {CHANGES} AS SELECT * FROM ({body}) WHERE "$f" IS NOT NULL OR "$case" >= 0'
    )
    if may_repeat and session.rows(
        f'SELECT 1 FROM {CHANGES} WHERE "$f" IS NOT NULL GROUP BY "$f", "$p", "$case" HAVING count(*) > 1 '
        f'UNION ALL SELECT 1 FROM {CHANGES} WHERE "$f" IS NOT NULL AND "$case" >= 0 GROUP BY "$f", "$p" HAVING count(*) > 1 LIMIT 1'
    ):
        raise QueryError(
            "MERGE_TARGET_ROW_MULTIPLE_MATCHES", "One MERGE target table row matched more than one source row"
        )
    count = int(session.rows(f'SELECT count(*) FROM {CHANGES} WHERE "$case" >= 0')[0][0])
    if count:
        with writing(context) as files:
            touched, sql, counted = _rewritten(context, t, changed)
            added = write(files, table.metadata, sql, counted=counted) if sql else []
            commit(files, table, added, [x.file for x in touched])
    session.execute(f"DROP TABLE {CHANGES}")
    return context.counted(count)


def _rewritten(context: Context, t: _Target, changed: list[str]) -> tuple[list[Planned], str, str]:
    """The files that hold changed rows, the query that gives what they become ('' for nothing), and the query
    that gives the new rows alone."""
    deletes = [str(c.number) for c in t.cases if c.matched and c.values is None]
    gone = f'"$case" IN ({", ".join(deletes)})' if deletes else "false"
    numbers = {
        n: (total, removed)
        for n, total, removed in context.session.rows(
            f'SELECT "$f", count(*), count(*) FILTER (WHERE {gone}) FROM {CHANGES} WHERE "$f" IS NOT NULL AND "$case" >= 0 GROUP BY "$f"'
        )
    }
    touched = [x for x in t.scan.plan if x.number in numbers]

    def survives(x: Planned) -> bool:
        removed = numbers[x.number][1]
        if not x.task.delete_files:
            return bool(removed < x.file.record_count)
        return bool(removed < x.file.record_count - len(deleted_positions(t.table, x)))

    columns = t.table.columns
    parts: list[str] = []
    new: list[str] = []
    kept = [x for x in touched if survives(x)]
    if kept:
        items = []
        for i, (n, _) in enumerate(columns):
            cases = [str(c.number) for c in t.cases if c.matched and c.values is not None and n in c.values]
            old = f"t.{quote(n)}"
            value = (
                f'CASE WHEN u."$case" IN ({", ".join(cases)}) THEN u.{quote("v_" + n)} ELSE {old} END'
                if cases
                else old
            )
            items.append(f'{value} AS "c{i}"')
        source = rows(context.reader, t.table, kept, [c.field for c in t.table.fields], [FILE, POSITION])
        keep = f" WHERE (u.{gone}) IS NOT TRUE" if deletes else ""
        for join, into in (("LEFT", parts), ("INNER", new)):
            into.append(
                f"SELECT {', '.join(items)} FROM {source} AS t {join} JOIN "
                f'(SELECT * FROM {CHANGES} WHERE "$f" IS NOT NULL AND "$case" >= 0) AS u '
                f'ON t.{quote(FILE)} = u."$f" AND t.{quote(POSITION)} = u."$p"{keep}'
            )
    if any(not c.matched for c in t.cases):
        items = [f'{quote("v_" + n)} AS "c{i}"' for i, (n, _) in enumerate(columns)]
        for into in (parts, new):
            into.append(f'SELECT {", ".join(items)} FROM {CHANGES} WHERE "$f" IS NULL')
    return touched, " UNION ALL ".join(parts), " UNION ALL ".join(new)


__all__ = ["delete", "insert", "merge", "update"]
