-- The quarters of the run as they will be: of the new records and those that silver has, the latest of each facility
-- and snapshot. Running it again, before or after the MERGE, gives the same rows.
-- noqa: disable=LT02
UNLOAD (
    WITH records AS (
        SELECT
            lines.ccn,
            CAST(lines.processing_date AS date) AS processing_date,
            lines.provider_name,
            lines.address,
            lines.city,
            lines.state,
            lines.zip,
            lines.county,
            lines.ownership_type,
            CAST(lines.certified_beds AS integer) AS certified_beds,
            CAST(lines.avg_residents AS decimal(9, 2)) AS avg_residents,
            lines.avg_residents_footnote,
            CAST(lines.overall_rating AS integer) AS overall_rating,
            lines.overall_rating_footnote,
            CAST(lines.inspection_rating AS integer) AS inspection_rating,
            lines.inspection_rating_footnote,
            CAST(lines.qm_rating AS integer) AS qm_rating,
            lines.qm_rating_footnote,
            CAST(lines.staffing_rating AS integer) AS staffing_rating,
            lines.staffing_rating_footnote,
            lines.reported_staffing_footnote,
            CAST(lines.aide_hprd AS decimal(10, 5)) AS aide_hprd,
            CAST(lines.lpn_hprd AS decimal(10, 5)) AS lpn_hprd,
            CAST(lines.rn_hprd AS decimal(10, 5)) AS rn_hprd,
            CAST(lines.licensed_hprd AS decimal(10, 5)) AS licensed_hprd,
            CAST(lines.total_hprd AS decimal(10, 5)) AS total_hprd,
            CAST(lines.weekend_total_hprd AS decimal(10, 5)) AS weekend_total_hprd,
            CAST(lines.weekend_rn_hprd AS decimal(10, 5)) AS weekend_rn_hprd,
            CAST(lines.adjusted_total_hprd AS decimal(10, 5)) AS adjusted_total_hprd,
            CAST(lines.casemix_total_hprd AS decimal(10, 5)) AS casemix_total_hprd,
            CAST(lines.fines AS integer) AS fines,
            CAST(lines.fines_usd AS decimal(14, 2)) AS fines_usd,
            CAST(lines.payment_denials AS integer) AS payment_denials,
            CAST(lines.penalties AS integer) AS penalties,
            lines.special_focus_status,
            lines.chain_name,
            CAST(lines.latitude AS decimal(9, 6)) AS latitude,
            CAST(lines.longitude AS decimal(9, 6)) AS longitude,
            lines.location_footnote,
            CAST(lines.fields_invalid AS integer) AS fields_invalid,
            uploads.uploaded_at,
            lines.source_key,
            lines.line_number AS source_line,
            lines.upload_id,
            {{ run }} AS run_id,
            lines.quarter,
            1 AS place
        FROM bronze_provider_info AS lines
        INNER JOIN run_uploads AS uploads
            ON
                lines.quarter = uploads.slice
                AND lines.upload_id = uploads.upload_id
        WHERE
            uploads.pipeline = 'nurse_staffing.provider_info'
            AND uploads.run = {{ run }}
            AND lines.run = {{ run }}
            AND lines.quarter IN ({{ slices }})
            AND lines.reject_reason IS NULL

        UNION ALL

        SELECT
            {%- for column in columns_of('nurse_staffing/columns/provider_info.columns') %}
            {% if column == 'uploaded_at' %}CAST(uploaded_at AS timestamp(3)) AS {% endif %}{{ column }},
            {%- endfor %}
            quarter,
            0 AS place
        FROM silver_provider_info
        WHERE quarter IN ({{ slices }})
    ),

    ranked AS (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY ccn, processing_date
                ORDER BY uploaded_at DESC, source_key DESC, source_line DESC, place DESC
            ) AS newest
        FROM records
    )

    SELECT
        {%- for column in columns_of('nurse_staffing/columns/provider_info.columns') %}
        {{ column }},
        {%- endfor %}
        quarter
    FROM ranked
    WHERE newest = 1
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['quarter'])
