-- Stays that ended on the day they began, of all stays.
-- Observed, not adjusted for risk.
CREATE OR REPLACE VIEW v_same_day_stays AS
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
WHERE measure = 'same_day_stays'
