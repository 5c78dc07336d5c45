-- Hours per resident and day beside occupancy, of each facility in one month; of one state or all ('').
SELECT
    pair.ccn,
    known.provider_name,
    pair.state,
    pair.total_hprd,
    pair.occupancy,
    pair.over_capacity,
    pair.resident_days,
    pair.beds,
    known.ownership_type,
    known.overall_rating
FROM v_staffing_vs_occupancy_month AS pair
LEFT OUTER JOIN gold_facility_dim AS known
    ON pair.ccn = known.ccn
WHERE
    pair.quarter = :quarter
    AND pair.month = :month
    AND (:state = '' OR pair.state = :state)
    AND pair.resident_days >= :minimum
ORDER BY pair.ccn
