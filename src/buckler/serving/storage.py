"""File storage of a bundle registry: a folder, or any object store that fsspec knows."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from buckler.errors import BucklerError, InputError, MissingExtraError, OutputError
from buckler.extras import import_extra
from buckler.files import reading, write_atomically, writing

# Base classes of driver errors that are no OSError, by module.
_DRIVER_ERRORS = (
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("aiohttp", "ClientError"),
    ("gcsfs.retry", "HttpError"),
    ("azure.core.exceptions", "AzureError"),
)


class Storage(Protocol):
    """Files by name. The two kinds differ in how a write becomes all or nothing."""

    where: str

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Return the content of a file; None where there is none."""

    def write(self, name: str, data: bytes) -> None:
        """Write or replace a file, so that no reader sees half of it."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a new file; return False, and change nothing, where there is one already."""

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder; ``""`` is the root."""


def open_storage(root: str | Path) -> Storage:
    """Return the storage of a folder, or of a URL such as ``s3://bucket/registry``.

    Raises
    ------
    MissingExtraError
        If the URL's protocol needs a package that is not installed.
    InputError
        If fsspec does not know the protocol.
    """
    if "://" in str(root):
        return _ObjectStorage(str(root).rstrip("/"))
    return _FolderStorage(Path(root))


class _FolderStorage:
    def __init__(self, root: Path) -> None:
        self._root, self.where = root, str(root)

    def read(self, name: str, max_bytes: int) -> bytes | None:
        path = self._root / name
        with reading(path):
            try:
                if path.stat().st_size > max_bytes:
                    raise InputError(f"{path}: larger than it can be", path=path)
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def write(self, name: str, data: bytes) -> None:
        write_atomically(self._root / name, data)

    def create(self, name: str, data: bytes) -> bool:
        path = self._root / name
        whole = path.with_name(f".new-{secrets.token_hex(8)}")
        write_atomically(whole, data)
        try:
            with writing(path):
                path.hardlink_to(whole)  # fails where there is one, at once and for everybody
        except OutputError as error:
            if isinstance(error.__cause__, FileExistsError):
                return False
            raise
        finally:
            whole.unlink(missing_ok=True)
        return True

    def names(self, folder: str) -> list[str]:
        with suppress(OSError):
            found = (self._root / folder).iterdir()
            return sorted(path.name for path in found if not path.name.startswith("."))
        return []


class _ObjectStorage:
    """An object store. Writes are whole by its nature; creating is a conditional write."""

    def __init__(self, url: str) -> None:
        self.where = url
        fsspec = import_extra("fsspec", "a registry in an object store", "s3")
        try:
            self._system, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            raise MissingExtraError(f"a registry at {url}", "s3") from error
        except (ValueError, TypeError) as error:
            raise InputError(f"{url}: {str(error)[:200]}") from error

    def read(self, name: str, max_bytes: int) -> bytes | None:
        path, where = f"{self._root}/{name}", f"{self.where}/{name}"
        try:
            with _translating(f"{where}: cannot be read", InputError):
                size_bytes = self._system.info(path)["size"]
                content = b"" if size_bytes > max_bytes else bytes(self._system.cat_file(path))
        except FileNotFoundError:
            return None
        if size_bytes > max_bytes:
            raise InputError(f"{where}: larger than it can be")
        return content

    def write(self, name: str, data: bytes) -> None:
        with _translating(f"{self.where}/{name}: cannot be written", OutputError):
            self._system.pipe_file(f"{self._root}/{name}", data)

    def create(self, name: str, data: bytes) -> bool:
        try:
            with _translating(f"{self.where}/{name}: cannot be written", OutputError):
                self._system.pipe_file(f"{self._root}/{name}", data, mode="create")
        except FileExistsError:
            return False
        except OutputError as error:
            cause = repr(error.__cause__)
            if "PreconditionFailed" in cause or "ConditionalRequest" in cause:
                return False
            raise
        return True

    def names(self, folder: str) -> list[str]:
        path = f"{self._root}/{folder}".rstrip("/")
        try:
            with _translating(f"{self.where}: cannot be read", InputError):
                found = self._system.ls(path, detail=False)
        except FileNotFoundError:
            return []
        return sorted({str(name).rstrip("/").rpartition("/")[2] for name in found} - {""})


@contextmanager
def _translating(message: str, kind: type[BucklerError]) -> Iterator[None]:
    """Turn the error of a driver into ours; whether a file is there is for the caller."""
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except _driver_errors() as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise kind(f"{message} ({reason})") from error


def _driver_errors() -> tuple[type[Exception], ...]:
    """Return what drivers raise: each has its own kinds, and only imported ones can raise."""
    kinds = [getattr(sys.modules.get(module), name, None) for module, name in _DRIVER_ERRORS]
    return (OSError, ValueError, RuntimeError, *(kind for kind in kinds if kind is not None))
