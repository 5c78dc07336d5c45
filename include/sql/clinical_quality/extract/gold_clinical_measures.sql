-- Each measure per organization and month, and of ALL organizations. It reads the run's gold_stays and infection events.
-- rate is rounded half up in whole numbers; the interval is Wilson's, with z for 95 %.
UNLOAD (
    WITH stays AS (
        SELECT
            encounter_id,
            org_id,
            month,
            los,
            died,
            same_day,
            episode_place = 1 AS is_first,
            is_index,
            mortality_30d_exclusion,
            mortality_30d,
            readmission_exclusion,
            readmission_30d,
            readmission_30d_unplanned,
            data_end
        FROM staging_gold_stays
        WHERE
            run = {{ run }}
            AND not_stay_reason IS NULL
    ),

    stay_counts AS (
        SELECT
            coalesce(org_id, 'ALL') AS org_id,
            month,
            count(*) AS stays,
            sum(los) AS days,
            count_if(died) AS died,
            count_if(same_day) AS same_day,
            count_if(is_first AND mortality_30d_exclusion IS NULL) AS mortality_units,
            count_if(mortality_30d) AS mortality,
            coalesce(
                histogram(mortality_30d_exclusion) FILTER (WHERE mortality_30d_exclusion IS NOT NULL),
                CAST(map() AS MAP (varchar, bigint))
            ) AS mortality_exclusions,
            count_if(is_index AND readmission_exclusion IS NULL) AS readmission_units,
            count_if(readmission_30d) AS readmission,
            count_if(readmission_30d_unplanned) AS readmission_unplanned,
            coalesce(
                histogram(readmission_exclusion) FILTER (WHERE readmission_exclusion IS NOT NULL),
                CAST(map() AS MAP (varchar, bigint))
            ) AS readmission_exclusions,
            max(data_end) AS data_end
        FROM stays
        GROUP BY GROUPING SETS ((org_id, month), (month))
    ),

    event_counts AS (
        SELECT
            coalesce(org_id, 'ALL') AS org_id,
            month,
            count(*) AS events,
            count(DISTINCT stay_id) AS stays,
            count_if(infection_type = 'sepsis') AS sepsis,
            count_if(infection_type = 'pneumonia') AS pneumonia,
            count_if(infection_type = 'uti') AS uti,
            count_if(infection_type = 'cdiff') AS cdiff,
            count_if(infection_type = 'ssi') AS ssi
        FROM staging_gold_infection_events
        WHERE
            run = {{ run }}
            AND fate = 'hospital_onset'
        GROUP BY GROUPING SETS ((org_id, month), (month))
    ),

    measured AS (
        SELECT
            each_one.measure,
            stay_counts.org_id,
            stay_counts.month,
            coalesce(each_one.numerator, 0) AS numerator,
            each_one.denominator,
            each_one.scale,
            CASE
                WHEN each_one.measure = 'mortality_30d' THEN stay_counts.mortality_exclusions
                WHEN each_one.measure IN ('readmission_30d', 'readmission_30d_unplanned')
                    THEN stay_counts.readmission_exclusions
                ELSE CAST(map() AS MAP (varchar, bigint))
            END AS exclusions,
            stay_counts.data_end
        FROM stay_counts
        LEFT JOIN event_counts
            ON
                stay_counts.org_id = event_counts.org_id
                AND stay_counts.month = event_counts.month
        CROSS JOIN UNNEST(
            ARRAY[
                'mortality_in_hospital',
                'mortality_30d',
                'readmission_30d',
                'readmission_30d_unplanned',
                'alos',
                'same_day_stays',
                'stays_with_hai',
                'hai_per_1000_patient_days',
                'hai_sepsis_per_1000_patient_days',
                'hai_pneumonia_per_1000_patient_days',
                'hai_uti_per_1000_patient_days',
                'hai_cdiff_per_1000_patient_days',
                'hai_ssi_per_1000_patient_days'
            ],
            ARRAY[
                stay_counts.died,
                stay_counts.mortality,
                stay_counts.readmission,
                stay_counts.readmission_unplanned,
                stay_counts.days,
                stay_counts.same_day,
                event_counts.stays,
                event_counts.events,
                event_counts.sepsis,
                event_counts.pneumonia,
                event_counts.uti,
                event_counts.cdiff,
                event_counts.ssi
            ],
            ARRAY[
                stay_counts.stays,
                stay_counts.mortality_units,
                stay_counts.readmission_units,
                stay_counts.readmission_units,
                stay_counts.stays,
                stay_counts.stays,
                stay_counts.stays,
                stay_counts.days,
                stay_counts.days,
                stay_counts.days,
                stay_counts.days,
                stay_counts.days,
                stay_counts.days
            ],
            ARRAY[1, 1, 1, 1, 1, 1, 1, 1000, 1000, 1000, 1000, 1000, 1000]
        ) AS each_one (measure, numerator, denominator, scale)
    ),

    proportions AS (
        SELECT
            measure,
            org_id,
            month,
            numerator,
            denominator,
            scale,
            exclusions,
            data_end,
            CASE
                WHEN scale = 1 AND measure <> 'alos' AND denominator > 0
                    THEN CAST(numerator AS double) / CAST(denominator AS double)
            END AS share,
            CAST(nullif(denominator, 0) AS double) AS units,
            double '1.959963984540054' AS z
        FROM measured
    ),

    intervals AS (
        SELECT
            measure,
            org_id,
            month,
            numerator,
            denominator,
            scale,
            exclusions,
            data_end,
            (share + z * z / (2 * units)) / (1 + z * z / units) AS centre,
            z * sqrt(share * (1 - share) / units + z * z / (4 * units * units)) / (1 + z * z / units) AS half
        FROM proportions
    )

    SELECT
        measure,
        org_id,
        month,
        numerator,
        denominator,
        CAST(
            CAST(
                (2 * 100000 * scale * numerator + denominator) / nullif(2 * denominator, 0) AS decimal(18, 0)
            ) * decimal '0.00001' AS decimal(18, 5)
        ) AS rate,
        CAST(greatest(centre - half, double '0') AS decimal(7, 5)) AS ci_low,
        CAST(least(centre + half, double '1') AS decimal(7, 5)) AS ci_high,
        exclusions,
        data_end,
        {{ run }} AS run_id,
        'all' AS slice
    FROM intervals
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['slice'])
