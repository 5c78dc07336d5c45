from __future__ import annotations

import pytest

from medlaunch.settings import Settings, SettingsError


def test_the_defaults_suit_the_laptop() -> None:
    config = Settings.from_environment({})
    assert (config.environment, config.bucket, config.database) == ("local", "medlaunch-local", "medlaunch")
    assert config.uploads_queue_url is None
    assert (config.include_dir / "sql" / "facility_accreditation").is_dir()


def test_variables_are_read_and_empty_ones_do_not_count() -> None:
    config = Settings.from_environment(
        {
            "MEDLAUNCH_BUCKET": " lake-prod ",
            "MEDLAUNCH_UPLOADS_QUEUE_URL": "",
            "MEDLAUNCH_ATHENA_POLL_SECONDS": "0.5",
        }
    )
    assert (config.bucket, config.uploads_queue_url, config.athena_poll_seconds) == ("lake-prod", None, 0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MEDLAUNCH_BUCKET", "Not_A_Bucket"),
        ("MEDLAUNCH_DATABASE", "med-launch"),
        ("MEDLAUNCH_DATABASE", "x'; DROP TABLE y"),
        ("MEDLAUNCH_ALERTS_TOPIC_ARN", "medlaunch-alerts"),
        ("MEDLAUNCH_TASK_RETRIES", "many"),
        ("MEDLAUNCH_UPLOADS_QUEUE_URL", "https://sqs/1/uploads"),
        ("MEDLAUNCH_MAX_SLICES_PER_RUN", "101"),
    ],
)
def test_a_bad_value_is_named_with_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as error:
        Settings.from_environment({name: value})
    assert value in str(error.value)
