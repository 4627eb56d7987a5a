"""Writes the bill of materials of a wheel (CycloneDX 1.6): what it holds, and what it needs.

Needed packages have the versions of this environment, which are those of the lock files.
"""

import json
from email.message import Message
from hashlib import sha256
from importlib.metadata import distribution
from uuid import NAMESPACE_URL, uuid5

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Parts of the wheel that others wrote: name, version, license, file.
_VENDORED = [("htmx.org", "2.0.11", "0BSD", "buckler/review/web/static/htmx.min.js")]


def build_sbom(metadata: Message, wheel: bytes) -> str:
    """Return the document; the same wheel and environment give the same bytes."""
    digest = sha256(wheel).hexdigest()
    root = f"pkg:pypi/{metadata['Name']}@{metadata['Version']}"
    graph: dict[str, list[str]] = {}
    components: dict[str, dict[str, object]] = {}
    needed = _needed(metadata.get_all("Requires-Dist") or [])
    graph[root] = [_add(name, components, graph) for name in needed]
    for name, version, license_id, file in _VENDORED:
        reference = f"pkg:npm/{name}@{version}"
        components[reference] = {
            "type": "library", "bom-ref": reference, "name": name, "version": version,
            "purl": reference, "licenses": [{"license": {"id": license_id}}],
            "evidence": {"occurrences": [{"location": file}]},
        }  # fmt: skip
        graph[root].append(reference)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library", "bom-ref": root, "purl": root, "name": metadata["Name"],
                "version": metadata["Version"], "description": metadata["Summary"],
                "licenses": [{"license": {"id": metadata["License-Expression"]}}],
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
        },
        "components": [components[key] for key in sorted(components)],
        "dependencies": [{"ref": key, "dependsOn": sorted(graph[key])} for key in sorted(graph)],
    }  # fmt: skip
    return json.dumps(document, indent=1) + "\n"


def _add(name: str, components: dict[str, dict[str, object]], graph: dict[str, list[str]]) -> str:
    """Add a package and what it needs; return its reference."""
    found = distribution(name)
    reference = f"pkg:pypi/{canonicalize_name(name)}@{found.version}"
    if reference not in components:
        components[reference] = {
            "type": "library", "bom-ref": reference, "name": canonicalize_name(name),
            "version": found.version, "purl": reference, "scope": "required",
        }  # fmt: skip
        graph[reference] = [_add(each, components, graph) for each in _needed(found.requires or [])]
    return reference


def _needed(requirements: list[str]) -> list[str]:
    """Return the names of packages that are needed here without any extra."""
    parsed = [Requirement(text) for text in requirements]
    chosen = [one.name for one in parsed if not one.marker or one.marker.evaluate({"extra": ""})]
    return sorted(set(map(canonicalize_name, chosen)))
