"""`buckler bundle`: look into a bundle, sign it, and verify it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from buckler.bundle import writer
from buckler.bundle.archive import ONNX, SIGNATURE, VECTORS, Bundle, find_bundle, read_bundle
from buckler.bundle.flat import flat_model, flat_vectors
from buckler.bundle.manifest import Manifest
from buckler.bundle.signing import new_key_pair, sign_bundle
from buckler.cli import options as opt
from buckler.cli.console import out, print_table, safe
from buckler.errors import SettingsError
from buckler.files import write_atomically
from buckler.operating_point import DEFAULT_ERROR_RATE, OperatingPoint
from buckler.runtime.scorer import load_with_content

app = typer.Typer(help="Look into a bundle, sign it, and verify it.", no_args_is_help=True)

PasswordVariable = Annotated[
    str | None,
    typer.Option(
        "--password-variable", help="Environment variable that holds the password of the key."
    ),
]


@app.command("show")
def show(
    path: opt.BundleArgument,
    card: Annotated[bool, typer.Option("--card", help="Print the model card.")] = False,
    manifest: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Show what a bundle says of itself."""
    path = Path(find_bundle(path))
    bundle = read_bundle(path)
    if card:
        text = bundle.entries["card.md"].decode("utf-8", "replace")
        out.print("\n".join(safe(line, 2000) for line in text.splitlines()))
        return
    if manifest:
        out.print(bundle.manifest.to_json().decode())
        return
    m = bundle.manifest
    rows = {
        "name": m.name,
        "task": f"{m.task}: {m.description}",
        "classes": ", ".join(m.classes),
        "detection for": ", ".join(m.positive) or "-",
        "student": f"{m.family} {m.settings}",
        "auxiliary classifiers": ", ".join(f"{a.name} (on {a.on})" for a in m.auxiliary) or "none",
        "normalized text": f"{m.normalizer}, at most {m.max_bytes:,} bytes",
        "threshold": m.operating_sentence,
        "cannot tell": _uncertain_range(m),
        "figures": ", ".join(f"{k} {v}" for k, v in m.metrics.items()) or "not evaluated",
        "made": m.created,
        "size": f"{path.stat().st_size:,} bytes",
        "digest": bundle.sha256,
    }
    print_table((), ((name, safe(value, 1000)) for name, value in rows.items()))


def _uncertain_range(manifest: Manifest) -> str:
    least, threshold = manifest.conformal.get(DEFAULT_ERROR_RATE), manifest.threshold
    if least is None or threshold is None or not manifest.positive:
        return "-"
    rate = f"at an error rate of {DEFAULT_ERROR_RATE:g}"
    return "never" if least >= threshold else f"from {least:.6f} to the threshold, {rate}"


@app.command("verify")
def verify(path: opt.BundleArgument, trusted_key: opt.TrustedKey = None) -> None:
    """Check a bundle in every way there is."""
    scorer, bundle = load_with_content(path, trusted_key=trusted_key)
    out.print(f"{path}: sound")
    checks = [
        "only known files in it, stored, of the stated sizes",
        "SHA-256 of every file as the manifest states",
        "weights and settings fit each other and the task",
        f"conformance vectors give the same scores here, {_exactness(bundle)}",
    ]
    if any(name == ONNX for name in bundle.entries):
        checks.append("the network uses listed operators alone, and no other file")
    if trusted_key is not None:
        checks.append(f"every file is signed by the owner of {trusted_key}")
    for line in checks:
        out.print(f"  checked: {line}")
    if trusted_key is None:
        what = "it is signed; give --trusted-key" if SIGNATURE in bundle.entries else "not signed"
        out.print(f"  not checked: who made it ({what})")
    out.print(f"  digest: {scorer.sha256}")


def _exactness(bundle: Bundle) -> str:
    tolerance = writer.tolerance_of(bundle.entries[VECTORS])
    return f"within {tolerance:g}" if tolerance else "to the bit"


@app.command("new-key")
def new_key(
    private: Annotated[Path, typer.Argument(help="File for the private key.")],
    public: Annotated[Path, typer.Argument(help="File for the public key.")],
    password_variable: PasswordVariable = None,
) -> None:
    """Make a key pair to sign bundles with."""
    new_key_pair(private, public, _password(password_variable))
    out.print(f"private key  {private}: keep it where only the signer can read it")
    out.print(f"public key   {public}: give it to whoever runs your bundles")


@app.command("sign")
def sign(
    path: opt.BundleArgument,
    key: Annotated[Path, typer.Option("--key", help="Private key file (PEM).")],
    password_variable: PasswordVariable = None,
) -> None:
    """Sign a bundle; a signature that it has is replaced."""
    digest = sign_bundle(path, key, _password(password_variable))
    out.print(f"{path}: signed; SHA-256 of the public key: {digest}")


@app.command("set-threshold")
@opt.with_operating_point
def set_threshold(
    path: opt.BundleArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Bundle to write; by default in place.")
    ] = None,
    operating_point: OperatingPoint | None = None,
) -> None:
    """Choose another threshold by what the bundle knows of its held-out events."""
    if operating_point is None:
        raise SettingsError("say where to decide, such as a false-positive rate", field="fpr")
    bundle = load_with_content(path)[1]
    changed = writer.set_threshold(bundle, operating_point)
    target = output or path
    write_atomically(target, writer.pack(changed.entries))
    out.print(changed.manifest.operating_sentence)
    out.print(f"bundle  {target}")
    if SIGNATURE in bundle.entries:
        out.print("its signature does not hold any more: sign it again")


@app.command("flat")
def flat(
    path: opt.BundleArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Flat model to write: .bkm.")],
) -> None:
    """Write an n-gram bundle as a flat file for C and WebAssembly, with its vectors beside it."""
    _, bundle = load_with_content(path)
    vectors = output.with_suffix(".vectors.txt")
    write_atomically(output, flat_model(bundle))
    write_atomically(vectors, flat_vectors(bundle).encode())
    out.print(f"model    {output} ({output.stat().st_size:,} bytes)")
    out.print(f"vectors  {vectors}")


def _password(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise SettingsError(f"the environment variable {variable} holds no password")
    return os.environ[variable]
