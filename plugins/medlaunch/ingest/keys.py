"""The secret key of pseudonyms."""

from __future__ import annotations

from medlaunch.settings import PREFIX, settings

#: Fewer characters could be guessed.
_KEY_CHARACTERS = 32


class KeyMissing(Exception):
    """There is no key that can make pseudonyms; the message says where it belongs."""


def pseudonym_key() -> bytes:
    """The key: the password of the Airflow connection that ``MEDLAUNCH_PSEUDONYM_CONN_ID`` names.

    Airflow looks it up in its secrets backend, its environment and its database, and masks it in logs.

    Raises:
        KeyMissing: if there is no such connection, or its password is too short.
    """
    from airflow.exceptions import AirflowNotFoundException
    from airflow.sdk import Connection

    name = settings().pseudonym_conn_id
    where = f"the Airflow connection {name!r} ({PREFIX}PSEUDONYM_CONN_ID), whose password is the key of pseudonyms"
    try:
        password: str = Connection.get(name).password or ""
    except AirflowNotFoundException as error:
        raise KeyMissing(
            f"Missing: {where}. Create it with a random password of {_KEY_CHARACTERS} characters or more, keep a copy "
            "where it cannot get lost, and clear the task"
        ) from error
    if len(password) < _KEY_CHARACTERS:
        raise KeyMissing(
            f"Too short, {len(password)} characters instead of {_KEY_CHARACTERS} or more, is the password of {where}"
        )
    return password.encode()
