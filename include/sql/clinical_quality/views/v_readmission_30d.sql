-- Episodes whose patient came back 1 to 30 days after discharge, at any organization; attributed to the index stay.
-- Observed, not adjusted for risk.
CREATE OR REPLACE VIEW v_readmission_30d AS
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
WHERE measure = 'readmission_30d'
