-- Residents in certified beds of each facility and month. observed_days: days with a census, 0 counts.
-- occupancy is not capped; it is NULL where no snapshot knows the beds.
CREATE OR REPLACE VIEW v_bed_utilization_facility_month AS
WITH sums AS (
    SELECT
        ccn,
        max_by(state, work_date) AS state,
        quarter,
        substr(CAST(work_date AS varchar), 1, 7) AS month,
        count(*) AS days,
        count(census) AS observed_days,
        coalesce(sum(census), 0) AS resident_days
    FROM gold_daily_staffing_fact
    GROUP BY
        ccn,
        quarter,
        substr(CAST(work_date AS varchar), 1, 7)
),

with_beds AS (
    SELECT
        sums.*,
        beds.beds,
        coalesce(beds.beds_from_later_snapshot, FALSE) AS beds_from_later_snapshot,
        beds.beds * sums.observed_days AS bed_days
    FROM sums
    LEFT OUTER JOIN v_bed_count_facility_month AS beds
        ON
            sums.ccn = beds.ccn
            AND sums.month = beds.month
)

SELECT
    ccn,
    state,
    quarter,
    month,
    days,
    observed_days,
    resident_days,
    beds,
    beds_from_later_snapshot,
    bed_days,
    CAST(resident_days AS decimal(30, 5)) / nullif(bed_days, 0) AS occupancy,
    coalesce(100 * resident_days > 105 * bed_days, FALSE) AS over_capacity
FROM with_beds
