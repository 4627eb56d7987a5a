"""Every error that Buckler raises on purpose."""


class BucklerError(Exception):
    """Something that the caller can put right; the message says what, where and how."""


class InputError(BucklerError):
    """Data that cannot be read or used: names the file, the row where known, and the remedy."""


class SettingsError(BucklerError):
    """A recipe, task file or option that makes no sense."""


class LeakError(BucklerError):
    """Training and test data share what they must not share."""


class BundleError(BucklerError):
    """A bundle that is damaged, altered, hostile or too new."""


class OutputError(BucklerError):
    """A result that could not be written."""


class MissingExtraError(BucklerError):
    """A feature whose optional dependencies are not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an extra: pip install 'buckler[{extra}]'")
