-- How many stays lasted how many days: of one organization, or of all ('ALL').
SELECT
    los,
    count(*) AS stays
FROM v_clinical_stays
WHERE
    :org = 'ALL'
    OR org_id = :org
GROUP BY los
ORDER BY los
