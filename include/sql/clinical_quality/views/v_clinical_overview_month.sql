-- The rates of each organization and month side by side; ALL is all organizations.
-- Observed, not adjusted for risk; infections are proxies from diagnosis codes, not surveillance.
CREATE OR REPLACE VIEW v_clinical_overview_month AS
SELECT
    org_id,
    month,
    max(denominator) FILTER (WHERE measure = 'alos') AS stays,
    max(numerator) FILTER (WHERE measure = 'alos') AS patient_days,
    max(rate) FILTER (WHERE measure = 'alos') AS alos,
    max(rate) FILTER (WHERE measure = 'same_day_stays') AS same_day_stays,
    max(rate) FILTER (WHERE measure = 'mortality_in_hospital') AS mortality_in_hospital,
    max(rate) FILTER (WHERE measure = 'mortality_30d') AS mortality_30d,
    max(rate) FILTER (WHERE measure = 'readmission_30d') AS readmission_30d,
    max(rate) FILTER (WHERE measure = 'readmission_30d_unplanned') AS readmission_30d_unplanned,
    max(rate) FILTER (WHERE measure = 'hai_per_1000_patient_days') AS hai_per_1000_patient_days,
    max(rate) FILTER (WHERE measure = 'stays_with_hai') AS stays_with_hai,
    max(data_end) AS data_end
FROM gold_clinical_measures
GROUP BY
    org_id,
    month
