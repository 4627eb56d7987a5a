"""The command line, as ``python -m buckler``."""

from buckler.cli.entry import main

if __name__ == "__main__":
    main()
