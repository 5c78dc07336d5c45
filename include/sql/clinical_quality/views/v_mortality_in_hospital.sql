-- Stays that ended with death in hospital, of all stays.
-- Observed, not adjusted for risk.
CREATE OR REPLACE VIEW v_mortality_in_hospital AS
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
WHERE measure = 'mortality_in_hospital'
