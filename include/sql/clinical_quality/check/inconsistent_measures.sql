-- Measures that do not add up: organizations against ALL, numerators of proportions above denominators, and
-- each figure against a recount of the stays and infections that it was made of. None may be.
WITH measures AS (
    SELECT
        measure,
        org_id,
        month,
        numerator,
        denominator
    FROM staging_gold_clinical_measures
    WHERE run = {{ run }}
),

stays AS (
    SELECT
        encounter_id,
        org_id,
        month,
        los,
        died,
        same_day,
        episode_place,
        is_index,
        mortality_30d_exclusion,
        mortality_30d,
        readmission_exclusion,
        readmission_30d,
        readmission_30d_unplanned
    FROM staging_gold_stays
    WHERE
        run = {{ run }}
        AND not_stay_reason IS NULL
),

events AS (
    SELECT
        stay_id,
        org_id,
        month,
        infection_type
    FROM staging_gold_infection_events
    WHERE
        run = {{ run }}
        AND fate = 'hospital_onset'
),

units AS (
    SELECT
        'mortality_in_hospital' AS measure,
        org_id,
        month,
        CASE WHEN died THEN 1 ELSE 0 END AS numerator,
        1 AS denominator
    FROM stays

    UNION ALL

    SELECT
        'mortality_30d' AS measure,
        org_id,
        month,
        CASE WHEN mortality_30d THEN 1 ELSE 0 END AS numerator,
        1 AS denominator
    FROM stays
    WHERE
        episode_place = 1
        AND mortality_30d_exclusion IS NULL

    UNION ALL

    SELECT
        'readmission_30d' AS measure,
        org_id,
        month,
        CASE WHEN readmission_30d THEN 1 ELSE 0 END AS numerator,
        1 AS denominator
    FROM stays
    WHERE
        is_index
        AND readmission_exclusion IS NULL

    UNION ALL

    SELECT
        'readmission_30d_unplanned' AS measure,
        org_id,
        month,
        CASE WHEN readmission_30d_unplanned THEN 1 ELSE 0 END AS numerator,
        1 AS denominator
    FROM stays
    WHERE
        is_index
        AND readmission_exclusion IS NULL

    UNION ALL

    SELECT
        'alos' AS measure,
        org_id,
        month,
        los AS numerator,
        1 AS denominator
    FROM stays

    UNION ALL

    SELECT
        'same_day_stays' AS measure,
        org_id,
        month,
        CASE WHEN same_day THEN 1 ELSE 0 END AS numerator,
        1 AS denominator
    FROM stays

    UNION ALL

    SELECT
        'stays_with_hai' AS measure,
        org_id,
        month,
        CASE WHEN encounter_id IN (SELECT events.stay_id FROM events) THEN 1 ELSE 0 END AS numerator,
        1 AS denominator
    FROM stays

    UNION ALL

    SELECT
        infections.measure,
        stays.org_id,
        stays.month,
        0 AS numerator,
        stays.los AS denominator
    FROM stays
    CROSS JOIN (
        VALUES
        'hai_per_1000_patient_days',
        'hai_sepsis_per_1000_patient_days',
        'hai_pneumonia_per_1000_patient_days',
        'hai_uti_per_1000_patient_days',
        'hai_cdiff_per_1000_patient_days',
        'hai_ssi_per_1000_patient_days'
    ) AS infections (measure)

    UNION ALL

    SELECT
        'hai_per_1000_patient_days' AS measure,
        org_id,
        month,
        1 AS numerator,
        0 AS denominator
    FROM events

    UNION ALL

    SELECT
        concat('hai_', infection_type, '_per_1000_patient_days') AS measure,
        org_id,
        month,
        1 AS numerator,
        0 AS denominator
    FROM events
),

recounted AS (
    SELECT
        measure,
        org_id,
        month,
        sum(numerator) AS numerator,
        sum(denominator) AS denominator
    FROM units
    GROUP BY
        measure,
        org_id,
        month
),

organizations AS (
    SELECT
        measure,
        month,
        sum(numerator) AS numerator,
        sum(denominator) AS denominator
    FROM measures
    WHERE org_id <> 'ALL'
    GROUP BY
        measure,
        month
)

SELECT
    'differs_from_stays' AS broken_rule,
    coalesce(measures.measure, recounted.measure) AS measure,
    coalesce(measures.org_id, recounted.org_id) AS org_id,
    coalesce(measures.month, recounted.month) AS month
FROM (
    SELECT
        measure,
        org_id,
        month,
        numerator,
        denominator
    FROM measures
    WHERE
        org_id <> 'ALL'
        AND (numerator > 0 OR denominator > 0)
) AS measures
FULL OUTER JOIN recounted
    ON
        measures.measure = recounted.measure
        AND measures.org_id = recounted.org_id
        AND measures.month = recounted.month
WHERE
    coalesce(measures.numerator, 0) <> coalesce(recounted.numerator, 0)
    OR coalesce(measures.denominator, 0) <> coalesce(recounted.denominator, 0)

UNION ALL

SELECT
    'organizations_differ_from_all' AS broken_rule,
    measures.measure,
    measures.org_id,
    measures.month
FROM measures
LEFT JOIN organizations
    ON
        measures.measure = organizations.measure
        AND measures.month = organizations.month
WHERE
    measures.org_id = 'ALL'
    AND (
        measures.numerator <> coalesce(organizations.numerator, -1)
        OR measures.denominator <> coalesce(organizations.denominator, -1)
    )

UNION ALL

SELECT
    'numerator_above_denominator' AS broken_rule,
    measure,
    org_id,
    month
FROM measures
WHERE
    measure <> 'alos'
    AND NOT starts_with(measure, 'hai_')
    AND numerator > denominator
