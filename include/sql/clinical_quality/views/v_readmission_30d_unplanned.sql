-- As v_readmission_30d, without planned admissions (priority EL).
-- Observed, not adjusted for risk.
CREATE OR REPLACE VIEW v_readmission_30d_unplanned AS
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
WHERE measure = 'readmission_30d_unplanned'
