-- Facilities of each quarter, and those with fewer rows than the quarter has days.
WITH facilities AS (
    SELECT
        quarter,
        ccn,
        count(*) AS days,
        date_diff(
            'day',
            date_trunc('quarter', min(work_date)),
            date_add('month', 3, date_trunc('quarter', min(work_date)))
        ) AS days_of_quarter
    FROM staging_gold_daily_staffing_fact
    WHERE
        run = {{ run }}
        AND quarter IN ({{ slices }})
        AND NOT gone
    GROUP BY
        quarter,
        ccn
)

SELECT
    quarter AS slice,
    count(*) AS facilities,
    count_if(days < days_of_quarter) AS incomplete_facilities
FROM facilities
GROUP BY quarter
