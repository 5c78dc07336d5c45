-- Residents in certified beds of each state and month: sums over the facilities whose beds are known.
-- A facility counts where its rows say it is.
CREATE OR REPLACE VIEW v_bed_utilization_state_month AS
WITH facilities AS (
    SELECT
        ccn,
        state,
        quarter,
        substr(CAST(work_date AS varchar), 1, 7) AS month,
        count(census) AS observed_days,
        coalesce(sum(census), 0) AS resident_days
    FROM gold_daily_staffing_fact
    GROUP BY
        ccn,
        state,
        quarter,
        substr(CAST(work_date AS varchar), 1, 7)
),

sums AS (
    SELECT
        facilities.state,
        facilities.quarter,
        facilities.month,
        count(*) AS facilities,
        count_if(beds.beds IS NULL) AS facilities_without_beds,
        coalesce(sum(beds.beds), 0) AS beds,
        coalesce(sum(facilities.observed_days) FILTER (WHERE beds.beds IS NOT NULL), 0) AS observed_days,
        coalesce(sum(facilities.resident_days) FILTER (WHERE beds.beds IS NOT NULL), 0) AS resident_days,
        coalesce(sum(beds.beds * facilities.observed_days), 0) AS bed_days
    FROM facilities
    LEFT OUTER JOIN v_bed_count_facility_month AS beds
        ON
            facilities.ccn = beds.ccn
            AND facilities.month = beds.month
    GROUP BY
        facilities.state,
        facilities.quarter,
        facilities.month
)

SELECT
    state,
    quarter,
    month,
    facilities,
    facilities_without_beds,
    beds,
    observed_days,
    resident_days,
    bed_days,
    CAST(resident_days AS decimal(30, 5)) / nullif(bed_days, 0) AS occupancy,
    coalesce(100 * resident_days > 105 * bed_days, FALSE) AS over_capacity
FROM sums
