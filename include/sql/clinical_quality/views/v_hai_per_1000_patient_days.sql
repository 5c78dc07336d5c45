-- Hospital-onset infections per 1,000 patient days, of all types and of each.
-- Observed, not adjusted for risk; a proxy from diagnosis codes, not surveillance.
CREATE OR REPLACE VIEW v_hai_per_1000_patient_days AS
SELECT
    measure,
    org_id,
    month,
    numerator,
    denominator,
    rate,
    data_end
FROM gold_clinical_measures
WHERE starts_with(measure, 'hai_')
