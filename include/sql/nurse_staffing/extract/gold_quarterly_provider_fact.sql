-- The latest snapshot of each facility in each quarter of the run, from silver as it will be.
-- Its hours are of the quarter two before, which CMS says nowhere; the files of 2024 show it.
UNLOAD (
    WITH ranked AS (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY quarter, ccn
                ORDER BY processing_date DESC
            ) AS newest
        FROM staging_silver_provider_info
        WHERE
            run = {{ run }}
            AND quarter IN ({{ slices }})
    ),

    computed AS (
        SELECT
            ccn,
            processing_date,
            concat(
                CAST(year(date_add('month', -6, processing_date)) AS varchar),
                'Q',
                CAST(quarter(date_add('month', -6, processing_date)) AS varchar)
            ) AS staffing_quarter,
            state,
            certified_beds AS beds,
            avg_residents,
            overall_rating,
            inspection_rating,
            qm_rating,
            staffing_rating,
            aide_hprd,
            lpn_hprd,
            rn_hprd,
            licensed_hprd,
            total_hprd,
            weekend_total_hprd,
            weekend_rn_hprd,
            adjusted_total_hprd,
            casemix_total_hprd,
            fines,
            fines_usd,
            payment_denials,
            penalties,
            special_focus_status,
            quarter
        FROM ranked
        WHERE newest = 1
    ),

    published AS (
        SELECT
            ccn,
            quarter
        FROM gold_quarterly_provider_fact
        WHERE quarter IN ({{ slices }})
    )

    SELECT
        coalesce(computed.ccn, published.ccn) AS ccn,
        computed.processing_date,
        computed.staffing_quarter,
        computed.state,
        computed.beds,
        computed.avg_residents,
        computed.overall_rating,
        computed.inspection_rating,
        computed.qm_rating,
        computed.staffing_rating,
        computed.aide_hprd,
        computed.lpn_hprd,
        computed.rn_hprd,
        computed.licensed_hprd,
        computed.total_hprd,
        computed.weekend_total_hprd,
        computed.weekend_rn_hprd,
        computed.adjusted_total_hprd,
        computed.casemix_total_hprd,
        computed.fines,
        computed.fines_usd,
        computed.payment_denials,
        computed.penalties,
        computed.special_focus_status,
        computed.ccn IS NULL AS gone,
        coalesce(computed.quarter, published.quarter) AS quarter
    FROM computed
    FULL OUTER JOIN published
        ON
            computed.quarter = published.quarter
            AND computed.ccn = published.ccn
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['quarter'])
