-- Average length of stay in midnights: days of all stays by stays, deaths included.
-- Observed, not adjusted for risk.
CREATE OR REPLACE VIEW v_alos AS
SELECT
    org_id,
    month,
    numerator,
    denominator,
    rate,
    data_end
FROM gold_clinical_measures
WHERE measure = 'alos'
