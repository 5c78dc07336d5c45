-- Leaves the quarters of the run as they were computed; rows that did not change are not written again.
MERGE INTO gold_daily_staffing_fact AS gold
USING (
    SELECT
        ccn,
        work_date,
        state,
        census,
        rn_hours,
        lpn_hours,
        aide_hours,
        direct_hours,
        total_hours,
        employee_hours,
        contract_hours,
        gone,
        quarter
    FROM staging_daily_staffing_fact
    WHERE
        run = {{ run }}
        AND quarter IN ({{ slices }})
) AS staged
    ON
        gold.quarter IN ({{ slices }})
        AND gold.quarter = staged.quarter
        AND gold.ccn = staged.ccn
        AND gold.work_date = staged.work_date
WHEN MATCHED AND staged.gone THEN DELETE
WHEN MATCHED AND (
    gold.state IS DISTINCT FROM staged.state
    OR gold.census IS DISTINCT FROM staged.census
    OR gold.rn_hours IS DISTINCT FROM staged.rn_hours
    OR gold.lpn_hours IS DISTINCT FROM staged.lpn_hours
    OR gold.aide_hours IS DISTINCT FROM staged.aide_hours
    OR gold.direct_hours IS DISTINCT FROM staged.direct_hours
    OR gold.total_hours IS DISTINCT FROM staged.total_hours
    OR gold.employee_hours IS DISTINCT FROM staged.employee_hours
    OR gold.contract_hours IS DISTINCT FROM staged.contract_hours
) THEN
    UPDATE
        SET
            state = staged.state,
            census = staged.census,
            rn_hours = staged.rn_hours,
            lpn_hours = staged.lpn_hours,
            aide_hours = staged.aide_hours,
            direct_hours = staged.direct_hours,
            total_hours = staged.total_hours,
            employee_hours = staged.employee_hours,
            contract_hours = staged.contract_hours
WHEN NOT MATCHED AND NOT staged.gone THEN INSERT (
    ccn,
    work_date,
    state,
    census,
    rn_hours,
    lpn_hours,
    aide_hours,
    direct_hours,
    total_hours,
    employee_hours,
    contract_hours,
    quarter
) VALUES (
    staged.ccn,
    staged.work_date,
    staged.state,
    staged.census,
    staged.rn_hours,
    staged.lpn_hours,
    staged.aide_hours,
    staged.direct_hours,
    staged.total_hours,
    staged.employee_hours,
    staged.contract_hours,
    staged.quarter
)
