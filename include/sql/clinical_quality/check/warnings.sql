-- What may be right and should be looked at: one row per warning, of count among total.
WITH patients AS (
    {% set kind, columns = 'patient', ['pseudonym', 'deceased_date'] -%}
    {% include 'clinical_quality/current_rows.jinja' %}
),

encounters AS (
    SELECT
        gold.encounter_id,
        gold.not_stay_reason,
        gold.patient_id,
        gold.org_id,
        gold.discharge,
        gold.los,
        gold.disposition,
        patients.pseudonym AS known_patient,
        patients.deceased_date
    FROM staging_gold_stays AS gold
    LEFT JOIN patients
        ON gold.patient_id = patients.pseudonym
    WHERE gold.run = {{ run }}
),

events AS (
    SELECT fate
    FROM staging_gold_infection_events
    WHERE run = {{ run }}
),

counted AS (
    SELECT
        count(*) AS encounters,
        count_if(not_stay_reason IS NULL) AS stays,
        count_if(not_stay_reason IS NULL AND disposition = 'unknown') AS disposition_unknown,
        count_if(not_stay_reason IS NULL AND known_patient IS NULL) AS patient_unknown,
        count_if(not_stay_reason IS NULL AND org_id = 'unknown') AS org_unknown,
        count_if(not_stay_reason IS NULL AND los >= 365) AS long_stay,
        count_if(
            not_stay_reason IS NULL
            AND disposition = 'died'
            AND abs(date_diff('day', discharge, deceased_date)) > 1
        ) AS death_dates_differ
    FROM encounters
),

onsets AS (
    SELECT
        count(*) AS infections,
        count_if(fate = 'onset_unknown') AS onset_unknown
    FROM events
)

SELECT
    'disposition_unknown' AS warning,
    disposition_unknown AS count_found,
    stays AS total
FROM counted
WHERE 5 * disposition_unknown > stays

UNION ALL

SELECT
    'patient_unknown' AS warning,
    patient_unknown AS count_found,
    stays AS total
FROM counted
WHERE patient_unknown > 0

UNION ALL

SELECT
    'no_stays' AS warning,
    encounters AS count_found,
    encounters AS total
FROM counted
WHERE
    stays = 0
    AND encounters > 0

UNION ALL

SELECT
    'organization_unknown' AS warning,
    org_unknown AS count_found,
    stays AS total
FROM counted
WHERE org_unknown > 0

UNION ALL

SELECT
    'death_dates_differ' AS warning,
    death_dates_differ AS count_found,
    stays AS total
FROM counted
WHERE death_dates_differ > 0

UNION ALL

SELECT
    'stay_of_a_year' AS warning,
    long_stay AS count_found,
    stays AS total
FROM counted
WHERE long_stay > 0

UNION ALL

SELECT
    'onset_unknown' AS warning,
    onset_unknown AS count_found,
    infections AS total
FROM onsets
WHERE onset_unknown > 0
