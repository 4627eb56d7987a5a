"""Shared parts of the contracts: the error, and events that an attacker could send."""

HOSTILE_TEXTS = (
    b"",
    b"\x00",
    b"\xff\xfe\xfa",
    b"\x1f\x1e\x1f" * 100,
    b"a" * 100_000,
    "ÀÉ ﬀ \u202e\u200b \U0001f512".encode(),
    b"http://[::1]:99999/%%%zz?q=" + b"%2e" * 3000,
    b"From: <@>\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" * 50,
    b"<a " * 5000,
    b"{" * 5000,
    b'{"a": NaN, "b": 1e999}',
    b"MZ" + bytes(300),
)


class ContractError(AssertionError):
    """A rule of a seam that an implementation breaks."""


def require(condition: object, rule: str) -> None:
    """Raise ContractError, saying the rule, unless the condition holds."""
    if not condition:
        raise ContractError(rule)
