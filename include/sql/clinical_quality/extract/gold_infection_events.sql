-- One row per condition that is an infection: where it began, and whether it counts. It reads the run's gold_stays, and
-- silver as it will be when the run's versions are merged.
-- reduce() walks an infection's days in their order: whether one counts depends on the last one that did.
UNLOAD (
    WITH current_patients AS (
        {% set kind, columns = 'patient', ['id', 'pseudonym', 'identifiers'] -%}
        {% include 'clinical_quality/current_rows.jinja' %}
    ),

    current_conditions AS (
        {% set kind, columns = 'condition', [
            'id', 'pseudonym', 'patient_pseudonym', 'encounter_pseudonym', 'infection_type', 'void',
            'verification', 'patient_id', 'onset_instant', 'onset_date',
        ] -%}
        {% include 'clinical_quality/current_rows.jinja' %}
    ),

    identified AS (
        SELECT
            listed.identifier,
            min_by(current_patients.pseudonym, current_patients.id) AS pseudonym
        FROM current_patients
        CROSS JOIN UNNEST(current_patients.identifiers) AS listed (identifier)
        GROUP BY listed.identifier
    ),

    stays AS (
        SELECT
            encounter_id AS id,
            patient_id,
            org_id,
            admit,
            discharge,
            month,
            stay_number
        FROM staging_gold_stays
        WHERE
            run = {{ run }}
            AND not_stay_reason IS NULL
    ),

    dated AS (
        SELECT
            one.id,
            one.pseudonym,
            one.infection_type,
            one.void,
            one.verification,
            one.encounter_pseudonym AS encounter_id,
            coalesce(identified.pseudonym, one.patient_pseudonym) AS patient_id,
            CASE
                WHEN {{ dates_from }} = 'instant' AND one.onset_instant IS NOT NULL
                    THEN CAST(
                        at_timezone(
                            from_iso8601_timestamp(concat(substr(one.onset_instant, 1, 19), 'Z')),
                            {{ facility_timezone }}
                        ) AS date
                    )
                ELSE one.onset_date
            END AS onset_date
        FROM current_conditions AS one
        LEFT JOIN identified
            ON one.patient_id = identified.identifier
        WHERE one.infection_type IS NOT NULL
    ),

    candidates AS (
        SELECT
            id,
            pseudonym,
            infection_type,
            encounter_id,
            patient_id,
            onset_date,
            CASE
                WHEN void THEN 'entered_in_error'
                WHEN verification <> 'confirmed' THEN 'not_confirmed'
                WHEN patient_id IS NULL THEN 'subject_missing'
                WHEN onset_date IS NULL THEN 'onset_unknown'
            END AS dropped
        FROM dated
    ),

    during AS (
        SELECT
            candidates.id,
            stays.id AS stay_id,
            candidates.onset_date >= date_add('day', 2, stays.admit) AS in_hospital,
            row_number() OVER (
                PARTITION BY candidates.id
                ORDER BY
                    CASE WHEN candidates.onset_date >= date_add('day', 2, stays.admit) THEN 0 ELSE 1 END,
                    stays.stay_number
            ) AS place
        FROM candidates
        INNER JOIN stays
            ON
                candidates.patient_id = stays.patient_id
                AND candidates.onset_date >= stays.admit
                AND (
                    candidates.onset_date <= date_add('day', 1, stays.discharge)
                    OR candidates.onset_date < date_add('day', 2, stays.admit)
                )
        WHERE candidates.dropped IS NULL
    ),

    settled AS (
        SELECT
            one.id,
            one.pseudonym,
            one.infection_type,
            one.encounter_id,
            one.patient_id,
            one.onset_date,
            one.dropped,
            CASE
                WHEN one.dropped IS NOT NULL THEN NULL
                WHEN during.in_hospital THEN 'hospital_onset'
                WHEN during.stay_id IS NOT NULL THEN 'present_on_admission'
                WHEN one.onset_date < linked.admit THEN 'present_on_admission'
            END AS onset_setting,
            CASE
                WHEN one.dropped IS NOT NULL THEN NULL
                WHEN during.stay_id IS NOT NULL THEN during.stay_id
                WHEN one.onset_date < linked.admit THEN linked.id
            END AS stay_id,
            linked.id IS NOT NULL AS has_linked_stay
        FROM candidates AS one
        LEFT JOIN during
            ON
                one.id = during.id
                AND during.place = 1
        LEFT JOIN stays AS linked
            ON one.encounter_id = linked.id
    ),

    events AS (
        SELECT
            settled.id,
            settled.infection_type,
            settled.patient_id,
            settled.stay_id,
            stays.org_id,
            stays.month,
            greatest(settled.onset_date, stays.admit) AS event_date
        FROM settled
        INNER JOIN stays
            ON settled.stay_id = stays.id
    ),

    counted AS (
        SELECT
            patient_id,
            infection_type,
            reduce(
                array_sort(array_agg(DISTINCT event_date)),
                CAST(ARRAY[] AS array(date)),
                (days, day) -> CASE
                    WHEN day < date_add('day', 14, element_at(days, -1)) THEN days
                    ELSE days || day
                END,
                days -> days
            ) AS days
        FROM events
        GROUP BY
            patient_id,
            infection_type
    ),

    judged AS (
        SELECT
            events.id,
            events.org_id,
            events.month,
            events.event_date,
            contains(counted.days, events.event_date)
            AND row_number() OVER (
                PARTITION BY events.patient_id, events.infection_type, events.event_date
                ORDER BY events.id
            ) = 1 AS counts
        FROM events
        INNER JOIN counted
            ON
                events.patient_id = counted.patient_id
                AND events.infection_type = counted.infection_type
    )

    SELECT
        settled.pseudonym AS condition_id,
        settled.infection_type,
        settled.patient_id,
        settled.encounter_id AS linked_encounter_id,
        settled.onset_date,
        CASE
            WHEN settled.dropped IS NOT NULL THEN settled.dropped
            WHEN judged.counts THEN settled.onset_setting
            WHEN judged.id IS NOT NULL THEN 'repeat_within_14_days'
            WHEN settled.has_linked_stay THEN 'after_discharge'
            ELSE 'no_stay'
        END AS fate,
        settled.onset_setting,
        settled.stay_id,
        judged.org_id,
        judged.month,
        judged.event_date,
        'all' AS slice
    FROM settled
    LEFT JOIN judged
        ON settled.id = judged.id
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['slice'])
