-- Hours of contract staff in all hours of each facility and month, of all days, whether somebody lives there or not.
CREATE OR REPLACE VIEW v_staffing_mix_facility_month AS
WITH sums AS (
    SELECT
        ccn,
        max_by(state, work_date) AS state,
        quarter,
        substr(CAST(work_date AS varchar), 1, 7) AS month,
        count(*) AS days,
        CAST(sum(employee_hours) AS decimal(20, 2)) AS employee_hours,
        CAST(sum(contract_hours) AS decimal(20, 2)) AS contract_hours
    FROM gold_daily_staffing_fact
    GROUP BY
        ccn,
        quarter,
        substr(CAST(work_date AS varchar), 1, 7)
),

shares AS (
    SELECT
        *,
        CAST(contract_hours AS decimal(30, 5)) / nullif(employee_hours + contract_hours, 0) AS contract_share
    FROM sums
)

SELECT
    ccn,
    state,
    quarter,
    month,
    days,
    employee_hours,
    contract_hours,
    contract_share,
    1 - contract_share AS permanent_share
FROM shares
