"""Statements as text: what kind one is, its parts around a query, and whether Athena's parser would take it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from local_aws.athena import statements as st
from local_aws.athena.errors import QueryError
from local_aws.athena.hive_parser import HiveParser, first_words, parse_ddl, strip
from local_aws.athena.parser import offset_position, padded, parse_query, tokens


@dataclass
class Unload:
    """UNLOAD's parts; `query` is padded so that positions in it are those in the statement."""

    query: str
    location: str
    options: dict[str, Any]


@dataclass
class CreateTableAs:
    """CREATE TABLE AS' parts; `query` is padded as UNLOAD's."""

    name: st.Name
    if_not_exists: bool
    options: dict[str, Any]
    query: str
    with_data: bool


def parse_unload(sql: str) -> Unload:
    """UNLOAD (query) TO 's3://...' [WITH (...)] (https://docs.aws.amazon.com/athena/latest/ug/unload.html)."""
    ts = tokens(sql)

    def fail(i: int, expected: str) -> QueryError:
        found, at = (ts[i][1], ts[i][2]) if i < len(ts) else ("<EOF>", len(sql))
        return QueryError("", f"mismatched input '{found}'. Expecting: {expected}", offset_position(sql, at))

    if len(ts) < 2 or ts[1][1] != "(":
        raise fail(1, "'('")
    depth, i = 0, 1
    while i < len(ts):
        if ts[i][1] == "(" and ts[i][0] == "op":
            depth += 1
        elif ts[i][1] == ")" and ts[i][0] == "op":
            depth -= 1
            if not depth:
                break
        i += 1
    if depth:
        raise fail(i, "')'")
    query = padded(sql, ts[1][3], ts[i][2])
    i += 1
    if i >= len(ts) or ts[i][1].upper() != "TO":
        raise fail(i, "'TO'")
    if i + 1 >= len(ts) or ts[i + 1][0] != "string":
        raise fail(i + 1, "a string")
    location = ts[i + 1][1][1:-1].replace("''", "'")
    i += 2
    options: dict[str, Any] = {}
    if i < len(ts) and ts[i][1].upper() == "WITH":
        options, i = parse_options(sql, ts, i + 1)
    if i < len(ts):
        raise fail(i, "<EOF>")
    return Unload(query, location, options)


def parse_options(sql: str, ts: list[tuple[str, str, int, int]], i: int) -> tuple[dict[str, Any], int]:
    """(key = value, ...) with strings, numbers, booleans and ARRAY[...] of strings."""

    def fail(expected: str) -> QueryError:
        found, at = (ts[i][1], ts[i][2]) if i < len(ts) else ("<EOF>", len(sql))
        return QueryError("", f"mismatched input '{found}'. Expecting: {expected}", offset_position(sql, at))

    def at(k: int) -> str:
        return ts[k][1] if k < len(ts) else ""

    options: dict[str, Any] = {}
    if at(i) != "(":
        raise fail("'('")
    i += 1
    while True:
        if i >= len(ts) or ts[i][0] not in ("word", "name"):
            raise fail("<identifier>")
        key = ts[i][1].strip('"').lower()
        i += 1
        if at(i) != "=":
            raise fail("'='")
        i += 1
        value: Any
        if at(i).upper() == "ARRAY":
            i += 2
            value = []
            while at(i) != "]":
                if i >= len(ts):
                    raise fail("']'")
                if ts[i][0] == "string":
                    value.append(ts[i][1][1:-1].replace("''", "'"))
                i += 1
            i += 1
        elif i < len(ts) and ts[i][0] == "string":
            value = ts[i][1][1:-1].replace("''", "'")
            i += 1
        elif i < len(ts) and ts[i][0] == "word":
            word = ts[i][1]
            value = int(word) if word.isdigit() else {"true": True, "false": False}.get(word.lower(), word)
            i += 1
        else:
            raise fail("a value")
        options[key] = value
        if at(i) == ")":
            return options, i + 1
        if at(i) != ",":
            raise fail("',', ')'")
        i += 1


def parse_create_table_as(sql: str) -> CreateTableAs:
    """CREATE TABLE [IF NOT EXISTS] name [WITH (...)] AS query [WITH [NO] DATA]."""
    ts = tokens(sql)
    i = 2
    exists = [t[1].upper() for t in ts[i : i + 3]] == ["IF", "NOT", "EXISTS"]
    i += 3 if exists else 0
    parts = []
    while i < len(ts) and ts[i][0] in ("word", "name"):
        parts.append(ts[i][1].strip('"').lower())
        i += 1
        if i < len(ts) and ts[i][1] == ".":
            i += 1
            continue
        break
    options: dict[str, Any] = {}
    if i < len(ts) and ts[i][1].upper() == "WITH":
        options, i = parse_options(sql, ts, i + 1)
    if i >= len(ts) or ts[i][1].upper() != "AS":
        raise QueryError(
            "",
            f"mismatched input '{ts[i][1] if i < len(ts) else '<EOF>'}'. Expecting: 'AS', 'WITH'",
            (1, 1),
        )
    end, with_data = _end_of_query(sql, ts)
    name = st.Name(parts[-2] if len(parts) > 1 else None, parts[-1])
    return CreateTableAs(name, exists, options, padded(sql, ts[i][3], end), with_data)


def _end_of_query(sql: str, ts: list[tuple[str, str, int, int]]) -> tuple[int, bool]:
    """Where the query of a CREATE TABLE AS ends, and whether its rows are wanted."""
    tail = [t[1].upper() for t in ts[-3:]]
    if tail[-2:] == ["WITH", "DATA"]:
        return ts[-2][2], True
    if tail == ["WITH", "NO", "DATA"]:
        return ts[-3][2], False
    return len(sql), True


def classify(sql: str) -> tuple[str, str]:
    """StatementType and SubstatementType of GetQueryExecution."""
    words = first_words(sql, 4) or [""]
    first = words[0]
    second = words[1] if len(words) > 1 else ""
    if first in ("SELECT", "WITH", "VALUES", "TABLE", "("):
        return "DML", "SELECT"
    if first in ("INSERT", "UPDATE", "DELETE", "MERGE", "UNLOAD"):
        return "DML", first
    if first in ("OPTIMIZE", "VACUUM"):
        return "DDL", first
    if first == "EXPLAIN":
        return "UTILITY", "EXPLAIN"
    if first in ("SHOW", "DESCRIBE", "DESC"):
        return "UTILITY", f"{first}_{second}" if first == "SHOW" else "DESCRIBE_TABLE"
    if first in ("PREPARE", "DEALLOCATE"):
        return "DDL", first
    if first == "CREATE":
        rest = [w for w in words[1:] if w not in ("OR", "REPLACE", "EXTERNAL")]
        kind = rest[0] if rest else ""
        if kind == "TABLE" and is_ctas(sql):
            return "DDL", "CREATE_TABLE_AS_SELECT"
        return "DDL", f"CREATE_{kind}"
    if first == "MSCK":
        return "DDL", "MSCK_REPAIR"
    return "DDL", f"{first}_{second}"


def is_ctas(sql: str) -> bool:
    depth = 0
    for kind, word, _, _ in tokens(sql):
        if kind == "op" and word in "()":
            depth += 1 if word == "(" else -1
        elif kind == "word" and not depth and word.upper() == "AS":
            return True
        elif kind == "word" and not depth and word.upper() in ("LOCATION", "STORED", "TBLPROPERTIES", "ROW"):
            return False
    return False


def parse_prepare(sql: str) -> tuple[str, str]:
    """Name and text of PREPARE name FROM statement."""
    ts = tokens(sql)
    _expect(sql, ts, 2, "FROM")
    if len(ts) < 4:
        raise QueryError(
            "", "mismatched input '<EOF>'. Expecting: <statement>", offset_position(sql, len(sql))
        )
    return _name(sql, ts, 1), sql[ts[3][2] :]


def parse_deallocate(sql: str) -> str:
    ts = tokens(sql)
    _expect(sql, ts, 1, "PREPARE")
    _end(sql, ts, 3)
    return _name(sql, ts, 2)


def parse_execute(sql: str) -> tuple[str, list[str]]:
    """Name and parameters, as SQL, of EXECUTE name [USING parameter, ...]."""
    ts = tokens(sql)
    name = _name(sql, ts, 1)
    if len(ts) == 2:
        return name, []
    _expect(sql, ts, 2, "USING")
    values, depth, start = [], 0, ts[2][3]
    for kind, word, at, end in ts[3:]:
        if kind != "op":
            continue
        if word in "([":
            depth += 1
        elif word in ")]":
            depth -= 1
        elif word == "," and not depth:
            values.append(sql[start:at].strip())
            start = end
    values.append(sql[start:].strip())
    if not all(values):
        raise QueryError("", "mismatched input. Expecting: <expression>", offset_position(sql, start))
    return name, values


def _name(sql: str, ts: list[tuple[str, str, int, int]], i: int) -> str:
    if i >= len(ts) or ts[i][0] not in ("word", "name"):
        _end(sql, ts, i, "<identifier>")
    return re.sub(r'^"|"$', "", ts[i][1]).replace('""', '"')


def _expect(sql: str, ts: list[tuple[str, str, int, int]], i: int, word: str) -> None:
    if i >= len(ts) or ts[i][1].upper() != word:
        _end(sql, ts, i, f"'{word}'")


def _end(sql: str, ts: list[tuple[str, str, int, int]], i: int, expected: str = "<EOF>") -> None:
    found, at = (ts[i][1], ts[i][2]) if i < len(ts) else ("<EOF>", len(sql))
    if (found, expected) != ("<EOF>", "<EOF>"):
        raise QueryError("", f"mismatched input '{found}'. Expecting: {expected}", offset_position(sql, at))


def check_syntax(sql: str) -> None:
    """Raises QueryError (without a code) for what Athena's parser would refuse. Looks at no table and no file.

    What is not supported passes here, and fails by name when it runs.
    """
    sql = strip(sql)
    words = first_words(sql, 4)
    try:
        if not words:
            raise QueryError("", "mismatched input '<EOF>'. Expecting: <query>", (1, 1))
        if words[0] in ("SELECT", "WITH", "VALUES", "TABLE", "(", "INSERT", "UPDATE", "DELETE", "MERGE"):
            tree = parse_query(sql)
            if isinstance(tree, exp.Update) and not tree.expressions:
                raise QueryError("", "mismatched input '<EOF>'.", offset_position(sql, len(sql.rstrip())))
        elif words[0] == "EXPLAIN":
            check_syntax(explained(sql)[1])
        elif words[0] in ("OPTIMIZE", "VACUUM"):
            _check_maintenance(sql)
        elif words[0] == "UNLOAD":
            parse_query(parse_unload(sql).query)
        elif words[0] == "CREATE" and ("VIEW" in words[1:4] or is_ctas(sql)):
            ts = tokens(sql)
            start = next((t[3] for t in ts if t[0] == "word" and t[1].upper() == "AS"), None)
            if start is not None:
                parse_query(padded(sql, start, _end_of_query(sql, ts)[0]))
        elif words[0] in ("CREATE", "DROP", "ALTER", "MSCK", "SHOW", "DESCRIBE", "DESC"):
            parse_ddl(sql)
        elif words[0] == "PREPARE":
            check_syntax(parse_prepare(sql)[1])
        elif words[0] == "DEALLOCATE":
            parse_deallocate(sql)
        elif words[0] == "EXECUTE":
            parse_execute(sql)
        else:
            raise unknown_statement(sql)
    except QueryError as e:
        if not e.code:
            raise


def explained(sql: str) -> tuple[re.Match[str], str]:
    """The words of an EXPLAIN with its options, and the statement after them, at its place in the text."""
    m = re.match(r"\s*EXPLAIN(\s+ANALYZE)?(\s+VERBOSE)?(\s*\((?=\s*(?:FORMAT|TYPE)\b)[^)]*\))?", sql, re.I)
    assert m is not None
    return m, padded(sql, m.end(), len(sql))


def _check_maintenance(sql: str) -> None:
    """The words of OPTIMIZE and VACUUM; the condition of OPTIMIZE is checked when it runs."""
    p = HiveParser(sql)
    if p.accept("VACUUM"):
        p.name()
    else:
        p.expect("OPTIMIZE")
        p.name()
        p.expect("REWRITE", "DATA", "USING", "BIN_PACK")
        if p.token.word == "WHERE":
            return
    p.end()


def unknown_statement(sql: str) -> QueryError:
    m = re.search(
        r"\S+", re.sub(r"--[^\n]*|/\*.*?\*/", lambda c: re.sub(r"[^\n]", " ", c.group()), sql, flags=re.S)
    )
    word, at = (m.group(), m.start()) if m is not None else ("<EOF>", 0)
    return QueryError(
        "",
        f"mismatched input '{word}'. Expecting: 'ALTER', 'CREATE', 'DELETE', 'DESCRIBE', 'DROP', 'EXECUTE', 'EXPLAIN', 'INSERT', 'MERGE', 'OPTIMIZE', 'PREPARE', 'SHOW', 'UNLOAD', 'UPDATE', 'VACUUM', <query>",
        offset_position(sql, at),
    )
