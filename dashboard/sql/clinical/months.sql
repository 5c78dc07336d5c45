-- The measures of one organization (ALL: all of them) by month, of some measures: the names begin with a text. Small cells
-- are NULL and marked.
SELECT
    measure,
    org_id,
    month,
    numerator,
    denominator,
    rate,
    ci_low,
    ci_high,
    suppressed,
    data_end
FROM v_public_clinical_measures
WHERE
    org_id = :org
    AND starts_with(measure, :measures)
ORDER BY
    measure,
    month
