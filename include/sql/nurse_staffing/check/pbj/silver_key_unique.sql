-- Keys that more than one row of silver would have; there must be none.
SELECT
    'silver_pbj_daily' AS result,
    quarter AS slice,
    ccn,
    CAST(work_date AS varchar) AS day,
    count(*) AS result_rows
FROM staging_silver_pbj_daily
WHERE
    run = {{ run }}
    AND quarter IN ({{ slices }})
GROUP BY
    quarter,
    ccn,
    work_date
HAVING count(*) > 1
