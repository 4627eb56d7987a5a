"""Signs a bundle with OpenSSF model-signing: the holder of a key vouches for every file in it."""

import contextlib
import io
import tempfile
from pathlib import Path
from types import ModuleType

from buckler.bundle.archive import SIGNATURE, read_bundle
from buckler.bundle.signature import check_signature
from buckler.bundle.writer import pack
from buckler.errors import InputError, MissingExtraError, OutputError
from buckler.files import read_bytes, write_atomically, writing


def new_key_pair(private: Path, public: Path, password: str | None = None) -> None:
    """Write a new key pair on the curve P-256, as PEM; the private one is for its owner alone.

    Raises
    ------
    OutputError
        If a file is there already or cannot be written.
    """
    ec, serialization = _cryptography()
    key = ec.generate_private_key(ec.SECP256R1())
    hidden = (
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption()
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden
    )
    shown = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for path in (private, public):
        if path.exists():
            raise OutputError(f"{path} is there already; a key is never overwritten")
    with writing(private):
        private.touch(mode=0o600)
        private.write_bytes(secret)
    with writing(public):
        public.write_bytes(shown)


def sign_bundle(path: Path, private_key: Path, password: str | None = None) -> str:
    """Put a signature into a bundle, in place of any that it has; return the key's digest.

    Raises
    ------
    BundleError
        If the bundle is not sound.
    InputError
        If the key cannot be used.
    MissingExtraError
        If model-signing is not installed.
    """
    _, serialization = _cryptography()
    try:
        import model_signing
    except ImportError:
        raise MissingExtraError("signing", "sign") from None
    bundle = read_bundle(path)
    entries = {name: data for name, data in bundle.entries.items() if name != SIGNATURE}
    pem = read_bytes(private_key)
    try:
        key = serialization.load_pem_private_key(pem, password.encode() if password else None)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"{private_key}: not a private key, or its password is wrong") from error
    with tempfile.TemporaryDirectory() as scratch:
        folder, signature = Path(scratch) / path.stem, Path(scratch) / SIGNATURE
        folder.mkdir()
        for name, data in entries.items():
            (folder / name).write_bytes(data)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                signer = model_signing.signing.Config().use_elliptic_key_signer(
                    private_key=private_key,
                    password=password.encode() if password else None,  # it wants bytes
                )
                signer.sign(folder, signature)
        except ValueError as error:
            raise InputError(f"{private_key}: cannot sign ({str(error)[:100]})") from error
        entries[SIGNATURE] = signature.read_bytes()
    write_atomically(path, pack(entries))
    return check_signature(read_bundle(path), public)


def _cryptography() -> tuple[ModuleType, ModuleType]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise MissingExtraError("signing", "sign") from None
    return ec, serialization
