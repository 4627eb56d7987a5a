"""The artifact: one file that holds a trained student and all that is known about it.

Bundles stand between training, which writes them, and the runtime, which loads them. A bundle is a
zip of stored entries: weights, manifest, model card, bill of materials and test vectors. Whoever
opens one may have it from an attacker, so nothing in it is code, and every size is bounded before
it is read.

- `archive`: `read_bundle` opens a file, and `find_bundle` the ready-made one of a name.
- `manifest`, on `strict_json`: classes, normalized text, thresholds, calibration, figures.
- `writer`: `write_bundle` packs one, `set_threshold` changes its operating point.
- `signing`: `sign_bundle` vouches for every file; `signature` checks it without a network.
- `onnx_check`: which networks are accepted, and how much they may compute.
- `flat`: an `ngram` bundle as one flat file, for C and WebAssembly.

docs/bundle-format.md is the specification.

Examples
--------
::

    from buckler.bundle.archive import read_bundle
    from buckler.bundle.signature import check_signature

    bundle = read_bundle("url.buckler")
    print(bundle.manifest.classes, check_signature(bundle, Path("key.pem").read_bytes()))
"""
