"""A Docker engine, and the base images of docker-compose.yaml, for machines that cannot reach a registry.

A machine that can pull images needs nothing of this. Where images cannot be pulled, substitutes with the same names are
built from Debian and Python packages, with the machine's own configuration of apt and pip, so that the unmodified
compose file finds them. For the compose file, they behave like the originals.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
SUBSTITUTES = HERE / "substitutes"
SUITE = "bookworm"
BASE = f"medlaunch/substitute-base:{SUITE}"

# Settings of pip and TLS that the builds inherit from the machine.
_HANDED_ON = re.compile(
    r"(PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|DEFAULT_TIMEOUT)|UV_(DEFAULT_INDEX|INDEX_URL|INDEX))"
)
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_START_SECONDS = 60.0


class EngineMissing(RuntimeError):
    """No Docker engine; the message says what to install."""


@contextmanager
def running() -> Iterator[None]:
    """A Docker engine for a ``with`` block: the machine's, or one that is started and stopped.

    Raises:
        EngineMissing: if none is running and none can be started.
    """
    if _answers():
        yield
        return
    missing = [tool for tool in ("docker", "dockerd", "iptables") if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        raise EngineMissing(
            "No Docker engine answers, and none can be started here: "
            + (f"{', '.join(missing)} are not installed" if missing else "that requires root")
            + ". Start Docker, or as root: apt-get install --no-install-recommends docker.io iptables debootstrap"
        )
    with tempfile.NamedTemporaryFile(prefix="dockerd-", suffix=".log") as log:
        # Smaller packets than the default: the network outside may be a tunnel.
        engine = subprocess.Popen(
            ["dockerd", "--mtu", "1400"], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not _answers():
                if engine.poll() is not None or time.monotonic() > deadline:
                    raise EngineMissing(f"dockerd does not start:\n{Path(log.name).read_text()[-3000:]}")
                time.sleep(0.2)
            yield
        finally:
            engine.send_signal(signal.SIGTERM)  # stops the containers and its containerd
            engine.wait(timeout=60)


def images() -> list[str]:
    """The images that the compose file, without its profiles, and its Dockerfile start from."""
    text = (HERE / "Dockerfile").read_text(encoding="utf-8")
    compose = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
    services = [
        one for one in re.split(r"^(?=  [\w-]+:$)", compose, flags=re.MULTILINE) if "profiles:" not in one
    ]
    found = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    found += re.findall(r"^ +image: (?!medlaunch/)(\S+)$", "".join(services), re.MULTILINE)
    return list(dict.fromkeys(found))


def ensure_images() -> list[str]:
    """Pull missing images, and build a substitute for each that cannot be pulled. Returns the substitutes' names."""
    made = []
    for image in images():
        if _docker_ok("image", "inspect", image) or _docker_ok("pull", "--quiet", image):
            continue
        print(f"{image} cannot be pulled: building a substitute", flush=True)
        if not _docker_ok("image", "inspect", BASE):
            make_base()
        make_substitute(image)
        made.append(image)
    return made


def make_base() -> None:
    """Build a small Debian with Python from the machine's own mirror and with its certificates."""
    if shutil.which("debootstrap") is None:
        raise EngineMissing(
            "debootstrap is needed to build the base image: apt-get install --no-install-recommends debootstrap"
        )
    with tempfile.TemporaryDirectory(prefix="substitute-") as folder:
        root = Path(folder, "root")
        include = "python3,python3-venv,ca-certificates"
        _run("debootstrap", "--variant=minbase", f"--include={include}", SUITE, str(root), *_mirror())
        for file in Path("/usr/local/share/ca-certificates").rglob("*.crt"):
            shutil.copy(file, root / "usr/local/share/ca-certificates")
        _run("chroot", str(root), "update-ca-certificates")
        for name in ("etc/pip.conf", "etc/apt/apt.conf"):
            if Path("/", name).is_file():
                shutil.copy(Path("/", name), root / name)
        for file in Path("/etc/apt/apt.conf.d").glob("*proxy*"):
            shutil.copy(file, root / "etc/apt/apt.conf.d")
        archive = Path(folder, "root.tar")
        with tarfile.open(archive, "w") as tar:
            tar.add(root, arcname=".")
        variables = dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), _CERTIFICATES)
        variables |= {name: value for name, value in os.environ.items() if _HANDED_ON.fullmatch(name)}
        changes = [f"--change=ENV {name}={value}" for name, value in sorted(variables.items())]
        _run("docker", "import", *changes, str(archive), BASE)


def make_substitute(image: str) -> None:
    """Build the substitute for one image, under its name."""
    kind = image.split(":")[0].rsplit("/", 1)[-1]
    with tempfile.TemporaryDirectory(prefix="substitute-") as folder:
        shutil.copytree(SUBSTITUTES, folder, dirs_exist_ok=True)
        for name in ("requirements.txt", "requirements.lock"):
            shutil.copy(ROOT / name, folder)
        _run(
            *("docker", "build", "--quiet", "--tag", image, "--build-arg", f"BASE={BASE}"),
            *("--file", f"{folder}/{kind}.Dockerfile", folder),
        )


def _mirror() -> list[str]:
    """apt's first mirror for this suite, or none: debootstrap has Debian's as its default."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "Created-By: Packages", f"Codename: {SUITE}", "--format", "$(REPO_URI)"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return listed.stdout.split()[:1]


def _answers() -> bool:
    return shutil.which("docker") is not None and _docker_ok("info")


def _docker_ok(*arguments: str) -> bool:
    return not subprocess.run(["docker", *arguments], capture_output=True, check=False).returncode


def _run(*command: str) -> None:
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed:\n{(run.stdout + run.stderr)[-4000:]}")
