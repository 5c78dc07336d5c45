-- Accreditations that expire within the window, by week (from Monday) and accreditor; of one state or all ('').
SELECT
    date_trunc('week', valid_until) AS week,
    accreditation_body,
    count(*) AS accreditations
FROM expiring_accreditations
WHERE
    snapshot_date = CAST(:snapshot AS date)
    AND (:state = '' OR state = :state)
    AND (:body = '' OR accreditation_body = :body)
GROUP BY
    date_trunc('week', valid_until),
    accreditation_body
ORDER BY
    week,
    accreditation_body
