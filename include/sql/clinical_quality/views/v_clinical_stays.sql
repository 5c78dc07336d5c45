-- The stays behind each numerator, without ids of patients, encounters and episodes and without days.
CREATE OR REPLACE VIEW v_clinical_stays AS
SELECT
    org_id,
    month,
    los,
    disposition,
    planned,
    psychiatric,
    vital_unknown,
    died,
    same_day,
    episode_place,
    episode_stays,
    is_index,
    mortality_30d_exclusion,
    mortality_30d,
    readmission_exclusion,
    readmission_30d,
    readmission_30d_unplanned
FROM gold_stays
WHERE not_stay_reason IS NULL
