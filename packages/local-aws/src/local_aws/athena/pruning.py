"""What a query's conditions say about partition and bucket columns, from which its scans leave out partitions and files."""

from __future__ import annotations

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena.expressions import cast
from local_aws.athena.plan import Bound, Compiler, Scan, Scope
from local_aws.athena.types import Type


def constrain(compiler: Compiler, node: exp.Expression, scope: Scope, only: set[int] | None) -> None:
    """Notes what a condition that must hold says about partition columns.

    only: the ids of the fields that may be constrained (the inner side of an outer join).
    """
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.And):
        constrain(compiler, node.this, scope, only)
        constrain(compiler, node.expression, scope, only)
        return
    if any(node.find_all(exp.Select)) or any(node.find_all(exp.Values)):
        return
    saved = compiler.references, compiler.free, compiler.windows
    compiler.references = []
    try:
        compiler.expr(node, scope)
        references = compiler.references
        if not references or any(only is not None and id(f) not in only for f in references):
            return
        scans: dict[int, Scan] = {}
        for f in references:
            for scan, _ in f.origins:
                scans[scan.id] = scan
        for scan in scans.values():
            partitions = getattr(scan.table, "prunable", {n.lower() for n, _ in scan.table.partition_keys})
            if all(any(s is scan and c in partitions for s, c in f.origins) for f in references):
                compiler.partition_scan = scan
                try:
                    e = compiler.expr(node, scope)
                    scan.filters.append(e.sql)
                    _bound(compiler, node, scope, scan)
                finally:
                    compiler.partition_scan = None
            elif all(any(s is scan and c in _bucketed(scan) for s, c in f.origins) for f in references):
                _bound(compiler, node, scope, scan)
    finally:
        compiler.references, compiler.free, compiler.windows = saved


def _bucketed(scan: Scan) -> set[str]:
    """The columns that tell in which files of a table a row is."""
    return {str(c).lower() for c in scan.table.storage.get("BucketColumns") or []}


def _bound(compiler: Compiler, node: exp.Expression, scope: Scope, scan: Scan) -> None:
    """Equalities and ranges, from which injected and projected partitions, and buckets, are enumerated."""

    def column(e: exp.Expression) -> tuple[str, Type] | None:
        while isinstance(e, exp.Paren):
            e = e.this
        if not isinstance(e, exp.Column):
            return None
        found = compiler.lookup(scope, [p.name for p in e.parts], e)
        if found is None:
            return None
        return next(c for s, c in found[0].origins if s is scan), found[0].type

    def constant(e: exp.Expression, t: Type) -> str | None:
        if any(e.find_all(exp.Column)):
            return None
        value = compiler.expr(e, scope)
        c = ty.common(value.type, t)
        # '2026-11-01' for a varchar(10) column and 5 for a bigint one keep their value.
        if c is None or (c.base != t.base and not (c.base in ty.NUMERIC and t.base in ty.NUMERIC)):
            return None
        return cast(value, c).sql

    def add(target: tuple[str, Type] | None, op: str, constants: list[str | None]) -> None:
        if target is not None and all(c is not None for c in constants):
            scan.bounds.setdefault(target[0], []).append(Bound(op, [str(c) for c in constants]))

    if isinstance(node, exp.Between):
        target = column(node.this)
        if target:
            add(target, ">=", [constant(node.args["low"], target[1])])
            add(target, "<=", [constant(node.args["high"], target[1])])
    elif isinstance(node, exp.In) and not node.args.get("query"):
        target = column(node.this)
        if target:
            add(target, "in", [constant(e, target[1]) for e in node.expressions])
    elif isinstance(node, exp.Or):
        alternatives = [node.this, node.expression]
        values: list[exp.Expression] = []
        target = None
        while alternatives:
            e = alternatives.pop()
            while isinstance(e, exp.Paren):
                e = e.this
            if isinstance(e, exp.Or):
                alternatives += [e.this, e.expression]
                continue
            if isinstance(e, exp.EQ):
                this, those = column(e.this), [e.expression]
                if this is None:
                    this, those = column(e.expression), [e.this]
            elif isinstance(e, exp.In) and not e.args.get("query"):
                this, those = column(e.this), list(e.expressions)
            else:
                return
            if this is None or (target is not None and this[0] != target[0]):
                return
            target = this
            values += those
        if target:
            add(target, "in", [constant(e, target[1]) for e in values])
    else:
        ops: dict[type[exp.Expression], tuple[str, str]] = {
            exp.EQ: ("in", "in"),
            exp.GT: (">", "<"),
            exp.GTE: (">=", "<="),
            exp.LT: ("<", ">"),
            exp.LTE: ("<=", ">="),
        }
        pair = ops.get(type(node))
        if pair:
            target = column(node.this)
            if target:
                add(target, pair[0], [constant(node.expression, target[1])])
            else:
                target = column(node.expression)
                if target:
                    add(target, pair[1], [constant(node.this, target[1])])
