"""`buckler serve`: bundles over HTTP."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli import options as opt
from buckler.cli.console import out
from buckler.errors import MissingExtraError
from buckler.operating_point import OperatingPoint


@opt.with_operating_point
def serve(
    bundles: Annotated[list[Path] | None, typer.Argument(help="Bundle files.")] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="Settings file (TOML); see docs/serve.md.")
    ] = None,
    trusted_key: opt.TrustedKey = None,
    operating_point: OperatingPoint | None = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port (8811); 0 takes a free one.")] = None,
    api_keys: Annotated[
        Path | None, typer.Option("--api-keys", help="File of the keys that are admitted.")
    ] = None,
    new_key: Annotated[
        str | None, typer.Option("--new-key", help="Make a key of this name, print it, and stop.")
    ] = None,
) -> None:
    """Serve bundles over HTTP.

    It answers JSON, NDJSON and Arrow, and reloads files that change.
    """
    try:
        from buckler.serving.http.guard import new_key as make_key
        from buckler.serving.http.serve_settings import ServeSettings
        from buckler.serving.http.server import run_server
        from buckler.serving.layered_settings import read_layered_settings
    except ImportError as error:
        raise MissingExtraError("serving over HTTP", "serve") from error
    if new_key is not None:
        key, line = make_key(new_key)
        out.print(f"key, shown once:               {key}", soft_wrap=True)
        out.print(f"line for the --api-keys file:  {line}", soft_wrap=True)
        return
    values = {
        "bundles": bundles or None,
        "trusted_key": trusted_key,
        "operating_point": operating_point,
        "host": host,
        "port": port,
        "api_keys": api_keys,
    }
    given = {name: value for name, value in values.items() if value is not None}
    run_server(read_layered_settings(ServeSettings, settings, given))
