"""Bundles taken apart and put together again."""

import hashlib
import io
import json
import zipfile
from pathlib import Path


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rebuilt(content: dict[str, bytes], compression=zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def with_manifest(path: Path, change) -> bytes:
    content = entries(path)
    manifest = json.loads(content["manifest.json"])
    change(manifest)
    return rebuilt(content | {"manifest.json": json.dumps(manifest).encode()})


def with_entry(path: Path, name: str, document: object) -> bytes:
    """Return the bundle with another JSON file, its digest in the manifest right."""
    content = entries(path)
    content[name] = json.dumps(document).encode()
    manifest = json.loads(content["manifest.json"])
    digest = hashlib.sha256(content[name]).hexdigest()
    manifest["files"][name] = {"size_bytes": len(content[name]), "sha256": digest}
    return rebuilt(content | {"manifest.json": json.dumps(manifest).encode()})
