"""The bill of materials of a bundle, in CycloneDX 1.6: what it is and what it was made with."""

import json
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from buckler.bundle.manifest import Manifest

_TOOLS = ("buckler", "python", "numpy", "pyarrow", "torch", "onnx", "onnxruntime", "lightgbm")


def bill_of_materials(manifest: Manifest) -> bytes:
    """Return the document, from what the manifest says; the same manifest gives the same bytes."""
    said = manifest.provenance
    serial = uuid5(NAMESPACE_URL, manifest.to_json().decode())
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": manifest.created,
            "component": {
                "type": "machine-learning-model",
                "bom-ref": "model",
                "name": manifest.name,
                "description": manifest.description,
                "modelCard": {
                    "modelParameters": {
                        "approach": {"type": "supervised"},
                        "task": "classification",
                        "architectureFamily": manifest.family,
                        "inputs": [{"format": manifest.normalizer}],
                        "outputs": [{"format": "probability of " + ", ".join(manifest.classes)}],
                    }
                },
                "properties": [
                    {"name": f"buckler:{key}", "value": str(value)}
                    for key, value in said.items()
                    if key not in _TOOLS
                ],
            },
        },
        "components": [
            {"type": "library", "bom-ref": name, "name": name, "version": str(said[name])}
            for name in _TOOLS
            if name in said
        ],
        "dependencies": [{"ref": "model", "dependsOn": [n for n in _TOOLS if n in said]}],
    }
    digest = said.get("data_digest")
    if isinstance(digest, str):
        data = {
            "type": "data",
            "bom-ref": "training-data",
            "name": "training data",
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }
        if len(digest) != 64:  # a stage's short key is a name, not a full digest
            del data["hashes"]
            data["version"] = digest
        document["components"].append(data)
    return json.dumps(document, indent=1).encode() + b"\n"
