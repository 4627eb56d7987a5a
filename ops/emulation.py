"""Runs Python of another machine under QEMU, to try a wheel that this machine cannot load.

Needs `qemu-user-static` and APT (Debian or Ubuntu). Nothing is installed on this machine: the
packages of the other one are unpacked into a folder.
"""

import shutil
import subprocess
import sys
from pathlib import Path

_ARCHITECTURES = {"aarch64": "arm64", "x86_64": "amd64"}  # names of machines -> of Debian
_PYTHON = (3, 11)  # of Debian 12
_PACKAGES = (
    *("libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libexpat1", "libffi8", "libssl3", "libuuid1"),
    *("libbz2-1.0", "liblzma5", "libsqlite3-0", "libcrypt1"),
    *(f"{name}3.{_PYTHON[1]}-minimal" for name in ("python", "libpython")),
    f"libpython3.{_PYTHON[1]}-stdlib",
)


def find_emulator(machine: str) -> str | None:
    """Return the path of QEMU for a machine, where it and APT are installed."""
    return shutil.which("apt-get") and shutil.which(f"qemu-{machine}-static")


def run_wheel(wheel: Path, lock: Path, code: str, machine: str, folder: Path) -> str:
    """Return what Python of another machine prints with a wheel and the locked packages.

    Parameters
    ----------
    wheel, lock
        Wheel to try, and what else to install.
    code
        Python code to run.
    machine
        Machine as `platform.machine()` names it.
    folder
        Empty folder for the packages.
    """
    root, site = folder / "root", folder / "site"
    _unpack_python(machine, folder, root)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    install += ["--target", str(site), "--only-binary", ":all:", "--no-deps"]
    install += ["--python-version", ".".join(map(str, _PYTHON)), "--implementation", "cp"]
    for glibc in (17, 28, 31):
        install += ["--platform", f"manylinux_2_{glibc}_{machine}"]
    install += ["--platform", f"manylinux2014_{machine}"]
    subprocess.run([*install, "--require-hashes", "-r", str(lock)], check=True)
    subprocess.run([*install, "--no-index", "--upgrade", str(wheel)], check=True)
    python = root / f"usr/bin/python3.{_PYTHON[1]}"
    command = [find_emulator(machine) or "", "-L", root, "-E", f"PYTHONPATH={site}", python]
    done = subprocess.run([*command, "-P", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def _unpack_python(machine: str, folder: Path, root: Path) -> None:
    """Unpack Debian's Python for a machine, with a state of APT of its own."""
    lists, archives = folder / "lists", folder / "archives"
    for made in (lists / "partial", archives / "partial", root):
        made.mkdir(parents=True)
    apt = ["apt-get", "-q", "-o", f"APT::Architecture={_ARCHITECTURES[machine]}"]
    apt += [
        "-o",
        f"APT::Architectures={_ARCHITECTURES[machine]}",
        "-o",
        f"Dir::State::lists={lists}",
    ]
    apt += ["-o", f"Dir::Cache::archives={archives}", "-o", "APT::Sandbox::User=root"]
    for step in (["update"], ["download", *_PACKAGES]):
        subprocess.run([*apt, *step], cwd=archives, check=True, stdout=subprocess.DEVNULL)
    for package in sorted(archives.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)
