-- The organizations, and until when the data reach.
SELECT
    org_id,
    min(month) AS first_month,
    max(month) AS last_month,
    max(data_end) AS data_end
FROM v_public_clinical_measures
GROUP BY org_id
ORDER BY org_id
