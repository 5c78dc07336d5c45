-- One row per current encounter: the first rule that keeps it from being a stay; of stays, what each measure makes of it.
-- It reads silver as it will be when the run's versions are merged.
-- Running maxima find nested stays and transfer chains: what a stay lies in, or joins, ends last among those before it.
UNLOAD (
    WITH current_patients AS (
        {% set kind, columns = 'patient', [
            'id', 'pseudonym', 'identifiers', 'deceased_flag', 'deceased_instant', 'deceased_date',
        ] -%}
        {% include 'clinical_quality/current_rows.jinja' %}
    ),

    current_encounters AS (
        {% set kind, columns = 'encounter', [
            'id', 'pseudonym', 'patient_pseudonym', 'void', 'status', 'class_codes', 'type_codes',
            'service_codes', 'priority_codes', 'part_of', 'patient_id', 'org_id', 'disposition',
            'start_instant', 'end_instant', 'admit', 'discharge',
        ] -%}
        {% include 'clinical_quality/current_rows.jinja' %}
    ),

    patients AS (
        SELECT
            id,
            deceased_flag,
            deceased_instant,
            CASE
                WHEN {{ dates_from }} = 'instant' AND deceased_instant IS NOT NULL
                    THEN CAST(
                        at_timezone(
                            from_iso8601_timestamp(concat(substr(deceased_instant, 1, 19), 'Z')),
                            {{ facility_timezone }}
                        ) AS date
                    )
                ELSE deceased_date
            END AS deceased_date
        FROM current_patients
    ),

    identified AS (
        SELECT
            listed.identifier,
            min(current_patients.id) AS patient_id,
            min_by(current_patients.pseudonym, current_patients.id) AS pseudonym
        FROM current_patients
        CROSS JOIN UNNEST(current_patients.identifiers) AS listed (identifier)
        GROUP BY listed.identifier
    ),

    encounters AS (
        SELECT
            one.id,
            one.pseudonym,
            one.void,
            one.status,
            one.class_codes,
            one.part_of,
            coalesce(identified.patient_id, one.patient_id) AS patient_id,
            coalesce(identified.pseudonym, one.patient_pseudonym) AS patient_pseudonym,
            CASE one.org_id WHEN 'ALL' THEN 'Organization/ALL' ELSE coalesce(one.org_id, 'unknown') END AS org_id,
            one.disposition,
            one.start_instant,
            one.end_instant,
            contains(one.priority_codes, 'EL') AS planned,
            cardinality(
                array_intersect(
                    concat(one.service_codes, one.type_codes),
                    ARRAY['394587001', '394602003', 'PSYCH']
                )
            ) > 0 AS psychiatric,
            CASE
                WHEN {{ dates_from }} = 'instant' AND one.start_instant IS NOT NULL
                    THEN CAST(
                        at_timezone(
                            from_iso8601_timestamp(concat(substr(one.start_instant, 1, 19), 'Z')),
                            {{ facility_timezone }}
                        ) AS date
                    )
                ELSE one.admit
            END AS admit,
            CASE
                WHEN {{ dates_from }} = 'instant' AND one.end_instant IS NOT NULL
                    THEN CAST(
                        at_timezone(
                            from_iso8601_timestamp(concat(substr(one.end_instant, 1, 19), 'Z')),
                            {{ facility_timezone }}
                        ) AS date
                    )
                ELSE one.discharge
            END AS discharge
        FROM current_encounters AS one
        LEFT JOIN identified
            ON one.patient_id = identified.identifier
    ),

    checked AS (
        SELECT
            one.id,
            one.pseudonym,
            one.patient_id,
            one.patient_pseudonym,
            one.org_id,
            one.disposition,
            one.start_instant,
            one.end_instant,
            one.planned,
            one.psychiatric,
            one.admit,
            one.discharge,
            CASE
                WHEN one.void THEN 'entered_in_error'
                WHEN cardinality(array_intersect(one.class_codes, split({{ stay_classes }}, ','))) = 0
                    THEN 'class_not_inpatient'
                WHEN whole.id IS NOT NULL THEN 'sub_encounter'
                WHEN coalesce(one.status, '') NOT IN ('finished', 'completed', 'discharged')
                    THEN 'status_not_finished'
                WHEN one.patient_id IS NULL THEN 'subject_missing'
                WHEN one.admit IS NULL THEN 'period_start_invalid'
                WHEN one.discharge IS NULL THEN 'period_end_invalid'
                WHEN one.discharge < one.admit OR one.end_instant < one.start_instant THEN 'end_before_start'
            END AS reason
        FROM encounters AS one
        LEFT JOIN current_encounters AS whole
            ON
                one.part_of = whole.id
                AND one.id <> whole.id
                AND NOT whole.void
    ),

    died_in_stay AS (
        SELECT
            patient_id,
            min(discharge) AS discharge
        FROM checked
        WHERE
            reason IS NULL
            AND disposition = 'died'
        GROUP BY patient_id
    ),

    with_death AS (
        SELECT
            one.id,
            one.pseudonym,
            one.patient_id,
            one.patient_pseudonym,
            one.org_id,
            one.disposition,
            one.end_instant,
            one.planned,
            one.psychiatric,
            one.admit,
            one.discharge,
            coalesce(patients.deceased_date, died_in_stay.discharge) AS death_date,
            CASE WHEN patients.deceased_date IS NOT NULL THEN patients.deceased_instant END AS death_instant,
            patients.deceased_date IS NULL
            AND died_in_stay.discharge IS NULL
            AND (patients.id IS NULL OR coalesce(patients.deceased_flag, FALSE)) AS vital_unknown,
            CASE
                WHEN one.reason IS NOT NULL THEN one.reason
                WHEN one.admit > coalesce(patients.deceased_date, died_in_stay.discharge) THEN 'activity_after_death'
            END AS reason
        FROM checked AS one
        LEFT JOIN patients
            ON one.patient_id = patients.id
        LEFT JOIN died_in_stay
            ON one.patient_id = died_in_stay.patient_id
    ),

    before_nesting AS (
        SELECT
            id,
            pseudonym,
            patient_id,
            patient_pseudonym,
            org_id,
            disposition,
            end_instant,
            planned,
            psychiatric,
            admit,
            discharge,
            death_date,
            death_instant,
            vital_unknown,
            row_number() OVER (PARTITION BY patient_id, org_id, admit, discharge ORDER BY id) AS twin,
            max(discharge) OVER (
                PARTITION BY patient_id, org_id
                ORDER BY admit ASC, discharge DESC, id ASC
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS reached
        FROM with_death
        WHERE reason IS NULL
    ),

    stays AS (
        SELECT
            id,
            pseudonym,
            patient_id,
            patient_pseudonym,
            org_id,
            disposition,
            planned,
            psychiatric,
            admit,
            discharge,
            death_date,
            vital_unknown,
            coalesce(
                disposition = 'died'
                OR (admit <= death_date AND death_date < discharge)
                OR (
                    death_date = discharge
                    AND disposition = 'unknown'
                    AND NOT coalesce(death_instant > end_instant, FALSE)
                ),
                FALSE
            ) AS died,
            max(discharge) OVER (
                PARTITION BY patient_id
                ORDER BY admit, discharge, id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS reached,
            lag(org_id) OVER (PARTITION BY patient_id ORDER BY admit, discharge, id) AS previous_org
        FROM before_nesting
        WHERE
            twin = 1
            AND NOT coalesce(discharge <= reached AND admit < reached, FALSE)
    ),

    chained AS (
        SELECT
            id,
            pseudonym,
            patient_id,
            patient_pseudonym,
            org_id,
            disposition,
            planned,
            psychiatric,
            admit,
            discharge,
            death_date,
            vital_unknown,
            died,
            sum(
                CASE
                    WHEN admit <= date_add('day', CASE WHEN previous_org = org_id THEN 0 ELSE 1 END, reached) THEN 0
                    ELSE 1
                END
            ) OVER (
                PARTITION BY patient_id
                ORDER BY admit, discharge, id
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS episode
        FROM stays
    ),

    placed AS (
        SELECT
            id,
            pseudonym,
            patient_id,
            patient_pseudonym,
            org_id,
            disposition,
            planned,
            psychiatric,
            admit,
            discharge,
            death_date,
            vital_unknown,
            died,
            episode,
            row_number() OVER (PARTITION BY patient_id, episode ORDER BY admit, discharge, id) AS place,
            row_number() OVER (PARTITION BY patient_id, episode ORDER BY discharge DESC, admit DESC, id DESC) AS from_end,
            row_number() OVER (PARTITION BY patient_id ORDER BY admit, id) AS stay_number,
            first_value(pseudonym) OVER (PARTITION BY patient_id, episode ORDER BY admit, discharge, id) AS first_pseudonym,
            count(*) OVER (PARTITION BY patient_id, episode) AS episode_stays,
            bool_or(died) OVER (PARTITION BY patient_id, episode) AS episode_died
        FROM chained
    ),

    covered AS (
        SELECT coalesce(CAST(nullif({{ data_end }}, '') AS date), max(discharge)) AS data_end
        FROM stays
    ),

    judged AS (
        SELECT
            one.id,
            one.org_id,
            one.admit,
            one.discharge,
            one.death_date,
            one.vital_unknown,
            one.died,
            one.planned,
            one.psychiatric,
            one.place,
            one.episode_stays,
            one.stay_number,
            concat(one.patient_pseudonym, '|', one.first_pseudonym) AS episode_id,
            one.from_end = 1 AS is_index,
            next_episode.admit AS next_admit,
            coalesce(next_episode.planned, FALSE) AS next_planned,
            CASE
                WHEN one.place <> 1 THEN NULL
                WHEN one.disposition IN ('ama', 'hospice') THEN one.disposition
                WHEN one.vital_unknown THEN 'vital_status_unknown'
                WHEN date_add('day', 30, one.admit) > covered.data_end THEN 'insufficient_follow_up'
            END AS mortality_exclusion,
            CASE
                WHEN one.from_end <> 1 THEN NULL
                WHEN one.episode_died THEN 'died'
                WHEN one.disposition = 'acute_transfer' AND one.place = one.episode_stays THEN 'acute_transfer'
                WHEN one.disposition = 'ama' THEN 'ama'
                WHEN one.psychiatric THEN 'psychiatric_or_rehab'
                WHEN date_add('day', 30, one.discharge) > covered.data_end THEN 'insufficient_follow_up'
            END AS readmission_exclusion
        FROM placed AS one
        CROSS JOIN covered
        LEFT JOIN placed AS next_episode
            ON
                one.patient_id = next_episode.patient_id
                AND one.episode + 1 = next_episode.episode
                AND next_episode.place = 1
    )

    SELECT
        encounters.pseudonym AS encounter_id,
        CASE
            WHEN encounters.reason IS NOT NULL THEN encounters.reason
            WHEN judged.id IS NULL THEN 'nested_stay'
        END AS not_stay_reason,
        encounters.patient_pseudonym AS patient_id,
        encounters.org_id,
        encounters.admit,
        encounters.discharge,
        CASE WHEN judged.id IS NOT NULL THEN substr(CAST(judged.discharge AS varchar), 1, 7) END AS month,
        date_diff('day', judged.admit, judged.discharge) AS los,
        encounters.disposition,
        judged.planned,
        judged.psychiatric,
        judged.death_date,
        judged.vital_unknown,
        judged.died,
        judged.admit = judged.discharge AS same_day,
        judged.stay_number,
        judged.episode_id,
        judged.place AS episode_place,
        judged.episode_stays,
        judged.is_index,
        judged.mortality_exclusion AS mortality_30d_exclusion,
        coalesce(
            judged.place = 1
            AND judged.mortality_exclusion IS NULL
            AND judged.death_date <= date_add('day', 30, judged.admit),
            FALSE
        ) AS mortality_30d,
        judged.readmission_exclusion,
        coalesce(
            judged.is_index
            AND judged.readmission_exclusion IS NULL
            AND judged.next_admit <= date_add('day', 30, judged.discharge),
            FALSE
        ) AS readmission_30d,
        coalesce(
            judged.is_index
            AND judged.readmission_exclusion IS NULL
            AND judged.next_admit <= date_add('day', 30, judged.discharge)
            AND NOT judged.next_planned,
            FALSE
        ) AS readmission_30d_unplanned,
        judged.next_admit,
        covered.data_end,
        'all' AS slice
    FROM with_death AS encounters
    CROSS JOIN covered
    LEFT JOIN judged
        ON encounters.id = judged.id
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['slice'])
