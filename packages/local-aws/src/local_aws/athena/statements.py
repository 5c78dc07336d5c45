"""Statements that are no queries: Athena's DDL (Hive's syntax) as small records."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Name:
    database: str | None
    name: str


@dataclass
class ColumnDef:
    name: str
    type: str
    comment: str | None = None


@dataclass
class Transform:
    """A part of an Iceberg table's PARTITIONED BY: bucket(16, id) is ("bucket", "id", 16)."""

    name: str
    column: str
    argument: int | None = None


@dataclass
class CreateDatabase:
    name: str
    if_not_exists: bool
    comment: str | None = None
    location: str | None = None
    properties: dict[str, str] = field(default_factory=dict)


@dataclass
class DropDatabase:
    name: str
    if_exists: bool
    cascade: bool


@dataclass
class AlterDatabase:
    name: str
    properties: dict[str, str]


@dataclass
class CreateTable:
    name: Name
    external: bool
    if_not_exists: bool
    columns: list[ColumnDef]
    comment: str | None = None
    partitioned_by: list[ColumnDef] = field(default_factory=list)
    serde: str | None = None
    serde_properties: dict[str, str] = field(default_factory=dict)
    delimited: dict[str, str] | None = None
    stored_as: str | None = None
    input_format: str | None = None
    output_format: str | None = None
    location: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    clustered_by: list[str] = field(default_factory=list)
    sorted_by: list[tuple[str, bool]] = field(default_factory=list)
    buckets: int | None = None
    # Iceberg's; empty where PARTITIONED BY declares columns.
    transforms: list[Transform] = field(default_factory=list)


@dataclass
class DropTable:
    name: Name
    if_exists: bool
    view: bool


@dataclass
class PartitionSpec:
    """Columns and their values."""

    values: dict[str, str]
    location: str | None = None


@dataclass
class AddPartitions:
    name: Name
    if_not_exists: bool
    partitions: list[PartitionSpec]


@dataclass
class DropPartitions:
    name: Name
    if_exists: bool
    partitions: list[PartitionSpec]


@dataclass
class RenamePartition:
    name: Name
    old: PartitionSpec
    new: PartitionSpec


@dataclass
class SetLocation:
    name: Name
    partition: PartitionSpec | None
    location: str


@dataclass
class AddColumns:
    name: Name
    columns: list[ColumnDef]
    replace: bool
    partition: PartitionSpec | None = None


@dataclass
class RenameTable:
    name: Name
    new: Name


@dataclass
class DropColumn:
    name: Name
    column: str


@dataclass
class ChangeColumn:
    """ALTER TABLE CHANGE COLUMN; `after`: the column before it, "" for FIRST, None for where it is."""

    name: Name
    old: str
    new: ColumnDef
    after: str | None


@dataclass
class SetProperties:
    name: Name
    properties: dict[str, str]


@dataclass
class UnsetProperties:
    name: Name
    keys: list[str]


@dataclass
class Repair:
    name: Name


@dataclass
class Show:
    """SHOW DATABASES, TABLES, VIEWS, COLUMNS, PARTITIONS, TBLPROPERTIES or CREATE TABLE/VIEW."""

    what: str
    name: Name | None = None
    database: str | None = None
    pattern: str | None = None
    key: str | None = None


@dataclass
class Describe:
    """DESCRIBE of a table; of a partition of it; of a column, as the path into its type."""

    name: Name
    detail: str = ""
    partition: PartitionSpec | None = None
    column: list[str] = field(default_factory=list)


Statement = (
    CreateDatabase | DropDatabase | AlterDatabase | CreateTable | DropTable | AddPartitions | DropPartitions
    | RenameTable | RenamePartition | SetLocation | AddColumns | DropColumn | ChangeColumn | SetProperties
    | UnsetProperties | Repair | Show | Describe
)  # fmt: skip
