"""Trino's functions and operators in DuckDB's SQL.

The reference is https://trino.io/docs/435/functions.html (Athena engine 3 follows Trino of that time:
https://docs.aws.amazon.com/athena/latest/ug/functions-env3.html). A function that is not here fails with
FUNCTION_NOT_FOUND or NOT_SUPPORTED; none is passed on to DuckDB in the hope that it means the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from local_aws.athena import jsonpath, zones
from local_aws.athena import types as ty
from local_aws.athena.errors import not_supported
from local_aws.athena.expressions import (
    E,
    cast,
    cast_text,
    coerce,
    comparable,
    fitted,
    raise_sql,
    raise_text,
    struct_field,
    to_json,
    to_varchar,
)
from local_aws.athena.parser import JsonCall
from local_aws.athena.types import Type, duckdb_type

if TYPE_CHECKING:
    from local_aws.athena.plan import Compiler, Scope

Scalar = Callable[["Compiler", list[E], exp.Expression], E]

_SIMPLE_TYPES = {
    "varchar": ty.VARCHAR,
    "bigint": ty.BIGINT,
    "integer": ty.INTEGER,
    "double": ty.DOUBLE,
    "real": ty.REAL,
    "boolean": ty.BOOLEAN,
    "date": ty.DATE,
    "timestamp": ty.TIMESTAMP,
    "timestamptz": ty.TIMESTAMP_TZ,
    "varbinary": ty.VARBINARY,
    "json": ty.JSON,
    "interval day to second": ty.INTERVAL_DAY,
    "interval year to month": ty.INTERVAL_YEAR,
    "time": ty.TIME,
    "array(varchar)": ty.array(ty.VARCHAR),
}

# All Unicode white space, which Trino trims where DuckDB trims blanks only.
_SPACE = "' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(28) || chr(29) || chr(30) || chr(31) || chr(5760) || chr(8192) || chr(8193) || chr(8194) || chr(8195) || chr(8196) || chr(8197) || chr(8198) || chr(8200) || chr(8201) || chr(8202) || chr(8232) || chr(8233) || chr(8287) || chr(12288)"
_NULL_IF_ANY = "{0} IS NULL OR {1} IS NULL"

# name(parameters): result = DuckDB SQL. A result "=n" is the type of argument n. Several lines of one
# name are overloads, tried in order.
_TABLE = r"""
lower(varchar): =0 = lower({0})
upper(varchar): =0 = CASE WHEN contains({0}, 'ß') THEN replace(upper(replace({0}, 'ß', chr(57344))), chr(57344), 'ß') ELSE upper({0}) END
length(varchar): bigint = length({0})
length(varbinary): bigint = octet_length({0})
replace(varchar, varchar): varchar = replace({0}, {1}, '')
replace(varchar, varchar, varchar): varchar = CASE WHEN {1} <> '' THEN replace({0}, {1}, {2}) WHEN {0} = '' THEN {2} ELSE {2} || array_to_string(regexp_extract_all({0}, '(?s).'), {2}) || {2} END
starts_with(varchar, varchar): boolean = starts_with({0}, {1})
strpos(varchar, varchar): bigint = CAST(instr({0}, {1}) AS BIGINT)
strpos(varchar, varchar, bigint): bigint = CASE WHEN {2} = 0 THEN FAIL(INVALID_FUNCTION_ARGUMENT|'instance' must be a positive or negative number.|BIGINT) ELSE trino_strpos({0}, {1}, {2}) END
split(varchar, varchar, bigint): array(varchar) = CASE WHEN {2} <= 0 THEN FAIL(INVALID_FUNCTION_ARGUMENT|Limit must be positive|VARCHAR[]) WHEN {1} = '' THEN FAIL(INVALID_FUNCTION_ARGUMENT|The delimiter may not be the empty string|VARCHAR[]) ELSE trino_split({0}, {1}, {2}) END
soundex(varchar): varchar = py_soundex({0})
luhn_check(varchar): boolean = py_luhn_check({0})
human_readable_seconds(double): varchar = py_human_readable_seconds({0})
format_number(double): varchar = py_format_number({0})
url_extract_parameter(varchar, varchar): varchar = py_url_extract_parameter({0}, {1})
url_extract_port(varchar): bigint = CAST(nullif(regexp_extract({0}, '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?[^/?#:]*:([0-9]+)', 1), '') AS BIGINT)
from_base(varchar, bigint): bigint = py_from_base({0}, {1})
parse_duration(varchar): interval day to second = to_milliseconds(py_parse_duration({0}))
from_utf8(varbinary): varchar = py_from_utf8({0}, chr(65533))
from_utf8(varbinary, varchar): varchar = py_from_utf8({0}, {1})
crc32(varbinary): bigint = py_crc32({0})
sha512(varbinary): varbinary = py_digest({0}, 'sha512')
hmac_md5(varbinary, varbinary): varbinary = py_hmac({0}, {1}, 'md5')
hmac_sha1(varbinary, varbinary): varbinary = py_hmac({0}, {1}, 'sha1')
hmac_sha256(varbinary, varbinary): varbinary = py_hmac({0}, {1}, 'sha256')
hmac_sha512(varbinary, varbinary): varbinary = py_hmac({0}, {1}, 'sha512')
to_big_endian_64(bigint): varbinary = py_pack_integer({0}, '>q')
to_big_endian_32(integer): varbinary = py_pack_integer({0}, '>i')
from_big_endian_64(varbinary): bigint = py_unpack_integer({0}, '>q')
from_big_endian_32(varbinary): integer = CAST(py_unpack_integer({0}, '>i') AS INTEGER)
to_ieee754_64(double): varbinary = py_pack_float({0}, '>d')
to_ieee754_32(real): varbinary = py_pack_float(CAST({0} AS DOUBLE), '>f')
from_ieee754_64(varbinary): double = py_unpack_float({0}, '>d')
from_ieee754_32(varbinary): real = CAST(py_unpack_float({0}, '>f') AS FLOAT)
to_base32(varbinary): varchar = py_to_base32({0})
from_base32(varchar): varbinary = py_from_base32({0})
to_base64url(varbinary): varchar = replace(replace(to_base64({0}), '+', '-'), '/', '_')
from_base64url(varchar): varbinary = from_base64(replace(replace({0}, '-', '+'), '_', '/'))
substr(varbinary, bigint): varbinary = unhex(CASE WHEN {1} = 0 OR abs({1}) > octet_length({0}) THEN '' WHEN {1} < 0 THEN substr(hex({0}), 2 * {1}) ELSE substr(hex({0}), 2 * {1} - 1) END)
substr(varbinary, bigint, bigint): varbinary = unhex(CASE WHEN {1} = 0 OR {2} <= 0 OR abs({1}) > octet_length({0}) THEN '' WHEN {1} < 0 THEN substr(hex({0}), 2 * {1}, 2 * {2}) ELSE substr(hex({0}), 2 * {1} - 1, 2 * {2}) END)
lpad(varbinary, bigint, varbinary): varbinary = unhex(lpad(hex({0}), CAST(2 * {1} AS INTEGER), hex({2})))
rpad(varbinary, bigint, varbinary): varbinary = unhex(rpad(hex({0}), CAST(2 * {1} AS INTEGER), hex({2})))
normal_cdf(double, double, double): double = py_normal_cdf({0}, {1}, {2})
inverse_normal_cdf(double, double, double): double = py_inverse_normal_cdf({0}, {1}, {2})
wilson_interval_lower(bigint, bigint, double): double = trino_wilson({0}, {1}, {2}, -1)
wilson_interval_upper(bigint, bigint, double): double = trino_wilson({0}, {1}, {2}, 1)
bit_count(bigint, bigint): bigint = trino_bit_count({0}, {1})
lpad(varchar, bigint, varchar): varchar = CASE WHEN {2} = '' THEN FAIL(INVALID_FUNCTION_ARGUMENT|Padding string must not be empty|VARCHAR) WHEN {1} < 0 THEN FAILSQL(INVALID_FUNCTION_ARGUMENT|'Target length must be in the range [0..2147483647]'|VARCHAR) ELSE lpad({0}, CAST({1} AS INTEGER), {2}) END
rpad(varchar, bigint, varchar): varchar = CASE WHEN {2} = '' THEN FAIL(INVALID_FUNCTION_ARGUMENT|Padding string must not be empty|VARCHAR) WHEN {1} < 0 THEN FAILSQL(INVALID_FUNCTION_ARGUMENT|'Target length must be in the range [0..2147483647]'|VARCHAR) ELSE rpad({0}, CAST({1} AS INTEGER), {2}) END
ltrim(varchar): =0 = ltrim({0}, SPACE)
rtrim(varchar): =0 = rtrim({0}, SPACE)
trim(varchar): =0 = trim({0}, SPACE)
ltrim(varchar, varchar): =0 = ltrim({0}, {1})
rtrim(varchar, varchar): =0 = rtrim({0}, {1})
trim(varchar, varchar): =0 = trim({0}, {1})
substr(varchar, bigint): =0 = CASE WHEN {1} = 0 OR abs({1}) > length({0}) THEN '' ELSE substr({0}, {1}) END
substr(varchar, bigint, bigint): =0 = CASE WHEN {1} = 0 OR {2} <= 0 OR abs({1}) > length({0}) THEN '' ELSE substr({0}, {1}, {2}) END
split(varchar, varchar): array(varchar) = CASE WHEN {1} = '' THEN FAIL(INVALID_FUNCTION_ARGUMENT|The delimiter may not be the empty string|VARCHAR[]) ELSE string_split({0}, {1}) END
split_part(varchar, varchar, bigint): varchar = CASE WHEN {2} > len(string_split({0}, {1})) THEN NULL WHEN {2} < 1 THEN FAIL(INVALID_FUNCTION_ARGUMENT|Index must be greater than zero|VARCHAR) ELSE split_part({0}, {1}, {2}) END
translate(varchar, varchar, varchar): varchar = translate({0}, {1}, {2})
chr(bigint): varchar = chr(CAST({0} AS INTEGER))
levenshtein_distance(varchar, varchar): bigint = CASE WHEN strlen({0}) = length({0}) AND strlen({1}) = length({1}) THEN levenshtein({0}, {1}) ELSE py_levenshtein({0}, {1}) END
hamming_distance(varchar, varchar): bigint = CASE WHEN length({0}) <> length({1}) THEN FAIL(INVALID_FUNCTION_ARGUMENT|The input strings to hamming_distance function must have the same length|BIGINT) WHEN {0} = '' THEN 0 WHEN strlen({0}) = length({0}) AND strlen({1}) = length({1}) THEN hamming({0}, {1}) ELSE py_hamming({0}, {1}) END
normalize(varchar): varchar = nfc_normalize({0})
to_hex(varbinary): varchar = hex({0})
from_hex(varchar): varbinary = unhex({0})
to_utf8(varchar): varbinary = encode({0})
to_base64(varbinary): varchar = to_base64({0})
from_base64(varchar): varbinary = from_base64({0})
md5(varbinary): varbinary = unhex(md5({0}))
sha1(varbinary): varbinary = unhex(sha1({0}))
sha256(varbinary): varbinary = unhex(sha256({0}))
url_encode(varchar): varchar = replace(replace(url_encode({0}), '%20', '+'), '%2A', '*')
url_decode(varchar): varchar = url_decode(replace({0}, '+', '%20'))
url_extract_host(varchar): varchar = nullif(regexp_extract({0}, '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)', 1), '')
url_extract_protocol(varchar): varchar = nullif(regexp_extract({0}, '^([A-Za-z][A-Za-z0-9+.-]*):', 1), '')
url_extract_path(varchar): varchar = regexp_extract({0}, '^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*([^?#]*)', 1)
url_extract_query(varchar): varchar = nullif(regexp_extract({0}, '^[^?#]*[?]([^#]*)', 1), '')
url_extract_fragment(varchar): varchar = nullif(regexp_extract({0}, '#(.*)$', 1), '')

abs(number): =0 = abs({0})
sqrt(double): double = CASE WHEN {0} < 0 THEN CAST('NaN' AS DOUBLE) ELSE sqrt({0}) END
cbrt(double): double = trino_cbrt({0})
exp(double): double = exp({0})
ln(double): double = CASE WHEN {0} < 0 THEN CAST('NaN' AS DOUBLE) WHEN {0} = 0 THEN CAST('-Infinity' AS DOUBLE) ELSE ln({0}) END
log2(double): double = CASE WHEN {0} < 0 THEN CAST('NaN' AS DOUBLE) WHEN {0} = 0 THEN CAST('-Infinity' AS DOUBLE) ELSE ln({0}) / ln(CAST(2 AS DOUBLE)) END
log10(double): double = CASE WHEN {0} < 0 THEN CAST('NaN' AS DOUBLE) WHEN {0} = 0 THEN CAST('-Infinity' AS DOUBLE) ELSE log10({0}) END
log(double, double): double = trino_ln({1}) / trino_ln({0})
power(double, double): double = pow({0}, {1})
pow(double, double): double = pow({0}, {1})
degrees(double): double = degrees({0})
radians(double): double = radians({0})
sin(double): double = CASE WHEN isinf({0}) THEN CAST('NaN' AS DOUBLE) ELSE sin({0}) END
cos(double): double = CASE WHEN isinf({0}) THEN CAST('NaN' AS DOUBLE) ELSE cos({0}) END
tan(double): double = CASE WHEN isinf({0}) THEN CAST('NaN' AS DOUBLE) ELSE tan({0}) END
asin(double): double = asin({0})
acos(double): double = acos({0})
atan(double): double = atan({0})
atan2(double, double): double = atan2({0}, {1})
sinh(double): double = sinh({0})
cosh(double): double = cosh({0})
tanh(double): double = tanh({0})
pi(): double = pi()
e(): double = exp(CAST(1 AS DOUBLE))
nan(): double = CAST('NaN' AS DOUBLE)
infinity(): double = CAST('Infinity' AS DOUBLE)
is_nan(double): boolean = isnan({0})
is_finite(double): boolean = isfinite({0})
is_infinite(double): boolean = isinf({0})
bitwise_and(bigint, bigint): bigint = ({0} & {1})
bitwise_or(bigint, bigint): bigint = ({0} | {1})
bitwise_xor(bigint, bigint): bigint = xor({0}, {1})
bitwise_not(bigint): bigint = (~{0})
$width_bucket(double, double, double, bigint): bigint = CASE WHEN {3} <= 0 THEN FAIL(INVALID_FUNCTION_ARGUMENT|bucketCount must be greater than 0|BIGINT) WHEN isnan({0}) THEN FAIL(INVALID_FUNCTION_ARGUMENT|operand must not be NaN|BIGINT) WHEN NOT isfinite({1}) THEN FAIL(INVALID_FUNCTION_ARGUMENT|first bound must be finite|BIGINT) WHEN NOT isfinite({2}) THEN FAIL(INVALID_FUNCTION_ARGUMENT|second bound must be finite|BIGINT) WHEN {1} = {2} THEN FAIL(INVALID_FUNCTION_ARGUMENT|bounds cannot equal each other|BIGINT) ELSE trino_width_bucket({0}, {1}, {2}, {3}) END

year(temporal): bigint = year({0})
month(temporal): bigint = month({0})
quarter(temporal): bigint = quarter({0})
week(temporal): bigint = week({0})
week_of_year(temporal): bigint = week({0})
day(temporal): bigint = day({0})
day_of_month(temporal): bigint = day({0})
day_of_week(temporal): bigint = isodow({0})
dow(temporal): bigint = isodow({0})
day_of_year(temporal): bigint = dayofyear({0})
doy(temporal): bigint = dayofyear({0})
year_of_week(temporal): bigint = isoyear({0})
yow(temporal): bigint = isoyear({0})
timezone_minute(timestamptz): bigint = ZONEMINUTES % 60
timezone_hour(timestamptz): bigint = ZONEMINUTES // 60
to_milliseconds(interval day to second): bigint = epoch_ms({0})
day(interval day to second): bigint = CAST(epoch_ms({0}) // 86400000 AS BIGINT)
hour(interval day to second): bigint = CAST(epoch_ms({0}) // 3600000 % 24 AS BIGINT)
minute(interval day to second): bigint = CAST(epoch_ms({0}) // 60000 % 60 AS BIGINT)
second(interval day to second): bigint = CAST(epoch_ms({0}) // 1000 % 60 AS BIGINT)
millisecond(interval day to second): bigint = CAST(epoch_ms({0}) % 1000 AS BIGINT)
year(interval year to month): bigint = CAST((datepart('year', {0}) * 12 + datepart('month', {0})) // 12 AS BIGINT)
month(interval year to month): bigint = CAST((datepart('year', {0}) * 12 + datepart('month', {0})) % 12 AS BIGINT)
hour(instant): bigint = hour({0})
minute(instant): bigint = minute({0})
second(instant): bigint = second({0})
millisecond(instant): bigint = CAST(millisecond({0}) % 1000 AS BIGINT)
last_day_of_month(temporal): date = last_day({0})
to_unixtime(timestamp): double = epoch({0})
to_unixtime(timestamptz): double = epoch({0})
from_iso8601_date(varchar): date = CASE WHEN {0} IS NULL OR regexp_full_match({0}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') THEN CAST({0} AS DATE) WHEN regexp_full_match({0}, '[0-9]{{4}}-[0-9]{{2}}') THEN CAST({0} || '-01' AS DATE) WHEN regexp_full_match({0}, '[0-9]{{4}}') THEN CAST({0} || '-01-01' AS DATE) WHEN regexp_full_match({0}, '[0-9]{{4}}-[0-9]{{3}}') THEN CAST(strptime({0}, '%Y-%j') AS DATE) WHEN regexp_full_match({0}, '[0-9]{{4}}-W[0-9]{{2}}(-[1-7])?') THEN CAST(strptime(CASE WHEN length({0}) = 8 THEN {0} || '-1' ELSE {0} END, '%G-W%V-%u') AS DATE) ELSE FAILSQL(INVALID_FUNCTION_ARGUMENT|'Invalid format: "' \|\| {0} \|\| '"'|DATE) END
$from_iso8601_timestamp(varchar): timestamptz = CASE WHEN {0} IS NULL OR regexp_full_match({0}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(T[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.,][0-9]{{1,9}})?)?(Z|[+-]00:?00)?)?') THEN (CAST(regexp_replace(replace({0}, ',', '.'), '(Z|[+-]00:?00)$', '') AS TIMESTAMP) AT TIME ZONE 'UTC') ELSE FAILSQL(NOT_SUPPORTED|'from_iso8601_timestamp of "' \|\| {0} \|\| '": in local_aws a column of such texts has to be in UTC'|TIMESTAMPTZ) END

$json_parse(varchar): json = CASE WHEN {0} IS NULL OR json_valid({0}) THEN CASE WHEN regexp_matches({0}, '[{{.eE]') THEN py_json_canonical({0}) ELSE trino_json_text(CAST(json({0}) AS VARCHAR)) END ELSE FAILSQL(INVALID_FUNCTION_ARGUMENT|'Cannot convert value to JSON: ''' \|\| {0} \|\| ''''|VARCHAR) END
json_format(json): varchar = {0}
json_array_length(text): bigint = CASE WHEN json_valid({0}) AND json_type({0}) = 'ARRAY' THEN CAST(json_array_length({0}) AS BIGINT) END
is_json_scalar(text): boolean = CASE WHEN json_valid({0}) THEN json_type({0}) NOT IN ('OBJECT', 'ARRAY') END
"""

_ANYTHING = ("any",)


def _accept(e: E, want: str) -> E | None:
    """The argument as a parameter of the kind `want` takes it, or None."""
    t = e.type
    if want == "any":
        return e
    if t.base == "unknown":
        base = {"number": ty.DOUBLE, "temporal": ty.TIMESTAMP, "instant": ty.TIMESTAMP, "text": ty.VARCHAR}
        return cast(e, base.get(want) or _SIMPLE_TYPES[want])
    if want == "number":
        return e if t.base in ty.NUMERIC else None
    if want in ("temporal", "instant"):
        if t.base == "timestamp with time zone":
            return _clock(e)
        return e if t.base in ("timestamp", "date" if want == "temporal" else "time") else None
    if want == "text":
        return e if t.base in ("varchar", "char", "json") else None
    target = _SIMPLE_TYPES[want]
    if t.base == target.base and t.base != "array":
        return e
    if target == ty.VARCHAR and t.base == "char":
        return cast(e, ty.VARCHAR)
    if t.base in ty.NUMERIC and target.base in ty.NUMERIC:
        c = ty.common(t, target)
        return cast(e, target) if c is not None and c.base == target.base else None
    if t.base == "date" and target.base == "timestamp":
        return cast(e, target)
    if t == target:
        return e
    return None


def _clock(e: E) -> E:
    """What the wall clock shows: of a timestamp with time zone that in its zone, else the value itself."""
    if e.type.base != "timestamp with time zone" or zones.zone(e.type) == zones.UTC:
        return e
    return E(zones.local(e.sql, e.type), Type("timestamp", p=e.type.p))


def _overloads() -> dict[str, list[tuple[list[str], str, str]]]:
    table: dict[str, list[tuple[list[str], str, str]]] = {}
    pattern = re.compile(r"([\w$]+)\(([^)]*)\): (=?[\w() ]+) = (.*)")
    for line in _TABLE.strip().splitlines():
        if not line:
            continue
        m = pattern.fullmatch(line)
        assert m is not None, line
        name, parameters, result, template = m.groups()
        template = template.replace("SPACE", _SPACE)

        def fail(m: re.Match[str]) -> str:
            code, text, d = m.group(2).replace(r"\|", "\x02").split("|")
            text = text.replace("\x02", "|")
            return raise_sql(code, text, d) if m.group(1) else raise_text(code, text, d)

        template = re.sub(r"FAIL(SQL)?\(((?:[^()]|\([^()]*\))*)\)", fail, template).replace(r"\|", "|")
        table.setdefault(name, []).append(
            ([p.strip() for p in parameters.split(",") if p.strip()], result, template)
        )
    return table


OVERLOADS = _overloads()
SPECIAL: dict[str, Scalar] = {}


def special(*names: str) -> Callable[[Scalar], Scalar]:
    def register(f: Scalar) -> Scalar:
        for name in names:
            SPECIAL[name] = f
        return f

    return register


def call(c: Compiler, name: str, args: list[E], node: exp.Expression) -> E:
    """A scalar function applied to compiled arguments."""
    if name in _STRICT:
        return _strict(args, _call(c, name, args, node))
    return _call(c, name, args, node)


# Functions whose SQL would answer, or fail, although an argument is NULL.
_STRICT = {
    "substr", "lpad", "rpad", "split", "split_part", "slice", "zip", "trim_array", "width_bucket", "ngrams",
    "combinations", "split_to_map", "split_to_multimap", "bitwise_left_shift", "bitwise_right_shift",
    "bitwise_right_shift_arithmetic", "timezone_hour", "timezone_minute", "format_datetime",
}  # fmt: skip


def _strict(args: list[E], result: E) -> E:
    """The result of a function that is NULL where any of its arguments is."""
    nulls = [f"{a.sql} IS NULL" for a in args if a.value is None]
    return (
        replace(result, sql=f"CASE WHEN {' OR '.join(nulls)} THEN NULL ELSE {result.sql} END")
        if nulls
        else result
    )


def _call(c: Compiler, name: str, args: list[E], node: exp.Expression) -> E:
    handler = SPECIAL.get(name)
    if handler is not None:
        return handler(c, args, node)
    for parameters, result, template in OVERLOADS.get(name, []):
        if len(parameters) != len(args):
            continue
        taken = [_accept(a, p) for a, p in zip(args, parameters, strict=True)]
        if any(t is None for t in taken):
            continue
        if "ZONEMINUTES" in template:
            template = template.replace("ZONEMINUTES", f"({zones.offset_minutes(args[0].sql, args[0].type)})")
        sql = "(" + template.format(*[t.sql for t in taken if t is not None]) + ")"
        if result.startswith("="):
            return E(sql, args[int(result[1:])].type)
        return E(sql, _SIMPLE_TYPES[result])
    given = ", ".join(str(a.type) for a in args)
    if name in OVERLOADS:
        expected = ", ".join(f"{name}({', '.join(p)})" for p, _, _ in OVERLOADS[name])
        raise c.fail(
            "FUNCTION_NOT_FOUND",
            f"Unexpected parameters ({given}) for function {name}. Expected: {expected}",
            node,
        )
    if name in _TRINO_ONLY:
        raise c.fail("NOT_SUPPORTED", f"Function '{name}' is not supported by local_aws", node)
    raise c.fail("FUNCTION_NOT_FOUND", f"Function '{name}' not registered", node)


# What Trino has and this engine has not, so that the message can tell the two apart.
_TRINO_ONLY = {
    "approx_most_frequent", "approx_set", "array_frequency", "bar", "beta_cdf", "bing_tile", "char2hexint", "checksum",
    "classify", "color", "convex_hull_agg", "evaluate_classifier_predictions", "from_encoded_polyline",
    "from_geojson_geometry", "hash_counts", "inverse_beta_cdf", "learn_classifier", "learn_regressor",
    "make_set_digest", "merge_set_digest", "murmur3", "numeric_histogram", "objectid", "parse_presto_data_size",
    "qdigest_agg", "render", "rgb", "spooky_hash_v2_32", "spooky_hash_v2_64", "st_area", "st_contains",
    "st_distance", "st_point", "t_test", "tdigest_agg", "value_at_quantile", "word_stem", "xxhash64",
}  # fmt: skip


# ------------------------------------------------------------------------------------------ operators


def arithmetic(c: Compiler, op: str, a: E, b: E, node: exp.Expression) -> E:
    """a op b (https://trino.io/docs/435/functions/math.html, .../decimal.html, .../datetime.html)."""
    x, y = a.type.base, b.type.base
    if x == "unknown" and y == "unknown":
        return E("NULL", ty.UNKNOWN)
    if (x in ty.NUMERIC and y == "unknown") or (x == "unknown" and y in ty.NUMERIC):
        t = b.type if x == "unknown" else a.type
        return E(f"CAST(NULL AS {duckdb_type(t)})", t)
    if x in ty.NUMERIC and y in ty.NUMERIC:
        return _numeric(op, a, b)
    temporal = ("date", "timestamp", "timestamp with time zone", "time")
    if op == "+" and y in temporal and x.startswith("interval"):
        a, b, x, y = b, a, y, x
    if op in "+-" and x in temporal and y.startswith("interval"):
        if x == "date":
            if y == "interval day to second" and b.value is not None and b.value % 86400000:
                raise c.fail(
                    "INVALID_FUNCTION_ARGUMENT", "Cannot add hour, minutes or seconds to a date", node
                )
            return E(f"CAST(({a.sql} {op} {b.sql}) AS DATE)", ty.DATE)
        if x == "time" and y == "interval year to month":
            raise c.fail("TYPE_MISMATCH", f"Cannot apply operator: {a.type} {op} {b.type}", node)
        if y == "interval year to month":
            return _on_clock(a, lambda clock: f"({clock} {op} {b.sql})")
        # Intervals have milliseconds, and so has the sum.
        return E(f"({a.sql} {op} {b.sql})", replace(a.type, p=max(3, a.type.p or 0)))
    if op == "-" and x in temporal and y in temporal:
        both = ty.common(a.type, b.type)
        if both is not None:
            p, q = cast(a, both), cast(b, both)
            if both == ty.DATE:
                return E(f"to_days(CAST({p.sql} - {q.sql} AS INTEGER))", ty.INTERVAL_DAY)
            if (both.p or 0) > 3:
                # Intervals have milliseconds.
                between = f"trino_rounded(epoch_us({p.sql}) - epoch_us({q.sql}), 1000)"
                return E(f"to_milliseconds({between} // 1000)", ty.INTERVAL_DAY)
            return E(f"({p.sql} - {q.sql})", ty.INTERVAL_DAY)
    if x == y and x.startswith("interval") and op in "+-":
        return E(f"({a.sql} {op} {b.sql})", a.type)
    if x.startswith("interval") and y in (*ty.INTEGERS,) and op == "*":
        return E(f"({a.sql} * {b.sql})", a.type)
    if y.startswith("interval") and x in (*ty.INTEGERS,) and op == "*":
        return E(f"({b.sql} * {a.sql})", b.type)
    if op == "*" and y.startswith("interval"):
        a, b, x, y = b, a, y, x
    if op in "*/" and x.startswith("interval") and y in ty.NUMERIC:
        # By a number with a fraction; what is less than the unit is cut off.
        factor = cast(b, ty.DOUBLE).sql
        if x == "interval day to second":
            return E(f"to_milliseconds(CAST(trunc(epoch_ms({a.sql}) {op} {factor}) AS BIGINT))", a.type)
        months = f"(datepart('year', {a.sql}) * 12 + datepart('month', {a.sql}))"
        return E(f"to_months(CAST(trunc({months} {op} {factor}) AS INTEGER))", a.type)
    raise c.fail("TYPE_MISMATCH", f"Cannot apply operator: {a.type} {op} {b.type}", node)


def _on_clock(e: E, change: Callable[[str], str]) -> E:
    """A timestamp moved on its wall clock, as months and days are counted."""
    clock = _clock(e)
    if clock is e:
        return E(change(e.sql), e.type)
    return E(zones.instant(change(clock.sql), zones.zone(e.type)), e.type)


def _numeric(op: str, a: E, b: E) -> E:
    t = ty.common(a.type, b.type)
    assert t is not None
    if t.base == "decimal":
        return _decimal(op, a, b)
    d = duckdb_type(t)
    x, y = _typed(cast(a, t), t), _typed(cast(b, t), t)
    if t.base in ("real", "double"):
        if op == "%":
            return E(f"({x} % {y})", t)
        return E(f"({x} {op} {y})", t)
    if op in "/%":
        word = "//" if op == "/" else "%"
        if isinstance(b.value, int) and b.value != 0:
            return E(f"({x} {word} {y})", t)
        return E(
            f"CASE WHEN {y} = 0 THEN {raise_text('DIVISION_BY_ZERO', 'Division by zero', d)} ELSE ({x} {word} {y}) END",
            t,
        )
    return E(f"({x} {op} {y})", t)


def _typed(e: E, t: Type) -> str:
    """An integer literal takes the type of the other side in DuckDB; Trino's is an integer."""
    if e.value is not None and t.base in ty.INTEGERS and not e.sql.startswith("CAST"):
        return f"CAST({e.sql} AS {duckdb_type(t)})"
    return e.sql


def _decimal(op: str, a: E, b: E) -> E:
    """https://trino.io/docs/435/functions/decimal.html#binary-arithmetic-decimal-operators"""
    da, db = ty.as_decimal(a.type), ty.as_decimal(b.type)
    (pa, sa), (pb, sb) = da.digits, db.digits
    x, y = cast(a, da).sql, cast(b, db).sql
    if op in "+-":
        s = max(sa, sb)
        t = ty.decimal(max(pa - sa, pb - sb) + s + 1, s)
        d = duckdb_type(t)
        return E(f"CAST((CAST({x} AS {d}) {op} CAST({y} AS {d})) AS {d})", t)
    if op == "*":
        t = ty.decimal(pa + pb, sa + sb)
        d = duckdb_type(t)
        wide_a, wide_b = f"DECIMAL({min(38, pa + pb)},{sa})", f"DECIMAL({min(38, pa + pb)},{sb})"
        if pa + pb > 18:
            return E(
                f"CAST((CAST({x} AS {wide_a}) * {y}) AS {d})"
                if pa + pb <= 38
                else f"CAST(({x} * {y}) AS {d})",
                t,
            )
        del wide_b
        return E(f"CAST(({x} * {y}) AS {d})", t)
    if op == "%":
        s = max(sa, sb)
        t = ty.decimal(min(pb - sb, pa - sa) + s, s)
        d = duckdb_type(t)
        zero = raise_text("DIVISION_BY_ZERO", "Division by zero", d)
        whole = max(pa - sa, pb - sb)
        if whole + s > 38:
            # There is no type of both, and DuckDB would take doubles: in units of the last place instead.
            m, n = (
                f"(CAST(CAST({v} AS DECIMAL(38,{k})) * {_power(k)} AS HUGEINT) * {_power(s - k)})"
                for v, k in ((x, sa), (y, sb))
            )
            return E(f"CASE WHEN {y} = 0 THEN {zero} ELSE {_units(f'({m} % {n})', s, d)} END", t)
        return E(f"CASE WHEN {y} = 0 THEN {zero} ELSE CAST(({x} % {y}) AS {d}) END", t)
    s = max(sa, sb)
    t = ty.decimal(pa + sb + max(sb - sa, 0), s)
    d = duckdb_type(t)
    # Exact: whole numbers divided, rounded half away from zero, scaled back.
    num = f"(CAST(CAST({x} AS DECIMAL(38,{sa})) * {_power(sa)} AS HUGEINT) * {_power(s + sb - sa)})"
    den = f"CAST(CAST({y} AS DECIMAL(38,{sb})) * {_power(sb)} AS HUGEINT)"
    q = f"((2 * abs({num}) + abs({den})) // (2 * abs({den})) * (CASE WHEN ({x} < 0) <> ({y} < 0) THEN -1 ELSE 1 END))"
    value = _units(q, s, d)
    zero = raise_text("DIVISION_BY_ZERO", "Division by zero", d)
    return E(f"CASE WHEN {y} = 0 THEN {zero} ELSE {value} END", t)


def _units(sql: str, s: int, d: str) -> str:
    """A HUGEINT of units of the last of `s` places as the DuckDB type d."""
    unit = f"CAST('{'0.' + '0' * (s - 1) + '1' if s else '1'}' AS DECIMAL({s + 1},{s}))"
    return f"CAST(CAST({sql} AS DECIMAL({38 - s},0)) * {unit} AS {d})"


def _power(n: int) -> str:
    return f"CAST('1{'0' * n}' AS HUGEINT)"


def concat(c: Compiler, args: list[E], node: exp.Expression) -> E:
    """|| and concat(): strings, bytes, arrays; NULL where any is NULL."""
    types = [a.type for a in args]
    arrays = [t for t in types if t.base == "array"]
    if arrays:
        t: Type | None = arrays[0]
        for other in types:
            # array || element
            o = other if other.base == "array" else ty.array(other)
            t = ty.common(t, o) if t is not None else None
        if t is None:
            raise c.fail("TYPE_MISMATCH", f"Cannot concat: {', '.join(map(str, types))}", node)
        parts = [cast(a, t).sql if a.type.base == "array" else f"[{cast(a, t.args[0]).sql}]" for a in args]
        # An element that is NULL makes all of it NULL, too.
        nulls = " OR ".join(f"{a.sql} IS NULL" for a in args)
        joined = parts[0]
        for p in parts[1:]:
            joined = f"list_concat({joined}, {p})"
        return E(f"CASE WHEN {nulls} THEN NULL ELSE {joined} END", t)
    if all(t.base in ("varbinary", "unknown") for t in types) and any(t.base == "varbinary" for t in types):
        return E("(" + " || ".join(cast(a, ty.VARBINARY).sql for a in args) + ")", ty.VARBINARY)
    if all(t.base in ("varchar", "char", "unknown") for t in types):
        return E(
            "("
            + " || ".join(cast(a, ty.VARCHAR).sql if a.type.base == "unknown" else a.sql for a in args)
            + ")",
            ty.VARCHAR,
        )
    raise c.fail(
        "FUNCTION_NOT_FOUND" if len(args) != 2 else "TYPE_MISMATCH",
        f"Unexpected parameters ({', '.join(map(str, types))}) for function concat",
        node,
    )


def make_row(items: list[E]) -> E:
    t = ty.row(*[(None, i.type) for i in items])
    fields = ", ".join(f"'{ty.field_name(t.names, i)}': {e.sql}" for i, e in enumerate(items))
    return E(f"{{{fields}}}", t)


def subscript(c: Compiler, base: E, index: E, node: exp.Expression) -> E:
    """base[index]: fails where there is no such element (element_at gives NULL)."""
    if base.type.base == "array":
        if index.type.base not in ty.INTEGERS:
            raise c.fail("TYPE_MISMATCH", f"Cannot use {index.type} for subscript of {base.type}", node)
        t = base.type.args[0]
        d = duckdb_type(t)
        code = "INVALID_FUNCTION_ARGUMENT"
        return E(
            f"CASE WHEN {index.sql} = 0 THEN {raise_text(code, 'SQL array indices start at 1', d)} "
            f"WHEN {index.sql} < 0 THEN {raise_sql(code, _text('Array subscript is negative: ', index.sql), d)} "
            f"WHEN {index.sql} > len({base.sql}) THEN "
            + raise_sql(
                code,
                f"'Array subscript must be less than or equal to array length: ' || CAST({index.sql} AS VARCHAR) || ' > ' || CAST(len({base.sql}) AS VARCHAR)",
                d,
            )
            + f" ELSE list_extract({base.sql}, CAST({index.sql} AS BIGINT)) END",
            t,
        )
    if base.type.base == "map":
        k, t = base.type.args
        key = coerce(c, index, k, node) if ty.common(index.type, k) == k else None
        if key is None:
            raise c.fail("TYPE_MISMATCH", f"Cannot use {index.type} for subscript of {base.type}", node)
        missing = raise_sql(
            "INVALID_FUNCTION_ARGUMENT",
            f"'Key not present in map: ' || {to_varchar(key.sql, k)}",
            duckdb_type(t),
        )
        return E(
            f"CASE WHEN {base.sql} IS NULL OR {key.sql} IS NULL THEN NULL WHEN NOT map_contains({base.sql}, {key.sql}) "
            f"THEN {missing} ELSE {base.sql}[{key.sql}] END",
            t,
        )
    if base.type.base == "row":
        if not isinstance(index.value, int) or not 1 <= index.value <= len(base.type.args):
            raise c.fail("INVALID_FUNCTION_ARGUMENT", f"ROW index out of bounds: {index.sql}", node)
        return E(struct_field(base.sql, base.type, index.value - 1), base.type.args[index.value - 1])
    raise c.fail("TYPE_MISMATCH", f"Cannot use {index.type} for subscript of {base.type}", node)


def _text(prefix: str, sql: str) -> str:
    return f"'{prefix}' || CAST({sql} AS VARCHAR)"


def interval(c: Compiler, node: exp.Interval) -> E:
    """INTERVAL '2' DAY and the like."""
    unit = node.args["unit"]
    name = unit.name.upper() if unit is not None and not isinstance(unit, exp.IntervalSpan) else ""
    value = node.this
    negative = False
    while isinstance(value, exp.Neg | exp.Paren):
        negative ^= isinstance(value, exp.Neg)
        value = value.this
    if isinstance(unit, exp.IntervalSpan) and isinstance(value, exp.Literal):
        return _interval_span(c, value.name.strip(), unit, negative, node)
    if not name or not isinstance(value, exp.Literal):
        raise not_supported(f"INTERVAL of this form ({node.sql('trino')})")
    text = value.name.strip()
    if not re.fullmatch(r"[+-]?\d+(\.\d{1,3})?", text) or ("." in text and name != "SECOND"):
        raise c.fail("INVALID_LITERAL", f"'{text}' is not a valid interval literal", node)
    number = float(text) if "." in text else int(text)
    if negative:
        number = -number
    name = name.rstrip("S")
    if name in ("YEAR", "MONTH"):
        months = int(number) * (12 if name == "YEAR" else 1)
        return E(f"to_months({months})", ty.INTERVAL_YEAR, value=months)
    factor = {"DAY": 86400000, "HOUR": 3600000, "MINUTE": 60000, "SECOND": 1000}.get(name)
    if factor is None:
        raise c.fail(
            "",
            f"mismatched input '{name}'. Expecting: 'DAY', 'HOUR', 'MINUTE', 'MONTH', 'SECOND', 'YEAR'",
            node,
        )
    ms = round(number * factor)
    if ms % 86400000 == 0:
        return E(f"to_days({ms // 86400000})", ty.INTERVAL_DAY, value=ms)
    return E(f"to_milliseconds({ms})", ty.INTERVAL_DAY, value=ms)


def _interval_span(c: Compiler, text: str, unit: exp.IntervalSpan, negative: bool, node: exp.Expression) -> E:
    """INTERVAL '1-2' YEAR TO MONTH, INTERVAL '1 02:03:04.5' DAY TO SECOND and what lies between."""
    first, last = (str(unit.args[k].name).upper().rstrip("S") for k in ("this", "expression"))
    sign = -1 if negative else 1
    if text[:1] in "+-":
        sign, text = (-sign if text[0] == "-" else sign), text[1:]
    if (first, last) == ("YEAR", "MONTH"):
        m = re.fullmatch(r"(\d+)-(\d+)", text)
        if m is not None:
            months = sign * (int(m.group(1)) * 12 + int(m.group(2)))
            return E(f"to_months({months})", ty.INTERVAL_YEAR, value=months)
    units = ["DAY", "HOUR", "MINUTE", "SECOND"]
    if first in units and last in units[units.index(first) + 1 :]:
        chosen = units[units.index(first) : units.index(last) + 1]
        separators = {"HOUR": r"\s+", "MINUTE": ":", "SECOND": ":"}
        pattern = "".join(
            (separators[u] if i else "") + (r"(\d+(?:\.\d{1,3})?)" if u == "SECOND" else r"(\d+)")
            for i, u in enumerate(chosen)
        )
        m = re.fullmatch(pattern, text)
        if m is not None:
            factors = {"DAY": 86400000, "HOUR": 3600000, "MINUTE": 60000, "SECOND": 1000}
            ms = sign * round(sum(float(v) * factors[u] for u, v in zip(chosen, m.groups(), strict=True)))
            return E(f"to_milliseconds({ms})", ty.INTERVAL_DAY, value=ms)
    raise c.fail("INVALID_LITERAL", f"'{text}' is not a valid interval literal", node)


# -------------------------------------------------------------------------------------- special syntax


def now(c: Compiler, kind: str, node: exp.Expression) -> E:
    """The start of the query, the same throughout it, in UTC."""
    moment = c.now
    ms = moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
    if kind == "date":
        return E(f"DATE '{moment:%Y-%m-%d}'", ty.DATE)
    if kind == "timestamp":
        return E(f"TIMESTAMP '{ms}'", ty.TIMESTAMP)
    if kind == "time":
        if not isinstance(node, exp.Localtime):
            raise not_supported("CURRENT_TIME (LOCALTIME is)")
        return E(f"TIME '{ms[11:]}'", ty.TIME)
    return E(f"TIMESTAMPTZ '{ms}+00'", ty.TIMESTAMP_TZ)


def extract(c: Compiler, node: exp.Extract, scope: Scope) -> E:
    field = node.this.name.lower()
    names = {"day_of_month": "day", "dow": "day_of_week", "doy": "day_of_year", "yow": "year_of_week"}
    field = names.get(field, field)
    known = (
        "year",
        "quarter",
        "month",
        "week",
        "day",
        "day_of_week",
        "day_of_year",
        "year_of_week",
        "hour",
        "minute",
        "second",
        "timezone_hour",
        "timezone_minute",
    )
    if field not in known:
        raise c.fail("", f"Invalid EXTRACT field: {field.upper()}", node)
    return call(c, field, [c.expr(node.expression, scope)], node)


def trim(c: Compiler, node: exp.Trim, scope: Scope) -> E:
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or "").upper(), "trim")
    args = [c.expr(node.this, scope)]
    if node.expression:
        args.append(c.expr(node.expression, scope))
    return call(c, name, args, node)


def substring(c: Compiler, node: exp.Substring, scope: Scope) -> E:
    args = [c.expr(node.this, scope)]
    args += [c.expr(node.args[key], scope) for key in ("start", "length") if node.args.get(key) is not None]
    return call(c, "substr", args, node)


def strpos(c: Compiler, node: exp.StrPosition, scope: Scope) -> E:
    return call(c, "strpos", [c.expr(node.this, scope), c.expr(node.args["substr"], scope)], node)


def at_time_zone(c: Compiler, node: exp.AtTimeZone, scope: Scope) -> E:
    """https://trino.io/docs/435/functions/datetime.html#time-zone-conversion"""
    e = c.expr(node.this, scope)
    name = _zone_name(c, c.expr(node.args["zone"], scope), node)
    if e.type.base == "timestamp":
        # Of the session's zone, UTC.
        return E(f"({e.sql} AT TIME ZONE 'UTC')", _zoned(e.type, name))
    if e.type.base == "timestamp with time zone":
        return E(e.sql, _zoned(e.type, name))
    raise c.fail(
        "TYPE_MISMATCH",
        f"Type of value must be a time or timestamp with or without time zone (actual {e.type})",
        node,
    )


def _zoned(t: Type, name: str) -> Type:
    return Type("timestamp with time zone", p=t.p, zone=None if name == zones.UTC else name)


def _zone_name(c: Compiler, e: E, node: exp.Expression) -> str:
    """A zone given as text or as an interval."""
    if e.type == ty.INTERVAL_DAY and isinstance(e.value, int):
        minutes = e.value // 60000
        text = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    elif isinstance(e.value, str):
        text = e.value
    else:
        raise not_supported("A time zone that is no literal")
    name = zones.canonical(text)
    if name is None:
        raise c.fail("INVALID_FUNCTION_ARGUMENT", f"'{text}' is not a valid time zone", node)
    return name


# -------------------------------------------------------------------------------------------- lambdas


def _lambda(c: Compiler, node: exp.Expression, scope: Scope, parameters: list[E], truth: bool = False) -> E:
    """The body of a lambda whose parameters are the given expressions."""
    if not isinstance(node, exp.Lambda):
        raise c.fail(
            "TYPE_MISMATCH",
            f"Expected a lambda with {len(parameters)} parameters, found {node.sql('trino')}",
            node,
        )
    if len(node.expressions) != len(parameters):
        raise c.fail(
            "INVALID_PARAMETER_USAGE",
            f"Expected a lambda that takes {len(parameters)} argument(s) but got {len(node.expressions)}",
            node,
        )
    names = [p.name for p in node.expressions]
    with c.bind(dict(zip(names, parameters, strict=True))):
        if truth:
            return c.boolean(node.this, scope, "Lambda")
        return c.expr(node.this, scope)


def _of_array(c: Compiler, e: E, name: str, node: exp.Expression) -> Type:
    if e.type.base == "unknown":
        return ty.UNKNOWN
    if e.type.base != "array":
        raise c.fail("FUNCTION_NOT_FOUND", f"Unexpected parameters ({e.type}, ...) for function {name}", node)
    return e.type.args[0]


def _of_map(c: Compiler, e: E, name: str, node: exp.Expression) -> tuple[Type, Type]:
    if e.type.base != "map":
        raise c.fail("FUNCTION_NOT_FOUND", f"Unexpected parameters ({e.type}, ...) for function {name}", node)
    return e.type.args[0], e.type.args[1]


def _higher_order(
    c: Compiler, name: str, nodes: list[exp.Expression], scope: Scope, truth: bool, node: exp.Expression
) -> E:
    """https://trino.io/docs/435/functions/array.html and .../lambda.html"""
    a = c.expr(nodes[0], scope)
    u = c.parameter()
    if name in ("transform", "filter", "any_match", "all_match", "none_match"):
        element = E(u, _of_array(c, a, name, node))
        if name == "transform":
            body = _lambda(c, nodes[1], scope, [element])
            if body.sql == u:
                return a
            return E(f"list_transform({a.sql}, lambda {u}: {body.sql})", ty.array(body.type))
        if name == "filter":
            body = _lambda(c, nodes[1], scope, [element], truth=True)
            return E(f"list_filter({a.sql}, lambda {u}: {body.sql})", a.type)
        wanted = name != "all_match"
        if truth and name == "any_match":
            body = _lambda(c, nodes[1], scope, [element], truth=True)
            return E(f"(len(list_filter({a.sql}, lambda {u}: {body.sql})) > 0)", ty.BOOLEAN)
        body = _lambda(c, nodes[1], scope, [element])
        if body.type not in (ty.BOOLEAN, ty.UNKNOWN):
            raise c.fail("TYPE_MISMATCH", f"Lambda of {name} must return boolean, not {body.type}", nodes[1])
        # One decisive element decides; without it, an unknown one leaves the answer unknown.
        decisive = f"len(list_filter({a.sql}, lambda {u}: {'' if wanted else 'NOT '}{body.sql})) > 0"
        unknown = f"len(list_filter({a.sql}, lambda {u}: ({body.sql}) IS NULL)) > 0"
        yes, no = {
            "any_match": ("true", "false"),
            "all_match": ("false", "true"),
            "none_match": ("false", "true"),
        }[name]
        return E(
            f"CASE WHEN {a.sql} IS NULL THEN NULL WHEN {decisive} THEN {yes} WHEN {unknown} THEN NULL ELSE {no} END",
            ty.BOOLEAN,
        )
    if name == "reduce":
        if len(nodes) != 4:
            raise c.fail(
                "FUNCTION_NOT_FOUND",
                "Unexpected parameters for function reduce. Expected: reduce(array(T), S, function(S,T,S), function(S,R))",
                node,
            )
        x = _of_array(c, a, name, node)
        start = c.expr(nodes[1], scope)
        state = start.type
        p, q = f"{u}a", f"{u}b"
        for _ in range(3):
            body = _lambda(c, nodes[2], scope, [E(f"{p}.s", state), E(f"{q}.x", x)])
            widened = ty.common(state, body.type)
            if widened is None:
                raise c.fail(
                    "TYPE_MISMATCH", f"reduce's function returns {body.type}, its state is {state}", nodes[2]
                )
            if widened == state:
                break
            state = widened
        ds, dx = duckdb_type(state), duckdb_type(x)
        first = f"{{'s': CAST({cast(start, state).sql} AS {ds}), 'x': CAST(NULL AS {dx})}}"
        rest = f"list_transform({a.sql}, lambda {u}: {{'s': CAST(NULL AS {ds}), 'x': {u}}})"
        step = f"{{'s': CAST({cast(body, state).sql} AS {ds}), 'x': CAST(NULL AS {dx})}}"
        final = f"list_reduce(list_prepend({first}, {rest}), lambda {p}, {q}: {step}).s"
        result = _lambda(c, nodes[3], scope, [E(f"({final})", state)])
        return E(f"CASE WHEN {a.sql} IS NULL THEN NULL ELSE {result.sql} END", result.type)
    if name == "array_sort":
        # Insertion into a sorted list, which is stable and lets any comparator decide.
        sorted_type = _of_array(c, a, name, node)
        p, q = f"{u}a", f"{u}b"
        body = _lambda(c, nodes[1], scope, [E(f"{u}c", sorted_type), E(f"{q}[1]", sorted_type)])
        if body.type.base not in ty.INTEGERS:
            raise c.fail(
                "TYPE_MISMATCH", f"Lambda of array_sort must return integer, not {body.type}", nodes[1]
            )
        null = raise_text(
            "INVALID_FUNCTION_ARGUMENT", "Lambda comparator must return either -1, 0, or 1", "BOOLEAN"
        )
        before = f"CASE WHEN ({body.sql}) IS NULL THEN {null} ELSE ({body.sql}) <= 0 END"
        after = f"({body.sql}) > 0"
        singles = f"list_transform({a.sql}, lambda {u}: [{u}])"
        step = f"list_concat(list_concat(list_filter({p}, lambda {u}c: {before}), {q}), list_filter({p}, lambda {u}c: {after}))"
        return E(
            f"CASE WHEN len({a.sql}) = 0 THEN {a.sql} ELSE list_reduce({singles}, lambda {p}, {q}: {step}) END",
            a.type,
        )
    if name == "zip_with":
        b = c.expr(nodes[1], scope)
        x, y = _of_array(c, a, name, node), _of_array(c, b, name, node)
        body = _lambda(c, nodes[2], scope, [E(f"{u}[1]", x), E(f"{u}[2]", y)])
        zipped = f"list_transform(list_zip({a.sql}, {b.sql}), lambda {u}: {body.sql})"
        return _strict([a, b], E(zipped, ty.array(body.type)))
    k, v = _of_map(c, a, name, node)
    if name == "map_zip_with":
        if len(nodes) != 3:
            raise c.fail("FUNCTION_NOT_FOUND", "Unexpected parameters for function map_zip_with", node)
        b = c.expr(nodes[1], scope)
        k2, v2 = _of_map(c, b, name, node)
        if ty.common(k, k2) != k and ty.common(k, k2) == k2:
            a, k = cast(a, ty.map_of(k2, v)), k2
        if ty.common(k, k2) != k:
            raise c.fail(
                "FUNCTION_NOT_FOUND",
                f"Unexpected parameters ({a.type}, {b.type}, ...) for function {name}",
                node,
            )
        body = _lambda(c, nodes[2], scope, [E(u, k), E(f"{a.sql}[{u}]", v), E(f"{b.sql}[{u}]", v2)])
        others = f"list_filter(map_keys({b.sql}), lambda {u}: NOT map_contains({a.sql}, {u}))"
        keys = f"list_concat(map_keys({a.sql}), {others})"
        made = f"map_from_entries(list_transform({keys}, lambda {u}: {{'key': {u}, 'value': {body.sql}}}))"
        return _strict([a, b], E(made, ty.map_of(k, body.type)))
    key, value = E(f"{u}.key", k), E(f"{u}.value", v)
    body = _lambda(c, nodes[1], scope, [key, value], truth=name == "map_filter")
    if name == "map_filter":
        return E(f"map_from_entries(list_filter(map_entries({a.sql}), lambda {u}: {body.sql}))", a.type)
    if name == "transform_values":
        return E(
            f"map_from_entries(list_transform(map_entries({a.sql}), lambda {u}: {{'key': {u}.key, 'value': {body.sql}}}))",
            ty.map_of(k, body.type),
        )
    return E(
        f"map_from_entries(list_transform(map_entries({a.sql}), lambda {u}: {{'key': {body.sql}, 'value': {u}.value}}))",
        ty.map_of(body.type, v),
    )


_HIGHER_ORDER = {
    "transform", "filter", "any_match", "all_match", "none_match", "reduce", "zip_with", "map_filter",
    "transform_values", "transform_keys", "map_zip_with",
}  # fmt: skip


# --------------------------------------------------------------------------------- special functions


@special("coalesce")
def _coalesce(c: Compiler, args: list[E], node: exp.Expression) -> E:
    t = _all_common(c, args, "coalesce", node)
    return E(f"coalesce({', '.join(cast(a, t).sql for a in args)})", t)


def _all_common(c: Compiler, args: list[E], name: str, node: exp.Expression) -> Type:
    if not args:
        raise c.fail("FUNCTION_NOT_FOUND", f"Unexpected parameters () for function {name}", node)
    t = args[0].type
    for a in args[1:]:
        u = ty.common(t, a.type)
        if u is None:
            raise c.fail(
                "TYPE_MISMATCH",
                f"All {name.upper()} operands must be the same type or coercible to a common type. Cannot find common type between {t} and {a.type}",
                node,
            )
        t = u
    return t


@special("nullif")
def _nullif(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "nullif", args, node, 2)
    a, b = args
    t = ty.common(a.type, b.type)
    if t is None:
        raise c.fail("TYPE_MISMATCH", f"Types are not comparable with NULLIF: {a.type} vs {b.type}", node)
    return E(f"CASE WHEN {cast(a, t).sql} = {cast(b, t).sql} THEN NULL ELSE {a.sql} END", a.type)


def _arity(c: Compiler, name: str, args: list[E], node: exp.Expression, *counts: int) -> None:
    if len(args) not in counts:
        given = ", ".join(str(a.type) for a in args)
        raise c.fail("FUNCTION_NOT_FOUND", f"Unexpected parameters ({given}) for function {name}", node)


@special("try")
def _try(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "try", args, node, 1)
    return E(f"TRY({args[0].sql})", args[0].type)


@special("concat")
def _concat(c: Compiler, args: list[E], node: exp.Expression) -> E:
    if len(args) < 2:
        raise c.fail("INVALID_FUNCTION_ARGUMENT", "There must be two or more concatenation arguments", node)
    return concat(c, args, node)


@special("concat_ws")
def _concat_ws(c: Compiler, args: list[E], node: exp.Expression) -> E:
    if len(args) == 2 and args[1].type.base == "array":
        return E(f"array_to_string({args[1].sql}, {args[0].sql})", ty.VARCHAR)
    if len(args) < 2:
        raise c.fail("INVALID_FUNCTION_ARGUMENT", "There must be two or more arguments", node)
    return E(f"concat_ws({', '.join(cast(a, ty.VARCHAR).sql for a in args)})", ty.VARCHAR)


@special("greatest", "least")
def _extreme(c: Compiler, args: list[E], node: exp.Expression) -> E:
    name = str(node.name).lower()
    t = _all_common(c, args, name, node)
    items = [cast(a, t).sql for a in args]
    nulls = " OR ".join(f"{i} IS NULL" for i in items)
    value = f"{name}({', '.join(items)})"
    if name == "greatest" and t.base in ("real", "double"):
        # NaN, the greatest to DuckDB, loses against every number.
        value = f"coalesce(list_max(list_filter([{', '.join(items)}], lambda λx: NOT isnan(λx))), {value})"
    return E(f"CASE WHEN {nulls} THEN NULL ELSE {value} END", t)


@special("row")
def _row(c: Compiler, args: list[E], node: exp.Expression) -> E:
    return make_row(args)


@special("typeof")
def _typeof(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "typeof", args, node, 1)
    return E(f"'{args[0].type}'", ty.VARCHAR)


@special("random", "rand")
def _random(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "random", args, node, 0, 1, 2)
    c.changes()
    if not args:
        return E("random()", ty.DOUBLE)
    low, high = ("0", args[0].sql) if len(args) == 1 else (args[0].sql, args[1].sql)
    return E(
        f"CAST({low} + floor(random() * ({high} - {low})) AS {duckdb_type(args[-1].type)})", args[-1].type
    )


@special("uuid")
def _uuid(c: Compiler, args: list[E], node: exp.Expression) -> E:
    c.changes()
    return E("uuid()", ty.UUID)


@special("now")
def _now(c: Compiler, args: list[E], node: exp.Expression) -> E:
    return now(c, "timestamptz", node)


@special("current_timezone")
def _zone(c: Compiler, args: list[E], node: exp.Expression) -> E:
    return E("'UTC'", ty.VARCHAR)


@special("version")
def _version(c: Compiler, args: list[E], node: exp.Expression) -> E:
    return E("'local_aws'", ty.VARCHAR)


@special("with_timezone")
def _with_timezone(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "with_timezone", args, node, 2)
    e = cast(args[0], ty.TIMESTAMP) if args[0].type.base == "date" else args[0]
    if e.type.base != "timestamp":
        raise c.fail(
            "FUNCTION_NOT_FOUND",
            f"Unexpected parameters ({e.type}, varchar) for function with_timezone",
            node,
        )
    name = _zone_name(c, args[1], node)
    return E(zones.instant(e.sql, name), _zoned(e.type, name))


@special("at_timezone")
def _at_timezone(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "at_timezone", args, node, 2)
    if args[0].type.base != "timestamp with time zone":
        raise c.fail(
            "FUNCTION_NOT_FOUND",
            f"Unexpected parameters ({args[0].type}, varchar) for function at_timezone",
            node,
        )
    return E(args[0].sql, _zoned(args[0].type, _zone_name(c, args[1], node)))


@special("from_unixtime_nanos")
def _from_unixtime_nanos(c: Compiler, args: list[E], node: exp.Expression) -> E:
    raise not_supported("from_unixtime_nanos, whose timestamps are finer than microseconds,")


@special("from_unixtime")
def _from_unixtime(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "from_unixtime", args, node, 1, 2, 3)
    e = _accept(args[0], "double")
    if e is None:
        raise c.fail(
            "FUNCTION_NOT_FOUND", f"Unexpected parameters ({args[0].type}) for function from_unixtime", node
        )
    name = zones.UTC
    if len(args) == 2:
        name = _zone_name(c, args[1], node)
    elif len(args) == 3:
        hours, minutes = args[1].value, args[2].value
        if not isinstance(hours, int) or not isinstance(minutes, int):
            raise not_supported("A time zone that is no literal")
        name = zones.canonical(f"{'-' if hours < 0 else '+'}{abs(hours):02d}:{minutes:02d}") or zones.UTC
    return E(f"to_timestamp(round({e.sql} * 1000) / 1000)", _zoned(ty.TIMESTAMP_TZ, name))


@special("to_iso8601")
def _to_iso8601(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "to_iso8601", args, node, 1)
    e = _temporal(c, args[0], "to_iso8601", node)
    if e.type.base == "date":
        return E(f"CAST({e.sql} AS VARCHAR)", ty.VARCHAR)
    clock = f"replace({to_varchar(_clock(e).sql, Type('timestamp', p=e.type.p))}, ' ', 'T')"
    if e.type.base == "timestamp":
        return E(clock, ty.VARCHAR)
    offset = "'Z'" if zones.zone(e.type) == zones.UTC else zones.offset_text(e.sql, e.type)
    return E(f"({clock} || {offset})", ty.VARCHAR)


@special("from_iso8601_timestamp")
def _from_iso8601(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "from_iso8601_timestamp", args, node, 1)
    e = args[0]
    if isinstance(e.value, str):
        m = re.fullmatch(
            r"(\d{4}(?:-\d{2}(?:-\d{2})?)?)(?:T(\d{2}(?::\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)?))?(Z|[+-]\d{2}(?::?\d{2})?)?",
            e.value,
        )
        if m is None:
            raise c.fail("INVALID_FUNCTION_ARGUMENT", f'Invalid format: "{e.value}"', node)
        day, clock = (m.group(1) + "-01-01")[:10], (m.group(2) or "00").replace(",", ".")
        clock = clock if ":" in clock else clock + ":00"
        clock = clock if clock.count(":") == 2 else clock + ":00"
        name = zones.canonical(m.group(3)) if m.group(3) else zones.UTC
        if name is None:
            raise c.fail("INVALID_FUNCTION_ARGUMENT", f'Invalid format: "{e.value}"', node)
        head, _, fraction = clock.partition(".")
        moment = f"CAST('{day} {head}.{fraction[:3] or '0'}' AS TIMESTAMP)"
        return E(zones.instant(moment, name), _zoned(ty.TIMESTAMP_TZ, name))
    name, parameters, (_, _, template) = (
        "from_iso8601_timestamp",
        ["varchar"],
        OVERLOADS["$from_iso8601_timestamp"][0],
    )
    text = _accept(e, parameters[0])
    if text is None:
        raise c.fail("FUNCTION_NOT_FOUND", f"Unexpected parameters ({e.type}) for function {name}", node)
    return E("(" + template.format(text.sql) + ")", ty.TIMESTAMP_TZ)


@special("date")
def _date(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "date", args, node, 1)
    return coerce(c, args[0], ty.DATE, node)


@special("substring")
def _substring(c: Compiler, args: list[E], node: exp.Expression) -> E:
    return call(c, "substr", args, node)


@special("mod")
def _mod(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "mod", args, node, 2)
    return arithmetic(c, "%", args[0], args[1], node)


@special("ceil", "ceiling", "floor")
def _ceil(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "ceil", args, node, 1)
    name = "floor" if str(node.name).lower() == "floor" else "ceil"
    e = args[0]
    if e.type.base in ty.INTEGERS:
        return e
    if e.type.base == "decimal":
        p, s = e.type.digits
        t = ty.decimal(p - s + min(s, 1), 0)
        return E(f"CAST({name}({e.sql}) AS {duckdb_type(t)})", t)
    return E(
        f"{name}({cast(e, ty.DOUBLE).sql if e.type.base == 'unknown' else e.sql})",
        ty.DOUBLE if e.type.base == "unknown" else _number(c, e, name, node),
    )


def _number(c: Compiler, e: E, name: str, node: exp.Expression) -> Type:
    if e.type.base not in ty.NUMERIC:
        raise c.fail("FUNCTION_NOT_FOUND", f"Unexpected parameters ({e.type}) for function {name}", node)
    return e.type


@special("round")
def _round(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "round", args, node, 1, 2)
    e = args[0]
    t = _number(c, e, "round", node)
    places = args[1].sql if len(args) == 2 else "0"
    if t.base == "decimal":
        p, s = t.digits
        if len(args) == 1:
            t = ty.decimal(p - s + min(s, 1), 0)
        else:
            t = ty.decimal(p + 1, s)
            if args[1].value is None:
                raise not_supported("round(decimal, n) with an n that is no literal")
    if t.base in ty.INTEGERS and len(args) == 1:
        return e
    return E(f"CAST(round({e.sql}, {places}) AS {duckdb_type(t)})", t)


@special("truncate")
def _truncate(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "truncate", args, node, 1, 2)
    t = _number(c, args[0], "truncate", node)
    if len(args) == 2:
        if t.base != "decimal":
            raise c.fail(
                "FUNCTION_NOT_FOUND",
                f"Unexpected parameters ({t}, {args[1].type}) for function truncate. Expected: truncate(decimal(p,s)), truncate(decimal(p,s), bigint), truncate(double), truncate(real)",
                node,
            )
        if not isinstance(args[1].value, int):
            raise not_supported("truncate(decimal, n) with an n that is no literal")
        p, s = t.digits
        places = args[1].value
        if places >= s:
            return args[0]
        if places <= s - p:
            return E(f"CAST(CASE WHEN {args[0].sql} IS NOT NULL THEN 0 END AS {duckdb_type(t)})", t)
        step = f"CAST('{'0.' + '0' * (places - 1) + '1' if places > 0 else '1' + '0' * -places}' AS {duckdb_type(t)})"
        return E(f"({args[0].sql} - {args[0].sql} % {step})", t)
    if t.base == "decimal":
        p, s = t.digits
        t = ty.decimal(p - s if p > s else 1, 0)
    return E(f"CAST(trunc({args[0].sql}) AS {duckdb_type(t)})", t)


@special("codepoint")
def _codepoint(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "codepoint", args, node, 1)
    if args[0].type != ty.varchar(1):
        raise c.fail(
            "FUNCTION_NOT_FOUND",
            f"Unexpected parameters ({args[0].type}) for function codepoint. Expected: codepoint(varchar(1))",
            node,
        )
    return E(f"unicode({args[0].sql})", ty.INTEGER)


@special("sign")
def _sign(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "sign", args, node, 1)
    t = _number(c, args[0], "sign", node)
    if t.base == "decimal":
        t = ty.decimal(1, 0)
    if t.base in ("real", "double"):
        return E(
            f"CASE WHEN isnan({args[0].sql}) THEN {args[0].sql} ELSE CAST(sign({args[0].sql}) AS {duckdb_type(t)}) END",
            t,
        )
    return E(f"CAST(sign({args[0].sql}) AS {duckdb_type(t)})", t)


@special("width_bucket")
def _width_bucket(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "width_bucket", args, node, 2, 4)
    if len(args) == 4:
        return call(c, "$width_bucket", args, node)
    t = _of_array(c, args[1], "width_bucket", node)
    x, bins = cast(args[0], ty.DOUBLE), cast(args[1], ty.array(ty.DOUBLE))
    if t.base not in ty.NUMERIC or args[0].type.base not in ty.NUMERIC:
        raise c.fail(
            "FUNCTION_NOT_FOUND",
            f"Unexpected parameters ({args[0].type}, {args[1].type}) for function width_bucket",
            node,
        )
    return E(f"len(list_filter({bins.sql}, lambda λb: λb <= {x.sql}))", ty.BIGINT)


@special("to_base")
def _to_base(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "to_base", args, node, 2)
    n, radix = args[0].sql, f"CAST({args[1].sql} AS INTEGER)"
    return E(
        f"(CASE WHEN {n} < 0 THEN '-' ELSE '' END || lower(to_base(abs(CAST({n} AS BIGINT)), {radix})))",
        ty.VARCHAR,
    )


_UNITS = {
    "millisecond": ("to_milliseconds", 1),
    "second": ("to_seconds", 1),
    "minute": ("to_minutes", 1),
    "hour": ("to_hours", 1),
    "day": ("to_days", 1),
    "week": ("to_days", 7),
    "month": ("to_months", 1),
    "quarter": ("to_months", 3),
    "year": ("to_years", 1),
}


def _unit(c: Compiler, e: E, node: exp.Expression, temporal: Type) -> str:
    if not isinstance(e.value, str):
        raise not_supported("A date unit that is no literal")
    unit = e.value.lower()
    if unit not in _UNITS or (
        temporal.base == "date" and unit in ("millisecond", "second", "minute", "hour")
    ):
        raise c.fail(
            "INVALID_FUNCTION_ARGUMENT", f"'{e.value}' is not a valid {temporal.base.upper()} field", node
        )
    return unit


@special("date_add")
def _date_add(c: Compiler, args: list[E], node: exp.Expression) -> E:
    """https://trino.io/docs/435/functions/datetime.html#interval-functions"""
    _arity(c, "date_add", args, node, 3)
    e = _temporal(c, args[2], "date_add", node)
    unit = _unit(c, args[0], node, e.type)
    if args[1].type.base not in ty.INTEGERS:
        raise c.fail(
            "FUNCTION_NOT_FOUND",
            f"Unexpected parameters ({', '.join(str(a.type) for a in args)}) for function date_add",
            node,
        )
    function, factor = _UNITS[unit]
    n = f"{args[1].sql} * {factor}" if factor != 1 else args[1].sql
    kind = "BIGINT" if function in ("to_milliseconds", "to_hours", "to_minutes") else "INTEGER"
    if function == "to_seconds":
        kind = "DOUBLE"
    if e.type.base == "date" and function == "to_days":
        return E(f"({e.sql} + CAST({n} AS INTEGER))", ty.DATE)
    step = f"{function}(CAST({n} AS {kind}))"
    if e.type.base == "date":
        return E(f"CAST(({e.sql} + {step}) AS DATE)", e.type)
    if function in ("to_days", "to_months", "to_years"):
        return _on_clock(e, lambda clock: f"({clock} + {step})")
    if function == "to_milliseconds" and (e.type.p or 0) < 3:
        return E(fitted(f"({e.sql} + {step})", e.type), e.type)
    return E(f"({e.sql} + {step})", e.type)


def _temporal(c: Compiler, e: E, name: str, node: exp.Expression) -> E:
    if e.type.base == "unknown":
        return cast(e, ty.DATE)
    if e.type.base not in ("date", "timestamp", "timestamp with time zone"):
        raise c.fail(
            "FUNCTION_NOT_FOUND",
            f"Unexpected parameters (..., {e.type}) for function {name}. Expected: {name}(varchar(x), ..., date), {name}(varchar(x), ..., timestamp(p))",
            node,
        )
    return e


@special("date_diff")
def _date_diff(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "date_diff", args, node, 3)
    a, b = _temporal(c, args[1], "date_diff", node), _temporal(c, args[2], "date_diff", node)
    t = ty.common(a.type, b.type)
    assert t is not None
    unit = _unit(c, args[0], node, t)
    # datesub counts whole units, as Trino does; datediff would count boundaries.
    x, y = cast(a, t), cast(b, t)
    if unit in ("day", "week", "month", "quarter", "year") and t.base == "timestamp with time zone":
        # On the clock of the first, as Joda's chronology does.
        zoned = replace(t, zone=a.type.zone)
        x, y = _clock(E(x.sql, zoned)), _clock(E(y.sql, zoned))
    return E(f"datesub('{unit}', {x.sql}, {y.sql})", ty.BIGINT)


@special("date_trunc")
def _date_trunc(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "date_trunc", args, node, 2)
    e = _temporal(c, args[1], "date_trunc", node)
    unit = _unit(c, args[0], node, e.type)
    if e.type.base == "date":
        return E(f"CAST(date_trunc('{unit}', {e.sql}) AS DATE)", e.type)
    if unit in ("second", "minute", "hour"):
        # Of an hour that comes twice each keeps its own beginning.
        clock = _clock(e)
        return E(f"({e.sql} - ({clock.sql} - date_trunc('{unit}', {clock.sql})))", e.type)
    return _on_clock(e, lambda clock: f"date_trunc('{unit}', {clock})")


# https://trino.io/docs/435/functions/datetime.html#mysql-date-functions; None: not allowed there.
_MYSQL = {
    "a": "%a", "b": "%b", "c": "%-m", "d": "%d", "e": "%-d", "f": "%f", "H": "%H", "h": "%I", "I": "%I",
    "i": "%M", "j": "%j", "k": "%-H", "l": "%-I", "M": "%B", "m": "%m", "p": "%p", "r": "%I:%M:%S %p",
    "S": "%S", "s": "%S", "T": "%H:%M:%S", "v": "%V", "W": "%A", "x": "%G", "Y": "%Y", "y": "%y", "%": "%%",
}  # fmt: skip


def _mysql_format(c: Compiler, e: E, node: exp.Expression) -> str:
    if not isinstance(e.value, str):
        raise not_supported("A date format that is no literal")

    def one(m: re.Match[str]) -> str:
        letter = m.group(1)
        if letter in _MYSQL:
            return _MYSQL[letter]
        if letter in "DUuVwX":
            raise c.fail("INVALID_FUNCTION_ARGUMENT", f"%{letter} not supported in date format string", node)
        return letter

    return re.sub(r"%(.)", one, e.value).replace("'", "''")


@special("date_format")
def _date_format(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "date_format", args, node, 2)
    e = _temporal(c, args[0], "date_format", node)
    return E(f"strftime({_milliseconds(_clock(e))}, '{_mysql_format(c, args[1], node)}')", ty.VARCHAR)


def _milliseconds(e: E) -> str:
    """A date or timestamp rounded to milliseconds, which is all that formats know."""
    return fitted(e.sql, ty.TIMESTAMP) if e.type.base == "timestamp" and (e.type.p or 0) > 3 else e.sql


@special("date_parse")
def _date_parse(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "date_parse", args, node, 2)
    form = _mysql_format(c, args[1], node)
    return _strptime(c, args[0], form, ty.TIMESTAMP, node)


def _strptime(c: Compiler, e: E, form: str, t: Type, node: exp.Expression) -> E:
    d = duckdb_type(t)
    bad = raise_sql("INVALID_FUNCTION_ARGUMENT", f"'Invalid format: \"' || {e.sql} || '\"'", d)
    source = e.sql
    if not re.search(r"%[YyG]", form.replace("%%", "")):
        # Without a year it is 1970, where DuckDB takes 1900.
        source, form = f"('1970 ' || {e.sql})", "%Y " + form
    parsed = f"try_strptime({source}, '{form}')"
    if t.base == "timestamp with time zone" and "%z" in form:
        # The instant; the zone is known if the text is.
        parsed = f"try_strptime(regexp_replace({source}, 'Z$', '+0000'), '{form}')"
        m = (
            re.search(r"([+-]\d{2}:?\d{2}|[+-]\d{2}|Z|UTC)\s*$", e.value)
            if isinstance(e.value, str)
            else None
        )
        name = zones.canonical(m.group(1)) if m is not None else ty.MIXED
        t = _zoned(t, name or zones.UTC)
    elif t.base == "timestamp with time zone":
        parsed = f"({parsed} AT TIME ZONE 'UTC')"
    return E(f"CASE WHEN {e.sql} IS NULL THEN NULL WHEN {parsed} IS NULL THEN {bad} ELSE {parsed} END", t)


def _joda(e: E) -> list[tuple[str, int]]:
    """A pattern of Joda's as letters with their counts; ('', 0) and the like stand for text, see below.

    https://www.joda.org/joda-time/apidocs/org/joda/time/format/DateTimeFormat.html
    """
    if not isinstance(e.value, str):
        raise not_supported("A date format that is no literal")
    out: list[tuple[str, int]] = []
    for m in re.finditer(r"'((?:[^']|'')*)'|([A-Za-z])\2*|([^A-Za-z'])", e.value):
        if m.group(2):
            out.append((m.group(2), len(m.group())))
        else:
            # Text: marked by a count of 0.
            text = m.group(3) if m.group(3) is not None else m.group(1).replace("''", "'") or "'"
            out.append((text, 0))
    return out


# What a letter stands for: SQL of a number over the timestamp {}, or a format of strftime.
_JODA_NUMBERS = {
    "y": "year({})", "Y": "year({})", "x": "isoyear({})", "w": "week({})", "e": "isodow({})", "D": "dayofyear({})",
    "M": "month({})", "d": "day({})", "K": "hour({}) % 12", "h": "(hour({}) + 11) % 12 + 1", "H": "hour({})",
    "k": "(hour({}) + 23) % 24 + 1", "m": "minute({})", "s": "second({})", "C": "year({}) // 100",
}  # fmt: skip


@special("format_datetime")
def _format_datetime(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "format_datetime", args, node, 2)
    e = _temporal(c, args[0], "format_datetime", node)
    clock = _milliseconds(_clock(e)) if e.type.base != "date" else f"CAST({e.sql} AS TIMESTAMP)"
    parts = []
    for letter, count in _joda(args[1]):
        if not count:
            parts.append("'" + letter.replace("'", "''") + "'")
        elif letter == "M" and count >= 3:
            parts.append(f"strftime({clock}, '{'%b' if count == 3 else '%B'}')")
        elif letter == "E":
            parts.append(f"strftime({clock}, '{'%a' if count < 4 else '%A'}')")
        elif letter == "a":
            parts.append(f"strftime({clock}, '%p')")
        elif letter == "G":
            parts.append(f"CASE WHEN year({clock}) > 0 THEN 'AD' ELSE 'BC' END")
        elif letter == "S":
            parts.append(f"left(strftime({clock}, '%f') || '000', {count})")
        elif letter in "yYx" and count == 2:
            parts.append(f"lpad(CAST({_JODA_NUMBERS[letter].format(clock)} % 100 AS VARCHAR), 2, '0')")
        elif letter in _JODA_NUMBERS:
            parts.append(f"format('{{:0{count}d}}', CAST({_JODA_NUMBERS[letter].format(clock)} AS BIGINT))")
        elif letter in "Zz" and e.type.base != "timestamp with time zone":
            raise c.fail(
                "INVALID_FUNCTION_ARGUMENT",
                "format_datetime for TIMESTAMP type, cannot use 'Z' nor 'z' in format, as this type does not contain TZ information",
                node,
            )
        elif letter == "Z" and count >= 3:
            parts.append(f"'{zones.zone(e.type)}'")
        elif letter == "Z":
            parts.append(zones.offset_text(e.sql, e.type, ":" if count == 2 else ""))
        else:
            raise not_supported(f"The date pattern '{letter * count}'")
    return E(f"({' || '.join(parts) or chr(39) * 2})", ty.VARCHAR)


@special("parse_datetime")
def _parse_datetime(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "parse_datetime", args, node, 2)
    single = {
        "y": "%Y", "Y": "%Y", "x": "%G", "w": "%V", "e": "%u", "D": "%j", "d": "%d", "h": "%I", "H": "%H", "m": "%M",
        "s": "%S", "a": "%p", "Z": "%z",
    }  # fmt: skip
    form = ""
    for letter, count in _joda(args[1]):
        if not count:
            form += letter.replace("%", "%%").replace("'", "''")
        elif letter == "M":
            form += "%m" if count < 3 else "%b" if count == 3 else "%B"
        elif letter == "E":
            form += "%a" if count < 4 else "%A"
        elif letter in "yY" and count == 2:
            form += "%y"
        elif letter == "S" and count in (3, 6):
            form += "%g" if count == 3 else "%f"
        elif letter in single and not (letter == "Z" and count > 2):
            form += single[letter]
        else:
            raise not_supported(f"The date pattern '{letter * count}' in parse_datetime")
    return _strptime(c, args[0], form, ty.TIMESTAMP_TZ, node)


# ---------------------------------------------------------------------------------- arrays and maps


@special("cardinality")
def _cardinality(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "cardinality", args, node, 1)
    if args[0].type.base == "map":
        return E(f"CAST(cardinality({args[0].sql}) AS BIGINT)", ty.BIGINT)
    _of_array(c, args[0], "cardinality", node)
    return E(f"len({args[0].sql})", ty.BIGINT)


def _element(c: Compiler, args: list[E], name: str, node: exp.Expression) -> tuple[str, str, Type]:
    """Array and element brought to one type."""
    _arity(c, name, args, node, 2)
    t = ty.common(_of_array(c, args[0], name, node), args[1].type)
    if t is None:
        raise c.fail(
            "FUNCTION_NOT_FOUND",
            f"Unexpected parameters ({args[0].type}, {args[1].type}) for function {name}",
            node,
        )
    return cast(args[0], ty.array(t)).sql, cast(args[1], t).sql, t


@special("contains")
def _contains(c: Compiler, args: list[E], node: exp.Expression) -> E:
    a, x, _ = _element(c, args, "contains", node)
    return E(
        f"CASE WHEN {a} IS NULL OR {x} IS NULL THEN NULL WHEN list_contains({a}, {x}) THEN true "
        f"WHEN list_count({a}) < len({a}) THEN NULL ELSE false END",
        ty.BOOLEAN,
    )


@special("element_at")
def _element_at(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "element_at", args, node, 2)
    a, i = args
    if a.type.base == "map":
        k, v = a.type.args
        if ty.common(i.type, k) is None:
            raise c.fail(
                "FUNCTION_NOT_FOUND",
                f"Unexpected parameters ({a.type}, {i.type}) for function element_at",
                node,
            )
        return E(f"{a.sql}[{coerce(c, i, k, node).sql}]", v)
    t = _of_array(c, a, "element_at", node)
    if i.type.base not in (*ty.INTEGERS, "unknown"):
        raise c.fail(
            "FUNCTION_NOT_FOUND", f"Unexpected parameters ({a.type}, {i.type}) for function element_at", node
        )
    sql = f"list_extract({a.sql}, {i.sql})"
    if isinstance(i.value, int) and i.value != 0:
        return E(sql, t)
    zero = raise_text("INVALID_FUNCTION_ARGUMENT", "SQL array indices start at 1", duckdb_type(t))
    return E(f"CASE WHEN {i.sql} = 0 THEN {zero} ELSE {sql} END", t)


@special("array_min", "array_max")
def _array_extreme(c: Compiler, args: list[E], node: exp.Expression) -> E:
    name = str(node.name).lower()
    _arity(c, name, args, node, 1)
    a = args[0]
    t = _of_array(c, a, name, node)
    # NULL if any element is NULL (https://trino.io/docs/435/functions/array.html#array_max).
    value = f"list_{name[-3:]}({a.sql})"
    if name == "array_max" and t.base in ("real", "double"):
        # NaN, the greatest to DuckDB, loses against every number.
        value = f"coalesce(list_max(list_filter({a.sql}, lambda λx: NOT isnan(λx))), {value})"
    return E(f"CASE WHEN list_count({a.sql}) < len({a.sql}) THEN NULL ELSE {value} END", t)


@special("array_distinct")
def _array_distinct(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "array_distinct", args, node, 1)
    _of_array(c, args[0], "array_distinct", node)
    return E(_distinct(args[0].sql), args[0].type)


def _distinct(a: str) -> str:
    """First occurrences in order, a NULL counting as a value."""
    return f"list_filter({a}, lambda λx, λi: list_position({a}, λx) = λi)"


@special("array_union")
def _array_union(c: Compiler, args: list[E], node: exp.Expression) -> E:
    t = _all_common(c, args, "array_union", node)
    joined = concat(c, args, node).sql
    return E(_distinct(joined), t)


@special("array_intersect", "array_except")
def _array_intersect(c: Compiler, args: list[E], node: exp.Expression) -> E:
    name = str(node.name).lower()
    _arity(c, name, args, node, 2)
    t = _all_common(c, args, name, node)
    a, b = (cast(x, t).sql for x in args)
    word = "IS NOT NULL" if name == "array_intersect" else "IS NULL"
    kept = f"list_filter({_distinct(a)}, lambda λy: list_position({b}, λy) {word})"
    if name == "array_except":
        # What is taken from nothing keeps its duplicates, as in Trino.
        kept = f"CASE WHEN len({b}) = 0 THEN {a} ELSE {kept} END"
    return E(f"CASE WHEN {b} IS NULL THEN NULL ELSE {kept} END", t)


@special("arrays_overlap")
def _arrays_overlap(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "arrays_overlap", args, node, 2)
    t = _all_common(c, args, "arrays_overlap", node)
    a, b = (cast(x, t).sql for x in args)
    return E(
        f"CASE WHEN len(list_filter({a}, lambda λy: λy IS NOT NULL AND list_contains({b}, λy))) > 0 THEN true "
        f"WHEN len({a}) = 0 OR len({b}) = 0 THEN false "
        f"WHEN list_count({a}) < len({a}) OR list_count({b}) < len({b}) THEN NULL "
        f"WHEN {a} IS NULL OR {b} IS NULL THEN NULL ELSE false END",
        ty.BOOLEAN,
    )


def _joined(items: str, separator: E) -> str:
    """Texts of a list, NULLs left out, with a separator between them; NULL of none."""
    if separator.value is not None:
        return f"array_to_string({items}, {separator.sql})"
    # array_to_string wants a constant.
    texts = f"list_filter({items}, lambda λt: λt IS NOT NULL)"
    return f"CASE WHEN len({texts}) > 0 THEN list_reduce({texts}, lambda λa, λb: λa || {separator.sql} || λb) END"


@special("array_join")
def _array_join(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "array_join", args, node, 2, 3)
    t = _of_array(c, args[0], "array_join", node)
    text = cast_text("λy", t)
    if len(args) == 3:
        text = f"coalesce({text}, {args[2].sql})"
    items = f"list_transform({args[0].sql}, lambda λy: {text})"
    if args[0].type.base == "array" and t.base == "varchar" and len(args) == 2:
        items = args[0].sql
    # Of no text at all DuckDB makes NULL.
    joined = _joined(items, args[1])
    return E(
        f"CASE WHEN {args[0].sql} IS NOT NULL AND {args[1].sql} IS NOT NULL THEN coalesce({joined}, '') END",
        ty.VARCHAR,
    )


@special("array_sort")
def _array_sort(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "array_sort", args, node, 1)
    _of_array(c, args[0], "array_sort", node)
    return E(f"list_sort({args[0].sql}, 'ASC', 'NULLS LAST')", args[0].type)


@special("array_position")
def _array_position(c: Compiler, args: list[E], node: exp.Expression) -> E:
    a, x, _ = _element(c, args, "array_position", node)
    return E(
        f"CASE WHEN {a} IS NULL OR {x} IS NULL THEN NULL ELSE CAST(coalesce(list_position({a}, {x}), 0) AS BIGINT) END",
        ty.BIGINT,
    )


@special("array_remove")
def _array_remove(c: Compiler, args: list[E], node: exp.Expression) -> E:
    a, x, t = _element(c, args, "array_remove", node)
    return E(
        f"CASE WHEN {x} IS NULL THEN NULL ELSE list_filter({a}, lambda λy: λy IS DISTINCT FROM {x}) END",
        ty.array(t),
    )


@special("slice")
def _slice(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "slice", args, node, 3)
    _of_array(c, args[0], "slice", node)
    a, start, length = (x.sql for x in args)
    d = duckdb_type(args[0].type)
    zero = raise_text("INVALID_FUNCTION_ARGUMENT", "SQL array indices start at 1", d)
    negative = raise_text("INVALID_FUNCTION_ARGUMENT", "length must be greater than or equal to 0", d)
    first = f"CASE WHEN {start} < 0 THEN len({a}) + {start} + 1 ELSE {start} END"
    return E(
        f"CASE WHEN {start} = 0 THEN {zero} WHEN {length} < 0 THEN {negative} "
        f"WHEN {length} = 0 OR abs({start}) > len({a}) THEN CAST([] AS {d}) "
        f"ELSE list_slice({a}, {first}, ({first}) + {length} - 1) END",
        args[0].type,
    )


@special("flatten")
def _flatten(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "flatten", args, node, 1)
    t = _of_array(c, args[0], "flatten", node)
    if t.base != "array":
        raise c.fail(
            "FUNCTION_NOT_FOUND", f"Unexpected parameters ({args[0].type}) for function flatten", node
        )
    return E(f"flatten({args[0].sql})", t)


@special("sequence")
def _sequence(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "sequence", args, node, 2, 3)
    t = ty.common(args[0].type, args[1].type)
    if t is None:
        raise c.fail(
            "FUNCTION_NOT_FOUND",
            f"Unexpected parameters ({args[0].type}, {args[1].type}) for function sequence",
            node,
        )
    a, b = cast(args[0], t).sql, cast(args[1], t).sql
    if t.base in ty.INTEGERS:
        step = args[2].sql if len(args) == 3 else f"CASE WHEN {a} <= {b} THEN 1 ELSE -1 END"
        return E(
            f"generate_series(CAST({a} AS BIGINT), CAST({b} AS BIGINT), CAST({step} AS BIGINT))",
            ty.array(ty.BIGINT),
        )
    if t.base in ("date", "timestamp") and len(args) == 3 and args[2].type == ty.INTERVAL_YEAR:
        # Each from the start: adding month by month would forget the day after a short one.
        if not args[2].value:
            raise not_supported("sequence with a step in months that is no literal")
        m = args[2].value
        return E(
            f"list_transform(range(0, datesub('month', {a}, {b}) // {m} + 1), "
            f"lambda λy: CAST({a} + to_months(CAST(λy * {m} AS INTEGER)) AS {duckdb_type(t)}))",
            ty.array(t),
        )
    if t.base in ("date", "timestamp"):
        if len(args) == 2 and t.base == "timestamp":
            raise c.fail("FUNCTION_NOT_FOUND", "sequence of timestamps needs a step", node)
        step = args[2].sql if len(args) == 3 else f"to_days(CASE WHEN {a} <= {b} THEN 1 ELSE -1 END)"
        series = f"generate_series(CAST({a} AS TIMESTAMP), CAST({b} AS TIMESTAMP), {step})"
        return E(f"CAST({series} AS {duckdb_type(t)}[])", ty.array(t))
    raise c.fail("FUNCTION_NOT_FOUND", f"Unexpected parameters ({t}, {t}) for function sequence", node)


@special("repeat")
def _repeat(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "repeat", args, node, 2)
    negative = raise_text(
        "INVALID_FUNCTION_ARGUMENT",
        "count argument of repeat function must be greater than or equal to 0",
        "BIGINT",
    )
    count = f"CASE WHEN {args[1].sql} < 0 THEN {negative} ELSE CAST({args[1].sql} AS BIGINT) END"
    return E(f"list_transform(range({count}), lambda λy: {args[0].sql})", ty.array(args[0].type))


@special("zip")
def _zip(c: Compiler, args: list[E], node: exp.Expression) -> E:
    elements = [_of_array(c, a, "zip", node) for a in args]
    t = ty.row(*[(None, e) for e in elements])
    fields = ", ".join(f"'_{i}': λy[{i + 1}]" for i in range(len(args)))
    return E(
        f"list_transform(list_zip({', '.join(a.sql for a in args)}), lambda λy: {{{fields}}})", ty.array(t)
    )


@special("reverse")
def _reverse(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "reverse", args, node, 1)
    if args[0].type.base == "array":
        return E(f"list_reverse({args[0].sql})", args[0].type)
    if args[0].type.base == "varbinary":
        return E(
            f"unhex(array_to_string(list_reverse(regexp_extract_all(hex({args[0].sql}), '..')), ''))",
            ty.VARBINARY,
        )
    e = _accept(args[0], "varchar")
    if e is None:
        raise c.fail(
            "FUNCTION_NOT_FOUND", f"Unexpected parameters ({args[0].type}) for function reverse", node
        )
    return E(f"trino_reverse({e.sql})", args[0].type)


@special("map")
def _map(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "map", args, node, 0, 2)
    if not args:
        return E("MAP {}", ty.map_of(ty.UNKNOWN, ty.UNKNOWN))
    k, v = _of_array(c, args[0], "map", node), _of_array(c, args[1], "map", node)
    return E(f"MAP({args[0].sql}, {args[1].sql})", ty.map_of(k, v))


@special("map_from_entries")
def _map_from_entries(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "map_from_entries", args, node, 1)
    t = _of_array(c, args[0], "map_from_entries", node)
    if t.base != "row" or len(t.args) != 2:
        raise c.fail(
            "FUNCTION_NOT_FOUND",
            f"Unexpected parameters ({args[0].type}) for function map_from_entries",
            node,
        )
    k, v = struct_field("λy", t, 0), struct_field("λy", t, 1)
    return E(
        f"map_from_entries(list_transform({args[0].sql}, lambda λy: {{'key': {k}, 'value': {v}}}))",
        ty.map_of(*t.args),
    )


@special("map_entries")
def _map_entries(c: Compiler, args: list[E], node: exp.Expression) -> E:
    k, v = _of_map(c, args[0], "map_entries", node)
    return E(
        f"list_transform(map_entries({args[0].sql}), lambda λy: {{'_0': λy.key, '_1': λy.value}})",
        ty.array(ty.row((None, k), (None, v))),
    )


@special("map_keys", "map_values")
def _map_keys(c: Compiler, args: list[E], node: exp.Expression) -> E:
    name = str(node.name).lower()
    k, v = _of_map(c, args[0], name, node)
    return E(f"{name}({args[0].sql})", ty.array(k if name == "map_keys" else v))


@special("map_concat")
def _map_concat(c: Compiler, args: list[E], node: exp.Expression) -> E:
    t = _all_common(c, args, "map_concat", node)
    items = [cast(a, t).sql for a in args]
    nulls = " OR ".join(f"{i} IS NULL" for i in items)
    return E(f"CASE WHEN {nulls} THEN NULL ELSE map_concat({', '.join(items)}) END", t)


# ----------------------------------------------------------------------------------------------- JSON


def _json_path(c: Compiler, e: E, node: exp.Expression) -> str:
    """A JSONPath literal as DuckDB reads it: fields and subscripts only."""
    if not isinstance(e.value, str):
        raise not_supported("A JSON path that is no literal")
    text = e.value.strip()
    if not text.startswith("$"):
        text = "$." + text if re.match(r"\w", text) else text
    if not text.startswith("$"):
        raise c.fail("INVALID_FUNCTION_ARGUMENT", f"Invalid JSON path: '{e.value}'", node)
    out, rest = "$", text[1:]
    while rest:
        m = re.match(
            r"""\.([A-Za-z_0-9\-:]+)|\[(\d+)\]|\[\s*"((?:[^"\\]|\\.)*)"\s*\]|\[\s*'([^']*)'\s*\]|\."([^"]*)\"""",
            rest,
        )
        if m is None:
            if "*" in rest or ".." in rest:
                raise not_supported(f"JSON path '{e.value}' (wildcards and filters)")
            raise c.fail("INVALID_FUNCTION_ARGUMENT", f"Invalid JSON path: '{e.value}'", node)
        if m.group(2) is not None:
            out += f"[{m.group(2)}]"
        else:
            name = next(g for g in (m.group(1), m.group(3), m.group(4), m.group(5)) if g is not None)
            if '"' in name:
                raise not_supported(f"JSON path '{e.value}' (quotes in names)")
            out += f'."{name}"'
        rest = rest[m.end() :]
    return "'" + out.replace("'", "''") + "'"


def _json_text(c: Compiler, e: E, name: str, node: exp.Expression) -> str:
    if e.type.base not in ("varchar", "json", "char", "unknown"):
        raise c.fail("FUNCTION_NOT_FOUND", f"Unexpected parameters ({e.type}, ...) for function {name}", node)
    # Text that is no JSON gives NULL.
    return e.sql if e.type.base == "json" else f"CASE WHEN json_valid({e.sql}) THEN {e.sql} END"


@special("json_extract")
def _json_extract(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "json_extract", args, node, 2)
    return E(
        f"trino_json_text(CAST(json_extract({_json_text(c, args[0], 'json_extract', node)}, {_json_path(c, args[1], node)}) AS VARCHAR))",
        ty.JSON,
    )


@special("json_extract_scalar")
def _json_extract_scalar(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "json_extract_scalar", args, node, 2)
    text, path = _json_text(c, args[0], "json_extract_scalar", node), _json_path(c, args[1], node)
    return E(
        # The text of a number with a fraction is kept as it was written.
        f"CASE WHEN json_type({text}, {path}) = 'DOUBLE' THEN py_json_number({text}, {path}) "
        f"WHEN json_type({text}, {path}) NOT IN ('OBJECT', 'ARRAY') THEN json_extract_string({text}, {path}) END",
        ty.VARCHAR,
    )


@special("json_size")
def _json_size(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "json_size", args, node, 2)
    text, path = _json_text(c, args[0], "json_size", node), _json_path(c, args[1], node)
    return E(
        f"CASE WHEN json_type({text}, {path}) IS NULL THEN NULL WHEN json_type({text}, {path}) = 'ARRAY' THEN "
        f"CAST(json_array_length({text}, {path}) AS BIGINT) WHEN json_type({text}, {path}) = 'OBJECT' "
        f"THEN len(json_keys({text}, {path})) ELSE 0 END",
        ty.BIGINT,
    )


def json_call(c: Compiler, node: JsonCall, scope: Scope) -> E:
    """https://trino.io/docs/435/functions/json.html"""
    kind = node.args["kind"]
    args = [c.expr(e, scope) for e in node.expressions]
    if kind == "JSON_OBJECT":
        pairs = [(args[i], args[i + 1]) for i in range(0, len(args), 2)]
        return _json_made("{", "}", [(k, v) for k, v in pairs], bool(node.args["absent"]))
    if kind == "JSON_ARRAY":
        return _json_made("[", "]", [(None, v) for v in args], bool(node.args["absent"]))
    if args[0].type.base not in ("varchar", "char", "json", "unknown"):
        raise c.fail(
            "TYPE_MISMATCH", f"Cannot read input of type {args[0].type} as JSON using formatting JSON", node
        )
    text = cast(args[0], ty.VARCHAR).sql if args[0].type.base == "unknown" else args[0].sql
    path = args[1]
    if not isinstance(path.value, str):
        raise not_supported("A JSON path that is no literal")
    jsonpath.check(path.value, c, node)
    error = node.args.get("error")
    if kind == "JSON_EXISTS":
        found = f"py_json_exists({text}, {path.sql})"
        otherwise = {
            "TRUE": "true",
            "UNKNOWN": "CAST(NULL AS BOOLEAN)",
            "ERROR": _json_failure(found, "BOOLEAN"),
        }
        return E(
            f"CASE {found} WHEN 'true' THEN true WHEN 'false' THEN false "
            f"ELSE CASE WHEN {text} IS NULL THEN NULL ELSE {otherwise.get(error or 'FALSE', 'false')} END END",
            ty.BOOLEAN,
        )
    target = ty.trino_type(node.args["returning"]) if node.args.get("returning") is not None else ty.VARCHAR
    if kind == "JSON_QUERY":
        options = f"{node.args.get('wrapper') or 'without'} {node.args.get('quotes') or 'keep'}"
        found = f"py_json_query({text}, {path.sql}, '{options}')"
    else:
        found = f"py_json_value({text}, {path.sql})"
    if target.base not in ("varchar", "char", *ty.NUMERIC, "boolean", "date", "timestamp", "time"):
        raise not_supported(f"{kind} RETURNING {target}")
    d = duckdb_type(target)

    def case(name: str) -> str:
        behaviour = node.args.get(name) or "NULL"
        if behaviour == "DEFAULT":
            return coerce(c, c.expr(node.args[f"{name}_value"], scope), target, node).sql
        if behaviour == "ERROR":
            return _json_failure(found, d)
        return {"EMPTY ARRAY": "'[]'", "EMPTY OBJECT": "'{}'"}.get(behaviour, f"CAST(NULL AS {d})")

    value = coerce(c, E(f"substr({found}, 2)", ty.VARCHAR), target, node).sql
    if node.args.get("error") != "ERROR" and target.base != "varchar":
        # A value that the type cannot hold is an error of the path, too.
        tried = f"TRY({value})"
        value = f"CASE WHEN {tried} IS NULL THEN {case('error')} ELSE {tried} END"
    return E(
        f"CASE left({found}, 1) WHEN 'v' THEN {value} WHEN 'e' THEN {case('empty')} WHEN 'x' THEN {case('error')} END",
        target,
    )


def _json_failure(found: str, d: str) -> str:
    message = f"CASE WHEN {found} = 'e' THEN 'cannot extract value from JSON: JSON path found no items' ELSE substr({found}, 2) END"
    return raise_sql("JSON_VALUE_RESULT_ERROR", message, d)


def _json_made(opening: str, closing: str, items: list[tuple[E | None, E]], absent: bool) -> E:
    parts = []
    for key, value in items:
        text = (
            f"coalesce({to_json(value.sql, value.type) if value.type.base != 'unknown' else 'NULL'}, 'null')"
        )
        if key is not None:
            text = f"CAST(to_json({to_varchar(key.sql, key.type)}) AS VARCHAR) || ':' || {text}"
        parts.append(f"CASE WHEN {value.sql} IS NULL THEN NULL ELSE {text} END" if absent else text)
    if not parts:
        return E(f"'{opening}{closing}'", ty.VARCHAR)
    return E(f"('{opening}' || concat_ws(',', {', '.join(parts)}) || '{closing}')", ty.VARCHAR)


@special("json_parse")
def _json_parse(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "json_parse", args, node, 1)
    text = args[0].value
    if not isinstance(text, str):
        return call(c, "$json_parse", args, node)
    try:
        made = jsonpath.canonical(text)
    except ValueError:
        return E(
            raise_text("INVALID_FUNCTION_ARGUMENT", f"Cannot convert value to JSON: '{text}'", "VARCHAR"),
            ty.JSON,
        )
    return E("'" + made.replace("'", "''") + "'", ty.JSON)


@special("json_array_get")
def _json_array_get(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "json_array_get", args, node, 2)
    return E(f"py_json_array_get({args[0].sql}, CAST({args[1].sql} AS BIGINT))", ty.JSON)


@special("json_array_contains")
def _json_array_contains(c: Compiler, args: list[E], node: exp.Expression) -> E:
    _arity(c, "json_array_contains", args, node, 2)
    if args[1].type.base not in ("varchar", "boolean", *ty.NUMERIC):
        raise c.fail(
            "FUNCTION_NOT_FOUND",
            f"Unexpected parameters ({args[0].type}, {args[1].type}) for function json_array_contains",
            node,
        )
    return E(f"py_json_array_contains({args[0].sql}, {to_json(args[1].sql, args[1].type)})", ty.BOOLEAN)


# ----------------------------------------------------------------------------------------- aggregates

# name: (DuckDB function, parameter kinds, result type, wrapper)
_AGGREGATES: dict[str, tuple[str, list[str], str, str]] = {
    "bool_and": ("bool_and", ["boolean"], "boolean", "{}"),
    "every": ("bool_and", ["boolean"], "boolean", "{}"),
    "bool_or": ("bool_or", ["boolean"], "boolean", "{}"),
    "count_if": ("count_if", ["boolean"], "bigint", "coalesce(CAST({} AS BIGINT), 0)"),
    "stddev": ("stddev_samp", ["double"], "double", "{}"),
    "stddev_samp": ("stddev_samp", ["double"], "double", "{}"),
    "stddev_pop": ("stddev_pop", ["double"], "double", "{}"),
    "variance": ("var_samp", ["double"], "double", "{}"),
    "var_samp": ("var_samp", ["double"], "double", "{}"),
    "var_pop": ("var_pop", ["double"], "double", "{}"),
    "corr": ("corr", ["double", "double"], "double", "CASE WHEN isfinite({0}) THEN {0} END"),
    "covar_pop": ("covar_pop", ["double", "double"], "double", "{}"),
    "covar_samp": ("covar_samp", ["double", "double"], "double", "{}"),
    "regr_slope": ("regr_slope", ["double", "double"], "double", "CASE WHEN isfinite({0}) THEN {0} END"),
    "regr_intercept": (
        "regr_intercept",
        ["double", "double"],
        "double",
        "CASE WHEN isfinite({0}) THEN {0} END",
    ),
    "approx_distinct": ("approx_count_distinct", ["any"], "bigint", "CAST({} AS BIGINT)"),
    "bitwise_xor_agg": ("bit_xor", ["bigint"], "bigint", "{}"),
    "geometric_mean": ("geomean", ["double"], "double", "{}"),
    "kurtosis": ("kurtosis", ["double"], "double", "{}"),
    "bitwise_and_agg": ("bit_and", ["bigint"], "bigint", "{}"),
    "bitwise_or_agg": ("bit_or", ["bigint"], "bigint", "{}"),
}
_OTHER_AGGREGATES = {
    "count", "sum", "avg", "min", "max", "min_by", "max_by", "array_agg", "set_agg", "arbitrary", "any_value",
    "map_agg", "histogram", "listagg", "approx_percentile", "grouping",
    "multimap_agg", "map_union", "skewness", "reduce_agg",
}  # fmt: skip
_RANKING: dict[str, tuple[str, Type]] = {
    "row_number": ("row_number", ty.BIGINT),
    "rank": ("rank", ty.BIGINT),
    "dense_rank": ("dense_rank", ty.BIGINT),
    "percent_rank": ("percent_rank", ty.DOUBLE),
    "cume_dist": ("cume_dist", ty.DOUBLE),
    "ntile": ("ntile", ty.BIGINT),
}
_VALUE_WINDOWS = {"lag", "lead", "first_value", "last_value", "nth_value"}


def is_aggregate(name: str) -> bool:
    return name.lower() in _AGGREGATES or name.lower() in _OTHER_AGGREGATES


def compile_call(
    c: Compiler,
    node: exp.Expression,
    scope: Scope,
    *,
    filter_node: exp.Expression | None = None,
    over: str | None = None,
    ordered: bool = False,
    ignore_nulls: bool = False,
    order_node: exp.Expression | None = None,
) -> E:
    """A call with all that may follow it: FILTER, WITHIN GROUP, IGNORE NULLS, OVER."""
    truth = c.truth
    while not isinstance(node, exp.Anonymous):
        if isinstance(node, exp.IgnoreNulls | exp.RespectNulls):
            ignore_nulls = isinstance(node, exp.IgnoreNulls)
        elif isinstance(node, exp.Filter):
            filter_node = node.expression.this
        elif isinstance(node, exp.WithinGroup):
            order_node = node.expression
        elif isinstance(node, exp.GroupConcat):
            return listagg(c, node, scope, filter_node=filter_node)
        else:
            raise not_supported(f"{node.sql('trino')[:60]} as a function")
        node = node.this
    name = node.name.lower()
    nodes = node.expressions
    if over is not None and filter_node is not None:
        raise c.fail("NOT_SUPPORTED", "FILTER is not yet supported for window functions", node)
    if name == "reduce_agg" and over is None and len(nodes) == 4:
        return _reduce_agg(c, nodes, scope, filter_node, node)
    if over is not None and (name in _RANKING or name in _VALUE_WINDOWS):
        return _window_function(c, name, nodes, scope, over, ignore_nulls, node)
    if is_aggregate(name):
        return _aggregate(c, name, nodes, scope, filter_node, over, order_node, node)
    if over is not None or name in _RANKING or name in _VALUE_WINDOWS:
        raise c.fail(
            "FUNCTION_NOT_WINDOW" if over else "MISSING_OVER",
            f"Window function {name} requires an OVER clause"
            if not over
            else f"Not a window function: {name}",
            node,
        )
    if filter_node is not None:
        raise c.fail(
            "FUNCTION_NOT_AGGREGATE", f"Filter is only valid for aggregation functions, not {name}", node
        )
    if name in _HIGHER_ORDER or (name == "array_sort" and len(nodes) == 2):
        if len(nodes) < 2:
            raise c.fail("FUNCTION_NOT_FOUND", f"Unexpected parameters for function {name}", node)
        return _higher_order(c, name, nodes, scope, truth, node)
    if name == "if":
        raise c.fail("", "mismatched input 'if'", node)
    if name == "normalize" and len(nodes) == 2 and isinstance(nodes[1], exp.Column):
        # The form is a word, no string.
        nodes = [nodes[0], exp.Literal.string(nodes[1].name.upper())]
    for n in nodes:
        if isinstance(n, exp.Lambda):
            raise not_supported(f"A lambda in {name}")
        if isinstance(n, exp.Distinct | exp.Star):
            raise c.fail("FUNCTION_NOT_FOUND", f"Function '{name}' not registered as an aggregate", node)
    return call(c, name, [c.expr(n, scope) for n in nodes], node)


def _reduce_agg(
    c: Compiler,
    nodes: list[exp.Expression],
    scope: Scope,
    filter_node: exp.Expression | None,
    node: exp.Expression,
) -> E:
    """reduce_agg(value, start, input function, combine function): reduce over the values that are not NULL."""
    c.in_aggregate += 1
    try:
        x = c.expr(nodes[0], scope)
        start = c.expr(nodes[1], scope)
        condition = f"{x.sql} IS NOT NULL"
        if filter_node is not None:
            condition += f" AND {c.boolean(filter_node, scope, 'FILTER').sql}"
    finally:
        c.in_aggregate -= 1
    if not start.const:
        raise not_supported("reduce_agg with a start that is no constant", None)
    u = c.parameter()
    p, q = f"{u}a", f"{u}b"
    body = _lambda(c, nodes[2], scope, [E(f"{p}.s", start.type), E(f"{q}.x", x.type)])
    if ty.common(start.type, body.type) != start.type:
        raise c.fail(
            "TYPE_MISMATCH", f"reduce_agg's function returns {body.type}, its state is {start.type}", node
        )
    ds, dx = duckdb_type(start.type), duckdb_type(x.type)
    values = f"list({x.sql}) FILTER (WHERE {condition})"
    first = f"{{'s': CAST({start.sql} AS {ds}), 'x': CAST(NULL AS {dx})}}"
    rest = f"list_transform({values}, lambda {u}: {{'s': CAST(NULL AS {ds}), 'x': {u}}})"
    step = f"{{'s': CAST({cast(body, start.type).sql} AS {ds}), 'x': CAST(NULL AS {dx})}}"
    reduced = f"list_reduce(list_prepend({first}, {rest}), lambda {p}, {q}: {step}).s"
    return E(f"CASE WHEN {values} IS NOT NULL THEN {reduced} END", start.type)


def _window_function(
    c: Compiler,
    name: str,
    nodes: list[exp.Expression],
    scope: Scope,
    over: str,
    ignore_nulls: bool,
    node: exp.Expression,
) -> E:
    args = [c.expr(n, scope) for n in nodes]
    if name in _RANKING:
        function, t = _RANKING[name]
        _arity(c, name, args, node, 1 if name == "ntile" else 0)
        return E(f"{function}({', '.join(a.sql for a in args)}){over}", t)
    t = args[0].type
    nulls = " IGNORE NULLS" if ignore_nulls else ""
    if len(args) == 3:
        return E(f"{name}({args[0].sql}, {args[1].sql}, {coerce(c, args[2], t, node).sql}{nulls}){over}", t)
    return E(f"{name}({', '.join(a.sql for a in args)}{nulls}){over}", t)


def _aggregate(
    c: Compiler,
    name: str,
    nodes: list[exp.Expression],
    scope: Scope,
    filter_node: exp.Expression | None,
    over: str | None,
    order_node: exp.Expression | None,
    node: exp.Expression,
) -> E:
    if c.in_aggregate and over is None:
        raise c.fail("NESTED_AGGREGATION", f"Cannot nest aggregations inside aggregation '{name}'", node)
    if name == "grouping":
        args = [c.expr(n, scope) for n in nodes]
        return E(f"grouping({', '.join(a.sql for a in args)})", ty.BIGINT)
    windowed = over is not None
    if not windowed:
        c.in_aggregate += 1
    try:
        distinct, order, star = False, "", False
        items: list[exp.Expression] = []
        for n in nodes:
            if isinstance(n, exp.Distinct):
                distinct = True
                items += n.expressions
            elif isinstance(n, exp.Order):
                inner = n.this
                if isinstance(inner, exp.Distinct):
                    distinct = True
                    items += inner.expressions
                elif inner is not None:
                    items.append(inner)
                order = _order_by(c, n, scope)
            elif isinstance(n, exp.Star):
                star = True
            else:
                items.append(n)
        if order_node is not None:
            order = _order_by(c, order_node, scope)
        saved, c.wants_truth = c.wants_truth, name == "count_if"
        try:
            args = [c.expr(n, scope) for n in items]
        finally:
            c.wants_truth = saved
        condition = ""
        if filter_node is not None:
            condition = f" FILTER (WHERE {c.boolean(filter_node, scope, 'FILTER').sql})"
    finally:
        if not windowed:
            c.in_aggregate -= 1
    function, sqls, t, wrap = _aggregate_function(c, name, args, star, distinct, node)
    inside = ("DISTINCT " if distinct else "") + ", ".join(sqls) + order
    if wrap == _AVERAGE:
        return E(_average(f"({inside}){condition}{over or ''}", t), t)
    return E(wrap.format(f"{function}({inside}){condition}{over or ''}"), t)


# Stands for _average among the wrappers of aggregates.
_AVERAGE = "avg(decimal)"


def _average(call: str, t: Type) -> str:
    """The average of decimals, exactly: their sum divided by their count, halves away from zero."""
    _, s = t.digits
    total = f"CAST(CAST(sum{call} AS DECIMAL(38,{s})) * {_power(s)} AS HUGEINT)"
    count = f"count{call}"
    units = f"((2 * abs({total}) + {count}) // (2 * {count}) * (CASE WHEN {total} < 0 THEN -1 ELSE 1 END))"
    return f"CASE WHEN {count} > 0 THEN {_units(units, s, duckdb_type(t))} END"


def _order_by(c: Compiler, node: exp.Expression, scope: Scope) -> str:
    from local_aws.athena.plan import direction

    return " ORDER BY " + ", ".join(c.expr(o.this, scope).sql + direction(o) for o in node.expressions)


def _aggregate_function(
    c: Compiler, name: str, args: list[E], star: bool, distinct: bool, node: exp.Expression
) -> tuple[str, list[str], Type, str]:
    given = ", ".join(str(a.type) for a in args)
    wrong = c.fail("FUNCTION_NOT_FOUND", f"Unexpected parameters ({given}) for function {name}", node)
    if name in _AGGREGATES:
        function, parameters, result, wrap = _AGGREGATES[name]
        if name == "approx_distinct" and len(args) == 2:
            args = args[:1]
        if len(args) != len(parameters):
            raise wrong
        taken = [_accept(a, p) for a, p in zip(args, parameters, strict=True)]
        if any(x is None for x in taken):
            raise wrong
        if len(parameters) == 2 and all(a.type.base in (*ty.INTEGERS, "decimal", "real") for a in args):
            # There is a function of reals, too, and it is the nearer one.
            return function, [x.sql for x in taken if x is not None], ty.REAL, f"CAST({wrap} AS FLOAT)"
        return function, [x.sql for x in taken if x is not None], _SIMPLE_TYPES[result], wrap
    if name == "count":
        if star or not args:
            return "count", ["*"] if star or not args else [], ty.BIGINT, "{}"
        if len(args) != 1:
            raise wrong
        return "count", [args[0].sql], ty.BIGINT, "{}"
    if not args:
        raise wrong
    e, t = args[0], args[0].type
    if name in ("sum", "avg"):
        if len(args) != 1 or (t.base not in (*ty.NUMERIC, "unknown") and not t.base.startswith("interval")):
            raise wrong
        if t == ty.INTERVAL_DAY:
            return name, [f"epoch_ms({e.sql})"], t, "to_milliseconds(CAST({} AS BIGINT))"
        if t == ty.INTERVAL_YEAR:
            months = f"(datepart('year', {e.sql}) * 12 + datepart('month', {e.sql}))"
            return name, [months], t, "to_months(CAST({} AS INTEGER))"
        if t.base == "unknown":
            e, t = cast(e, ty.DOUBLE), ty.DOUBLE
        if name == "sum":
            if t.base in ty.INTEGERS:
                return "sum", [e.sql], ty.BIGINT, "CAST({} AS BIGINT)"
            if t.base == "decimal":
                r = ty.decimal(38, t.s or 0)
                d = duckdb_type(r)
                if (t.p or 0) <= 28:
                    return "sum", [e.sql], r, f"CAST({{}} AS {d})"
                most = f"CAST('{'9' * (38 - (t.s or 0)) or '0'}.{'9' * (t.s or 0)}' AS {d})"
                # DuckDB keeps what has more digits than its type.
                over = raise_text("GENERIC_INTERNAL_ERROR", "Decimal overflow", d)
                total = "CAST({0} AS " + d + ")"
                return "sum", [e.sql], r, f"CASE WHEN abs({total}) > {most} THEN {over} ELSE {total} END"
            return "sum", [e.sql], t, "{}" if t.base != "real" else "CAST({} AS FLOAT)"
        if t.base == "decimal":
            # See _average.
            return "sum", [e.sql], t, _AVERAGE
        if t.base == "real":
            return "avg", [e.sql], t, "CAST({} AS FLOAT)"
        return "avg", [e.sql], ty.DOUBLE, "{}"
    if name in ("min", "max"):
        comparable(c, t, "<", node)
        if len(args) == 2:
            if name == "max" and t.base in ("real", "double"):
                pair = f"{e.sql} ORDER BY isnan({e.sql}), {e.sql} DESC"
                kept = f"list_slice(list_filter({{}}, lambda λz: λz IS NOT NULL), 1, {args[1].sql})"
                return "list", [pair], ty.array(t), kept
            return name, [e.sql, args[1].sql], ty.array(t), "{}"
        if len(args) != 1:
            raise wrong
        if name == "max" and t.base in ("real", "double"):
            # NaN, the greatest to DuckDB, loses against every number: it is less than minus infinity here.
            ranked = f"{{'n': NOT isnan({e.sql}), 'x': {e.sql}}}"
            return "max", [f"CASE WHEN {e.sql} IS NOT NULL THEN {ranked} END"], t, "struct_extract({}, 'x')"
        return name, [e.sql], t, "{}"
    if name in ("min_by", "max_by"):
        function = f"arg_{name[:3]}_null"
        if len(args) > 1 and args[1].type.base in ("real", "double") and name == "max_by":
            y = args[1].sql
            args = [
                e,
                E(f"CASE WHEN {y} IS NOT NULL THEN {{'n': NOT isnan({y}), 'x': {y}}} END", ty.UNKNOWN),
                *args[2:],
            ]
        if len(args) == 3:
            # Unlike DuckDB's own, with the NULLs among the values.
            direction = "DESC" if name == "max_by" else "ASC"
            pair = f"{{'x': {e.sql}, 'y': {args[1].sql}}} ORDER BY {args[1].sql} {direction} NULLS LAST"
            kept = f"list_slice(list_filter({{}}, lambda λz: λz.y IS NOT NULL), 1, {args[2].sql})"
            return "list", [pair], ty.array(t), f"list_transform({kept}, lambda λz: λz.x)"
        if len(args) != 2:
            raise wrong
        return function, [a.sql for a in args], t, "{}"
    if name in ("arbitrary", "any_value"):
        return "any_value", [e.sql], t, "{}"
    if name == "array_agg":
        return "list", [e.sql], ty.array(t), "{}"
    if name == "set_agg":
        return "list", [f"DISTINCT {e.sql}"], ty.array(t), "{}"
    if name == "map_agg":
        if len(args) != 2:
            raise wrong
        k, v = args
        pair = f"{{'key': {k.sql}, 'value': {v.sql}}}"
        m = ty.map_of(k.type, v.type)
        # A key met twice keeps one value, any one: here the first.
        return "list", [pair], m, _not_empty("trino_map_of_entries({0})")
    if name == "multimap_agg":
        if len(args) != 2:
            raise wrong
        k, v = args
        pair = f"{{'key': {k.sql}, 'value': {v.sql}}}"
        m = ty.map_of(k.type, ty.array(v.type))
        return "list", [pair], m, _not_empty("trino_multimap_of_entries({0})")
    if name == "map_union":
        if len(args) != 1 or t.base != "map":
            raise wrong
        return "list", [f"map_entries({e.sql})"], t, "trino_map_of_entries(flatten({}))"
    if name == "skewness":
        if len(args) != 1 or (x := _accept(e, "double")) is None:
            raise wrong
        # Of the population, where DuckDB's is that of a sample.
        moments = "list_transform({}, lambda λx: pow(λx - list_avg({}), 3))".replace("{}", "{0}")
        squares = "list_transform({0}, lambda λx: pow(λx - list_avg({0}), 2))"
        formula = f"(sqrt(list_count({{0}})) * list_sum({moments}) / pow(list_sum({squares}), 1.5))"
        return "list", [x.sql], ty.DOUBLE, f"CASE WHEN list_count({{0}}) >= 3 THEN {formula} END"
    if name == "histogram":
        return "histogram", [e.sql], ty.map_of(t, ty.BIGINT), f"CAST({{}} AS MAP({duckdb_type(t)}, BIGINT))"
    if name == "approx_percentile":
        if len(args) != 2:
            raise not_supported("approx_percentile with weights")
        # The value at the floor of share * count, as Trino's digests give it for few values; DuckDB's is one
        # before where the product is whole.
        if args[1].type.base == "array":
            shares = (
                f"list_transform({cast(args[1], ty.array(ty.DOUBLE)).sql}, lambda λp: least(λp + 1e-12, 1))"
            )
            return "quantile_disc", [e.sql, shares], ty.array(t), "{}"
        return "quantile_disc", [e.sql, f"least({cast(args[1], ty.DOUBLE).sql} + 1e-12, 1)"], t, "{}"
    raise not_supported(f"Aggregate function '{name}'")


def _not_empty(made: str) -> str:
    """A map that an aggregate makes; NULL without any key."""
    return f"CASE WHEN cardinality({made}) > 0 THEN {made} END"


def listagg(c: Compiler, node: exp.GroupConcat, scope: Scope, filter_node: exp.Expression | None = None) -> E:
    """LISTAGG(x, sep) WITHIN GROUP (ORDER BY ...)."""
    inner = node.this
    order = ""
    distinct = ""
    c.in_aggregate += 1
    try:
        if isinstance(inner, exp.Order):
            order = _order_by(c, inner, scope)
            inner = inner.this
        if isinstance(inner, exp.Distinct):
            distinct, inner = "DISTINCT ", inner.expressions[0]
        e = c.expr(inner, scope)
        separator = (
            c.expr(node.args["separator"], scope).sql if node.args.get("separator") is not None else "''"
        )
        condition = (
            f" FILTER (WHERE {c.boolean(filter_node, scope, 'FILTER').sql})"
            if filter_node is not None
            else ""
        )
    finally:
        c.in_aggregate -= 1
    return E(f"string_agg({distinct}{e.sql}, {separator}{order}){condition}", ty.VARCHAR)
