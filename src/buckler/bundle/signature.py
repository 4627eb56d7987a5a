"""Checks who made a bundle: an OpenSSF model-signing signature with a key pair, offline.

The signature is a sigstore bundle with a DSSE envelope over an in-toto statement that names every
file with its SHA-256. Any tool that speaks model-signing can check the unzipped bundle; this module
does so in memory and needs nothing but `cryptography`.
"""

import hmac
from base64 import b64decode
from hashlib import sha256

from buckler.bundle.archive import SIGNATURE, Bundle
from buckler.bundle.strict_json import parse_strict_json
from buckler.errors import BundleError, MissingExtraError

_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
MAX_SIGNATURE_BYTES = 1 << 20


def check_signature(bundle: Bundle, public_key: bytes) -> str:
    """Check that the holder of a key has signed every file of a bundle; return the key's digest.

    Parameters
    ----------
    bundle
        Its signature must be in it.
    public_key
        PEM, on the curve P-256, P-384 or P-521.

    Raises
    ------
    BundleError
        If it is unsigned, signed by another key, or altered since.
    MissingExtraError
        If `cryptography` is not installed.
    """
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise MissingExtraError("checking a signature", "trust") from None
    try:
        key = serialization.load_pem_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BundleError(f"the trusted key is not a public key in PEM: {error}") from error
    by_size = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.key_size not in by_size:
        raise BundleError("the trusted key is not on the curve P-256, P-384 or P-521")
    raw = bundle.entries.get(SIGNATURE)
    if raw is None:
        raise BundleError("it is not signed")
    payload, signature = _envelope(raw)
    try:
        key.verify(signature, _to_be_signed(payload), ec.ECDSA(by_size[key.curve.key_size]))
    except InvalidSignature:
        raise BundleError("its signature is not by the trusted key, or it was altered") from None
    _check_statement(payload, bundle.entries)
    pem = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return sha256(pem).hexdigest()


def _envelope(raw: bytes) -> tuple[bytes, bytes]:
    """Return the signed statement and the signature."""
    if len(raw) > MAX_SIGNATURE_BYTES:
        raise BundleError("its signature is too large")
    try:
        envelope = parse_strict_json(raw)["dsseEnvelope"]
        payload = b64decode(envelope["payload"], validate=True)
        (signature,) = envelope["signatures"]
        if envelope["payloadType"] != _PAYLOAD_TYPE:
            raise BundleError("its signature is not over an in-toto statement")
        return payload, b64decode(signature["sig"], validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError("its signature is not sound") from error


def _to_be_signed(payload: bytes) -> bytes:
    """The pre-authentication encoding of DSSE."""
    kind = _PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _check_statement(payload: bytes, entries: dict[str, bytes]) -> None:
    try:
        statement = parse_strict_json(payload)
        predicate = statement["predicate"]
        resources = predicate["resources"]
        if (statement["_type"], statement["predicateType"]) != (_STATEMENT, _PREDICATE):
            raise BundleError("its signature says something else than that files are signed")
        signed = {r["name"]: (r["algorithm"], r["digest"]) for r in resources}
        subject = statement["subject"][0]["digest"]["sha256"]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise BundleError("its signature's statement is not sound") from error
    if signed.keys() != entries.keys() - {SIGNATURE} or len(signed) != len(resources):
        raise BundleError("its signature does not name the files that are in it")
    whole = sha256()
    for name in sorted(signed):
        algorithm, digest = signed[name]
        found = sha256(entries[name])
        if algorithm != "sha256" or not hmac.compare_digest(str(digest), found.hexdigest()):
            raise BundleError(f"{name} has been altered since it was signed")
        whole.update(found.digest())
    if not hmac.compare_digest(str(subject), whole.hexdigest()):
        raise BundleError("its signature's subject is not this bundle")
