"""`buckler score`: judge a few texts and say why."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli import options as opt
from buckler.cli.verdict_output import TOP, print_scores
from buckler.errors import SettingsError
from buckler.operating_point import OperatingPoint
from buckler.runtime import load


@opt.with_operating_point
def score(
    texts: Annotated[
        list[str], typer.Argument(help="Texts to score; @FILE reads one from a file.")
    ],
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            "-b",
            help="Bundle file, or the name of a ready-made bundle; by default the first argument.",
        ),
    ] = None,
    trusted_key: opt.TrustedKey = None,
    operating_point: OperatingPoint | None = None,
    top: Annotated[int, typer.Option(help="Number of pieces to show.", min=0, max=100)] = TOP,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per text.")
    ] = False,
) -> None:
    """Score a few texts and explain the scores."""
    if bundle is None:
        if len(texts) < 2:
            raise SettingsError("name a bundle and then texts", field="bundle")
        bundle, texts = Path(texts[0]), texts[1:]
    scorer = load(bundle, trusted_key=trusted_key).with_operating_point(operating_point)
    print_scores(scorer, texts, top=top, as_json=as_json)
