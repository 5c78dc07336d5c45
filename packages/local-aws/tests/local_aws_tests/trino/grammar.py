"""Random statements, as trees that can be made smaller.

A kind is a type without its parameters, such as `decimal` or `array(integer)`. A template is SQL with kinds in braces:
`substr({varchar}, {integer})`; `{T}` stands for one kind in all of the template, `{integer|x integer}` for an
expression in which a lambda's `x` is known, `{~varchar}` for a literal.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

# What a column and a literal of a kind can be.
LITERALS: dict[str, list[str]] = {
    "boolean": ["true", "false"],
    "tinyint": [f"tinyint '{n}'" for n in (0, 1, -1, 7, 127, -128)],
    "smallint": [f"smallint '{n}'" for n in (0, 2, -3, 300, 32767, -32768)],
    "integer": ["0", "1", "-1", "2", "3", "5", "10", "-7", "64", "2147483647", "-2147483648"],
    "bigint": [f"bigint '{n}'" for n in (0, 1, -2, 40, 1000000007, 2**63 - 1, -(2**63))],
    "decimal": [
        f"DECIMAL '{n}'"
        for n in ("0", "1.5", "-2.50", "0.005", "99999999.99", "12345678901234567890.12345", "-0.1", "7")
    ],
    "real": [f"real '{n}'" for n in ("0", "1.5", "-2.25", "3.4E38", "0.1", "NaN", "Infinity")],
    "double": [
        f"double '{n}'"
        for n in ("0", "1.5", "-2.5", "0.1", "1E30", "-1E-5", "123456.789", "2.5", "1E18", "Infinity")
    ]
    + ["nan()", "-infinity()"],
    "varchar": [
        f"'{t}'"
        for t in (
            "", "a", "abc", "ABC", " abc ", "a,b,,c", "12", "-3.5", "ünïcode", "日本語", "x%_y", "2024-02-29",
            "2024-01-31 10:20:30.123", "true", "a.b.c", "aXbXc", "null", "😀 z", "A1b2C3", "it''s", "07", "1e3",
        )
    ],
    "char": [f"CHAR '{t}'" for t in ("a", "abc", "ab ", "12")],
    "varbinary": ["X''", "X'00ff'", "X'616263'", "X'80'", "X'e697a5'"],
    "date": [f"DATE '{t}'" for t in ("1970-01-01", "2024-02-29", "1999-12-31", "2024-03-10", "1582-10-15", "0001-01-01", "9999-12-31", "2021-01-03")],
    "time": [f"TIME '{t}'" for t in ("00:00:00.000", "12:34:56.789", "23:59:59.999")],
    "timestamp": [
        f"TIMESTAMP '{t}'"
        for t in ("1970-01-01 00:00:00.000", "2024-02-29 23:59:59.999", "2024-03-10 02:30:00.000", "1969-12-31 12:00:00.000", "2021-11-07 01:30:00.123", "2000-01-31 10:20:30.456")
    ],
    "timestamptz": [
        f"TIMESTAMP '{t} UTC'"
        for t in ("1970-01-01 00:00:00.000", "2024-02-29 23:59:59.999", "2024-07-01 12:00:00.000", "2021-11-07 05:30:00.123")
    ],
    "day": ["INTERVAL '1' DAY", "INTERVAL '-36' HOUR", "INTERVAL '90' SECOND", "INTERVAL '0' DAY", "INTERVAL '2 03:04:05.678' DAY TO SECOND"],
    "year": ["INTERVAL '1' MONTH", "INTERVAL '-2' YEAR", "INTERVAL '1-3' YEAR TO MONTH", "INTERVAL '0' MONTH"],
    "json": [f"JSON '{t}'" for t in ("null", "1", "[1,2.5,null]", '{"a":1,"b":[true,"x"]}', '"t"', "{}", "[[1],[2,3]]", "true", "1.50")],
    "uuid": ["UUID '12151fd2-7586-11e9-8f9e-2a86e4085a59'", "UUID '00000000-0000-0000-0000-000000000000'"],
    "array(integer)": ["ARRAY[1,2,3]", "ARRAY[3,NULL,1]", "ARRAY[2,2,2]", "ARRAY[-5,2147483647]", "CAST(ARRAY[] AS array(integer))"],
    "array(varchar)": ["ARRAY['a','b']", "ARRAY['b',NULL,'a','b']", "ARRAY['']", "ARRAY['x','Y','ü']", "CAST(ARRAY[] AS array(varchar))"],
    "array(double)": ["ARRAY[1.5e0,-2e0]", "ARRAY[nan(),1e0,infinity()]", "ARRAY[0e0,NULL]"],
    "array(date)": ["ARRAY[DATE '2024-02-29',DATE '1999-01-01']", "ARRAY[DATE '2024-02-29',NULL]"],
    "array(array(integer))": ["ARRAY[ARRAY[1,2],ARRAY[3]]", "ARRAY[ARRAY[NULL],NULL,ARRAY[4,4]]"],
    "map(varchar,integer)": ["MAP(ARRAY['a','b'],ARRAY[1,2])", "MAP(ARRAY['b','c'],ARRAY[NULL,-1])", "CAST(MAP() AS map(varchar,integer))"],
    "map(integer,varchar)": ["MAP(ARRAY[1,2],ARRAY['x','y'])", "MAP(ARRAY[3],ARRAY[NULL])"],
    "map(varchar,array(integer))": ["MAP(ARRAY['k','l'],ARRAY[ARRAY[1],ARRAY[2,3]])", "MAP(ARRAY['k'],ARRAY[NULL])"],
    "row": ["CAST(ROW(1,'a') AS ROW(x integer, y varchar))", "CAST(ROW(2,NULL) AS ROW(x integer, y varchar))", "CAST(ROW(NULL,'b') AS ROW(x integer, y varchar))"],
}  # fmt: skip
# How a column of a kind is declared.
DECLARED = {
    "decimal": "decimal(12,2)",
    "char": "char(4)",
    "time": "time(3)",
    "timestamp": "timestamp(3)",
    "timestamptz": "timestamp(3) with time zone",
    "row": "row(x integer, y varchar)",
}
# No type that SQL can name.
INTERVALS = ("day", "year")
SCALARS = ["boolean", "tinyint", "smallint", "integer", "bigint", "decimal", "real", "double", "varchar", "char",
           "varbinary", "date", "time", "timestamp", "timestamptz", "day", "year"]  # fmt: skip
INTEGRAL = ["tinyint", "smallint", "integer", "bigint"]
NUMBERS = [*INTEGRAL, "decimal", "real", "double"]
TEMPORAL = ["date", "timestamp", "timestamptz"]
NESTED = [k for k in LITERALS if "(" in k] + ["row"]
# Kinds that stand for one of several. The first letter also names what T, N, ... of a template may be.
FAMILIES: dict[str, list[str]] = {
    "T": [*SCALARS, *NESTED],
    "S": [*SCALARS, "array(integer)"],
    "O": [k for k in SCALARS if k not in ("real",)] + ["array(integer)", "array(varchar)"],
    "N": NUMBERS,
    "I": INTEGRAL,
    "P": TEMPORAL,
    "C": ["time", "timestamp", "timestamptz"],
    "E": ["integer", "varchar", "double", "date"],
    "X": ["varchar", "char"],
    "number": NUMBERS,
    "text": ["varchar", "varchar", "char"],
}

U1, U2 = (
    ["'millisecond'", "'second'", "'minute'", "'hour'", "'day'", "'week'", "'month'", "'quarter'", "'year'"],
    ["'second'", "'minute'", "'hour'", "'day'", "'week'", "'month'", "'quarter'", "'year'"],
)
SMALL = ["0", "1", "2", "3", "-1", "5"]

# Result kind -> templates.
SCALAR: dict[str, list[str]] = {
    "boolean": [
        "TRY_CAST({varchar} AS boolean)", "contains_sequence({array(integer)}, ARRAY[{integer}])", "{json} IS NULL", "json_exists({varchar}, {@'lax_$.a' 'strict_$.a' 'lax_$[0]'})", "({integer}, {integer}) < ({integer}, {integer})", "{boolean} = {boolean}", "{array(integer)} IS DISTINCT FROM {array(integer)}", "{row} IS DISTINCT FROM {row}", "{varbinary} = {varbinary}", "{varbinary} < {varbinary}", "{time} < {time}", "{day} > {day}", "{year} <= {year}", "{uuid} = {uuid}", "{double} IN (0, 1, {double})", "{varchar} IN ('a', 'abc', {varchar})", "{array(varchar)} < {array(varchar)}",

        "{N} = {N}", "{N} < {N}", "{number} >= {number}", "{O} <> {O}", "{O} <= {O}", "{S} IS DISTINCT FROM {S}",
        "{S} IS NOT DISTINCT FROM {S}", "{T} IS NULL", "{T} IS NOT NULL", "NOT {boolean}", "{boolean} AND {boolean}",
        "{boolean} OR {boolean}", "{O} BETWEEN {O} AND {O}", "{O} NOT BETWEEN {O} AND {O}", "{S} IN ({S}, {S})",
        "{S} NOT IN ({S}, {S})", "{varchar} LIKE {@'a%' '%b%' '_b%' '%' '' 'a\\%%' '%ü%' '__' 'A_b%'}",
        "{text} LIKE {~varchar}", "{varchar} LIKE {@'a#%%' '#_%' '%##'} ESCAPE '#'",
        "regexp_like({varchar}, {@'a' '^a.*' '\\d+' '[A-Z]' '(?i)ABC' '$' '\\s' '\\p{L}' 'a|b' '^$'})",
        "starts_with({varchar}, {varchar})", "is_nan({double})", "is_finite({double})", "is_infinite({double})",
        "contains({array(E)}, {E})", "arrays_overlap({array(E)}, {array(E)})", "array(E)|{array(E)} = {array(E)}",
        "any_match({array(integer)}, x -> {boolean|x integer})", "all_match({array(integer)}, x -> {boolean|x integer})",
        "none_match({array(varchar)}, x -> {boolean|x varchar})", "is_json_scalar({json})", "CAST({varchar} AS boolean)",
        "CAST({number} AS boolean)", "TRY(CAST({varchar} AS boolean))", "{row} = {row}", "json_array_contains({json}, {bigint})",
        "{map(varchar,integer)} = {map(varchar,integer)}", "{integer} > ALL (VALUES {integer}, {integer})",
        "{integer} = ANY (VALUES {integer}, {integer})", "{P} < {P}", "{date} = {timestamp}", "{X} = {X}", "{char} < {varchar}",
        "({integer}, {varchar}) = ({integer}, {varchar})", "({integer}, {varchar}) IN (({integer}, {varchar}), ({integer}, {varchar}))",
        "{boolean} IS DISTINCT FROM {boolean}",
    ],
    "tinyint": ["TRY(CAST({number} AS tinyint))", "{tinyint} + {tinyint}", "-{tinyint}", "{tinyint} % {tinyint}", "abs({tinyint})",
                "TRY(CAST({varchar} AS tinyint))", "bitwise_and({tinyint}, {tinyint})"],
    "smallint": ["TRY(CAST({number} AS smallint))", "{smallint} * {tinyint}", "-{smallint}", "{smallint} / {smallint}", "sign({smallint})"],
    "integer": [
        "TRY_CAST({varchar} AS integer)", "TRY_CAST({double} AS integer)", "CAST({bigint} % 1000 AS integer)", "{integer} / {tinyint}", "CAST(json_extract_scalar({json}, '$.a') AS integer)", "TRY(CAST(json_extract({json}, '$.a') AS integer))", "{map(varchar,integer)}['a']", "try({map(varchar,integer)}['b'])", "reduce({array(integer)}, CAST(NULL AS integer), (s, x) -> IF(s IS NULL OR x > s, x, s), s -> s)",

        "{integer} + {integer}", "{integer} - {smallint}", "{integer} * {integer}", "{integer} / {integer}",
        "{integer} % {integer}", "-{integer}", "abs({integer})", "mod({integer}, {integer})", "sign({integer})",
        "CAST({number} AS integer)", "TRY(CAST({number} AS integer))", "TRY(CAST({varchar} AS integer))",
        "{row}.x", "codepoint({@'a' 'ü' '日'})", "TRY(element_at({map(varchar,integer)}, {varchar}))", "reduce({array(integer)}, 0, (s, x) -> s + coalesce(x, 1), s -> {integer|s integer})",
        "{array(integer)}[1]", "TRY({array(integer)}[{integer}])", "element_at({array(integer)}, {@1 2 -1 5})",
        "TRY({map(varchar,integer)}[{varchar}])", "array_min({array(integer)})", "array_max({array(integer)})",
        "CAST({boolean} AS integer)", "length({varchar}) + {integer}", "truncate({integer}, {@-1 0 1})", "round({integer}, {@-1 0 1 -2})",
        "ceiling({integer})", "width_bucket({integer}, ARRAY[1e0, 5e0, 10e0])", "CAST(round({double}) AS integer)",
    ],
    "bigint": [
        "bitwise_xor({bigint}, {integer})", "CAST({double} AS bigint)", "year({timestamp} + {year})", "date_diff({#u}, {timestamptz}, {timestamptz})", "date_diff('day', {timestamp}, {date})", "json_array_length(CAST({array(integer)} AS json))", "length(CAST({number} AS varchar))", "length(upper({varchar}))", "cardinality(split({varchar}, {@',' 'a'}))", "cardinality(regexp_extract_all({varchar}, '[a-z]'))", "cardinality(map_concat({map(varchar,integer)}, {map(varchar,integer)}))", "cardinality(array_union({array(integer)}, {array(integer)}))", "array_position({array(varchar)}, {varchar})", "strpos({varchar}, {varchar}, 1)", "levenshtein_distance({varchar}, 'abc')", "from_base(to_base({bigint}, 36), 36)", "json_size({json}, '$')", "day(last_day_of_month({date}))", "hour({timestamptz} AT TIME ZONE 'America/New_York')", "CAST(date_format({timestamp}, '%Y%m%d') AS bigint)", "ceil({bigint})", "round({bigint}, -2)",

        "{bigint} + {bigint}", "{bigint} - {integer}", "{bigint} * {integer}", "{bigint} / {bigint}", "{bigint} % {bigint}", "-{bigint}",
        "length({text})", "strpos({varchar}, {varchar})", "strpos({varchar}, {varchar}, {@1 2 -1})", "position({varchar} IN {varchar})",
        "cardinality({array(E)})", "cardinality({map(varchar,integer)})", "array_position({array(E)}, {E})",
        "array_position({array(integer)}, {integer}, {@1 2 -1})", "year({P})", "month({P})", "day({P})", "quarter({P})", "week({P})", "day_of_week({P})",
        "day_of_year({P})", "year_of_week({P})", "hour({C})", "minute({C})", "second({C})", "millisecond({C})",
        "EXTRACT({@YEAR MONTH DAY WEEK QUARTER DOW DOY YOW} FROM {P})", "EXTRACT({@HOUR MINUTE SECOND} FROM {C})",
        "EXTRACT({@DAY HOUR MINUTE SECOND} FROM {day})", "EXTRACT({@YEAR MONTH} FROM {year})", "hour({day})", "day({day})", "month({year})", "minute({day})", "millisecond({day})",
        "date_diff({#u}, {P}, {P})", "date_diff({#u}, {timestamp}, {timestamp})", "date_diff({#u}, {date}, {timestamp})", "date_diff({@'hour' 'minute' 'second' 'millisecond'}, {time}, {time})",
        "levenshtein_distance({varchar}, {varchar})", "hamming_distance({varchar}, {varchar})", "bitwise_and({I}, {I})", "bitwise_or({I}, {I})", "bitwise_xor({I}, {I})",
        "bitwise_not({bigint})", "bit_count({integer}, 64)", "TRY(bit_count({bigint}, {@8 16 64}))", "bitwise_left_shift({bigint}, {@0 1 8 63 64})",
        "bitwise_right_shift({bigint}, {@0 1 8 63})", "bitwise_right_shift_arithmetic({bigint}, {@0 1 8 63 70})", "from_base({@'ff' '10' '-7' 'z'}, {@36})",
        "TRY(from_base({varchar}, {@2 10 16 36}))", "TRY(CAST({varchar} AS bigint))", "TRY(CAST({number} AS bigint))", "CAST({date} AS date) - {date} IS NULL",
        "json_array_length({json})", "json_size({json}, {@'$' '$.b' '$[0]'})", "width_bucket({double}, 0e0, 10e0, {@4 1})", "sum_digits({bigint})", "crc32({varbinary})",
        "regexp_count({varchar}, {@'a' '[A-Za-z]' '' '\\d'})", "regexp_position({varchar}, {@'b' '\\d' 'X'})", "regexp_position({varchar}, {@'b' '[a-c]'}, {@1 2}, {@1 2})",
        "to_milliseconds({day})", "length({varbinary})", "CAST(to_unixtime({P}) AS bigint)", "TRY(json_extract_scalar({json}, '$.a') || '' = '1')", "greatest({bigint}, {integer})",
        "try(from_big_endian_64({varbinary}))", "luhn_check({varchar})", "CAST({json} AS bigint)", "TRY(CAST({json} AS bigint))", "cardinality(array_distinct({array(E)}))",
        "timezone_hour({timestamptz})", "bitwise_left_shift({integer}, {@1 31 32})",
    ],
    "decimal": [
        "{decimal} + {decimal}", "{decimal} - {integer}", "{decimal} * {decimal}", "{decimal} / {decimal}", "{decimal} % {decimal}", "-{decimal}", "{integer} / {decimal}",
        "{integer} % {decimal}", "mod({decimal}, {integer})", "abs({decimal})", "sign({decimal})", "round({decimal})", "round({decimal}, {@0 1 -1 2 5})", "truncate({decimal})", "truncate({decimal}, {@0 1 -1})",
        "floor({decimal})", "ceil({decimal})", "CAST({number} AS decimal(10,2))", "TRY(CAST({number} AS decimal(38,10)))", "TRY(CAST({varchar} AS decimal(6,1)))", "TRY(CAST({number} AS decimal(5,0)))",
        "{bigint} * {decimal}", "greatest({decimal}, {integer})", "TRY(CAST({json} AS decimal(10,3)))", "CAST({boolean} AS decimal(3,1))", "{decimal} + {tinyint}",
    ],
    "real": ["{real} + {real}", "{real} * {integer}", "{real} / {real}", "-{real}", "TRY(CAST({number} AS real))", "TRY(CAST({varchar} AS real))", "round({real}, {@0 1 2})", "abs({real})", "{real} % {real}", "floor({real})", "truncate({real})", "sign({real})"],
    "double": [
        "{integer} / {double}", "sqrt(abs({double}))", "ln(abs({number}) + 1e0)", "power({double}, 2)", "{double} * {decimal}", "{real} + {double}", "TRY_CAST({varchar} AS double)", "CAST({decimal} AS double) / 3", "round(CAST({decimal} AS double), 1)", "width_bucket({double}, 0, 10, 5) * 1e0", "reduce(map_values({map(varchar,integer)}), 0e0, (s, x) -> s + coalesce(x, 0), s -> s)",

        "{double} + {double}", "{double} - {number}", "{double} * {double}", "{double} / {number}", "{double} % {double}", "-{double}", "abs({double})", "sqrt({number})", "cbrt({double})", "exp({double})",
        "ln({double})", "log2({number})", "log10({double})", "log({@2e0 10e0 0.5e0}, {double})", "power({number}, {number})", "pow({double}, {integer})", "sin({double})", "atan2({double}, {double})", "tanh({double})", "degrees({double})",
        "radians({double})", "sign({double})", "round({double})", "round({double}, {@0 1 2 -1 -2})", "floor({double})", "ceil({double})", "truncate({double})", "mod({double}, {number})", "CAST({number} AS double)",
        "TRY(CAST({varchar} AS double))", "to_unixtime({P})", "greatest({double}, {double})", "least({double}, {integer})", "infinity()", "nan()", "e()", "pi()", "TRY(CAST({json} AS double))", "acos({double})", "asin({double})", "cos({double})", "tan({double})", "atan({double})", "sinh({double})",
        "cosine_similarity(MAP(ARRAY['a'], ARRAY[{double}]), MAP(ARRAY['a','b'], ARRAY[1e0, 2e0]))", "json_extract_scalar({json}, '$[0]') IS NULL", "normal_cdf(0, 1, {double})", "inverse_normal_cdf(0, 1, {@0.3e0 0.5e0})", "array_max({array(double)})", "reduce({array(double)}, 0e0, (s, x) -> s + x, s -> s)", "to_ieee754_64({double}) IS NULL",
        "array_min({array(double)})", "wilson_interval_lower({@3 0}, {@10 20}, {@1.96e0})",
    ],
    "varchar": [
        "TRY_CAST({integer} AS varchar)", "json_format(CAST({array(varchar)} AS json))", "json_format(CAST({map(varchar,integer)} AS json))", "json_format(CAST({row} AS json))", "array_join(transform({array(integer)}, x -> CAST(x AS varchar)), '|', '-')", "array_join(map_keys({map(varchar,integer)}), ',')", "split({varchar}, ',')[1]", "element_at(split({varchar}, 'b'), 2)", "regexp_replace(lower({varchar}), '[aeiou]', '')", "regexp_extract({varchar}, '([a-z]+),([a-z]*)', 2)", "substr({varchar}, 1, 3) || '...'", "concat(CAST({date} AS varchar), {varchar})", "date_format({timestamp}, {@'%Y-%m' '%a' '%H' '%s' '%y%m%d' '%e_%c'})", "format_datetime({timestamp}, {@'MMM' 'dd/MM/yyyy' 'EEEE' 'H:m:s' 'yyyy-DDD' 'G' 'aa' 'S'})", "format('%s-%s', {varchar}, {date})", "format('%08.3f', {double})", "format('%+d', {bigint})", "to_hex(to_utf8({varchar}))", "from_utf8(from_base64(to_base64(to_utf8({varchar}))))", 'json_value({@\'{"a":1,"b":[1,2]}\'}, {@\'lax_$.b[0]\' \'lax_$.a.c\' \'strict_$.z\'} DEFAULT \'none\' ON EMPTY NULL ON ERROR)', 'json_query({@\'{"a":1,"b":[1,2]}\' \'[1,2]\'}, {@\'lax_$.b\' \'lax_$[*]\' \'lax_$\'} WITH ARRAY WRAPPER)', "json_object('k': {integer})", "json_array({integer}, {varchar}, {boolean})", "upper(substr({varchar}, 1, 1)) || lower(substr({varchar}, 2))", "lpad(CAST({integer} AS varchar), 8, '0')", "reverse(split_part({varchar}, '.', 1))", "translate({varchar}, 'abc', 'xyz')", "replace({varchar}, ',', ';')",  "typeof({number} + {number})", "typeof(coalesce({number}, {number}))", "typeof({decimal} * {decimal})", "typeof({decimal} / {integer})", "CAST({time} AS varchar)", "CAST({timestamptz} AS varchar)", "to_iso8601({timestamptz})", "human_readable_seconds({integer})", "CAST({json} AS varchar)", "IF({boolean}, 'y', 'n')", "CASE WHEN {integer} > 2 THEN 'big' WHEN {integer} > 0 THEN 'small' END",

        "{text} || {text}", "concat({varchar}, {varchar})", "concat({varchar}, {varchar}, {char})", "upper({varchar})", "lower({varchar})", "upper({char})", "trim({varchar})", "ltrim({varchar})", "rtrim({text})", "trim({@LEADING TRAILING BOTH} {@'a' ' ' 'xa'} FROM {varchar})",
        "trim({varchar}, {@'a' 'abc' ' '})", "substr({varchar}, {integer})", "substr({varchar}, {#i}, {#i})", "substring({varchar} FROM {#i} FOR {#i})", "substring({varchar}, {#i})", "replace({varchar}, {varchar}, {varchar})", "replace({varchar}, {@'a' '' 'b,'})", "reverse({varchar})", "lpad({varchar}, {@0 1 3 8}, {@'x' 'ab' 'ü'})", "rpad({varchar}, {@0 2 7}, {@'x' 'ab'})",
        "split_part({varchar}, {@',' '.' 'X' 'b'}, {@1 2 3 5})", "translate({varchar}, {varchar}, {varchar})", "chr({@65 252 128512 97})", "regexp_extract({varchar}, {@'[a-z]+' '\\d+' '^.' 'b(.)' '(x)?y'})", "regexp_extract({varchar}, {@'(a)(b)?' '([A-Z])(\\d)'}, {@0 1 2})",
        "regexp_replace({varchar}, {@'a' '[^a-c]' '' '\\s+' '\\d'})", "regexp_replace({varchar}, {@'(a)(b)?' '([a-z])'}, {@'<$1>' '\\$' '$0$0' '-'})", "regexp_replace({varchar}, '([a-z])', x -> upper(x[1]) || {varchar})", "CAST({S} AS varchar)", "CAST({number} AS varchar)", "CAST({P} AS varchar)", "TRY(CAST({number} AS varchar({@1 3 10})))", "CAST({varchar} AS varchar({@0 2 5}))",
        "json_format({json})", "json_extract_scalar({json}, {@'$.a' '$[0]' '$.b[1]' '$' '$.b'})", "CAST({json} AS varchar)", "TRY(CAST({json} AS varchar))", "to_hex({varbinary})", "to_base64({varbinary})", "to_base64url({varbinary})", "from_utf8({varbinary})", "from_utf8({varbinary}, {@'?' ''})", "array_join({array(E)}, {@',' '' '--'})", "array_join({array(E)}, ',', {@'N' ''})",
        "date_format({P}, {@'%Y-%m-%d' '%H:%i:%s' '%W %e %b %y' '%j %M %c %k %l %p' '%T %r %f' '%x-%v %a %%' '%d/%m'})", "format_datetime({P}, {@'yyyy-MM-dd' 'EEE, d MMM yy' 'HH:mm:ss.SSS' 'h a' 'xxxx ww e' 'D' 'YYYY QQ' 'yyyyMMdd''T''HHmmss' 'MMMM EEEE' 'KK kk'})", "to_iso8601({P})", "typeof({T})", "format('%s %d', {varchar}, {integer})", "format('%.2f', {double})", "format('%5d|%-5s|%x', {integer}, {varchar}, {integer})", "format('%,d', {bigint})",
        "url_encode({varchar})", "url_decode(url_encode({varchar}))", "url_extract_host({@'http://a.com:80/p?q=1#f' 'x'})", "url_extract_parameter('http://a.com/p?q=1&r', {@'q' 'r' 's'})", "normalize({varchar}, {@NFD NFC NFKD})", "to_base({bigint}, {@2 10 16 36})", "soundex({@'Robert' 'abc' 'Tymczak' ''})", "{row}.y", "{array(varchar)}[1]", "element_at({map(integer,varchar)}, {integer})", "element_at({array(varchar)}, {@1 -1 3})", "array_min({array(varchar)})", "array_max({array(varchar)})",
        "reduce({array(varchar)}, '', (s, x) -> s || coalesce(x, '?'), s -> s)", "word_stem({@'running' 'flies'})", "human_readable_seconds({double})", "parse_data_size({@'1kB' '2.5MB'}) IS NULL", "lower(to_hex(md5({varbinary})))", "to_hex(sha256({varbinary}))", "to_hex(xxhash64({varbinary}))", "concat_ws({@',' ''}, {varchar}, {varchar}, NULL, 'z')", "concat_ws(',', {array(varchar)})", "split({varchar}, {@',' 'b'})[1]",
        "CAST({varbinary} AS varchar) IS NULL", "json_query({varchar}, 'lax $.a')", "json_value({@'{\"a\":1}' '{\"a\":\"x\"}' '[1]' 'bad'}, {@'lax $.a' 'strict $.a' 'lax $[0]'})", "to_hex(to_utf8({varchar}))", "to_hex(hmac_md5({varbinary}, X'01'))", "CAST(CAST({varchar} AS char({@3 6})) AS varchar)", "CAST({boolean} AS varchar)", "CAST({day} AS varchar)", "CAST({year} AS varchar)", "CAST({time} AS varchar)", "CAST({date} AS varchar)", "CAST({real} AS varchar)", "CAST({double} AS varchar)", "CAST({decimal} AS varchar)",
        "CAST({char} AS varchar)", "substr({char}, {#i})",
    ],
    "char": ["CAST({varchar} AS char({@1 3 5}))", "CAST({char} AS char({@2 6}))", "lower({char})", "trim({char})", "substr({char}, 1, 2)"],
    "varbinary": ["to_utf8({varchar})", "{varbinary} || {varbinary}", "concat({varbinary}, {varbinary})", "substr({varbinary}, {#i})", "substr({varbinary}, {#i}, {#i})", "from_hex({@'616263' '' 'FF'})", "TRY(from_hex({varchar}))", "TRY(from_base64({varchar}))", "md5({varbinary})", "sha1({varbinary})", "sha512({varbinary})", "reverse({varbinary})", "to_big_endian_64({bigint})", "to_big_endian_32({integer})", "to_ieee754_64({double})", "to_ieee754_32({real})", "xxhash64({varbinary})", "murmur3({varbinary})", "lpad({varbinary}, {@0 3 5}, X'0102')", "rpad({varbinary}, {@0 3 5}, X'01')", "CAST({varchar} AS varbinary)", "spooky_hash_v2_64({varbinary})"],
    "date": [
        "date_add('month', {#i}, {date})", "date_trunc('month', {date}) - INTERVAL '1' DAY", "CAST(CAST({date} AS varchar) AS date)", "TRY_CAST({varchar} AS date)", "CAST(date_trunc('week', {timestamp}) AS date)", "array_min({array(date)})", "greatest({date}, {date})", "{date} + INTERVAL '1' MONTH - INTERVAL '1' DAY",
       "CAST({timestamp} AS date)", "CAST({timestamptz} AS date)", "date({timestamp})", "TRY(CAST({varchar} AS date))", "TRY(date({varchar}))", "date_trunc({@'day' 'week' 'month' 'quarter' 'year'}, {date})", "date_add({@'day' 'week' 'month' 'quarter' 'year'}, {#i}, {date})", "{date} + {@INTERVAL_'1'_DAY INTERVAL_'1'_MONTH INTERVAL_'-1'_YEAR INTERVAL_'40'_DAY}", "{date} - {year}", "last_day_of_month({P})", "TRY(from_iso8601_date({@'2024-02-29' '2024-W05-1' '2024-060' 'x'}))", "array_max({array(date)})", "element_at({array(date)}, 1)", "CAST(date_parse({@'2024-01-02' '1999-12-31'}, '%Y-%m-%d') AS date)"],
    "time": ["CAST({timestamp} AS time)", "TRY(CAST({varchar} AS time))", "date_trunc({@'second' 'minute' 'hour'}, {time})", "date_add({@'second' 'minute' 'hour' 'millisecond'}, {#i}, {time})", "{time} + {day}", "{time} - {day}", "CAST({timestamptz} AS time)", "CAST({time} AS time({@0 1 3 6}))"],
    "timestamp": [
        "date_trunc({#u2}, CAST({date} AS timestamp))", "CAST({timestamptz} AT TIME ZONE 'America/New_York' AS timestamp)", "date_add('month', {#i}, {timestamp})", "from_unixtime({@0 86400}) AT TIME ZONE 'UTC' + INTERVAL '1' DAY IS NULL", "TRY_CAST({varchar} AS timestamp)", "date_parse(date_format({timestamp}, '%Y-%m-%d %H:%i:%s'), '%Y-%m-%d %H:%i:%s')", "CAST(CAST({timestamp} AS varchar) AS timestamp)",
       "CAST({date} AS timestamp)", "CAST({timestamptz} AS timestamp)", "TRY(CAST({varchar} AS timestamp))", "date_trunc({#u2}, {timestamp})", "date_add({#u}, {#i}, {timestamp})", "{timestamp} + {day}", "{timestamp} - {day}", "{timestamp} + {year}", "{timestamp} - {year}", "TRY(date_parse({varchar}, {@'%Y-%m-%d' '%Y-%m-%d_%H:%i:%s.%f'}))", "date_parse({@'2024-01-02_03:04:05' '1999-12-31_23:59:59'}, '%Y-%m-%d_%T')", "{date} + {day}", "CAST({timestamp} AS timestamp({@0 1 6}))", "from_iso8601_timestamp({@'2024-02-29T10:11:12' '2024-02-29T10:11:12.345Z'}) AT TIME ZONE 'UTC' IS NULL", "coalesce({timestamp}, {date})", "greatest({timestamp}, {timestamp})"],
    "timestamptz": ["CAST({timestamp} AS timestamp with time zone)", "{timestamptz} AT TIME ZONE {@'America/New_York' 'Asia/Kolkata' 'UTC' '+05:30'}", "at_timezone({timestamptz}, {@'Europe/Berlin' 'UTC'})", "with_timezone({timestamp}, {@'America/New_York' 'UTC' '-08:00'})", "from_unixtime({@0 1.5e0 1700000000 -1})", "from_unixtime({@0 1700000000}, {@'America/New_York' 'UTC'})", "date_trunc({#u2}, {timestamptz})", "date_add({#u}, {#i}, {timestamptz})", "{timestamptz} + {day}", "{timestamptz} - {year}", "from_iso8601_timestamp({@'2024-02-29T10:11:12' '2024-02-29T10:11:12.345+02:00' '2024-02-29' '2024-02-29T10Z'})", "TRY(parse_datetime({@'2024-02-29_10:11' '1999-01-01_00:00'}, 'yyyy-MM-dd_HH:mm'))", "CAST({date} AS timestamp with time zone)", "from_unixtime_nanos({@0 1700000000123456789})", "TRY(CAST({varchar} AS timestamp with time zone))", "{timestamptz} AT TIME ZONE {@'America/New_York' 'Asia/Kolkata'} + {day}"],
    "day": ["{timestamp} - {timestamp}", "{date} - {date}", "{timestamptz} - {timestamptz}", "{day} + {day}", "{day} - {day}", "{day} * {@2 -1 0.5e0 3}", "{day} / {@2 4 -1}", "-{day}", "{@2 1.5e0} * {day}", "parse_duration({@'42.8ms' '3.81d' '5m'})", "{time} - {time}", "greatest({day}, {day})"],
    "year": ["{year} + {year}", "{year} - {year}", "{year} * {@2 -1 3}", "-{year}", "{year} / {@2 3}"],
    "json": ["CAST({S} AS json)", "CAST({array(integer)} AS json)", "CAST({array(double)} AS json)", "CAST({map(varchar,integer)} AS json)", "CAST({row} AS json)", "json_extract({json}, {@'$.a' '$.b' '$[0]' '$.b[1]' '$'})", "TRY(json_parse({varchar}))", "json_parse({@'[1,2.50,{\"z\":1,\"a\":2}]' '\"x\"' '1e3'})", "json_array_get({json}, {@0 1 -1})", "CAST({map(varchar,array(integer))} AS json)", "CAST({array(varchar)} AS json)"],
    "array(integer)": [
        "array_sort(array_distinct({array(integer)}))", "transform(filter({array(integer)}, x -> x IS NOT NULL), x -> x + 1)", "zip_with({array(integer)}, reverse({array(integer)}), (x, y) -> coalesce(x, 0) - coalesce(y, 0))", "reduce({array(integer)}, CAST(ARRAY[] AS array(integer)), (s, x) -> x || s, s -> s)", "map_values(map_filter({map(varchar,integer)}, (k, v) -> v > 0))", "CAST(CAST({array(integer)} AS json) AS array(integer))", "transform({array(array(integer))}, x -> CAST(cardinality(x) AS integer))", "array_except(sequence(1, 5), {array(integer)})", "IF(cardinality({array(integer)}) > 1, {array(integer)})",
       "ARRAY[{integer}, {integer}]", "{array(integer)} || {array(integer)}", "{array(integer)} || {integer}", "{integer} || {array(integer)}", "concat({array(integer)}, {array(integer)})", "array_distinct({array(integer)})", "array_sort({array(integer)})", "array_sort({array(integer)}, (x, y) -> IF(coalesce(x, 0) > coalesce(y, 0), -1, IF(coalesce(x, 0) = coalesce(y, 0), 0, 1)))", "reverse({array(integer)})", "slice({array(integer)}, {@1 2 -1 -2}, {@0 1 2 5})", "filter({array(integer)}, x -> {boolean|x integer})", "transform({array(integer)}, x -> {integer|x integer})", "transform({array(varchar)}, x -> {integer|x varchar})", "array_remove({array(integer)}, {integer})", "array_union({array(integer)}, {array(integer)})", "array_intersect({array(integer)}, {array(integer)})", "array_except({array(integer)}, {array(integer)})", "flatten({array(array(integer))})", "repeat({integer}, {@0 1 3})", "sequence({@1 3 -2}, {@5 3 4})", "sequence(10, {@1 4}, {@-3 -2})", "zip_with({array(integer)}, {array(integer)}, (x, y) -> {integer|x integer,y integer})", "trim_array({array(integer)}, {@0 1})", "map_values({map(varchar,integer)})", "map_keys({map(integer,varchar)})", "shuffle(ARRAY[{integer}])", "CAST({array(double)} AS array(integer))", "TRY(CAST({json} AS array(integer)))", "{array(array(integer))}[1]", "element_at({map(varchar,array(integer))}, 'k')"],
    "array(varchar)": ["ARRAY[{varchar}, {varchar}]", "split({varchar}, {@',' 'a' 'b' 'XX'})", "split({varchar}, ',', {@1 2 3})", "regexp_split({varchar}, {@',' '[a-z]' '\\s*'})", "regexp_extract_all({varchar}, {@'[a-z]' '\\d+' '.'})", "regexp_extract_all({varchar}, {@'([a-z])(\\d)?'}, {@1 2})", "{array(varchar)} || {varchar}", "array_sort({array(varchar)})", "array_distinct({array(varchar)})", "transform({array(E)}, x -> CAST(x AS varchar))", "filter({array(varchar)}, x -> {boolean|x varchar})", "map_keys({map(varchar,integer)})", "map_values({map(integer,varchar)})", "CAST({array(integer)} AS array(varchar))", "array_union({array(varchar)}, {array(varchar)})", "array_except({array(varchar)}, {array(varchar)})", "array_intersect({array(varchar)}, {array(varchar)})", "slice({array(varchar)}, 1, {@1 2})", "array_remove({array(varchar)}, {varchar})", "TRY(CAST({json} AS array(varchar)))", "reverse({array(varchar)})"],
    "array(double)": ["ARRAY[{double}, {double}]", "transform({array(integer)}, x -> {double|x integer})", "array_sort({array(double)})", "array_distinct({array(double)})", "CAST({array(integer)} AS array(double))", "{array(double)} || {array(integer)}", "array_except({array(double)}, {array(double)})"],
    "array(date)": ["ARRAY[{date}, {date}]", "array_sort({array(date)})", "sequence(DATE '2024-01-30', DATE '2024-04-01', {@INTERVAL_'1'_MONTH INTERVAL_'7'_DAY})", "array_distinct({array(date)})"],
    "array(array(integer))": ["ARRAY[{array(integer)}, {array(integer)}]", "ngrams({array(integer)}, {@1 2 3})", "combinations({array(integer)}, {@0 1 2})", "array_sort({array(array(integer))})", "transform({array(integer)}, x -> ARRAY[x, {integer|x integer}])", "map_values({map(varchar,array(integer))})", "array_distinct({array(array(integer))})"],
    "map(varchar,integer)": [
        "map_from_entries(map_entries({map(varchar,integer)}))", "transform_keys({map(varchar,integer)}, (k, v) -> upper(k))",
       "map_concat({map(varchar,integer)}, {map(varchar,integer)})", "map_filter({map(varchar,integer)}, (k, v) -> {boolean|k varchar,v integer})", "transform_values({map(varchar,integer)}, (k, v) -> {integer|k varchar,v integer})", "TRY(transform_keys({map(integer,varchar)}, (k, v) -> {varchar|k integer,v varchar})) IS NULL", "MAP(ARRAY['q','r'], ARRAY[{integer}, {integer}])", "TRY(MAP({array(varchar)}, {array(integer)}))", "map_zip_with({map(varchar,integer)}, {map(varchar,integer)}, (k, v, w) -> {integer|k varchar,v integer,w integer})", "CAST(split_to_map({@'a=1,b=2' 'c=3'}, ',', '=') AS map(varchar,integer))", "TRY(CAST({json} AS map(varchar,integer)))", "TRY(map_from_entries(ARRAY[ROW({varchar}, {integer})]))"],
    "map(integer,varchar)": ["MAP(ARRAY[{integer}], ARRAY[{varchar}])", "transform_values({map(integer,varchar)}, (k, v) -> {varchar|k integer,v varchar})", "map_filter({map(integer,varchar)}, (k, v) -> {boolean|k integer,v varchar})"],
    "map(varchar,array(integer))": ["MAP(ARRAY['k'], ARRAY[{array(integer)}])", "multimap_from_entries(ARRAY[ROW('k', {integer}), ROW({varchar}, {integer})])"],
    "row": ["CAST(ROW({integer}, {varchar}) AS ROW(x integer, y varchar))", "TRY(CAST({json} AS row(x integer, y varchar)))", "element_at(map_entries({map(integer,varchar)}), 1) IS NULL"],
    "uuid": ["TRY(CAST({varchar} AS uuid))", "CAST({~uuid} AS uuid)"],
}  # fmt: skip
# For every kind K.
ANY = ["coalesce({K}, {K})", "IF({boolean}, {K}, {K})", "IF({boolean}, {K})", "CASE WHEN {boolean} THEN {K} ELSE {K} END",
       "CASE {S} WHEN {S} THEN {K} WHEN {S} THEN {K} END", "nullif({K}, {K})", "TRY({K})", "(SELECT {K})"]  # fmt: skip
EXTREMES = ["greatest({K}, {K})", "least({K}, {K})", "greatest({K}, {K}, {K})"]

# Aggregates; those that depend on an order have one.
AGGREGATES: dict[str, list[str]] = {
    "bigint": ["count(*)", "avg({I})", "count({T})", "count(DISTINCT {S})", "sum({I})", "count_if({boolean})", "bitwise_and_agg({bigint})", "bitwise_or_agg({bigint})", "approx_distinct({E})", "sum(DISTINCT {I})", "cardinality(array_agg({S}))", "cardinality(map_agg({varchar}, {integer}))"],
    "decimal": ["sum({decimal})", "avg({decimal})", "min({decimal})", "max({decimal})", "sum(DISTINCT {decimal})"],
    "double": ["avg({double})", "sum({double})", "stddev({double})", "stddev_pop({bigint})", "variance({integer})", "var_pop({double})", "corr({integer}, {double})", "covar_pop({integer}, {double})", "covar_samp({integer}, {integer})", "skewness({integer})", "kurtosis({integer})", "regr_slope({integer}, {double})", "regr_intercept({integer}, {integer})", "geometric_mean({double})", "entropy({integer})", "max({double})", "min({double})", "avg(DISTINCT {integer})"],
    "real": ["sum({real})", "avg({real})", "min({real})", "max({real})"],
    "boolean": ["bool_and({boolean})", "bool_or({boolean})", "every({boolean})", "max({boolean})"],
    "any": ["min({O})", "max({O})", "min_by({T}, {date}||{id})", "max_by({T}, {id})", "min_by({S}, {id})", "array_agg({T} ORDER BY {O}, {id})", "array_sort(array_agg(DISTINCT {E}))", "listagg({varchar}, ',') WITHIN GROUP (ORDER BY {O}, {id})", "array_sort(array_agg({E}))", "array_agg({S} ORDER BY {O} DESC NULLS FIRST, {id})", "min({integer}, 2)", "max({varchar}, 2)", "array_sort(map_keys(histogram({E})))", "map_agg({id}, {S})", "array_sort(set_union({array(E)}))", "map_union(MAP(ARRAY[{id}], ARRAY[{S}]))", "reduce_agg({integer}, 0, (a, b) -> a + b, (a, b) -> a + b)", "multimap_agg({id}, {S})", "histogram({S})", "numeric_histogram(3, {double})", "approx_percentile({double}, 0.5)", "approx_percentile({bigint}, ARRAY[0.1, 0.9])", "checksum({S})", "any_value({~varchar})", "arbitrary({~integer})", "avg({day})", "sum({day})", "sum({year})", "max({row})", "min({array(integer)})", "approx_most_frequent(3, {@1 2}, 10)"],
}  # fmt: skip
WINDOWS: dict[str, list[str]] = {
    "rank": ["row_number()", "rank()", "dense_rank()", "percent_rank()", "cume_dist()", "ntile({@1 2 3 5})"],
    "value": ["lag({T})", "lag({T}, {@1 2 0})", "lag({integer}, 2, {integer})", "lead({T})", "lead({varchar}, 1, {varchar})", "lag({T}) IGNORE NULLS", "lead({S}, 2) IGNORE NULLS"],
    "framed": ["first_value({T})", "last_value({T})", "nth_value({T}, {@1 2 3})", "first_value({S}) IGNORE NULLS", "last_value({S}) IGNORE NULLS", "nth_value({S}, 2) IGNORE NULLS"],
}  # fmt: skip
FRAMES = ["", "", "ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING", "ROWS UNBOUNDED PRECEDING", "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
          "ROWS BETWEEN 2 FOLLOWING AND 3 FOLLOWING", "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
          "GROUPS 1 PRECEDING", "ROWS BETWEEN 3 PRECEDING AND 2 PRECEDING", "RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING", "ROWS 2 PRECEDING"]  # fmt: skip


COLUMN_LITERALS = {
    "decimal": [f"DECIMAL '{n}'" for n in ("1.50", "-2.50", "0.00", "9999999999.99", "-0.10", "7")]
}


@dataclass
class Node:
    """A piece of SQL. `kind` is the kind of an expression; a `list` may lose all but one of its children."""

    kind: str
    parts: list[str | Node]
    # Between the children of a list.
    sep: str = ""
    # May be left out.
    optional: bool = False
    # Replaces the parts once the node is a leaf.
    simple: list[str] = field(default_factory=list)

    def sql(self) -> str:
        return self.sep.join(p if isinstance(p, str) else p.sql() for p in self.parts)

    def nodes(self) -> Iterator[Node]:
        yield self
        for p in self.parts:
            if isinstance(p, Node):
                yield from p.nodes()


def smaller(tree: Node) -> Iterator[None]:
    """Changes the tree to a smaller one at a time, and back when the next is asked for. Closing keeps the change."""
    for node in sorted(tree.nodes(), key=lambda n: -len(n.sql())):
        before = node.parts
        if not before:
            continue
        options: list[list[str | Node]] = []
        if node.optional:
            options.append([])
        if node.sep:
            options += [before[:i] + before[i + 1 :] for i in range(len(before)) if len(before) > 1]
        options += [
            n.parts
            for n in node.nodes()
            if n is not node and n.kind == node.kind and not n.sep and not node.sep
        ]
        if not node.sep and node.simple and before not in [[s] for s in node.simple]:
            options += [[s] for s in node.simple]
        size = len(node.sql())
        for option in options:
            node.parts = option
            if len(node.sql()) < size or (
                option and option[0] in node.simple and any(isinstance(p, Node) for p in before)
            ):
                yield
            node.parts = before


@dataclass
class Table:
    name: str
    # Names and kinds.
    columns: dict[str, str]
    rows: list[list[str]]

    def sql(self, body: str) -> str:
        """What WITH says of those columns that the body names."""
        used = [i for i, c in enumerate(self.columns) if re.search(rf"\b{c}\b", body)] or [0]
        names, kinds = list(self.columns), list(self.columns.values())
        rows = ", ".join("(" + ", ".join(r[i] for i in used) + ")" for r in self.rows)
        casts = {i: f"CAST({names[i]} AS {DECLARED.get(kinds[i], kinds[i])}) AS {names[i]}" for i in used}
        columns = ", ".join(names[i] if kinds[i] in INTERVALS else c for i, c in casts.items())
        return f"{self.name} AS (SELECT {columns} FROM (VALUES {rows}) AS v ({', '.join(names[i] for i in used)}))"


@dataclass
class Statement:
    body: Node
    tables: list[Table]

    def sql(self) -> str:
        body = self.body.sql()
        tables = [t.sql(body) for t in self.tables if re.search(rf"\b(FROM|JOIN) {t.name}\b", body)]
        return f"WITH {', '.join(tables)} {body}" if tables else body

    def smaller(self) -> Iterator[None]:
        """As `smaller` of a tree, with fewer rows too."""
        for t in self.tables:
            for i in reversed(range(len(t.rows))):
                if len(t.rows) > 1:
                    kept = t.rows
                    t.rows = kept[:i] + kept[i + 1 :]
                    yield
                    t.rows = kept
        yield from smaller(self.body)


class Generator:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        # Names of columns and variables in scope, by kind; the name of the unique one.
        self.scope: dict[str, list[str]] = {}
        self.id = "id"

    # ------------------------------------------------------------------------------------- expressions

    def literal(self, kind: str) -> str:
        return self.random.choice(LITERALS[kind])

    def expression(self, kind: str, depth: int) -> Node:
        if kind in ("number", "text"):
            kind = self.random.choice(FAMILIES[kind])
        rnd, names = self.random, self.scope.get(kind, [])
        simple = LITERALS[kind][:3]
        if depth <= 0 or rnd.random() < 0.2:
            if names and rnd.random() < 0.75:
                return Node(kind, [rnd.choice(names)], simple=simple)
            return Node(kind, ["NULL" if rnd.random() < 0.03 else self.literal(kind)], simple=simple)
        choices = SCALAR.get(kind, [])
        if rnd.random() < 0.15 or not choices:
            more = ANY if kind in ("json", "row", "real") or "(" in kind else ANY + EXTREMES
            template = rnd.choice(more)
        else:
            template = rnd.choice(choices)
        return Node(kind, ["(", self.fill(template, depth - 1, {"K": kind}), ")"], simple=simple)

    def fill(self, template: str, depth: int, known: dict[str, str] | None = None) -> Node:
        """A template with expressions in its places."""
        kinds = dict(known or {})
        parts: list[str | Node] = []
        at = 0
        for m in re.finditer(r"\{((?:[^{}]|\{[^{}]*\})+)\}", template):
            parts.append(template[at : m.start()])
            at = m.end()
            parts.append(self.place(m.group(1), depth, kinds))
        return Node("call", [*parts, template[at:]])

    def place(self, text: str, depth: int, kinds: dict[str, str]) -> Node | str:
        rnd = self.random
        if text[0] == "@":
            if "'" in text:
                found = re.findall(r"'(?:[^']|'')*'|[^\s']\S*", text[1:])
                pick = rnd.choice(found)
                # A blank would end it.
                return (
                    re.sub(r"(?<=\w|')_(?=[\w'$])", " ", pick)
                    if "INTERVAL" in text or "lax_" in text
                    else pick
                )
            return rnd.choice(text[1:].split())
        if text == "#u":
            return rnd.choice(U1)
        if text == "#u2":
            return rnd.choice(U2)
        if text == "#i":
            return rnd.choice(SMALL)
        if text == "id":
            return self.id
        if text[0] == "~":
            return self.literal(text[1:])
        text, _, bound = text.partition("|")

        def resolve(name: str) -> str:
            if name in FAMILIES and name not in ("number", "text"):
                return kinds.setdefault(name, rnd.choice(FAMILIES[name]))
            return kinds.get(name, name)

        m = re.fullmatch(r"array\((\w)\)", text)
        kind = f"array({resolve(m.group(1))})" if m else resolve(text)
        if not bound:
            return self.expression(kind, depth)
        outer = self.scope
        self.scope = {k: list(v) for k, v in outer.items()}
        for pair in bound.split(","):
            name, _, of = pair.strip().partition(" ")
            self.scope.setdefault(of, []).insert(0, name)
            self.scope[of] = [name, name, *self.scope[of][:2]]
        try:
            return self.expression(kind, depth)
        finally:
            self.scope = outer

    # --------------------------------------------------------------------------------------- statements

    def table(self, name: str, size: int) -> Table:
        columns = {f"{name}_id": "integer"} | {f"{name}_{_short(k)}": k for k in LITERALS if k != "uuid"}
        rows = []
        for i in range(size):
            values = [str(i + 1)]
            for kind in list(columns.values())[1:]:
                pool = COLUMN_LITERALS.get(kind, LITERALS[kind])
                values.append("NULL" if self.random.random() < 0.2 else self.random.choice(pool))
            rows.append(values)
        return Table(name, columns, rows)

    def enter(self, *tables: Table) -> None:
        """Puts the tables' columns, and nothing else, in scope."""
        self.scope = {}
        for t in tables:
            for name, kind in t.columns.items():
                self.scope.setdefault(kind, []).append(name)
        self.id = f"{tables[0].name}_id"

    def any_kind(self) -> str:
        return self.random.choice([*SCALARS, *SCALARS, *NESTED, "json"])

    def statement(self) -> Statement:
        rnd = self.random
        t, u = self.table("t", rnd.choice([3, 6, 10])), self.table("u", rnd.choice([2, 4]))
        form = rnd.choice(
            [self.projection] * 8
            + [self.aggregation] * 4
            + [self.window] * 3
            + [self.join] * 2
            + [
                self.set_operation,
                self.grouping_sets,
                self.unnest,
                self.subquery,
                self.subquery,
                self.distinct,
            ]
        )
        self.enter(t)
        return Statement(form(t, u), [t, u])

    def condition(self, depth: int = 1) -> Node:
        return Node("clause", [" WHERE ", self.expression("boolean", depth)], optional=True)

    def projection(self, t: Table, u: Table) -> Node:
        depth = self.random.choice([1, 1, 2, 2, 3])
        e = self.expression(self.any_kind(), depth)
        where = [self.condition()] if self.random.random() < 0.3 else []
        return Node("query", ["SELECT ", e, " AS e, typeof(", e, ") FROM t", *where])

    def aggregate(self, depth: int) -> Node:
        rnd = self.random
        body = self.fill(rnd.choice([a for templates in AGGREGATES.values() for a in templates]), depth)
        parts: list[str | Node] = [body]
        if rnd.random() < 0.2:
            parts.append(
                Node("clause", [" FILTER (WHERE ", self.expression("boolean", 1), ")"], optional=True)
            )
        return Node("aggregate", parts)

    def aggregation(self, t: Table, u: Table) -> Node:
        rnd = self.random
        items = Node(
            "items", [self.aggregate(rnd.choice([0, 1, 1, 2])) for _ in range(rnd.choice([1, 2]))], sep=", "
        )
        where = [self.condition()] if rnd.random() < 0.2 else []
        if rnd.random() < 0.4:
            return Node("query", ["SELECT ", items, " FROM t", *where])
        keys = Node(
            "items",
            [
                self.expression(rnd.choice(FAMILIES["S"]), rnd.choice([0, 0, 1]))
                for _ in range(rnd.choice([1, 1, 2]))
            ],
            sep=", ",
        )
        having: list[str | Node] = []
        if rnd.random() < 0.15:
            having = [
                Node("clause", [" HAVING count(", self.expression("integer", 0), ") > 1"], optional=True)
            ]
        return Node("query", ["SELECT ", keys, ", ", items, " FROM t", *where, " GROUP BY ", keys, *having])

    def grouping_sets(self, t: Table, u: Table) -> Node:
        rnd = self.random
        names = [
            rnd.choice(self.scope[k])
            for k in rnd.sample(["integer", "varchar", "boolean", "date", "char", "double", "decimal"], 2)
        ]
        a, b = names
        sets = rnd.choice(
            [
                f"ROLLUP ({a}, {b})",
                f"CUBE ({a}, {b})",
                f"GROUPING SETS (({a}), ({b}), ())",
                f"GROUPING SETS (({a}, {b}), ({a}), ({a}))",
                f"{a}, ROLLUP ({b})",
                f"ROLLUP ({a}), CUBE ({b})",
            ]
        )
        grouping = rnd.choice([f"grouping({a}, {b})", f"grouping({b})", "1"])
        e = Node("items", [self.aggregate(1), grouping], sep=", ")
        return Node("query", [f"SELECT {a}, {b}, ", e, f" FROM t GROUP BY {sets}"])

    def window(self, t: Table, u: Table) -> Node:
        rnd = self.random
        kind = rnd.choice(["rank", "value", "framed", "aggregate", "aggregate"])
        frame = ""
        if kind == "aggregate":
            plain = [
                a
                for k, templates in AGGREGATES.items()
                if k not in ("any", "double", "real")
                for a in templates
                if "DISTINCT" not in a
            ]
            call = self.fill(
                rnd.choice(
                    [
                        *plain,
                        "min({O})",
                        "max({O})",
                        "array_agg({S})",
                        "max_by({S}, t_id)",
                        "min_by({S}, t_id)",
                    ]
                ),
                1,
            )
        else:
            call = self.fill(rnd.choice(WINDOWS[kind]), 1)
        if kind in ("framed", "aggregate"):
            frame = rnd.choice(FRAMES)
        keys: list[str | Node] = []
        if rnd.random() < 0.8 or frame.startswith("GROUPS"):
            # Rows that are equal come in any order: only ranks and whole groups may have them.
            own = (
                [] if kind == "rank" and "row" not in call.sql() and "ntile" not in call.sql() else [", t_id"]
            )
            if (
                frame.startswith(("GROUPS", "RANGE"))
                and "array_agg" not in call.sql()
                and kind == "aggregate"
            ):
                own = []
            order = rnd.choice(["", " DESC", " NULLS FIRST", " DESC NULLS LAST"])
            keys = [" ORDER BY ", self.expression(rnd.choice(FAMILIES["O"]), rnd.choice([0, 1])), order, *own]
        else:
            keys = [" ORDER BY t_id"]
        partition: list[str | Node] = []
        if rnd.random() < 0.5:
            partition = [
                Node(
                    "clause",
                    [
                        "PARTITION BY ",
                        self.expression(rnd.choice(["boolean", "varchar", "integer", "date"]), 1),
                    ],
                    optional=True,
                )
            ]
        return Node("query", ["SELECT t_id, ", call, " OVER (", *partition, *keys, " ", frame, ") FROM t"])

    def join(self, t: Table, u: Table) -> Node:
        rnd = self.random
        kind = rnd.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"])
        k = rnd.choice(["integer", "varchar", "date", "boolean", "char", "decimal", "double", "timestamp"])
        self.enter(t, u)
        on: list[str | Node] = [] if kind == "CROSS JOIN" else [" ON ", f"t_{_short(k)} = u_{_short(k)}"]
        if on and kind == "JOIN" and rnd.random() < 0.4:
            on = [" ON ", self.expression("boolean", 1)]
        elif on and rnd.random() < 0.4:
            on += [Node("clause", [" AND ", self.expression("boolean", 1)], optional=True)]
        items = Node("items", ["t_id", "u_id", self.expression(self.any_kind(), 1)], sep=", ")
        where = [self.condition()] if rnd.random() < 0.4 else []
        return Node("query", ["SELECT ", items, f" FROM t {kind} u", *on, *where])

    def set_operation(self, t: Table, u: Table) -> Node:
        rnd = self.random
        kind = rnd.choice(FAMILIES["S"])
        other = rnd.choice(NUMBERS) if kind in NUMBERS else kind
        left = Node("query", ["SELECT ", self.expression(kind, 1), " FROM t"])
        self.enter(u)
        right = Node("query", ["SELECT ", self.expression(other, 1), " FROM u"])
        operator = rnd.choice(["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL"])
        return Node("query", ["SELECT x, typeof(x) FROM (", left, f" {operator} ", right, ") AS s(x)"])

    def unnest(self, t: Table, u: Table) -> Node:
        rnd = self.random
        kind = rnd.choice(
            ["array(integer)", "array(varchar)", "array(date)", "array(double)", "array(array(integer))"]
        )
        array = self.expression(kind, 1)
        join = rnd.choice(
            [
                "CROSS JOIN UNNEST({}) AS s (x)",
                "CROSS JOIN UNNEST({}) WITH ORDINALITY AS s (x, n)",
                "LEFT JOIN UNNEST({}) AS s (x) ON true",
            ]
        )
        before, after = join.split("{}")
        self.scope.setdefault(kind[6:-1], []).append("x")
        items = Node(
            "items",
            ["t_id", "x", self.expression(self.any_kind(), 1), *(["n"] if "n)" in join else [])],
            sep=", ",
        )
        return Node("query", ["SELECT ", items, " FROM t ", before, array, after])

    def subquery(self, t: Table, u: Table) -> Node:
        rnd = self.random
        kind = rnd.choice(["integer", "varchar", "date", "double", "boolean", "decimal"])
        outer = self.expression(kind, 1)
        correlated = rnd.random() < 0.6
        self.enter(u, *([t] if correlated else []))
        inner = self.expression(kind, 0)
        where = Node("clause", [" WHERE ", self.expression("boolean", 1)], optional=True)
        form = rnd.choice(["IN", "NOT IN", "EXISTS", "NOT EXISTS", "scalar", "= ANY", "< ALL"])
        test: list[str | Node]
        if form == "scalar":
            test = ["(SELECT max(", inner, ") FROM u", where, ")"]
        elif "EXISTS" in form:
            test = [f"{form} (SELECT 1 FROM u", where, ")"]
        else:
            test = [outer, f" {form} (SELECT ", inner, " FROM u", where, ")"]
        if form == "scalar" or rnd.random() < 0.5:
            return Node("query", ["SELECT t_id, ", *test, " FROM t"])
        return Node("query", ["SELECT t_id FROM t WHERE ", *test])

    def nested(self, t: Table, u: Table) -> Node:
        """An aggregation over a subquery, and a condition on its result."""
        rnd = self.random
        kind = rnd.choice(["varchar", "integer", "date", "boolean", "decimal"])
        key = self.expression(kind, 1)
        value = self.expression(rnd.choice(["integer", "double", "decimal", "bigint"]), 1)
        total = rnd.choice(["sum(b)", "count(*)", "avg(b)", "max(b)", "count(DISTINCT b)", "min(b)"])
        outer = rnd.choice(
            ["a, x", "count(*), max(x)", "a, x, rank() OVER (ORDER BY x)", "a, coalesce(x, 0)"]
        )
        inner: list[str | Node] = [
            "SELECT a, ",
            total,
            " AS x FROM (SELECT ",
            key,
            " AS a, ",
            value,
            " AS b FROM t",
        ]
        return Node("query", [f"SELECT {outer} FROM (", *inner, self.condition(), ") GROUP BY a)"])

    def ordered(self, t: Table, u: Table) -> Node:
        rnd = self.random
        a, b = (self.expression(rnd.choice(FAMILIES["O"]), 1) for _ in "ab")
        way = rnd.choice(["", " DESC", " NULLS FIRST", " DESC NULLS LAST"])
        limit = rnd.choice(["", " LIMIT 3", " OFFSET 1 ROWS LIMIT 2", " FETCH FIRST 2 ROWS ONLY"])
        return Node(
            "query", ["SELECT t_id, ", a, " AS x, ", b, f" AS y FROM t ORDER BY x{way}, y, t_id{limit}"]
        )

    def multi(self, t: Table, u: Table) -> Node:
        """Three relations, one of them grouped."""
        rnd = self.random
        k = rnd.choice(["integer", "varchar", "date", "boolean"])
        kind = rnd.choice(["JOIN", "LEFT JOIN", "FULL JOIN"])
        self.enter(t, u)
        e = self.expression(self.any_kind(), 1)
        grouped = f"(SELECT u_{_short(k)} AS k, count(*) AS n FROM u GROUP BY u_{_short(k)}) AS g"
        return Node(
            "query",
            [
                "SELECT t_id, u_id, n, ",
                e,
                f" FROM t {kind} u ON t_id = u_id LEFT JOIN {grouped} ON t_{_short(k)} = k",
            ],
        )

    def distinct(self, t: Table, u: Table) -> Node:
        rnd = self.random
        e = self.expression(rnd.choice(FAMILIES["O"]), 1)
        order = rnd.choice(["", " DESC", " NULLS FIRST", " DESC NULLS LAST"])
        limit = rnd.choice(["", " LIMIT 2", " OFFSET 1", " OFFSET 1 LIMIT 2", " FETCH FIRST 2 ROWS ONLY"])
        return Node("query", ["SELECT DISTINCT ", e, f" AS x FROM t ORDER BY x{order}{limit}"])


def _short(kind: str) -> str:
    return re.sub(r"\W+", "_", kind).strip("_")
