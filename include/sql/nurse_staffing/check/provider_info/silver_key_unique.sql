-- Keys that more than one row of silver would have; there must be none.
SELECT
    'silver_provider_info' AS result,
    quarter AS slice,
    ccn,
    CAST(processing_date AS varchar) AS day,
    count(*) AS result_rows
FROM staging_silver_provider_info
WHERE
    run = {{ run }}
    AND quarter IN ({{ slices }})
GROUP BY
    quarter,
    ccn,
    processing_date
HAVING count(*) > 1
