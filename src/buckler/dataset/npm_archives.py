"""Archives of the npm registry that hold data: fetched by npm, known by digest, never unpacked."""

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from buckler.errors import InputError
from buckler.files import file_digest, writing

_MAX_MEMBERS = 50_000
_MAX_MEMBER_BYTES = 8 << 20
_MAX_ARCHIVE_BYTES = 1 << 30
_NPM_TIMEOUT_S = 600


@dataclass(frozen=True)
class NpmArchive:
    """One archive: a package with its version, and the SHA-256 of what the registry serves."""

    package: str
    sha256: str

    @property
    def name(self) -> str:
        """The package without its version."""
        return self.package.rpartition("@")[0]

    def copies_in(self, folder: Path) -> list[Path]:
        """Return the archive's copies in a folder, as `npm pack` names them."""
        stem = self.name.removeprefix("@").replace("/", "-")
        return sorted(folder.glob(f"{stem}-[0-9]*.tgz"))


def find_archive(
    archive: NpmArchive, folder: Path | None, on_step: Callable[[str], object]
) -> Path:
    """Return the archive's file, checked: a copy in a folder, or the cache's, which is filled.

    Raises
    ------
    InputError
        If it cannot be fetched, or is not what it should be.
    OutputError
        If the cache cannot be written.
    """
    if folder is not None:
        copies = archive.copies_in(folder)
        if not copies:
            raise InputError(f"{folder}: no copy of {archive.package} (from: npm pack)")
        file = copies[-1]
    else:
        file = _cache() / f"{archive.name.replace('/', '-')}-{archive.sha256[:12]}.tgz"
        if not file.exists():
            on_step(f"fetching {archive.package} from the npm registry")
            _npm_pack(archive, file)
    _check_digest(file, archive)
    return file


def members(archive: Path, suffix: str) -> list[tuple[list[str], bytes]]:
    """Return (path in pieces, content) of each file with this suffix.

    Raises
    ------
    InputError
        If the archive is not sound, or larger than a data set can be.
    """
    found, size = [], 0
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for count, member in enumerate(tar):
                size += member.size
                if count > _MAX_MEMBERS or size > _MAX_ARCHIVE_BYTES:
                    raise InputError(f"{archive}: larger than the data set can be")
                if not member.name.endswith(suffix) or member.size > _MAX_MEMBER_BYTES:
                    continue
                file = tar.extractfile(member) if member.isfile() else None
                if file is not None:
                    found.append((member.name.split("/"), file.read()))
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{archive}: not a sound archive: {str(error)[:100]}") from error
    return found


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "buckler"


def _npm_pack(archive: NpmArchive, file: Path) -> None:
    npm = shutil.which("npm")
    remedy = f"or give a folder with a copy of {archive.package} (from: npm pack)"
    if npm is None:
        raise InputError(f"{archive.name}: npm is not installed; install Node.js, {remedy}")
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            try:
                run = subprocess.run(
                    [npm, "pack", "--silent", "--ignore-scripts", archive.package],
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    timeout=_NPM_TIMEOUT_S,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                message = f"{archive.name}: npm pack took over {_NPM_TIMEOUT_S} s; {remedy}"
                raise InputError(message) from None
            packed = sorted(Path(folder).glob("*.tgz"))
            if run.returncode or not packed:
                reason = (run.stderr.strip().splitlines() or ["no reason given"])[0][:200]
                raise InputError(f"{archive.name}: npm pack failed ({reason}); try again, {remedy}")
            _check_digest(packed[0], archive)
            packed[0].replace(file)


def _check_digest(file: Path, archive: NpmArchive) -> None:
    digest = file_digest(file)
    if digest != archive.sha256:
        raise InputError(
            f"{file}: not the archive that Buckler knows (SHA-256 {digest[:16]}…); delete it "
            "and fetch again"
        )
