"""Where API keys come from: the environment or the system's keyring; never a file of ours."""

import os

from buckler.errors import MissingExtraError, SettingsError

KEYRING_SERVICE = "buckler"


def api_key(variable: str, *, required: bool) -> str:
    """Return the key in this environment variable, or in the keyring under its name.

    A key goes from here into the client's header and nowhere else.

    Raises
    ------
    SettingsError
        If there is none and the teacher needs one.
    """
    key = os.environ.get(variable, "").strip() or _from_keyring(variable)
    if key or not required:
        return key or "none"
    raise SettingsError(
        f"no API key: set the environment variable {variable}, or store it with "
        f"`keyring set {KEYRING_SERVICE} {variable}`"
    )


def _from_keyring(variable: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise MissingExtraError("asking a language model", "llm") from None
    try:
        return keyring.get_password(KEYRING_SERVICE, variable) or ""
    except KeyringError:  # no keyring on this machine
        return ""
