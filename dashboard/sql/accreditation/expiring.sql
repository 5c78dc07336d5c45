-- One page of the accreditations that expire within the window, those that expire first at the top.
WITH ranked AS (
    SELECT
        facility_id,
        facility_name,
        city,
        state,
        accreditation_body,
        accreditation_id,
        valid_until,
        days_until_expiry,
        row_number() OVER (ORDER BY valid_until ASC, facility_id ASC, accreditation_id ASC) AS place
    FROM expiring_accreditations
    WHERE
        snapshot_date = CAST(:snapshot AS date)
        AND (:state = '' OR state = :state)
        AND (:body = '' OR accreditation_body = :body)
)

SELECT
    facility_id,
    facility_name,
    state,
    valid_until,
    days_until_expiry,
    accreditation_body,
    accreditation_id,
    city
FROM ranked
WHERE
    place > :skip
    AND place <= :until
ORDER BY place
