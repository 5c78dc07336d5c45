-- The quarters of the run as they will be: of the new records and those that silver has, the latest of each facility
-- and day. Running it again, before or after the MERGE, gives the same rows.
-- noqa: disable=LT02
UNLOAD (
    WITH records AS (
        SELECT
            lines.ccn,
            CAST(lines.work_date AS date) AS work_date,
            lines.provider_name,
            lines.city,
            lines.state,
            lines.county_name,
            lines.county_fips,
            CAST(lines.census AS integer) AS census,
            CAST(lines.hours[1] AS decimal(9, 2)) AS hrs_rndon,
            CAST(lines.hours[2] AS decimal(9, 2)) AS hrs_rndon_emp,
            CAST(lines.hours[3] AS decimal(9, 2)) AS hrs_rndon_ctr,
            CAST(lines.hours[4] AS decimal(9, 2)) AS hrs_rnadmin,
            CAST(lines.hours[5] AS decimal(9, 2)) AS hrs_rnadmin_emp,
            CAST(lines.hours[6] AS decimal(9, 2)) AS hrs_rnadmin_ctr,
            CAST(lines.hours[7] AS decimal(9, 2)) AS hrs_rn,
            CAST(lines.hours[8] AS decimal(9, 2)) AS hrs_rn_emp,
            CAST(lines.hours[9] AS decimal(9, 2)) AS hrs_rn_ctr,
            CAST(lines.hours[10] AS decimal(9, 2)) AS hrs_lpnadmin,
            CAST(lines.hours[11] AS decimal(9, 2)) AS hrs_lpnadmin_emp,
            CAST(lines.hours[12] AS decimal(9, 2)) AS hrs_lpnadmin_ctr,
            CAST(lines.hours[13] AS decimal(9, 2)) AS hrs_lpn,
            CAST(lines.hours[14] AS decimal(9, 2)) AS hrs_lpn_emp,
            CAST(lines.hours[15] AS decimal(9, 2)) AS hrs_lpn_ctr,
            CAST(lines.hours[16] AS decimal(9, 2)) AS hrs_cna,
            CAST(lines.hours[17] AS decimal(9, 2)) AS hrs_cna_emp,
            CAST(lines.hours[18] AS decimal(9, 2)) AS hrs_cna_ctr,
            CAST(lines.hours[19] AS decimal(9, 2)) AS hrs_natrn,
            CAST(lines.hours[20] AS decimal(9, 2)) AS hrs_natrn_emp,
            CAST(lines.hours[21] AS decimal(9, 2)) AS hrs_natrn_ctr,
            CAST(lines.hours[22] AS decimal(9, 2)) AS hrs_medaide,
            CAST(lines.hours[23] AS decimal(9, 2)) AS hrs_medaide_emp,
            CAST(lines.hours[24] AS decimal(9, 2)) AS hrs_medaide_ctr,
            contains(lines.flags, 'emp_ctr_mismatch') AS emp_ctr_mismatch,
            contains(lines.flags, 'hours_missing') AS hours_missing,
            contains(lines.flags, 'census_zero_with_hours') AS census_zero_with_hours,
            contains(lines.flags, 'census_without_hours') AS census_without_hours,
            contains(lines.flags, 'hprd_above_24') AS hprd_above_24,
            uploads.uploaded_at,
            lines.source_key,
            lines.line_number AS source_line,
            lines.upload_id,
            {{ run }} AS run_id,
            lines.quarter,
            1 AS place
        FROM bronze_pbj AS lines
        INNER JOIN run_uploads AS uploads
            ON
                lines.quarter = uploads.slice
                AND lines.upload_id = uploads.upload_id
        WHERE
            uploads.pipeline = 'nurse_staffing.pbj'
            AND uploads.run = {{ run }}
            AND lines.run = {{ run }}
            AND lines.quarter IN ({{ slices }})
            AND lines.reject_reason IS NULL

        UNION ALL

        SELECT
            {%- for column in columns_of('nurse_staffing/columns/pbj_daily.columns') %}
            {% if column == 'uploaded_at' %}CAST(uploaded_at AS timestamp(3)) AS {% endif %}{{ column }},
            {%- endfor %}
            quarter,
            0 AS place
        FROM silver_pbj_daily
        WHERE quarter IN ({{ slices }})
    ),

    ranked AS (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY ccn, work_date
                ORDER BY uploaded_at DESC, source_key DESC, source_line DESC, place DESC
            ) AS newest
        FROM records
    )

    SELECT
        {%- for column in columns_of('nurse_staffing/columns/pbj_daily.columns') %}
        {{ column }},
        {%- endfor %}
        quarter
    FROM ranked
    WHERE newest = 1
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['quarter'])
