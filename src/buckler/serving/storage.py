"""Where a registry keeps its files: a folder, or any object store that fsspec knows."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from buckler.errors import InputError, MissingExtraError, OutputError
from buckler.files import write_atomically


class Storage(Protocol):
    """Files by name. The two kinds differ in what makes a write all or nothing."""

    where: str

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Return a file's content; None where there is none."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file, or put it in place of one, so that it is never seen half-written."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a new file; False, and nothing is changed, where there is one already."""

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder; of the folder itself for ``""``'s folders."""


def open_storage(root: str | Path) -> Storage:
    """Return the storage of a folder, or of a URL such as ``s3://bucket/registry``.

    Raises
    ------
    MissingExtraError
        If the URL's protocol needs a package that is not installed.
    InputError
        If fsspec does not know it.
    """
    if "://" in str(root):
        return _Objects(str(root).rstrip("/"))
    return _Folder(Path(root))


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root, self.where = root, str(root)

    def read(self, name: str, max_bytes: int) -> bytes | None:
        path = self._root / name
        try:
            if path.stat().st_size > max_bytes:
                raise InputError(f"{path}: larger than it can be")
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error

    def write(self, name: str, data: bytes) -> None:
        write_atomically(self._root / name, data)

    def create(self, name: str, data: bytes) -> bool:
        path = self._root / name
        temporary = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            os.link(temporary, path)  # fails where there is one, at once and for everybody
        except FileExistsError:
            return False
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
        finally:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
        return True

    def names(self, folder: str) -> list[str]:
        with suppress(OSError):
            found = (self._root / folder).iterdir()
            return sorted(path.name for path in found if not path.name.startswith("."))
        return []


class _Objects:
    """An object store. Writes are whole by its nature; creating is a conditional write."""

    def __init__(self, url: str) -> None:
        self.where = url
        try:
            import fsspec
        except ImportError as error:
            raise MissingExtraError("a registry in an object store", "s3") from error
        try:
            self._system: Any
            self._system, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            raise MissingExtraError(f"a registry at {url}", "s3") from error
        except (ValueError, TypeError) as error:
            raise InputError(f"{url}: {str(error)[:200]}") from error

    def read(self, name: str, max_bytes: int) -> bytes | None:
        path = f"{self._root}/{name}"
        try:
            if self._system.info(path)["size"] > max_bytes:
                raise InputError(f"{self.where}/{name}: larger than it can be")
            return bytes(self._system.cat_file(path))
        except FileNotFoundError:
            return None
        except InputError:
            raise
        except Exception as error:  # each store has its own kinds
            raise InputError(f"{self.where}/{name}: cannot be read ({_said(error)})") from error

    def write(self, name: str, data: bytes) -> None:
        try:
            self._system.pipe_file(f"{self._root}/{name}", data)
        except Exception as error:
            raise OutputError(f"{self.where}/{name}: cannot be written ({_said(error)})") from error

    def create(self, name: str, data: bytes) -> bool:
        try:
            self._system.pipe_file(f"{self._root}/{name}", data, mode="create")
        except FileExistsError:
            return False
        except Exception as error:
            if "PreconditionFailed" in repr(error) or "ConditionalRequest" in repr(error):
                return False
            raise OutputError(f"{self.where}/{name}: cannot be written ({_said(error)})") from error
        return True

    def names(self, folder: str) -> list[str]:
        path = f"{self._root}/{folder}".rstrip("/")
        try:
            found = self._system.ls(path, detail=False)
        except FileNotFoundError:
            return []
        except Exception as error:
            raise InputError(f"{self.where}: cannot be read ({_said(error)})") from error
        return sorted({str(name).rstrip("/").rpartition("/")[2] for name in found} - {""})


def _said(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
