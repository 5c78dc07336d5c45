-- Accredited and all facilities of each snapshot, of one state or all ('').
SELECT
    snapshot_date,
    sum(accredited_facilities) AS accredited_facilities,
    sum(facilities) AS facilities,
    CAST(sum(accredited_facilities) AS double) / sum(facilities) AS accredited_share
FROM accredited_facilities_by_state
WHERE
    :state = ''
    OR state_code = :state
GROUP BY snapshot_date
ORDER BY snapshot_date
