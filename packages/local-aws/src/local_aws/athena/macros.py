"""DuckDB macros that the generated SQL uses; the engine makes them once in each database."""

from __future__ import annotations

MACROS = [
    # Microseconds rounded to a multiple of `step`, halves up.
    "CREATE OR REPLACE MACRO trino_rounded(us, step) AS us + step // 2 - ((us + step // 2) % step + step) % step",
    r"""
    CREATE OR REPLACE MACRO trino_mantissa(d) AS
        left(d, 1) || '.' || CASE WHEN length(d) > 1 THEN substr(d, 2) ELSE '0' END
    """,
    r"""
    CREATE OR REPLACE MACRO trino_scientific(sign, t) AS CASE
        WHEN contains(t, 'e') THEN sign || CASE WHEN contains(split_part(t, 'e', 1), '.')
            THEN split_part(t, 'e', 1) ELSE split_part(t, 'e', 1) || '.0' END
            || 'E' || CAST(CAST(split_part(t, 'e', 2) AS INTEGER) AS VARCHAR)
        WHEN t LIKE '0.%' THEN sign || trino_mantissa(ltrim(substr(t, 3), '0'))
            || 'E-' || CAST(length(t) - 2 - length(ltrim(substr(t, 3), '0')) + 1 AS VARCHAR)
        ELSE sign || trino_mantissa(rtrim(replace(t, '.', ''), '0'))
            || 'E' || CAST(length(split_part(t, '.', 1)) - 1 AS VARCHAR) END
    """,
    # Double.toString of Java, which is what CAST(double AS varchar) gives in Trino: decimal notation
    # from 1E-3 to below 1E7, d.dE±n beyond.
    r"""
    CREATE OR REPLACE MACRO trino_double_text(t) AS CASE
        WHEN t IS NULL THEN NULL
        WHEN t IN ('nan', '-nan') THEN 'NaN'
        WHEN t = 'inf' THEN 'Infinity'
        WHEN t = '-inf' THEN '-Infinity'
        WHEN t IN ('5e-324', '-5e-324') THEN replace(t, '5e', '4.9E')
        WHEN abs(CAST(t AS DOUBLE)) >= 1e7 OR (CAST(t AS DOUBLE) <> 0 AND abs(CAST(t AS DOUBLE)) < 1e-3)
        THEN trino_scientific(CASE WHEN t LIKE '-%' THEN '-' ELSE '' END, ltrim(t, '-'))
        ELSE t END
    """,
    r"""
    CREATE OR REPLACE MACRO trino_double_cast(t) AS CASE
        WHEN t IS NULL THEN NULL
        WHEN t IN ('nan', '-nan') THEN 'NaN'
        WHEN t = 'inf' THEN 'Infinity'
        WHEN t = '-inf' THEN '-Infinity'
        WHEN CAST(t AS DOUBLE) = 0 THEN CASE WHEN t LIKE '-%' THEN '-0E0' ELSE '0E0' END
        WHEN t IN ('5e-324', '-5e-324') THEN replace(t, '5e', '4.9E')
        ELSE trino_scientific(CASE WHEN t LIKE '-%' THEN '-' ELSE '' END, ltrim(t, '-')) END
    """,
    "CREATE OR REPLACE MACRO trino_ln(x) AS CASE WHEN x < 0 THEN CAST('NaN' AS DOUBLE) WHEN x = 0 THEN CAST('-Infinity' AS DOUBLE) ELSE ln(x) END",
    # Buckets between two bounds, in either order.
    r"""
    CREATE OR REPLACE MACRO trino_bucket(x, a, b, n) AS
        CASE WHEN x < a THEN 0 WHEN x >= b THEN n + 1 ELSE CAST(floor(n * (x - a) / (b - a) + 1) AS BIGINT) END
    """,
    r"""
    CREATE OR REPLACE MACRO trino_width_bucket(x, a, b, n) AS
        CASE WHEN a > b THEN n + 1 - trino_bucket(x, b, a, n) ELSE trino_bucket(x, a, b, n) END
    """,
    # Characters beyond the 16 bits of Java's are written as two escapes.
    r"""
    CREATE OR REPLACE MACRO trino_json_text(t) AS CASE
        WHEN strlen(t) = length(t) OR NOT regexp_matches(t, '[\x{10000}-\x{10FFFF}]') THEN t
        ELSE array_to_string(list_transform(regexp_extract_all(t, '(?s).'), lambda λc: CASE WHEN unicode(λc) < 65536 THEN λc
            ELSE format('\u{:04X}\u{:04X}', 55232 + unicode(λc) // 1024, 56320 + unicode(λc) % 1024) END), '') END
    """,
    # DuckDB's cbrt is off by a bit: that of 27 is 3.0000000000000004. A step of Newton's after it, if that is nearer.
    "CREATE OR REPLACE MACRO trino_nearer_cbrt(x, a, b) AS CASE WHEN abs(b * b * b - x) < abs(a * a * a - x) THEN b ELSE a END",
    r"""
    CREATE OR REPLACE MACRO trino_cbrt(x) AS CASE WHEN x = 0 OR isinf(x) OR isnan(x) THEN x
        ELSE trino_nearer_cbrt(x, cbrt(x), cbrt(x) - (cbrt(x) * cbrt(x) * cbrt(x) - x) / (3 * cbrt(x) * cbrt(x))) END
    """,
    # '2 03:04:05.006' (https://trino.io/docs/435/language/types.html#interval-day-to-second)
    r"""
    CREATE OR REPLACE MACRO trino_day_interval_text(ms) AS
        CASE WHEN ms < 0 THEN '-' ELSE '' END || CAST(abs(ms) // 86400000 AS VARCHAR) || ' '
        || lpad(CAST(abs(ms) // 3600000 % 24 AS VARCHAR), 2, '0') || ':'
        || lpad(CAST(abs(ms) // 60000 % 60 AS VARCHAR), 2, '0') || ':'
        || lpad(CAST(abs(ms) // 1000 % 60 AS VARCHAR), 2, '0') || '.'
        || lpad(CAST(abs(ms) % 1000 AS VARCHAR), 3, '0')
    """,
    r"""
    CREATE OR REPLACE MACRO trino_month_interval_text(m) AS
        CASE WHEN m < 0 THEN '-' ELSE '' END || CAST(abs(m) // 12 AS VARCHAR) || '-' || CAST(abs(m) % 12 AS VARCHAR)
    """,
    # Bytes as the console and the CSV show them: pairs of hex digits with spaces between.
    r"""
    CREATE OR REPLACE MACRO trino_bytes_text(b) AS
        rtrim(regexp_replace(lower(hex(b)), '(..)', '\1 ', 'g'))
    """,
    # String.hashCode over bytes, given as hex digits; see write._bucket.
    r"""
    CREATE OR REPLACE MACRO hive_bytes_hash(h) AS CASE WHEN h IS NOT NULL THEN list_reduce(
        list_transform(range(CAST(length(h) // 2 AS BIGINT)), lambda λi: (CAST('0x' || substr(h, 2 * λi + 1, 2) AS BIGINT) + 128) % 256 - 128),
        lambda λa, λb: (λa * 31 + λb) & 4294967295, CAST(0 AS BIGINT)) END
    """,
    # The n-th occurrence of b in a, from the end if n is negative.
    r"""
    CREATE OR REPLACE MACRO trino_strpos(a, b, n) AS CASE WHEN a IS NULL OR b IS NULL OR n IS NULL THEN NULL ELSE
        coalesce(list_filter(range(CAST(1 AS BIGINT), CAST(length(a) - length(b) + 2 AS BIGINT)),
            lambda λi: substr(a, λi, length(b)) = b)[n], 0) END
    """,
    # At most n parts, the last with all that is left.
    r"""
    CREATE OR REPLACE MACRO trino_split(s, d, n) AS CASE WHEN len(string_split(s, d)) <= n THEN string_split(s, d)
        ELSE list_append(string_split(s, d)[1:n - 1], list_reduce(string_split(s, d)[n:], lambda λa, λb: λa || d || λb)) END
    """,
    r"""
    CREATE OR REPLACE MACRO trino_wilson(x, n, z, side) AS
        (x + z * z / 2 + side * z * sqrt(CAST(x AS DOUBLE) * (n - x) / n + z * z / 4)) / (n + z * z)
    """,
    r"""
    CREATE OR REPLACE MACRO trino_bit_count(x, bits) AS
        CAST(CASE WHEN bits >= 64 THEN bit_count(x) ELSE bit_count(x & ((CAST(1 AS BIGINT) << bits) - 1)) END AS BIGINT)
    """,
    # A map from each key to the list of its values.
    r"""
    CREATE OR REPLACE MACRO trino_multimap_of_entries(l) AS map_from_entries(list_transform(
        list_filter(list_transform(l, lambda λy: λy.key), lambda λx, λi: λx IS NOT NULL
            AND list_position(list_transform(l, lambda λy: λy.key), λx) = λi),
        lambda λk: {'key': λk, 'value': list_transform(list_filter(l, lambda λy: λy.key = λk), lambda λy: λy.value)}))
    """,
    # The conjunction of a list of booleans.
    r"""
    CREATE OR REPLACE MACRO trino_all(l) AS
        CASE WHEN list_contains(l, false) THEN false WHEN list_count(l) < len(l) THEN NULL ELSE true END
    """,
    # As Java narrows it: what is too large is infinite, where DuckDB fails.
    r"""
    CREATE OR REPLACE MACRO trino_real(x) AS CASE WHEN isfinite(x) AND abs(x) >= 3.4028235677973366e38
        THEN CAST(CASE WHEN x > 0 THEN 'Infinity' ELSE '-Infinity' END AS FLOAT) ELSE CAST(x AS FLOAT) END
    """,
    # Years before the first and after the 9999th have a sign.
    r"""
    CREATE OR REPLACE MACRO trino_date_text(d) AS CASE WHEN d BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' THEN CAST(d AS VARCHAR)
        WHEN d IS NOT NULL THEN CASE WHEN year(d) > 0 THEN '+' WHEN year(d) < 0 THEN '-' ELSE '' END || lpad(CAST(abs(year(d)) AS VARCHAR), CAST(greatest(4, length(CAST(abs(year(d)) AS VARCHAR))) AS INTEGER), '0')
            || strftime(d, '-%m-%d') END
    """,
    # By code points, where DuckDB keeps combining characters together.
    r"""
    CREATE OR REPLACE MACRO trino_reverse(s) AS CASE WHEN strlen(s) = length(s) THEN reverse(s)
        ELSE array_to_string(list_reverse(regexp_extract_all(s, '(?s).')), '') END
    """,
    # A map of the entries with a key, the first of each key.
    r"""
    CREATE OR REPLACE MACRO trino_map_of_entries(l) AS
        map_from_entries(list_filter(l, lambda λx, λi: λx.key IS NOT NULL
            AND list_position(list_transform(l, lambda λy: λy.key), λx.key) = λi))
    """,
]
