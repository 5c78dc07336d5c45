"""SQL/JSON paths, as JSON_EXISTS, JSON_VALUE and JSON_QUERY read them.

https://trino.io/docs/435/functions/json.html#json-path-language
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from local_aws.athena.udf import fail, udf
from local_aws.athena.udf.regexp import java_regex

if TYPE_CHECKING:
    from local_aws.athena.plan import Compiler

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<variable>\$[A-Za-z_]\w*)|(?P<word>[A-Za-z_]\w*)|(?P<op>\.\.|==|<>|!=|<=|>=|&&|\|\||[-+*/%$@.\[\](),<>!?]))""",
    re.X,
)


class PathError(Exception):
    """The path does not fit the value; in SQL that is the ON ERROR case."""


Value = Any
Node = Callable[["_Context"], list[Value]]


class _Context:
    def __init__(self, root: Value, lax: bool, at: Value = None) -> None:
        self.root, self.lax, self.at = root, lax, at

    def inside(self, item: Value) -> _Context:
        return _Context(self.root, self.lax, item)


@functools.lru_cache(maxsize=1000)
def compiled(path: str) -> tuple[bool, Node]:
    """Whether the mode is lax, and the path as a function. Raises INVALID_PATH."""
    return _Parser(path).path()


def check(path: str, c: Compiler, node: exp.Expression) -> None:
    """Raises INVALID_PATH where the query is compiled."""
    try:
        compiled(path)
    except ValueError as e:
        raise c.fail("INVALID_PATH", f"invalid JSON path: {path}", node) from e


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.i = text, [], 0
        pos = 0
        while text[pos:].strip():
            m = _TOKEN.match(text, pos)
            if m is None:
                raise self.wrong()
            self.tokens.append((str(m.lastgroup), m.group(str(m.lastgroup))))
            pos = m.end()

    def wrong(self) -> Exception:
        return fail("INVALID_PATH", f"invalid JSON path: {self.text}")

    def peek(self, ahead: int = 0) -> tuple[str, str]:
        return self.tokens[self.i + ahead] if self.i + ahead < len(self.tokens) else ("end", "")

    def accept(self, *texts: str) -> str | None:
        if self.peek()[1] in texts and self.peek()[0] in ("op", "word"):
            self.i += 1
            return self.tokens[self.i - 1][1]
        return None

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.wrong()

    def path(self) -> tuple[bool, Node]:
        mode = self.accept("lax", "strict")
        node = self.additive()
        if mode is None or self.i < len(self.tokens):
            raise self.wrong()
        return mode == "lax", node

    # ---------------------------------------------------------------------------------- arithmetic

    def additive(self) -> Node:
        left = self.multiplicative()
        while op := self.accept("+", "-"):
            left = _arithmetic(op, left, self.multiplicative())
        return left

    def multiplicative(self) -> Node:
        left = self.unary()
        while op := self.accept("*", "/", "%"):
            left = _arithmetic(op, left, self.unary())
        return left

    def unary(self) -> Node:
        if self.accept("-"):
            inner = self.unary()
            return lambda c: [-_number(v) for v in inner(c)]
        if self.accept("+"):
            return self.unary()
        return self.accessors(self.primary())

    def primary(self) -> Node:
        kind, text = self.peek()
        self.i += 1
        if text == "$":
            return lambda c: [c.root]
        if text == "@":
            return lambda c: [c.at]
        if text == "(":
            node = self.additive()
            self.expect(")")
            return node
        if kind in ("number", "string") or text in ("true", "false", "null"):
            value = json.loads(text)
            return lambda c: [value]
        if text == "last":
            return lambda c: [c.at]
        raise self.wrong()

    # ----------------------------------------------------------------------------------- accessors

    def accessors(self, node: Node) -> Node:
        while True:
            if self.accept(".."):
                name = self.member()
                node = _descend(node, name)
            elif self.accept("."):
                if self.accept("*"):
                    node = _members(node)
                    continue
                name = self.member()
                if self.peek()[1] == "(":
                    self.i += 1
                    self.expect(")")
                    node = self.method(node, name)
                else:
                    node = _member(node, name)
            elif self.accept("["):
                node = self.subscript(node)
            elif self.accept("?"):
                self.expect("(")
                node = _filter(node, self.disjunction())
                self.expect(")")
            else:
                return node

    def member(self) -> str:
        kind, text = self.peek()
        self.i += 1
        if kind == "string":
            return str(json.loads(text))
        if kind in ("word", "variable"):
            return text
        raise self.wrong()

    def subscript(self, node: Node) -> Node:
        if self.accept("*"):
            self.expect("]")
            return lambda c: [v for item in node(c) for v in _elements(item, c)]
        ranges = []
        while True:
            low = self.additive()
            high = self.additive() if self.accept("to") else low
            ranges.append((low, high))
            if self.accept("]"):
                return _subscripts(node, ranges)
            self.expect(",")

    def method(self, node: Node, name: str) -> Node:
        def each(f: Callable[[Value], Value], unwrap: bool = True) -> Node:
            def run(c: _Context) -> list[Value]:
                items = node(c)
                if unwrap and c.lax:
                    items = [v for i in items for v in (i if isinstance(i, list) else [i])]
                return [f(v) for v in items]

            return run

        if name == "size":
            return lambda c: [_size(v, c) for v in node(c)]
        if name == "type":
            return each(_kind, unwrap=False)
        if name == "keyvalue":
            keyed = each(lambda v: v)
            return lambda c: [
                {"name": k, "value": v, "id": i}
                for i, item in enumerate(keyed(c))
                for k, v in _object(item).items()
            ]
        functions: dict[str, Callable[[Value], Value]] = {
            "double": lambda v: float(_number(v) if not isinstance(v, str) else _parsed(v)),
            "ceiling": lambda v: v if isinstance(_number(v), int) else float(math.ceil(v)),
            "floor": lambda v: v if isinstance(_number(v), int) else float(math.floor(v)),
            "abs": lambda v: abs(_number(v)),
        }
        if name not in functions:
            raise self.wrong()
        return each(functions[name])

    # ----------------------------------------------------------------------------------- predicates

    def disjunction(self) -> Callable[[_Context], bool | None]:
        left = self.conjunction()
        while self.accept("||"):
            left = _either(left, self.conjunction())
        return left

    def conjunction(self) -> Callable[[_Context], bool | None]:
        left = self.negation()
        while self.accept("&&"):
            left = _both(left, self.negation())
        return left

    def negation(self) -> Callable[[_Context], bool | None]:
        if self.accept("!"):
            self.expect("(")
            inner = self.disjunction()
            self.expect(")")
            return lambda c: None if inner(c) is None else not inner(c)
        if self.accept("exists"):
            self.expect("(")
            path = self.additive()
            self.expect(")")
            return lambda c: _exists(path, c)
        if self.peek()[1] == "(":
            saved = self.i
            self.i += 1
            try:
                inner = self.disjunction()
                self.expect(")")
                if self.accept("is"):
                    self.expect("unknown")
                    return lambda c: inner(c) is None
                if self.peek()[1] in (")", "&&", "||"):
                    return inner
            except ValueError:
                pass
            self.i = saved
        left = self.additive()
        if self.accept("starts"):
            self.expect("with")
            right = self.additive()
            return _compare(
                lambda a, b: a.startswith(b) if isinstance(a, str) and isinstance(b, str) else None,
                left,
                right,
            )
        if self.accept("like_regex"):
            pattern = self.additive()
            return _compare(
                lambda a, b: java_regex(b).search(a) is not None if isinstance(a, str) else None,
                left,
                pattern,
            )
        op = self.accept("==", "<>", "!=", "<", "<=", ">", ">=")
        if op is None:
            raise self.wrong()
        return _compare(functools.partial(_ordered, op), left, self.additive())


def _kind(v: Value) -> str:
    if v is None:
        return "null"
    if isinstance(v, bool):
        return "boolean"
    names = {int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(v)]


def _number(v: Value) -> Any:
    if isinstance(v, bool) or not isinstance(v, int | float):
        raise PathError(f"invalid item type. Expected: NUMBER, actual: {_kind(v).upper()}")
    return v


def _parsed(v: str) -> float:
    try:
        return float(v)
    except ValueError as e:
        raise PathError(f"cannot convert '{v}' to double") from e


def _object(v: Value) -> dict[str, Value]:
    if not isinstance(v, dict):
        raise PathError(f"invalid item type. Expected: OBJECT, actual: {_kind(v).upper()}")
    return v


def _elements(v: Value, c: _Context) -> list[Value]:
    if isinstance(v, list):
        return v
    if c.lax:
        return [v]
    raise PathError(f"invalid item type. Expected: ARRAY, actual: {_kind(v).upper()}")


def _size(v: Value, c: _Context) -> int:
    return len(_elements(v, c))


def _unwrapped(items: list[Value], c: _Context) -> list[Value]:
    return [v for i in items for v in (i if isinstance(i, list) else [i])] if c.lax else items


def _member(node: Node, name: str) -> Node:
    def run(c: _Context) -> list[Value]:
        out = []
        for v in _unwrapped(node(c), c):
            if isinstance(v, dict) and name in v:
                out.append(v[name])
            elif not c.lax:
                raise PathError(
                    f"missing member: {name}" if isinstance(v, dict) else f"{_kind(v)} is no object"
                )
        return out

    return run


def _members(node: Node) -> Node:
    def run(c: _Context) -> list[Value]:
        out: list[Value] = []
        for v in _unwrapped(node(c), c):
            if isinstance(v, dict):
                out += v.values()
            elif not c.lax:
                raise PathError(f"{_kind(v)} is no object")
        return out

    return run


def _descend(node: Node, name: str) -> Node:
    def below(v: Value) -> list[Value]:
        inner = list(v.values()) if isinstance(v, dict) else v if isinstance(v, list) else []
        found = [v[name]] if isinstance(v, dict) and name in v else []
        return found + [x for i in inner for x in below(i)]

    return lambda c: [x for v in node(c) for x in below(v)]


def _subscripts(node: Node, ranges: list[tuple[Node, Node]]) -> Node:
    def run(c: _Context) -> list[Value]:
        out: list[Value] = []
        for item in node(c):
            array = _elements(item, c)
            inner = c.inside(len(array) - 1)
            for low, high in ranges:
                a, b = (_number((n(inner) or [None])[0]) for n in (low, high))
                start, stop = int(a), int(b)
                if not c.lax and (start < 0 or stop >= len(array) or start > stop):
                    raise PathError(
                        f"invalid array subscript: [{start}, {stop}] for array of size {len(array)}"
                    )
                out += array[max(start, 0) : stop + 1]
        return out

    return run


def _filter(node: Node, test: Callable[[_Context], bool | None]) -> Node:
    return lambda c: [v for v in _unwrapped(node(c), c) if test(c.inside(v)) is True]


def _arithmetic(op: str, left: Node, right: Node) -> Node:
    def run(c: _Context) -> list[Value]:
        a, b = _unwrapped(left(c), c), _unwrapped(right(c), c)
        if len(a) != 1 or len(b) != 1:
            raise PathError(
                f"arithmetic binary expression requires singleton operands, not {len(a)} and {len(b)}"
            )
        x, y = _number(a[0]), _number(b[0])
        if op in "/%" and y == 0:
            raise PathError("division by zero")
        if op == "/":
            whole = isinstance(x, int) and isinstance(y, int)
            return [int(x / y) if whole else x / y]
        if op == "%":
            return [int(math.fmod(x, y)) if isinstance(x, int) and isinstance(y, int) else math.fmod(x, y)]
        return [{"+": x + y, "-": x - y, "*": x * y}[op]]

    return run


def _either(
    a: Callable[[_Context], bool | None], b: Callable[[_Context], bool | None]
) -> Callable[[_Context], bool | None]:
    def run(c: _Context) -> bool | None:
        found = (a(c), b(c))
        return True if True in found else None if None in found else False

    return run


def _both(
    a: Callable[[_Context], bool | None], b: Callable[[_Context], bool | None]
) -> Callable[[_Context], bool | None]:
    def run(c: _Context) -> bool | None:
        found = (a(c), b(c))
        return False if False in found else None if None in found else True

    return run


def _exists(path: Node, c: _Context) -> bool | None:
    try:
        return bool(path(c))
    except PathError:
        return None


def _compare(
    test: Callable[[Value, Value], bool | None], left: Node, right: Node
) -> Callable[[_Context], bool | None]:
    def run(c: _Context) -> bool | None:
        try:
            pairs = [(a, b) for a in _unwrapped(left(c), c) for b in _unwrapped(right(c), c)]
        except PathError:
            return None
        found = [test(a, b) for a, b in pairs]
        if c.lax:
            return True if True in found else None if None in found else False
        return None if None in found else True in found

    return run


def _ordered(op: str, a: Value, b: Value) -> bool | None:
    kinds = {_kind(a), _kind(b)}
    if kinds & {"array", "object"}:
        return None
    if "null" in kinds and len(kinds) > 1:
        return {"==": False, "<>": True, "!=": True}.get(op)
    if len(kinds) > 1:
        return None
    if op in ("==", "<>", "!="):
        return (a == b) is (op == "==")
    if kinds == {"null"}:
        return op in ("<=", ">=")
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op]


# ------------------------------------------------------------------------------------------- functions


def _found(text: str, path: str) -> list[Value]:
    lax, node = compiled(path)
    try:
        value = json.loads(text)
    except ValueError as e:
        raise PathError(f"conversion to JSON failed: {text}") from e
    return node(_Context(value, lax))


def dumps(v: Value) -> str:
    """JSON as Jackson writes it: characters beyond Java's 16 bits as two escapes."""
    text = json.dumps(v, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else re.sub("[\U00010000-\U0010ffff]", _surrogates, text)


def _surrogates(m: re.Match[str]) -> str:
    code = m.group().encode("utf-16-be").hex().upper()
    return f"\\u{code[:4]}\\u{code[4:]}"


@udf("VARCHAR VARCHAR", "VARCHAR")
def json_exists(text: str, path: str) -> str:
    """'true', 'false', or x and the error."""
    try:
        return "true" if _found(text, path) else "false"
    except PathError as e:
        return f"x{e}"


@udf("VARCHAR VARCHAR", "VARCHAR")
def json_value(text: str, path: str) -> str:
    """v and the only scalar's text, n for null, e for nothing, or x and the error."""
    try:
        found = _found(text, path)
    except PathError as e:
        return f"x{e}"
    if not found:
        return "e"
    if len(found) > 1:
        return f"xcannot extract a scalar value, found {len(found)} values"
    (value,) = found
    if isinstance(value, list | dict):
        return f"xcannot extract a scalar value, found {_kind(value)}"
    if isinstance(value, float):
        # As CAST(double AS varchar) writes it.
        return "v" + _scientific(value)
    return "n" if value is None else "v" + (value if isinstance(value, str) else dumps(value))


def _scientific(x: float) -> str:
    if not math.isfinite(x):
        return "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity"
    if x == 0:
        return "0E0"
    parts = Decimal(repr(x)).as_tuple()
    digits = "".join(map(str, parts.digits)).rstrip("0") or "0"
    return f"{'-' if parts.sign else ''}{digits[0]}.{digits[1:] or '0'}E{Decimal(repr(x)).adjusted()}"


@udf("VARCHAR VARCHAR VARCHAR", "VARCHAR")
def json_query(text: str, path: str, options: str) -> str:
    """v and JSON, e for nothing, or x and the error. options: the wrapper and what becomes of quotes."""
    wrapper, quotes = options.split()
    try:
        found = _found(text, path)
    except PathError as e:
        return f"x{e}"
    if not found:
        return "e"
    single = len(found) == 1
    if wrapper == "unconditional" or (
        wrapper == "conditional" and not (single and isinstance(found[0], list | dict))
    ):
        return "v" + dumps(found)
    if not single:
        return f"xJSON_QUERY found {len(found)} values without a wrapper"
    (value,) = found
    return "v" + (value if quotes == "omit" and isinstance(value, str) else dumps(value))


@udf("VARCHAR BIGINT", "VARCHAR")
def json_array_get(text: str, index: int) -> str | None:
    try:
        array = json.loads(text)
    except ValueError:
        return None
    if not isinstance(array, list) or not -len(array) <= index < len(array):
        return None
    value = array[index]
    # Strings come without quotes, which Trino's documentation calls broken.
    return value if isinstance(value, str) else None if value is None else dumps(value)


@udf("VARCHAR", "VARCHAR")
def json_canonical(text: str) -> str:
    """JSON with sorted keys and numbers as Java writes them, which is how Trino keeps it."""
    return canonical(text)


def canonical(text: str) -> str:
    return _canonical(json.loads(text))


def _canonical(v: Value) -> str:
    if isinstance(v, dict):
        return "{" + ",".join(f"{dumps(k)}:{_canonical(v[k])}" for k in sorted(v)) + "}"
    if isinstance(v, list):
        return "[" + ",".join(map(_canonical, v)) + "]"
    if isinstance(v, float):
        return _java(v)
    return dumps(v)


def _java(x: float) -> str:
    """Double.toString."""
    if x and math.isfinite(x) and not 1e-3 <= abs(x) < 1e7:
        return _scientific(x)
    return repr(x) if math.isfinite(x) else _scientific(x)


@udf("VARCHAR VARCHAR", "VARCHAR")
def json_number(text: str, path: str) -> str | None:
    """The number at a path of DuckDB's, as it is written."""
    value: Any = json.loads(text, parse_float=_Written)
    for step in re.findall(r'\."((?:[^"])*)"|\[(\d+)\]', path):
        value = value[int(step[1])] if step[1] else value[step[0]]
    return str(value)


class _Written(str):
    """A number's digits."""


@udf("VARCHAR VARCHAR", "BOOLEAN")
def json_array_contains(text: str, value: str) -> bool | None:
    """`value` is JSON."""
    try:
        array, wanted = json.loads(text), json.loads(value)
    except ValueError:
        return None
    if not isinstance(array, list):
        return None
    return any(v == wanted and type(v) is type(wanted) for v in array)


__all__ = ["compiled", "dumps"]
