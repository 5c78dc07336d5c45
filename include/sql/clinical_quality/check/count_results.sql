-- Rows of each result: of silver when the run's versions are merged, of gold as the run computed them.
SELECT
    'silver_patient' AS result,
    'all' AS slice,
    count(*) AS result_rows
FROM (
    SELECT id
    FROM silver_patient

    UNION

    SELECT id
    FROM staging_silver_patient
    WHERE
        run = {{ run }}
        AND slice IN ({{ slices }})
) AS current_rows

UNION ALL

SELECT
    'silver_encounter' AS result,
    'all' AS slice,
    count(*) AS result_rows
FROM (
    SELECT id
    FROM silver_encounter

    UNION

    SELECT id
    FROM staging_silver_encounter
    WHERE
        run = {{ run }}
        AND slice IN ({{ slices }})
) AS current_rows

UNION ALL

SELECT
    'silver_condition' AS result,
    'all' AS slice,
    count(*) AS result_rows
FROM (
    SELECT id
    FROM silver_condition

    UNION

    SELECT id
    FROM staging_silver_condition
    WHERE
        run = {{ run }}
        AND slice IN ({{ slices }})
) AS current_rows

UNION ALL

SELECT
    'gold_stays' AS result,
    'all' AS slice,
    count(*) AS result_rows
FROM staging_gold_stays
WHERE
    run = {{ run }}
    AND slice IN ({{ slices }})

UNION ALL

SELECT
    'gold_infection_events' AS result,
    'all' AS slice,
    count(*) AS result_rows
FROM staging_gold_infection_events
WHERE
    run = {{ run }}
    AND slice IN ({{ slices }})

UNION ALL

SELECT
    'gold_clinical_measures' AS result,
    'all' AS slice,
    count(*) AS result_rows
FROM staging_gold_clinical_measures
WHERE
    run = {{ run }}
    AND slice IN ({{ slices }})
