-- Rows of each quarter by flag.
SELECT
    quarter AS slice,
    count(*) AS result_rows,
    count_if(emp_ctr_mismatch) AS emp_ctr_mismatch,
    count_if(hours_missing) AS hours_missing,
    count_if(census_zero_with_hours) AS census_zero_with_hours,
    count_if(census_without_hours) AS census_without_hours,
    count_if(hprd_above_24) AS hprd_above_24
FROM staging_silver_pbj_daily
WHERE
    run = {{ run }}
    AND quarter IN ({{ slices }})
GROUP BY quarter
