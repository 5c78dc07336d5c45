-- Current versions that a run brought, by upload and type, counted in silver after the merge: those accepted.
SELECT
    upload_id,
    'Patient' AS resource_type,
    count(*) AS versions
FROM silver_patient
WHERE run_id = {{ run }}
GROUP BY upload_id

UNION ALL

SELECT
    upload_id,
    'Encounter' AS resource_type,
    count(*) AS versions
FROM silver_encounter
WHERE run_id = {{ run }}
GROUP BY upload_id

UNION ALL

SELECT
    upload_id,
    'Condition' AS resource_type,
    count(*) AS versions
FROM silver_condition
WHERE run_id = {{ run }}
GROUP BY upload_id
