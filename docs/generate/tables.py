"""``docs/reference/tables.md``: the data dictionary, from the statements of ``include/sql``.

What a column means is written once, in the ``COMMENT`` of its table. A column of a view takes the words of
the column that it comes from; where it is computed, those of ``views/columns.csv`` beside the views.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from airflow.sdk import DAG
from sqlglot import exp
from sqlglot.lineage import lineage
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from docs.generate.markdown import code, page, table
from medlaunch import lake
from medlaunch.athena import statements
from medlaunch.pipelines import by_dag

_DIALECT = "athena"
_UNLOAD = re.compile(r"^UNLOAD\s*\((.+)\)\s*TO\s", re.DOTALL | re.MULTILINE)
_INTRODUCTION = """
Made from the `CREATE` statements below `include/sql`. The tables are in the Glue database
`MEDLAUNCH_DATABASE` (`medlaunch` by default), their files in the bucket `MEDLAUNCH_BUCKET`, here `<bucket>`.

- **Published** tables are what readers use. Each partition points at one version of its slice; the pointer
  moves only after every check of a run has passed.
- **Views** give the published tables their types, or their newest snapshot.
- **Records** say what the pipelines did: what was published and rolled back when, and the report of each run.
- **Working** tables belong to the pipeline: bronze keeps every line that was ever read, staging what one run
  has not published yet. They have no partitions in the catalog; a query must name the values of the injected
  columns (`= '...'` or `IN (...)`).
"""
# Written by Python tasks, which do not say so in a form that can be read from the DAG: by prefix of the lake.
_WRITTEN_BY_PYTHON = {
    lake.BRONZE: "load_bronze",
    f"{lake.STAGING}/${{pipeline}}/run=${{run}}/uploads": "plan_slices",
    lake.PUBLICATIONS: "publish_results",
    lake.REPORTS: "write_report",
}
_COMMON = "common"


@dataclass
class Column:
    name: str
    type: str
    comment: str
    note: str = ""


@dataclass
class Relation:
    """A table or view, as its statement describes it."""

    name: str
    file: str
    statement: exp.Create
    columns: list[Column]
    about: str
    facts: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_view(self) -> bool:
        return self.statement.kind == "VIEW"

    @property
    def is_iceberg(self) -> bool:
        return self.properties.get("table_type") == "ICEBERG"

    @property
    def properties(self) -> Mapping[str, str]:
        return {
            one.name: one.args["value"].name
            for one in self.statement.find_all(exp.Property)
            if type(one) is exp.Property and isinstance(one.parent, exp.Properties)
        }


def tables(dags: Mapping[str, DAG]) -> str:
    """The page, as Markdown, for the pipelines ``dags`` by their ids."""
    blocks = [_INTRODUCTION]
    pipelines = {dag_id: dag for dag_id, dag in sorted(dags.items()) if list(_created(dag_id))}
    common = {one.name: one for one in _created(_COMMON)}
    _describe_views(common)
    # What is common to all pipelines is written by the same tasks of each.
    example = next(iter(pipelines.values()))
    for folder, dag in {_COMMON: example, **pipelines}.items():
        created = dict(common)
        if folder != _COMMON:
            own = {one.name: one for one in _created(folder)}
            _describe_views(common | own)
            created = own
        readers = _readers(folder)
        blocks.append(f"## {'All pipelines' if folder == _COMMON else dag.dag_display_name}")
        for title, chosen in (
            ("Published", [one for one in created.values() if not one.is_view and _is_published(one)]),
            ("Views", [one for one in created.values() if one.is_view]),
            ("Records", [one for one in created.values() if not one.is_view and _is_record(one)]),
            ("Working", [one for one in created.values() if not one.is_view and _is_working(one)]),
        ):
            if not chosen:
                continue
            blocks.append(f"### {title}")
            blocks += [
                _describe(one, dag, folder, readers[one.name])
                for one in sorted(chosen, key=lambda one: one.name)
            ]
    return page("Tables and views", *blocks)


def published() -> list[Relation]:
    """The published tables of all pipelines, by their names."""
    found = (one for dag_id in by_dag() for one in _created(dag_id))
    return sorted((one for one in found if not one.is_view and _is_published(one)), key=lambda one: one.name)


def _created(folder: str) -> Iterator[Relation]:
    for kind in ("tables", "views"):
        for file in statements.statements(f"{folder}/{kind}"):
            yield _parse(file)


def _parse(file: str) -> Relation:
    statement = sqlglot.parse_one(_rendered(file), dialect=_DIALECT).find(exp.Create)
    if statement is None:
        raise ValueError(f"include/sql/{file} is no CREATE statement")
    about = " ".join(line.strip() for line in statement.comments or () if not line.strip().startswith("noqa"))
    name = statement.find(exp.Table).name  # type: ignore[union-attr]  # a CREATE names what it creates
    if statement.kind == "VIEW":
        return Relation(name, file, statement, [], about)
    partitions = statement.find(exp.PartitionedByProperty)
    columns = [_column(one) for one in statement.this.expressions]
    by = partitions.this.expressions if partitions else ()
    columns += [_column(one, "partition") for one in by if isinstance(one, exp.ColumnDef)]
    # An Iceberg table is partitioned by columns that it has.
    of_iceberg = {one.name for one in by if not isinstance(one, exp.ColumnDef)}
    for column in columns:
        if column.name in of_iceberg:
            column.note = "partition"
    wordless = [one.name for one in columns if not one.comment]
    if wordless:
        raise ValueError(f"include/sql/{file}: no COMMENT on {', '.join(wordless)}")
    # The DDL of an Iceberg table has no COMMENT of its own; there the comment of the file says what the table is.
    comment = statement.find(exp.SchemaCommentProperty)
    if comment is not None:
        about = f"{comment.name}. {about}"
    relation = Relation(name, file, statement, columns, about)
    if comment is None and not (relation.is_iceberg and about):
        raise ValueError(f"include/sql/{file}: the table has no COMMENT")
    for column in relation.columns:
        if relation.properties.get(f"projection.{column.name}.type") == "injected":
            column.note = "partition, injected"
    return relation


def _rendered(file: str) -> str:
    """A statement with stand-ins for its values."""
    stand_ins = defaultdict[str, Any](
        lambda: "...",
        s3=lambda key: lake.s3_uri("<bucket>", key),
        database=statements.Identifier("medlaunch"),
        slices=["2026-11-01"],
        slices_and_before=["2026-11-01"],
        as_of="2026-11-20",
        states=[("MI", "Michigan")],
    )
    return statements.render(file, {name: stand_ins[name] for name in statements.values_of(file)})


def _column(definition: exp.ColumnDef, note: str = "") -> Column:
    comment = definition.find(exp.CommentColumnConstraint)
    return Column(definition.name, _type(definition.kind), comment.this.name if comment else "", note)


def _type(kind: exp.DataType | None) -> str:
    if kind is None:
        raise ValueError("A column without a type")
    return kind.sql("hive", comments=False).lower()


def _computed(folder: str) -> dict[str, tuple[str, str]]:
    """Column, or ``view.column`` -> type (empty: as derived) and meaning, of what the views of a pipeline compute."""
    path = statements.settings().include_dir / "sql" / folder / "views/columns.csv"
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["column"]: (row["type"], row["meaning"]) for row in csv.DictReader(file)}


def _describe_views(created: dict[str, Relation]) -> None:
    """Give each view its columns: names and types as the engine derives them, words from where they come from."""
    schema: dict[str, Any] = {
        one.name: {column.name: column.type for column in one.columns}
        for one in created.values()
        if one.columns
    }
    views = {one.name: one for one in created.values() if not one.columns}
    while views:
        ready = [one for one in views.values() if _sources(one.statement.expression) <= schema.keys()]
        if not ready:
            raise ValueError(
                f"Views that read what nothing creates, or each other: {', '.join(sorted(views))}"
            )
        for view in ready:
            query, computed = view.statement.expression, _computed(view.file.split("/")[0])
            typed = annotate_types(
                qualify(query.copy(), schema=schema, dialect=_DIALECT), schema=schema, dialect=_DIALECT
            )
            for select in typed.selects:
                words = {
                    column.comment
                    for node in lineage(select.alias, query.copy(), schema=schema, dialect=_DIALECT).walk()
                    if isinstance(node.expression, exp.Table) and node.expression.name in created
                    for column in created[node.expression.name].columns
                    if column.name == node.name.rsplit(".", 1)[-1].strip('"')
                }
                type_, meaning = computed.get(f"{view.name}.{select.alias}") or computed.get(
                    select.alias, ("", "; ".join(sorted(words)))
                )
                view.columns.append(Column(select.alias, type_ or _type(select.type), meaning))
            if computed and (wordless := [one.name for one in view.columns if not one.comment]):
                raise ValueError(
                    f"include/sql/{view.file}: columns.csv has no words for {', '.join(wordless)}"
                )
            schema[view.name] = {column.name: column.type for column in view.columns}
            del views[view.name]


def _sources(query: Any) -> set[str]:
    """The tables and views that a query reads, without its own WITH clauses."""
    inner = {one.alias for one in query.find_all(exp.CTE)}
    return {one.name for one in query.find_all(exp.Table)} - inner


def _readers(folder: str) -> dict[str, list[str]]:
    """Table or view -> the statements that read it."""
    found: dict[str, list[str]] = defaultdict(list)
    checks = {one.checks_folder for one in by_dag().get(folder, ())}
    for kind in (f"{folder}/extract", *sorted(checks), f"{folder}/views"):
        for file in statements.statements(kind):
            text = _rendered(file)
            # sqlglot does not know UNLOAD; the query in it is what reads.
            if unload := _UNLOAD.search(text):
                text = unload[1]
            query = sqlglot.parse_one(text, dialect=_DIALECT).find(exp.Query)
            for name in _sources(query) if query else ():
                found[name].append(file)
    return found


def _is_published(relation: Relation) -> bool:
    return f"/{lake.PROD}/" in _location(relation)


def _is_record(relation: Relation) -> bool:
    return any(f"/{prefix}/" in _location(relation) for prefix in (lake.REPORTS, lake.PUBLICATIONS))


def _is_working(relation: Relation) -> bool:
    return not _is_published(relation) and not _is_record(relation)


def _location(relation: Relation) -> str:
    location = relation.statement.find(exp.LocationProperty)
    return relation.properties.get("storage.location.template") or (location.this.name if location else "")


def _writer(relation: Relation, dag: DAG) -> str:
    """The task that writes the rows of a table."""
    for prefix, name in _WRITTEN_BY_PYTHON.items():
        if f"<bucket>/{prefix}/" in _location(relation):
            return ", ".join(_tasks_named(dag, name, _location(relation)))
    for task in dag.topological_sort():
        if relation.name in {getattr(asset, "name", None) for asset in getattr(task, "outlets", ())}:
            return task.task_id
        writes = getattr(task, "writes", None)
        if writes and f"/run=${{run}}/{writes}/" in _location(relation):
            return task.task_id
    raise ValueError(
        f"No task of {dag.dag_id} is known to write {relation.name} (include/sql/{relation.file})"
    )


def _tasks_named(dag: DAG, name: str, location: str) -> list[str]:
    """The tasks of this name: of the pipeline whose uploads are at the location, or of each one."""
    pipelines = by_dag().get(dag.dag_id, ())
    own = [
        one
        for one in pipelines
        if any(f"/{lake.BRONZE}/{dataset.name}/" in location for dataset in one.datasets)
    ]
    return [dag.get_task(one.task_id(name)).task_id for one in own or pipelines]


def _format(relation: Relation) -> str:
    if relation.is_iceberg:
        return "Iceberg"
    serde = relation.statement.find(exp.RowFormatSerdeProperty)
    if serde is not None:
        name = serde.this.name.rsplit(".", 1)[-1]
        return {"JsonSerDe": "JSON, one object per line", "OpenCSVSerde": "CSV with a header line"}[name]
    stored = relation.statement.find(exp.FileFormatProperty)
    return f"{stored.this.name.capitalize()}" if stored else ""


def _describe(relation: Relation, dag: DAG, folder: str, readers: list[str]) -> str:
    facts = [("Defined in", f"[`{relation.file}`](../../include/sql/{relation.file})")]
    if not relation.is_view:
        partitions = ", ".join(code(one.name) for one in relation.columns if one.note)
        facts = [
            ("Location", code(_location(relation))),
            ("Format", _format(relation)),
            ("Partitions", partitions),
            ("Written by", code(_writer(relation, dag))),
            *facts,
        ]
    if readers:
        facts.append(("Read by", ", ".join(code(one.removeprefix(f"{folder}/")) for one in readers)))
    columns: list[list[object]] = [
        [code(one.name) + (f" ({one.note})" if one.note else ""), code(one.type), one.comment]
        for one in relation.columns
    ]
    return "\n\n".join(
        [
            f"#### {relation.name}",
            relation.about.strip(),
            "\n".join(f"- {name}: {value}" for name, value in facts if value),
            table(["Column", "Type", "Meaning"], columns),
        ]
    )
