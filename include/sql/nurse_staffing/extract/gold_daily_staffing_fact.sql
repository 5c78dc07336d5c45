-- Hours by group of the quarters of the run, from silver as it will be. A blank hour counts as none.
-- gone: rows that the published fact has and silver has not, as after a rollback of one of them.
UNLOAD (
    WITH computed AS (
        SELECT
            ccn,
            work_date,
            state,
            census,
            CAST(
                coalesce(hrs_rndon, 0)
                + coalesce(hrs_rnadmin, 0)
                + coalesce(hrs_rn, 0)
                AS decimal(12, 2)
            ) AS rn_hours,
            CAST(
                coalesce(hrs_lpnadmin, 0)
                + coalesce(hrs_lpn, 0)
                AS decimal(12, 2)
            ) AS lpn_hours,
            CAST(
                coalesce(hrs_cna, 0)
                + coalesce(hrs_natrn, 0)
                + coalesce(hrs_medaide, 0)
                AS decimal(12, 2)
            ) AS aide_hours,
            CAST(
                coalesce(hrs_rn, 0)
                + coalesce(hrs_lpn, 0)
                + coalesce(hrs_cna, 0)
                + coalesce(hrs_natrn, 0)
                + coalesce(hrs_medaide, 0)
                AS decimal(12, 2)
            ) AS direct_hours,
            CAST(
                coalesce(hrs_rndon, 0)
                + coalesce(hrs_rnadmin, 0)
                + coalesce(hrs_rn, 0)
                + coalesce(hrs_lpnadmin, 0)
                + coalesce(hrs_lpn, 0)
                + coalesce(hrs_cna, 0)
                + coalesce(hrs_natrn, 0)
                + coalesce(hrs_medaide, 0)
                AS decimal(12, 2)
            ) AS total_hours,
            CAST(
                coalesce(hrs_rndon_emp, 0)
                + coalesce(hrs_rnadmin_emp, 0)
                + coalesce(hrs_rn_emp, 0)
                + coalesce(hrs_lpnadmin_emp, 0)
                + coalesce(hrs_lpn_emp, 0)
                + coalesce(hrs_cna_emp, 0)
                + coalesce(hrs_natrn_emp, 0)
                + coalesce(hrs_medaide_emp, 0)
                AS decimal(12, 2)
            ) AS employee_hours,
            CAST(
                coalesce(hrs_rndon_ctr, 0)
                + coalesce(hrs_rnadmin_ctr, 0)
                + coalesce(hrs_rn_ctr, 0)
                + coalesce(hrs_lpnadmin_ctr, 0)
                + coalesce(hrs_lpn_ctr, 0)
                + coalesce(hrs_cna_ctr, 0)
                + coalesce(hrs_natrn_ctr, 0)
                + coalesce(hrs_medaide_ctr, 0)
                AS decimal(12, 2)
            ) AS contract_hours,
            quarter
        FROM staging_silver_pbj_daily
        WHERE
            run = {{ run }}
            AND quarter IN ({{ slices }})
    ),

    published AS (
        SELECT
            ccn,
            work_date,
            quarter
        FROM gold_daily_staffing_fact
        WHERE quarter IN ({{ slices }})
    )

    SELECT
        coalesce(computed.ccn, published.ccn) AS ccn,
        coalesce(computed.work_date, published.work_date) AS work_date,
        computed.state,
        computed.census,
        computed.rn_hours,
        computed.lpn_hours,
        computed.aide_hours,
        computed.direct_hours,
        computed.total_hours,
        computed.employee_hours,
        computed.contract_hours,
        computed.ccn IS NULL AS gone,
        coalesce(computed.quarter, published.quarter) AS quarter
    FROM computed
    FULL OUTER JOIN published
        ON
            computed.quarter = published.quarter
            AND computed.ccn = published.ccn
            AND computed.work_date = published.work_date
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['quarter'])
