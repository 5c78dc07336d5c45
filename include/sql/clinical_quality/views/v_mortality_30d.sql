-- Episodes whose patient died within 30 days of admission, of all episodes; attributed to the first stay.
-- Observed, not adjusted for risk.
CREATE OR REPLACE VIEW v_mortality_30d AS
SELECT
    org_id,
    month,
    numerator,
    denominator,
    rate,
    ci_low,
    ci_high,
    exclusions,
    data_end
FROM gold_clinical_measures
WHERE measure = 'mortality_30d'
