"""The entry point of `buckler`: the call that people type most takes a short way.

``buckler score BUNDLE TEXT…`` without options needs no parser of options, whose imports cost more
than loading and scoring.
"""

import os
import sys
from contextlib import suppress


def main() -> None:
    """Run the command line."""
    if not _score_plainly(sys.argv[1:]):
        from buckler.cli.main import main as run_any

        run_any()


def _score_plainly(arguments: list[str]) -> bool:
    """Score texts if nothing else is asked; False leaves the call and its errors to the parser."""
    if len(arguments) < 3 or arguments[0] != "score" or "BUCKLER_TRUSTED_KEY" in os.environ:
        return False
    if any(argument.startswith("-") for argument in arguments):
        return False
    from buckler.cli.verdict_output import print_scores
    from buckler.errors import BucklerError
    from buckler.runtime import load

    try:
        with suppress(BucklerError, OSError):
            print_scores(load(arguments[1]), arguments[2:])
            return True
    except KeyboardInterrupt:
        sys.exit(130)
    return False
