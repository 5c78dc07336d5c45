-- The newest version wins, in whatever order versions come; the same one again changes nothing.
MERGE INTO silver_condition AS old
USING (
    SELECT
        id,
        void,
        codings,
        infection_type,
        verification,
        patient_id,
        encounter_id,
        onset_written,
        onset_date,
        onset_instant,
        recorded_date,
        pseudonym,
        patient_pseudonym,
        encounter_pseudonym,
        key_id,
        last_updated,
        version_id,
        version_rank,
        uploaded_at,
        source_key,
        source_pos,
        upload_id,
        run AS run_id,
        slice
    FROM staging_silver_condition
    WHERE
        run = {{ run }}
        AND slice IN ({{ slices }})
) AS new
    ON old.id = new.id
WHEN
MATCHED AND (
    new.version_rank > old.version_rank
    OR (
        new.version_rank = old.version_rank
        AND (
            new.uploaded_at > old.uploaded_at
            OR (
                new.uploaded_at = old.uploaded_at
                AND (
                    new.source_key > old.source_key
                    OR (new.source_key = old.source_key AND new.source_pos > old.source_pos)
                )
            )
        )
    )
)
THEN
    UPDATE
        SET
            void = new.void,
            codings = new.codings,
            infection_type = new.infection_type,
            verification = new.verification,
            patient_id = new.patient_id,
            encounter_id = new.encounter_id,
            onset_written = new.onset_written,
            onset_date = new.onset_date,
            onset_instant = new.onset_instant,
            recorded_date = new.recorded_date,
            pseudonym = new.pseudonym,
            patient_pseudonym = new.patient_pseudonym,
            encounter_pseudonym = new.encounter_pseudonym,
            key_id = new.key_id,
            last_updated = new.last_updated,
            version_id = new.version_id,
            version_rank = new.version_rank,
            uploaded_at = new.uploaded_at,
            source_key = new.source_key,
            source_pos = new.source_pos,
            upload_id = new.upload_id,
            run_id = new.run_id,
            slice = new.slice
WHEN NOT MATCHED
THEN INSERT (
    id,
    void,
    codings,
    infection_type,
    verification,
    patient_id,
    encounter_id,
    onset_written,
    onset_date,
    onset_instant,
    recorded_date,
    pseudonym,
    patient_pseudonym,
    encounter_pseudonym,
    key_id,
    last_updated,
    version_id,
    version_rank,
    uploaded_at,
    source_key,
    source_pos,
    upload_id,
    run_id,
    slice
)
VALUES (
    new.id,
    new.void,
    new.codings,
    new.infection_type,
    new.verification,
    new.patient_id,
    new.encounter_id,
    new.onset_written,
    new.onset_date,
    new.onset_instant,
    new.recorded_date,
    new.pseudonym,
    new.patient_pseudonym,
    new.encounter_pseudonym,
    new.key_id,
    new.last_updated,
    new.version_id,
    new.version_rank,
    new.uploaded_at,
    new.source_key,
    new.source_pos,
    new.upload_id,
    new.run_id,
    new.slice
)
