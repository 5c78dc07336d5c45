"""Builds ``dist/mwaa/``, the package for Amazon MWAA: the same bytes for the same commit and settings.

dags/               DAG files, with the library and include/ beside them: synced within a minute
plugins.zip         only the Airflow plugin: a change requires an update of the environment, many minutes
requirements.txt    what the DAGs import, under MWAA's own constraints
startup.sh          exports the MEDLAUNCH_ variables of one environment
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.environment import startup_script

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist" / "mwaa"
MWAA_PYTHON = "3.12"
# In MWAA's image, and where its copy comes from.
CONSTRAINTS = "/usr/local/airflow/.local/etc/airflow_constraints.txt"
CONSTRAINTS_SOURCE = (
    f"https://raw.githubusercontent.com/apache/airflow/constraints-3.3.1/constraints-{MWAA_PYTHON}.txt"
)

# The files of each part, as patterns below the repository's root, so that nothing else gets in by accident.
_DAGS = ("dags/*.py",)
_LIBRARY = ("plugins/medlaunch/**/*.py", "plugins/medlaunch/**/*.json")
_INCLUDE = (
    "include/**/*.sql",
    "include/**/*.columns",
    "include/**/*.jinja",
    "include/**/*.csv",
    "include/**/*.json",
)
_PLUGINS = ("plugins/*.py",)

# The DAG processor must not take the library's modules for DAG files.
_IGNORE = "medlaunch/\ninclude/\n"


def build(settings: Mapping[str, str], target: Path = DIST, root: Path = ROOT) -> list[Path]:
    """Build the package; returns its files, relative to ``target``, sorted.

    Args:
        settings: ``MEDLAUNCH_*`` variables that ``startup.sh`` exports.
        target: emptied first.
    """
    shutil.rmtree(target, ignore_errors=True)
    for source, name in _layout(root):
        file = target / "dags" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(source.read_bytes())
    _write(target / "dags" / ".airflowignore", _IGNORE)
    _zip(target / "plugins.zip", root)
    _write(target / "requirements.txt", requirements(root))
    _write(target / "startup.sh", startup_script(settings))
    return files(target)


def files(target: Path) -> list[Path]:
    """The files of a package, relative to its folder, sorted."""
    return sorted(path.relative_to(target) for path in target.rglob("*") if path.is_file())


def digest(target: Path) -> str:
    """One SHA-256 over the names and bytes of a package's files."""
    whole = hashlib.sha256()
    for name in files(target):
        content = hashlib.sha256((target / name).read_bytes()).hexdigest()
        whole.update(f"{content}  {name.as_posix()}\n".encode())
    return whole.hexdigest()


def requirements(root: Path = ROOT) -> str:
    """The repository's requirements under the constraints of MWAA's Airflow.

    The image contains them (AIRFLOW_CONSTRAINTS_FILE of https://github.com/aws/amazon-mwaa-docker-images). Their
    address would require a download, which is impossible without a route to the internet.
    """
    return f"--constraint {CONSTRAINTS}\n\n{(root / 'requirements.txt').read_text(encoding='utf-8')}"


def _layout(root: Path) -> Iterator[tuple[Path, Path]]:
    """Each file of the package's ``dags/``: its source, and its name in the package."""
    for patterns, base in ((_DAGS, "dags"), (_LIBRARY, "plugins"), (_INCLUDE, ".")):
        for file in _matching(root, patterns):
            yield file, file.relative_to(root / base)


def _matching(root: Path, patterns: tuple[str, ...]) -> list[Path]:
    found = {file for pattern in patterns for file in root.glob(pattern) if file.is_file()}
    return sorted(found)


def _zip(target: Path, root: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for file in _matching(root, _PLUGINS):
            # Fixed time and mode, and no compression, because compressors differ between machines.
            entry = zipfile.ZipInfo(file.relative_to(root / "plugins").as_posix(), (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, on any machine
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())


def _write(file: Path, text: str) -> None:
    file.write_bytes(text.encode())
