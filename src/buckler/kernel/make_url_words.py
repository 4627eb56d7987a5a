"""Writes url_words.h: names that are imitated and words that lure, by their first two letters."""

from pathlib import Path

# Names that are imitated most; a fact of the trade, not of any data set.
BRANDS = (
    "adobe aeon airbnb alibaba allegro amazon amazonaws ameli americanexpress amex apple "
    "axisbank bancolombia bankofamerica barclays bbva binance blockchain booking bradesco "
    "caixa capitalone chase citibank coinbase correos creditagricole dhl discord docusign dpd "
    "dropbox ebay etsy exodus facebook fedex github gmail google hmrc hotmail hsbc icloud "
    "inpost instagram intesa itau jcb kraken kucoin laposte ledger linkedin lloyds mastercard "
    "mercadolibre metamask microsoft microsoftonline mufg natwest netflix office365 olx "
    "onedrive opensea orange outlook pancakeswap paypal phantom postbank rakuten revolut "
    "roblox santander sharepoint shopify smbc sparkasse spotify steamcommunity swisscom "
    "telegram tiktok trezor trustwallet twitter uniswap usps verizon vinted visa "
    "walletconnect wellsfargo wetransfer whatsapp wise yahoo youtube zelle zoom "
)
LURES = (
    "account airdrop auth bank billing bonus claim confirm free gift invoice login password "
    "payment recover reward secure service signin support unlock update verify wallet webmail "
)


def table(name: str, words: list[str]) -> str:
    """Return the words, their lengths, and where those of each pair of letters begin."""
    words = sorted(words)
    pairs = [chr(97 + a) + chr(97 + b) for a in range(26) for b in range(26)]
    starts = [sum(word[:2] < pair for word in words) for pair in pairs] + [len(words)]
    lengths = ", ".join(str(len(word)) for word in words)
    quoted = ", ".join(f'"{word}"' for word in words)
    return (
        f"static const char *const {name}[] = {{{_wrapped(quoted)}}};\n"
        f"static const uint8_t {name}_lengths[] = {{{_wrapped(lengths)}}};\n"
        f"static const uint8_t {name}_by_pair[] = {{{_wrapped(', '.join(map(str, starts)))}}};\n"
    )


def by_length(words: list[str]) -> str:
    """Return the brands in order of length, and where those of each length begin."""
    words = sorted(words)
    order = sorted(range(len(words)), key=lambda i: len(words[i]))
    longest = max(map(len, words))
    starts = [sum(len(word) < n for word in words) for n in range(longest + 2)]
    return (
        f"static const uint8_t brands_ordered[] = {{{_wrapped(', '.join(map(str, order)))}}};\n"
        f"static const uint8_t brands_by_length[] = {{{_wrapped(', '.join(map(str, starts)))}}};\n"
        f"enum {{ LONGEST_BRAND = {longest} }};\n"
    )


def _wrapped(text: str) -> str:
    lines, line = [], ""
    for item in text.split(", "):
        if len(line) + len(item) > 92:
            lines.append(line)
            line = ""
        line += item + ", "
    return "\n    " + "\n    ".join([*lines, line]) + "\n"


if __name__ == "__main__":
    head = "/* Written by make_url_words.py: do not edit. */\n"
    text = (
        head
        + table("brands", BRANDS.split())
        + table("lures", LURES.split())
        + by_length(BRANDS.split())
    )
    (Path(__file__).parent / "url_words.h").write_text(text, encoding="utf-8")
