-- What may be shown to anybody: no cell from 1 to minimum_cell - 1, and none that can be computed from its neighbours.
-- Hidden: small numerators, denominators and remainders; all types of an infection rate where one of them is small;
-- of ALL what would show the only hidden organization of a month. Exclusions are not shown at all.
-- Observed, not adjusted for risk; infections are proxies from diagnosis codes, not surveillance.
CREATE OR REPLACE VIEW v_public_clinical_measures AS
WITH small AS (
    SELECT
        measure,
        org_id,
        month,
        numerator,
        denominator,
        rate,
        ci_low,
        ci_high,
        data_end,
        CASE
            WHEN starts_with(measure, 'hai_') AND measure <> 'hai_per_1000_patient_days' THEN 'hai_types'
            ELSE measure
        END AS family,
        numerator BETWEEN 1 AND CAST({{ minimum_cell }} AS bigint) - 1
        OR denominator BETWEEN 1 AND CAST({{ minimum_cell }} AS bigint) - 1
        OR (
            measure <> 'alos'
            AND NOT starts_with(measure, 'hai_')
            AND denominator - numerator BETWEEN 1 AND CAST({{ minimum_cell }} AS bigint) - 1
        ) AS is_small
    FROM gold_clinical_measures
),

families AS (
    SELECT
        measure,
        org_id,
        month,
        numerator,
        denominator,
        rate,
        ci_low,
        ci_high,
        data_end,
        bool_or(is_small) OVER (PARTITION BY family, org_id, month) AS is_small
    FROM small
),

counted AS (
    SELECT
        measure,
        org_id,
        month,
        numerator,
        denominator,
        rate,
        ci_low,
        ci_high,
        data_end,
        is_small,
        count_if(is_small AND org_id <> 'ALL') OVER (PARTITION BY measure, month) AS hidden_organizations
    FROM families
),

judged AS (
    SELECT
        measure,
        org_id,
        month,
        numerator,
        denominator,
        rate,
        ci_low,
        ci_high,
        data_end,
        is_small OR (org_id = 'ALL' AND hidden_organizations = 1) AS suppressed
    FROM counted
)

SELECT
    measure,
    org_id,
    month,
    CASE WHEN NOT suppressed THEN numerator END AS numerator,
    CASE WHEN NOT suppressed THEN denominator END AS denominator,
    CASE WHEN NOT suppressed THEN rate END AS rate,
    CASE WHEN NOT suppressed THEN ci_low END AS ci_low,
    CASE WHEN NOT suppressed THEN ci_high END AS ci_high,
    suppressed,
    data_end
FROM judged
