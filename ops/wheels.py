"""Builds the wheels for x86-64 and arm64 with their bills of materials: `make wheels`.

The machine's own compiler makes its wheel: on x86-64 its pragmas make the AVX loops. Zig makes the
other. Each serves CPython 3.11 and later (`abi3`). A wheel that needs a newer C library than its
name says is refused. The one for this machine is tried in a fresh environment, the other one under
QEMU where that is installed; both must give the same score to the bit.
"""

import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from email import message_from_bytes
from pathlib import Path

from ops.emulation import find_emulator, run_wheel
from ops.wheel_sbom import build_sbom

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "run.lock"
GLIBC = (2, 31)
MACHINES = {"x86_64": 62, "aarch64": 183}  # with the numbers of ELF
_TRY = (
    "import buckler, buckler._kernel as kernel; "
    "score = buckler.load('url').score(['http://paypa1-login.example/verify.php']).scores[0]; "
    "print(buckler.__file__, kernel.__file__, score)"
)


def main() -> int:
    """Build, check and try the wheels."""
    out = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "dist"
    scores = {}
    for machine, number in MACHINES.items():
        wheel = build_wheel(machine, out)
        check_binary(read_kernel(wheel), number)
        write_sbom(wheel)
        if machine == platform.machine():
            scores[machine] = try_wheel(wheel)
        elif find_emulator(machine):
            scores[machine] = try_emulated(wheel, machine)
        print(wheel.name, scores.get(machine, "not run: qemu-user-static is not installed"))
    if len(set(scores.values())) > 1:
        raise SystemExit(f"the machines score differently: {scores}")
    return 0


def build_wheel(machine: str, out: Path) -> Path:
    """Return a new wheel for a machine."""
    tag = f"manylinux_{GLIBC[0]}_{GLIBC[1]}_{machine}"
    for old in out.glob(f"buckler-*{tag}.whl"):
        old.unlink()
    environment = {**os.environ}
    if machine != platform.machine():
        target = f"{machine}-linux-gnu.{GLIBC[0]}.{GLIBC[1]}"
        compiler = f"{sys.executable} -m ziglang cc -target {target}"
        environment |= {"CC": compiler, "LDSHARED": f"{compiler} -shared", "CFLAGS": "-s"}
    with tempfile.TemporaryDirectory() as build:
        command = [sys.executable, "setup.py", "-q", "build", "-b", build, "egg_info", "-e", build,
                   "bdist_wheel", "-b", f"{build}/wheel", "-d", str(out), "-p", tag]  # fmt: skip
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
    (wheel,) = out.glob(f"buckler-*{tag}.whl")
    return wheel


def read_kernel(wheel: Path) -> bytes:
    """Return the compiled kernel of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.read("buckler/_kernel.abi3.so")


def check_binary(binary: bytes, machine: int) -> None:
    """Refuse a library for another machine, or one that needs a newer C library."""
    found = struct.unpack_from("<H", binary, 18)[0]
    if not binary.startswith(b"\x7fELF\x02\x01") or found != machine:
        raise SystemExit(f"the kernel is built for machine {found}, not {machine}")
    versions = [tuple(map(int, v.split(b"."))) for v in re.findall(rb"GLIBC_(\d+\.\d+)", binary)]
    if not versions or max(versions) > GLIBC:
        raise SystemExit(f"the kernel needs glibc {max(versions, default=None)}, more than {GLIBC}")


def write_sbom(wheel: Path) -> Path:
    """Write the bill of materials beside a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        metadata = message_from_bytes(archive.read(name))
    path = wheel.with_suffix(".cdx.json")
    path.write_text(build_sbom(metadata, wheel.read_bytes()))
    return path


def try_wheel(wheel: Path) -> str:
    """Score with the wheel in a fresh environment that holds the locked packages and nothing else.

    BUCKLER_WHEEL_PACKAGES names a folder of installed packages to use instead of installing them.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        python = environment / "bin" / "python"
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if packages := os.environ.get("BUCKLER_WHEEL_PACKAGES"):
            (site,) = environment.glob("lib/python3*/site-packages")
            (site / "packages.pth").write_text(packages + "\n")
        else:
            subprocess.run([*install, "--require-hashes", "-r", LOCK], check=True)
        subprocess.run([*install, "--no-deps", "--no-index", wheel], check=True)
        command = [python, "-P", "-c", _TRY]
        found = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        if not found.stdout.startswith(str(environment.resolve())):
            raise SystemExit(f"another package than the wheel was tried: {found.stdout}")
        command = [environment / "bin" / "buckler", "score", "url", "http://paypa1-login.example/"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(environment)
    return found.stdout.split()[-1]


def try_emulated(wheel: Path, machine: str) -> str:
    """Score with the wheel for another machine, under QEMU."""
    with tempfile.TemporaryDirectory() as folder:
        return run_wheel(wheel, LOCK, _TRY, machine, Path(folder)).split()[-1]


if __name__ == "__main__":
    sys.exit(main())
