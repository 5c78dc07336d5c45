-- Stays with at least one hospital-onset infection, of all stays.
-- Observed, not adjusted for risk; a proxy from diagnosis codes, not surveillance.
CREATE OR REPLACE VIEW v_stays_with_hai AS
SELECT
    org_id,
    month,
    numerator,
    denominator,
    rate,
    ci_low,
    ci_high,
    data_end
FROM gold_clinical_measures
WHERE measure = 'stays_with_hai'
