"""Athena's DDL, which is in Hive's syntax, read into the records of `statements`.

sqlglot reads the queries; of Hive's DDL it leaves the greater part unparsed (ADD PARTITION, MSCK, SHOW,
SET LOCATION, ...), so that is read here, by the grammar of
https://docs.aws.amazon.com/athena/latest/ug/ddl-reference.html.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from local_aws.athena import reserved
from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.parser import offset_position
from local_aws.athena.statements import (
    AddColumns,
    AddPartitions,
    AlterDatabase,
    ChangeColumn,
    ColumnDef,
    CreateDatabase,
    CreateTable,
    Describe,
    DropColumn,
    DropDatabase,
    DropPartitions,
    DropTable,
    Name,
    PartitionSpec,
    RenamePartition,
    RenameTable,
    Repair,
    SetLocation,
    SetProperties,
    Show,
    Statement,
    Transform,
    UnsetProperties,
)

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
      |(?P<string>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
      |(?P<name>`(?:[^`]|``)*`)
      |(?P<word>[A-Za-z_][A-Za-z0-9_$]*)
      |(?P<number>\d+(?:\.\d+)?)
      |(?P<op><=|>=|<>|!=|[<>(),.:;=*\-+/])""",
    re.S | re.X,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a"}


@dataclass
class _Token:
    kind: str
    text: str
    start: int

    @property
    def word(self) -> str:
        return self.text.upper() if self.kind == "word" else ""


def unescape(body: str) -> str:
    """A Hive string's text: backslash escapes and octal or \\uXXXX codes."""

    def one(m: re.Match[str]) -> str:
        s = m.group(1)
        if s.startswith("u"):
            return chr(int(s[1:], 16))
        if len(s) == 3:
            return chr(int(s, 8))
        return _ESCAPES.get(s, s if s not in "%_" else "\\" + s)

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|[0-3][0-7]{2}|.)", one, body, flags=re.S)


def first_words(sql: str, count: int) -> list[str]:
    """The statement's first words, upper case, comments left out."""
    words: list[str] = []
    pos = 0
    while len(words) < count and pos < len(sql):
        m = _TOKEN.match(sql, pos)
        if m is None:
            words.append(sql[pos])
            pos += 1
            continue
        pos = m.end()
        if m.lastgroup != "space":
            words.append(m.group().upper())
    return words


def strip(sql: str) -> str:
    """The statement without its closing semicolon."""
    return re.sub(r"[;\s]+$", "", sql)


class HiveParser:
    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.tokens: list[_Token] = []
        pos = 0
        while pos < len(sql):
            m = _TOKEN.match(sql, pos)
            if m is None:
                raise QueryError("", f"extraneous input '{sql[pos]}'", offset_position(sql, pos))
            if m.lastgroup != "space":
                self.tokens.append(_Token(str(m.lastgroup), m.group(), pos))
            pos = m.end()
        self.i = 0

    # ------------------------------------------------------------------------------------ tokens

    @property
    def token(self) -> _Token:
        return self.tokens[self.i] if self.i < len(self.tokens) else _Token("end", "<EOF>", len(self.sql))

    def fail(self, expected: str = "") -> NoReturn:
        t = self.token
        message = f"mismatched input '{t.text}'" + (f" expecting {expected}" if expected else "")
        raise QueryError("", message, offset_position(self.sql, t.start))

    def accept(self, *words: str) -> bool:
        """Takes a run of words (or operators) if all of them come next."""
        for n, word in enumerate(words):
            t = self.tokens[self.i + n] if self.i + n < len(self.tokens) else _Token("end", "", 0)
            if (t.word or (t.text if t.kind == "op" else "")) != word:
                return False
        self.i += len(words)
        return True

    def expect(self, *words: str) -> None:
        for word in words:
            if not self.accept(word):
                self.fail(f"'{word}'")

    def identifier(self, *, field: bool = False) -> str:
        """A name; that of a struct's field may be a reserved word."""
        t = self.token
        if t.word in reserved.DDL and not field:
            line, column = offset_position(self.sql, t.start)
            raise QueryError(
                "",
                f"FAILED: ParseException line {line}:{column} Failed to recognize predicate '{t.text}'. Failed rule: 'identifier'; a reserved word is a name in backticks only",
            )
        if t.kind in ("word", "number"):
            text = t.text
        elif t.kind == "name":
            text = t.text[1:-1].replace("``", "`")
        elif t.kind == "string" and t.text[0] == '"':
            text = t.text[1:-1].replace('""', '"')
        else:
            self.fail("an identifier")
        self.i += 1
        return text

    def name(self) -> Name:
        parts = [self.identifier()]
        while self.accept("."):
            parts.append(self.identifier())
        if len(parts) > 3:
            self.fail()
        if len(parts) == 3 and parts[0].lower() != "awsdatacatalog":
            raise not_supported(f"Catalog '{parts[0]}'")
        return Name(parts[-2].lower() if len(parts) > 1 else None, parts[-1].lower())

    def string(self) -> str:
        t = self.token
        if t.kind != "string":
            self.fail("a string")
        self.i += 1
        quotation = t.text[0]
        return unescape(t.text[1:-1].replace(quotation * 2, quotation))

    def value(self) -> str:
        if self.token.kind == "string":
            return self.string()
        sign = "-" if self.accept("-") else ""
        t = self.token
        if t.kind not in ("number", "word"):
            self.fail("a value")
        if t.word == "DATE" and self.tokens[self.i + 1].kind == "string":
            self.i += 1
            return self.string()
        self.i += 1
        return sign + t.text

    def properties(self) -> dict[str, str]:
        self.expect("(")
        out: dict[str, str] = {}
        while True:
            key = self.string()
            self.expect("=")
            out[key] = self.value()
            if self.accept(")"):
                return out
            self.expect(",")

    def end(self) -> None:
        while self.accept(";"):
            pass
        if self.token.kind != "end":
            self.fail("<EOF>")

    # ----------------------------------------------------------------------------------- clauses

    def type(self) -> str:
        """A Hive type's text, written the way Glue keeps it."""
        t = self.token
        if t.kind != "word":
            self.fail("a type")
        self.i += 1
        word = t.text.lower()
        if self.accept("<"):
            inner = []
            while True:
                if word == "struct":
                    name = self.identifier(field=True)
                    self.expect(":")
                    inner.append(f"{name.lower()}:{self.type()}")
                else:
                    inner.append(self.type())
                if self._close():
                    return f"{word}<{','.join(inner)}>"
                self.expect(",")
        if self.accept("("):
            args = [self.value()]
            while self.accept(","):
                args.append(self.value())
            self.expect(")")
            return f"{word}({','.join(args)})"
        return "int" if word == "integer" else word

    def _close(self) -> bool:
        return self.accept(">")

    def columns(self) -> list[ColumnDef]:
        self.expect("(")
        out = []
        while True:
            name = self.identifier().lower()
            kind = self.type()
            comment = self.string() if self.accept("COMMENT") else None
            out.append(ColumnDef(name, kind, comment))
            if self.accept(")"):
                return out
            self.expect(",")

    def partition(self) -> PartitionSpec:
        self.expect("PARTITION", "(")
        spec = PartitionSpec({})
        while True:
            key = self.identifier().lower()
            self.expect("=")
            spec.values[key] = self.value()
            if self.accept(")"):
                return spec
            self.expect(",")

    def if_exists(self) -> bool:
        return self.accept("IF", "EXISTS")

    def if_not_exists(self) -> bool:
        return self.accept("IF", "NOT", "EXISTS")

    # -------------------------------------------------------------------------------- statements

    def statement(self) -> Statement:
        if self.accept("CREATE"):
            if self.accept("DATABASE") or self.accept("SCHEMA"):
                return self._create_database()
            external = self.accept("EXTERNAL")
            self.expect("TABLE")
            return self._create_table(external)
        if self.accept("DROP"):
            if self.accept("DATABASE") or self.accept("SCHEMA"):
                exists = self.if_exists()
                name = self.name().name
                cascade = self.accept("CASCADE")
                if not cascade:
                    self.accept("RESTRICT")
                return DropDatabase(name, exists, cascade)
            view = self.accept("VIEW")
            if not view:
                self.expect("TABLE")
            exists = self.if_exists()
            return DropTable(self.name(), exists, view)
        if self.accept("ALTER"):
            return self._alter()
        if self.accept("MSCK"):
            self.expect("REPAIR", "TABLE")
            return Repair(self.name())
        if self.accept("SHOW"):
            return self._show()
        if self.accept("DESCRIBE") or self.accept("DESC"):
            return self._describe()
        return self.fail()

    def _describe(self) -> Describe:
        if self.token.word in ("TABLE", "DATABASE", "SCHEMA"):
            # To Athena these are names of tables.
            raise QueryError(
                "", f"FAILED: SemanticException [Error 10001]: Table not found {self.token.text.lower()}"
            )
        self.accept("VIEW")
        detail = next((w for w in ("FORMATTED", "EXTENDED") if self.accept(w)), "")
        out = Describe(self.name(), detail)
        if self.token.word == "PARTITION":
            out.partition = self.partition()
        if self.token.kind in ("word", "name"):
            out.column = [self.identifier().lower()]
            while self.accept("."):
                out.column.append(
                    (self.string() if self.token.kind == "string" else self.identifier()).lower()
                )
        return out

    def _create_database(self) -> CreateDatabase:
        exists = self.if_not_exists()
        out = CreateDatabase(self.name().name, exists)
        while True:
            if self.accept("COMMENT"):
                out.comment = self.string()
            elif self.accept("LOCATION"):
                out.location = self.string()
            elif self.accept("WITH", "DBPROPERTIES"):
                out.properties = self.properties()
            else:
                return out

    def _create_table(self, external: bool) -> CreateTable:
        exists = self.if_not_exists()
        name = self.name()
        out = CreateTable(name, external, exists, [])
        if self.accept("LIKE"):
            raise not_supported("CREATE TABLE ... LIKE")
        if self.token.text == "(":
            out.columns = self.columns()
        while True:
            if self.accept("COMMENT"):
                out.comment = self.string()
            elif self.accept("PARTITIONED", "BY"):
                out.transforms = self._transforms()
                if not out.transforms:
                    out.partitioned_by = self.columns()
            elif self.accept("CLUSTERED", "BY"):
                self._clustered(out)
            elif self.accept("ROW", "FORMAT"):
                self._row_format(out)
            elif self.accept("WITH", "SERDEPROPERTIES"):
                out.serde_properties = self.properties()
            elif self.accept("STORED", "AS"):
                if self.accept("INPUTFORMAT"):
                    out.input_format = self.string()
                    self.expect("OUTPUTFORMAT")
                    out.output_format = self.string()
                else:
                    out.stored_as = self.identifier().upper()
            elif self.accept("LOCATION"):
                out.location = self.string()
            elif self.accept("TBLPROPERTIES"):
                out.properties = self.properties()
            else:
                return out

    def _clustered(self, out: CreateTable) -> None:
        def names(with_order: bool) -> list[tuple[str, bool]]:
            self.expect("(")
            found = []
            while True:
                name = self.identifier().lower()
                descending = with_order and self.accept("DESC")
                if with_order and not descending:
                    self.accept("ASC")
                found.append((name, descending))
                if self.accept(")"):
                    return found
                self.expect(",")

        out.clustered_by = [n for n, _ in names(False)]
        if self.accept("SORTED", "BY"):
            out.sorted_by = names(True)
        self.expect("INTO")
        count = self.value()
        if not count.isdigit() or not int(count):
            self.fail("a number of buckets")
        out.buckets = int(count)
        self.expect("BUCKETS")

    def _transforms(self) -> list[Transform]:
        """Columns and functions of columns, without types; nothing where columns are declared.

        https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-creating-tables.html
        """
        start = self.i
        self.expect("(")
        out = []
        while True:
            following = self.tokens[self.i + 1].text if self.i + 1 < len(self.tokens) else ""
            # truncate is reserved, and a transform.
            name, arguments = self.identifier(field=following == "(").lower(), []
            called = self.accept("(")
            if called:
                arguments.append(self.identifier().lower())
                while self.accept(","):
                    arguments.append(self.identifier().lower())
                self.expect(")")
            elif self.token.text not in (",", ")"):
                self.i = start
                return []
            numbers = [a for a in arguments if a.isdigit()]
            columns = [a for a in arguments if not a.isdigit()] if called else [name]
            if len(columns) != 1 or len(numbers) > 1:
                self.fail("a column, or a transform such as bucket(16, column)")
            out.append(
                Transform(name if called else "identity", columns[0], int(numbers[0]) if numbers else None)
            )
            if self.accept(")"):
                return out
            self.expect(",")

    def _row_format(self, out: CreateTable) -> None:
        if self.accept("SERDE"):
            out.serde = self.string()
            return
        self.expect("DELIMITED")
        out.delimited = {}
        clauses = [
            (("FIELDS", "TERMINATED", "BY"), "field.delim"),
            (("ESCAPED", "BY"), "escape.delim"),
            (("COLLECTION", "ITEMS", "TERMINATED", "BY"), "collection.delim"),
            (("MAP", "KEYS", "TERMINATED", "BY"), "mapkey.delim"),
            (("LINES", "TERMINATED", "BY"), "line.delim"),
            (("NULL", "DEFINED", "AS"), "serialization.null.format"),
        ]
        while True:
            for words, key in clauses:
                if self.accept(*words):
                    out.delimited[key] = self.string()
                    break
            else:
                return

    def _alter(self) -> Statement:
        if self.accept("DATABASE") or self.accept("SCHEMA"):
            name = self.name().name
            self.expect("SET", "DBPROPERTIES")
            return AlterDatabase(name, self.properties())
        self.expect("TABLE")
        table = self.name()
        if self.accept("ADD"):
            if self.accept("COLUMNS"):
                return AddColumns(table, self.columns(), replace=False)
            exists = self.if_not_exists()
            partitions = []
            while self.token.word == "PARTITION":
                spec = self.partition()
                if self.accept("LOCATION"):
                    spec.location = self.string()
                partitions.append(spec)
                self.accept(",")
            if not partitions:
                self.fail("'PARTITION', 'COLUMNS'")
            return AddPartitions(table, exists, partitions)
        if self.accept("REPLACE", "COLUMNS"):
            return AddColumns(table, self.columns(), replace=True)
        if self.accept("RENAME", "TO"):
            return RenameTable(table, self.name())
        if self.accept("DROP", "COLUMN"):
            return DropColumn(table, self.identifier().lower())
        if self.accept("UNSET", "TBLPROPERTIES"):
            self.expect("(")
            keys = [self.string()]
            while self.accept(","):
                keys.append(self.string())
            self.expect(")")
            return UnsetProperties(table, keys)
        if self.accept("DROP"):
            exists = self.if_exists()
            if self.token.word != "PARTITION":
                raise not_supported(
                    f"ALTER TABLE ... DROP {self.token.text}", offset_position(self.sql, self.token.start)
                )
            partitions = [self.partition()]
            while self.accept(","):
                partitions.append(self.partition())
            return DropPartitions(table, exists, partitions)
        if self.accept("CHANGE"):
            self.accept("COLUMN")
            old = self.identifier().lower()
            new = ColumnDef(self.identifier().lower(), self.type())
            if self.accept("COMMENT"):
                new.comment = self.string()
            after = (
                "" if self.accept("FIRST") else self.identifier().lower() if self.accept("AFTER") else None
            )
            return ChangeColumn(table, old, new, after)
        if self.accept("SET", "TBLPROPERTIES"):
            return SetProperties(table, self.properties())
        if self.accept("SET", "LOCATION"):
            return SetLocation(table, None, self.string())
        if self.token.word == "PARTITION":
            spec = self.partition()
            if self.accept("SET", "LOCATION"):
                return SetLocation(table, spec, self.string())
            if self.accept("ADD", "COLUMNS"):
                return AddColumns(table, self.columns(), replace=False, partition=spec)
            if self.token.word in ("REPLACE", "CHANGE"):
                raise not_supported(
                    "Columns of a single partition", offset_position(self.sql, self.token.start)
                )
            self.expect("RENAME", "TO")
            return RenamePartition(table, spec, self.partition())
        raise not_supported(f"ALTER TABLE ... {self.token.text}", offset_position(self.sql, self.token.start))

    def _show(self) -> Show:
        if self.accept("DATABASES") or self.accept("SCHEMAS"):
            return Show("databases", pattern=self._pattern())
        if self.accept("TABLES"):
            database = self.name().name if self.accept("IN") or self.accept("FROM") else None
            return Show("tables", database=database, pattern=self._pattern())
        if self.accept("VIEWS"):
            database = self.name().name if self.accept("IN") or self.accept("FROM") else None
            return Show("views", database=database, pattern=self._pattern())
        if self.accept("COLUMNS"):
            if not (self.accept("IN") or self.accept("FROM")):
                self.fail("'IN', 'FROM'")
            name = self.name()
            if self.accept("IN") or self.accept("FROM"):
                name.database = self.name().name
            return Show("columns", name=name)
        if self.accept("PARTITIONS"):
            return Show("partitions", name=self.name())
        if self.accept("TBLPROPERTIES"):
            name = self.name()
            key = None
            if self.accept("("):
                key = self.string()
                self.expect(")")
            return Show("tblproperties", name=name, key=key)
        if self.accept("CREATE"):
            view = self.accept("VIEW")
            if not view:
                self.expect("TABLE")
            return Show("create view" if view else "create table", name=self.name())
        raise not_supported(f"SHOW {self.token.text}", offset_position(self.sql, self.token.start))

    def _pattern(self) -> str | None:
        self.accept("LIKE")
        return self.string() if self.token.kind == "string" else None


def parse_ddl(sql: str) -> Statement:
    """Reads a DDL statement. Raises QueryError with line and column where it is not one."""
    p = HiveParser(sql)
    statement = p.statement()
    p.end()
    return statement
