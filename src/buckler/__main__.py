"""The command line, as ``python -m buckler``."""

from buckler.cli.entry import main

main()
