"""Writes the secrets of a container stack to its volume, once: ``keys.py FOLDER``.

So no secret is in a file of the repository, in an environment variable or in an image, and `docker compose down -v`
removes them with everything else. Runs in Airflow's image with the standard library only.
"""

from __future__ import annotations

import json
import secrets
import sys
from base64 import urlsafe_b64encode
from pathlib import Path


def write(folder: Path) -> list[str]:
    """Write the files if any is missing; returns their names."""
    password = secrets.token_urlsafe(24)
    content = {
        "postgres_password": password,
        "sql_alchemy_conn": f"postgresql+psycopg2://airflow:{password}@postgres/airflow",
        "fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "api_secret_key": secrets.token_hex(32),
        "jwt_secret": secrets.token_hex(32),
        # What Airflow's LocalFilesystemBackend reads: the key of pseudonyms.
        "connections.json": json.dumps(
            {"medlaunch_pseudonyms": {"conn_type": "generic", "password": secrets.token_hex(32)}}
        ),
    }
    present = [name for name in content if (folder / name).exists()]
    if len(present) == len(content):
        return []
    # The password is in two files: all of them, or none.
    for name, text in content.items():
        new = folder / f".{name}.new"
        new.write_text(text, encoding="ascii")
        new.chmod(0o444)  # only services that need it mount the volume, under other users
        new.replace(folder / name)
    return list(content)


if __name__ == "__main__":
    written = write(Path(sys.argv[1]))
    print(f"Wrote {', '.join(written)}" if written else "The keys exist")
