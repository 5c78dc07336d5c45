"""Trino SQL as syntax: sqlglot's Trino parser, kept from translating anything.

sqlglot maps functions of many dialects to common nodes, to write them in another dialect. Here the
meaning of a function is decided by types, in one place (`functions`), so calls stay calls.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.trino import Trino
from sqlglot.errors import ParseError, TokenError
from sqlglot.parsers.trino import TrinoParser
from sqlglot.tokens import TokenType

from local_aws.athena import reserved
from local_aws.athena.errors import QueryError, not_supported

# What is no plain call: name AS type, unit FROM value, and so on.
_SPECIAL_SYNTAX = ("CAST", "TRY_CAST", "EXTRACT", "TRIM", "POSITION", "SUBSTRING", "LISTAGG")


def _written_out(parse: Any) -> Any:
    """Marks CAST(x AS type): a literal such as TIMESTAMP '...' is parsed to the same node."""

    def one(parser: Any) -> Any:
        node = parse(parser)
        node.meta["written_out"] = True
        return node

    return one


class JsonCall(exp.Expression, exp.Func):
    """JSON_EXISTS, JSON_VALUE, JSON_QUERY, JSON_OBJECT or JSON_ARRAY, whose arguments have words between them.

    https://trino.io/docs/435/functions/json.html
    """

    arg_types: ClassVar[dict[str, bool]] = {
        "kind": True, "expressions": False, "returning": False, "wrapper": False, "quotes": False,
        "empty": False, "empty_value": False, "error": False, "error_value": False, "absent": False,
    }  # fmt: skip


class _PlainParser(TrinoParser):
    FUNCTIONS: ClassVar[dict[str, Any]] = {}
    FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
        **{
            k: _written_out(v) if k.endswith("CAST") else v
            for k, v in TrinoParser.FUNCTION_PARSERS.items()
            if k in _SPECIAL_SYNTAX
        },
        "JSON_EXISTS": lambda self: self._parse_json_path("JSON_EXISTS"),
        "JSON_VALUE": lambda self: self._parse_json_path("JSON_VALUE"),
        "JSON_QUERY": lambda self: self._parse_json_path("JSON_QUERY"),
        "JSON_OBJECT": lambda self: self._parse_json_made("JSON_OBJECT"),
        "JSON_ARRAY": lambda self: self._parse_json_made("JSON_ARRAY"),
    }
    NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
        k: v for k, v in TrinoParser.NO_PAREN_FUNCTION_PARSERS.items() if k in ("ANY", "CASE", "IF")
    }

    def _parse_wrapped_select(self, table: bool = False) -> exp.Expr | None:
        # (UNNEST(...) AS t (x) CROSS JOIN ...): sqlglot takes no joins after an UNNEST that comes first.
        this = super()._parse_wrapped_select(table)
        if isinstance(this, exp.Unnest) and (joins := list(self._parse_joins())):
            this.set("joins", joins)
        return this

    def _parse_offset(self, this: exp.Expr | None = None) -> exp.Expr | None:
        # OFFSET 1 ROW: as in FETCH.
        offset = super()._parse_offset(this)
        if isinstance(offset, exp.Offset) and self._curr is not None and self._curr.text.upper() == "ROW":
            self._advance()
        return offset

    def _parse_limit_options(self) -> exp.LimitOptions | None:
        # FETCH FIRST 1 ROW: ROW is the name of a type to the tokenizer.
        if self._curr is not None and self._curr.text.upper() == "ROW":
            self._advance()
            self._match_text_seq("ONLY")
            return exp.LimitOptions(rows=True, with_ties=self._match_text_seq("WITH", "TIES"))
        return super()._parse_limit_options()

    def _parse_json_path(self, kind: str) -> JsonCall:
        call = JsonCall(kind=kind, expressions=[self._parse_assignment()])
        self._match_text_seq("FORMAT", "JSON")
        self._match(TokenType.COMMA)
        call.append("expressions", self._parse_assignment())
        if self._match_text_seq("PASSING"):
            raise not_supported("PASSING in JSON functions")
        if self._match_text_seq("RETURNING"):
            call.set("returning", self._parse_types())
        for words, wrapper in (
            (("WITHOUT", "ARRAY", "WRAPPER"), "without"),
            (("WITHOUT", "WRAPPER"), "without"),
            (("WITH", "CONDITIONAL", "ARRAY", "WRAPPER"), "conditional"),
            (("WITH", "CONDITIONAL", "WRAPPER"), "conditional"),
            (("WITH", "UNCONDITIONAL", "ARRAY", "WRAPPER"), "unconditional"),
            (("WITH", "UNCONDITIONAL", "WRAPPER"), "unconditional"),
            (("WITH", "ARRAY", "WRAPPER"), "unconditional"),
            (("WITH", "WRAPPER"), "unconditional"),
        ):
            if self._match_text_seq(*words):
                call.set("wrapper", wrapper)
                break
        for word in ("KEEP", "OMIT"):
            if self._match_text_seq(word, "QUOTES"):
                self._match_text_seq("ON", "SCALAR", "STRING")
                call.set("quotes", word.lower())
        for _ in range(2):
            behaviour, value = self._parse_json_behaviour()
            if behaviour is None:
                break
            self._match_text_seq("ON")
            case = "empty" if self._match_text_seq("EMPTY") else "error"
            if case == "error" and not self._match_text_seq("ERROR"):
                self.raise_error("Expecting: 'EMPTY', 'ERROR'")
            call.set(case, behaviour)
            call.set(f"{case}_value", value)
        return call

    def _parse_json_behaviour(self) -> tuple[str | None, Any]:
        for words in (
            ("NULL",),
            ("ERROR",),
            ("TRUE",),
            ("FALSE",),
            ("UNKNOWN",),
            ("EMPTY", "ARRAY"),
            ("EMPTY", "OBJECT"),
        ):
            if self._match_text_seq(*words):
                return " ".join(words), None
        if self._match_text_seq("DEFAULT"):
            return "DEFAULT", self._parse_bitwise()
        return None, None

    def _parse_json_made(self, kind: str) -> JsonCall:
        """Keys and values of JSON_OBJECT one after another; values of JSON_ARRAY."""
        call = JsonCall(kind=kind, expressions=[], absent=kind == "JSON_ARRAY")
        while self._curr and self._curr.token_type != TokenType.R_PAREN:
            if self._match_text_seq("NULL", "ON", "NULL"):
                call.set("absent", False)
            elif self._match_text_seq("ABSENT", "ON", "NULL"):
                call.set("absent", True)
            elif self._match_text_seq("WITHOUT", "UNIQUE"):
                self._match_text_seq("KEYS")
            elif self._match_text_seq("WITH", "UNIQUE") or self._match_text_seq("RETURNING"):
                raise not_supported(f"{kind} with UNIQUE KEYS or RETURNING")
            else:
                if kind == "JSON_OBJECT":
                    named = self._match_text_seq("KEY")
                    call.append("expressions", self._parse_bitwise())
                    if not (self._match(TokenType.COLON) or self._match_text_seq("VALUE")) or (
                        named and self._prev.token_type == TokenType.COLON
                    ):
                        self.raise_error("Expecting: 'VALUE', ':'")
                call.append("expressions", self._parse_assignment())
                self._match_text_seq("FORMAT", "JSON")
                if not self._match(TokenType.COMMA):
                    continue
        return call


class LocalAwsTrino(Trino):
    """Trino's syntax with calls and subscripts as they were written."""

    INDEX_OFFSET = 0
    Parser = _PlainParser


def position(sql: str, node: exp.Expression | None) -> tuple[int, int] | None:
    """Line and column (from 1) where `node` begins in `sql`, as Trino reports them."""
    if node is None:
        return None
    starts = [n.meta["start"] for n in node.walk() if "start" in n.meta]
    if not starts:
        return None
    return offset_position(sql, min(starts))


def offset_position(sql: str, offset: int) -> tuple[int, int]:
    before = sql[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


# What has no literal inside, and literals of bytes.
_BINARY = re.compile(r"""'(?:[^']|\'\')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|\b[xX]'([^']*)'""", re.S)


def _binary_literals(sql: str) -> str:
    """X'68 65' as X'6865', which is all that sqlglot reads; what comes after stays where it is."""

    def one(m: re.Match[str]) -> str:
        if m.group(1) is None:
            return m.group()
        digits = re.sub(r"[ \t\r\n]", "", m.group(1))
        wrong = None
        if re.search(r"[^0-9A-Fa-f]", digits):
            wrong = "Binary literal can only contain hexadecimal digits"
        elif len(digits) % 2:
            wrong = "Binary literal must contain an even number of digits"
        if wrong is not None:
            raise QueryError("", wrong, offset_position(sql, m.start()))
        return f"X'{digits}'" + " " * (len(m.group(1)) - len(digits))

    return _BINARY.sub(one, sql) if re.search(r"\b[xX]'", sql) else sql


def parse_query(sql: str) -> Any:
    """One Trino query or DML statement. Raises QueryError (SYNTAX-like, with the position)."""
    sql = _binary_literals(sql)
    _refuse_words(sql)
    try:
        statements = [s for s in sqlglot.parse(sql, read=LocalAwsTrino) if s is not None]
    except ParseError as e:
        raise syntax_error(sql, e) from e
    except TokenError as e:
        raise QueryError("", "mismatched input. A quote or comment is not closed", _unclosed(sql)) from e
    if len(statements) != 1:
        raise QueryError("", "Only one sql statement is allowed. Got: " + sql, None)
    _refuse_what_only_sqlglot_takes(sql, statements[0])
    _refuse_names(sql, statements[0])
    return _intersect_first(statements[0])


def _intersect_first(tree: Any) -> Any:
    """INTERSECT binds its sides before UNION and EXCEPT do; sqlglot reads all of them from left to right."""
    for node in reversed(list(tree.find_all(exp.Intersect))):
        left = node.this
        if not isinstance(left, exp.Union | exp.Except):
            continue
        modifiers = {k: v for k, v in node.args.items() if k not in ("this", "expression", "distinct")}
        inner = exp.Intersect(
            this=left.expression, expression=node.expression, distinct=node.args.get("distinct")
        )
        outer = type(left)(this=left.this, expression=inner, distinct=left.args.get("distinct"), **modifiers)
        if node is tree:
            return outer
        node.replace(outer)
    return tree


def _refuse_words(sql: str) -> None:
    """What sqlglot would read as something else."""
    ts = tokens(sql)
    for i, (kind, word, start, _) in enumerate(ts):
        before = [t[1].upper() for t in ts[max(i - 1, 0) : i]]
        if kind == "name" and word == '""':
            raise QueryError("", "Zero-length delimited identifier not allowed", offset_position(sql, start))
        if kind != "word":
            continue
        if reserved.begins_with_digit(word):
            raise QueryError(
                "",
                "identifiers must not start with a digit; surround the identifier with double quotes",
                offset_position(sql, start),
            )
        # How NULLs are treated is said of window functions alone; ORDER BY may have a column named ignore.
        if (
            word.upper() == "NULLS"
            and before in (["IGNORE"], ["RESPECT"])
            and (i + 1 == len(ts) or ts[i + 1][1].upper() not in ("OVER", "FIRST", "LAST"))
        ):
            raise QueryError("", f"mismatched input '{word}'.", offset_position(sql, start))
        if before == ["FOR"] and word.upper() in ("SYSTEM_TIME", "SYSTEM_VERSION"):
            raise QueryError(
                "",
                f"mismatched input '{word}'. Expecting: 'TIMESTAMP', 'VERSION'",
                offset_position(sql, start),
            )
        travels = i > 1 and ts[i - 2][1].upper() in ("TIMESTAMP", "VERSION") and word.upper() == "OF"
        if (
            before == ["AS"]
            and not travels
            and word.upper() in reserved.SELECT - {"SELECT", "VALUES", "WITH", "TABLE"}
            and (i + 1 >= len(ts) or ts[i + 1][1] != "(")
        ):
            raise QueryError(
                "", f"mismatched input '{word}'. Expecting: <identifier>", offset_position(sql, start)
            )


def _refuse_names(sql: str, tree: Any) -> None:
    """Reserved words as names, types that only Hive has, and RETURNING."""
    for node in tree.find_all(exp.Identifier, exp.DataType, exp.Returning):
        at = position(sql, node)
        if isinstance(node, exp.Returning):
            raise QueryError("", "mismatched input 'RETURNING'. Expecting: ',', <EOF>", at)
        if isinstance(node, exp.DataType) and node.this == exp.DataType.Type.TEXT:
            raise QueryError(
                "TYPE_NOT_FOUND", "Unknown type: string", at or position(sql, node.find_ancestor(exp.Cast))
            )
        if isinstance(node, exp.Identifier) and not node.quoted and node.name.upper() in reserved.SELECT:
            raise QueryError("", f"mismatched input '{node.name}'. Expecting: <identifier>", at)


_CLAUSES = {
    TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING, TokenType.ORDER_BY, TokenType.UNION,
    TokenType.EXCEPT, TokenType.INTERSECT, TokenType.JOIN, TokenType.ON, TokenType.AND, TokenType.OR, TokenType.THEN,
    TokenType.ELSE, TokenType.WHEN, TokenType.ALIAS,
}  # fmt: skip
_ENDS = {TokenType.COMMA, TokenType.R_PAREN, TokenType.R_BRACKET}
# After these an array's subscript cannot follow, only its constructor, which is ARRAY[...] in Trino.
_NO_OPERAND = {
    *_CLAUSES, TokenType.SELECT, TokenType.DISTINCT, TokenType.COMMA, TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.EQ,
    TokenType.NEQ, TokenType.LT, TokenType.LTE, TokenType.GT, TokenType.GTE, TokenType.PLUS, TokenType.DASH,
    TokenType.STAR, TokenType.SLASH, TokenType.DPIPE, TokenType.ARROW, TokenType.IN, TokenType.NOT, TokenType.VALUES,
}  # fmt: skip


def _refuse_what_only_sqlglot_takes(sql: str, tree: Any) -> None:
    """sqlglot reads many dialects, and is kind: Trino refuses a comma too many, AS without a name, [1, 2], x::int."""
    ts = LocalAwsTrino().tokenize(sql)
    while ts and ts[-1].token_type == TokenType.SEMICOLON:
        ts.pop()
    joins = 0
    for i, token in enumerate(ts):
        kind, before = token.token_type, ts[i - 1].token_type if i else None
        after = ts[i + 1] if i + 1 < len(ts) else None
        wrong = None
        if kind == TokenType.COMMA:
            if before in (None, TokenType.SELECT, TokenType.DISTINCT, TokenType.L_PAREN, TokenType.L_BRACKET):
                wrong = token
            elif after is None or after.token_type in _CLAUSES | _ENDS:
                wrong = after
            else:
                continue
        elif kind == TokenType.DCOLON or (kind == TokenType.L_BRACKET and before in _NO_OPERAND):
            wrong = token
        elif kind in (TokenType.ALIAS, TokenType.SELECT) and (
            after is None or after.token_type in _CLAUSES | _ENDS
        ):
            wrong = after
        else:
            if kind == TokenType.JOIN:
                j = i - 1
                while j >= 0 and ts[j].token_type in (
                    TokenType.INNER, TokenType.OUTER, TokenType.LEFT, TokenType.RIGHT, TokenType.FULL,
                ):  # fmt: skip
                    j -= 1
                joins += j < 0 or ts[j].token_type not in (TokenType.CROSS, TokenType.NATURAL)
            continue
        text, at = (wrong.text, wrong.start) if wrong is not None else ("<EOF>", len(sql.rstrip()))
        raise QueryError("", f"mismatched input '{text}'.", offset_position(sql, at))
    if joins > sum(bool(j.args.get("on") or j.args.get("using")) for j in tree.find_all(exp.Join)):
        last = next(t for t in reversed(ts) if t.token_type == TokenType.JOIN)
        raise QueryError(
            "",
            "mismatched input. A JOIN lacks its condition. Expecting: 'ON', 'USING'",
            offset_position(sql, last.start),
        )


def _unclosed(sql: str) -> tuple[int, int]:
    """Where the quote or the comment begins that nothing closes."""
    m = re.match(r"""(?:'(?:[^']|'')*+'|"(?:[^"]|"")*+"|--[^\n]*|/\*.*?\*/|(?!/\*)[^'"])*""", sql, re.S)
    return offset_position(sql, m.end() if m is not None else 0)


def syntax_error(sql: str, e: ParseError) -> QueryError:
    """sqlglot's failure in the form of Trino's."""
    detail = e.errors[0] if e.errors else {}
    line, col = detail.get("line"), detail.get("col")
    token, description = detail.get("highlight") or "", str(detail.get("description", ""))
    # What sqlglot misses it describes in terms of its own classes, or by the token that it expects.
    m = re.fullmatch(r"Expecting (\S+)", description)
    expecting = f" Expecting: '{m.group(1)}'" if m else ""
    if not (detail.get("end_context") or "").strip() and "Unexpected token" not in description:
        return QueryError(
            "", f"mismatched input '<EOF>'.{expecting}", offset_position(sql, len(sql.rstrip()))
        )
    message = f"mismatched input '{token}'.{expecting}"
    if line and col:
        # sqlglot counts to the end of the token.
        return QueryError("", message, (line, max(1, col - max(len(token), 1) + 1)))
    return QueryError("", message, (1, 1))


_TRINO_TOKEN = re.compile(
    r"(?P<skip>\s+|--[^\n]*|/\*.*?\*/)|(?P<string>'(?:[^']|'')*')|(?P<name>\"(?:[^\"]|\"\")*\")|(?P<word>\w+)|(?P<op>.)",
    re.S,
)


def tokens(sql: str, start: int = 0) -> list[tuple[str, str, int, int]]:
    """(kind, text, start, end) of Trino's tokens, without white space and comments."""
    found = _TRINO_TOKEN.finditer(sql, start)
    return [(str(m.lastgroup), m.group(), m.start(), m.end()) for m in found if m.lastgroup != "skip"]


def padded(sql: str, start: int, end: int) -> str:
    """A part of a statement, at its place: what is before becomes blank."""
    return re.sub(r"[^\n]", " ", sql[:start]) + sql[start:end]
