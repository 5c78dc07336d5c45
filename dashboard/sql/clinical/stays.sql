-- One page of the stays in the numerator of one measure, organization (ALL: all of them) and month; none where the rate itself
-- must not be shown. Without ids and days.
WITH counted AS (
    SELECT
        org_id,
        month,
        los,
        disposition,
        planned,
        psychiatric,
        died,
        episode_place,
        episode_stays,
        is_index,
        row_number() OVER (ORDER BY org_id ASC, los DESC, disposition ASC, episode_place ASC) AS place
    FROM v_clinical_stays
    WHERE
        month = :month
        AND (:org = 'ALL' OR org_id = :org)
        AND (
            (:measure = 'mortality_in_hospital' AND died)
            OR (:measure = 'mortality_30d' AND mortality_30d)
            OR (:measure = 'readmission_30d' AND readmission_30d)
            OR (:measure = 'readmission_30d_unplanned' AND readmission_30d_unplanned)
            OR (:measure = 'same_day_stays' AND same_day)
            OR :measure = 'alos'
        )
        AND EXISTS (
            SELECT shown.month
            FROM v_public_clinical_measures AS shown
            WHERE
                shown.measure = :measure
                AND shown.org_id = :org
                AND shown.month = :month
                AND NOT shown.suppressed
        )
)

SELECT
    org_id,
    los,
    disposition,
    planned,
    psychiatric,
    died,
    episode_place,
    episode_stays,
    is_index
FROM counted
WHERE
    place > :skip
    AND place <= :until
ORDER BY place
