-- The newest version wins, in whatever order versions come; the same one again changes nothing.
MERGE INTO silver_patient AS old
USING (
    SELECT
        id,
        identifiers,
        gender,
        birth_date,
        deceased_date,
        deceased_instant,
        deceased_flag,
        pseudonym,
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
    FROM staging_silver_patient
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
            identifiers = new.identifiers,
            gender = new.gender,
            birth_date = new.birth_date,
            deceased_date = new.deceased_date,
            deceased_instant = new.deceased_instant,
            deceased_flag = new.deceased_flag,
            pseudonym = new.pseudonym,
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
    identifiers,
    gender,
    birth_date,
    deceased_date,
    deceased_instant,
    deceased_flag,
    pseudonym,
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
    new.identifiers,
    new.gender,
    new.birth_date,
    new.deceased_date,
    new.deceased_instant,
    new.deceased_flag,
    new.pseudonym,
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
