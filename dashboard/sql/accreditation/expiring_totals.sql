-- How much expires, and until when the window reaches; of one state or all ('').
SELECT
    count(*) AS accreditations,
    count(DISTINCT facility_id) AS facilities,
    min(run_date) AS run_date,
    max(valid_until) AS last_day,
    count_if(days_until_expiry <= 30) AS within_30_days,
    count_if(days_until_expiry <= 90) AS within_90_days
FROM expiring_accreditations
WHERE
    snapshot_date = CAST(:snapshot AS date)
    AND (:state = '' OR state = :state)
    AND (:body = '' OR accreditation_body = :body)
