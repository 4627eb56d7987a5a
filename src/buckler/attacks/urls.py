"""Attacks on URLs: the ways in which phishing kits imitate a brand or evade a list."""

import re
from urllib.parse import quote

from buckler.attacks.attack import Attacker, attack
from buckler.normalize.brands import BRANDS
from buckler.normalize.known_sites import KNOWN_SITES

_FREE_HOSTS = (
    "github.io", "pages.dev", "workers.dev", "web.app", "firebaseapp.com", "vercel.app",
    "netlify.app", "weebly.com", "wixsite.com", "blogspot.com", "000webhostapp.com", "glitch.me",
    "herokuapp.com", "azurewebsites.net", "r2.dev",
)  # fmt: skip
_WORDS = ("secure", "account", "login", "verify", "update", "service", "support", "online", "auth")
_LOOKALIKE = {"a": "а", "e": "е", "o": "о", "c": "с", "p": "р", "i": "і"}  # noqa: RUF001
_URL = re.compile(r"^(?:([a-z][a-z0-9+.-]*)://)?(?:[^/@?#]*@)?([^/?#:]*)(:\d+)?(.*)$", re.I | re.S)


def _split(url: str) -> tuple[str, str, str]:
    """Return scheme with its slashes, host, and the rest with its port."""
    match = _URL.match(url)
    if match is None:
        return "", url, ""
    scheme = f"{match[1]}://" if match[1] else ""
    return scheme, match[2], (match[3] or "") + match[4]


@attack("brand-in-path", "url")
def brand_in_path(url: str, attacker: Attacker) -> str:
    """A brand's name as the first folder."""
    scheme, host, rest = _split(url)
    return f"{scheme}{host}/{attacker.one_of(BRANDS)}.com{rest or '/'}"


@attack("brand-in-subdomain", "url")
def brand_in_subdomain(url: str, attacker: Attacker) -> str:
    """A brand's domain as the beginning of the host."""
    scheme, host, rest = _split(url)
    return f"{scheme}www.{attacker.one_of(BRANDS)}.com.{host.removeprefix('www.')}{rest}"


@attack("subdomain-chain", "url")
def subdomain_chain(url: str, attacker: Attacker) -> str:
    """Several trustworthy words as subdomains."""
    scheme, host, rest = _split(url)
    words = ".".join(attacker.one_of(_WORDS) for _ in range(2 + attacker.below(4)))
    return f"{scheme}{words}.{host.removeprefix('www.')}{rest}"


@attack("free-hosting", "url")
def free_hosting(url: str, attacker: Attacker) -> str:
    """The same page under a free host's name."""
    scheme, host, rest = _split(url)
    name = re.sub(r"[^a-z0-9]+", "-", host.removeprefix("www.").lower()).strip("-")[:40]
    return f"{scheme or 'https://'}{name or 'site'}.{attacker.one_of(_FREE_HOSTS)}{rest}"


@attack("benign-path", "url")
def benign_path(url: str, attacker: Attacker) -> str:
    """The path of an ordinary page after the host."""
    scheme, host, rest = _split(url)
    path = _split(attacker.benign_text())[2].split("?")[0].strip("/")
    return f"{scheme}{host}/{path}{rest}" if path else url


@attack("benign-query", "url")
def benign_query(url: str, attacker: Attacker) -> str:
    """Ordinary words and tracking parameters as a query."""
    words = re.findall(r"[a-z]{3,}", attacker.benign_text().lower())
    tail = (
        f"utm_source={attacker.one_of(words or ['news'])}&utm_medium=cpc&ref={'-'.join(words[:5])}"
    )
    return f"{url}{'&' if '?' in url else '?'}{tail}"


_ALPHABETS = (
    "0123456789abcdef",
    "0123456789",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
)


def _token(attacker: Attacker, shortest: int, end: int) -> str:
    """Return an identifier of at least `shortest` letters and fewer than `end`."""
    letters = attacker.one_of(_ALPHABETS)
    n = shortest + attacker.below(end - shortest)
    return "".join(attacker.one_of(letters) for _ in range(n))


@attack("opaque-id", "url")
def opaque_id(url: str, attacker: Attacker) -> str:
    """A long identifier, such as a digest or a token, as a folder or a value."""
    scheme, host, rest = _split(url)
    token = _token(attacker, 12, 65)
    path, _, fragment = rest.partition("#")
    if attacker.chance(0.5):
        joint = "&" if "?" in path else "?"
        rest = f"{path or '/'}{joint}{attacker.one_of(('id', 'u', 'key', 'token', 'ref'))}={token}"
    else:
        folder, slash, page = path.partition("?")[0].rpartition("/")
        rest = f"{folder if slash else ''}/{token}/{page}"
    return f"{scheme}{host}{rest}{'#' if fragment else ''}{fragment}"


@attack("typo-squat", "url")
def typo_squat(url: str, attacker: Attacker) -> str:
    """A letter of the name doubled, dropped or swapped, or a hyphen added."""
    scheme, host, rest = _split(url)
    labels = host.split(".")
    if len(labels) < 2 or not re.fullmatch(r"[a-z0-9-]{4,}", labels[-2], re.I):
        return url
    name, at = labels[-2], 1 + attacker.below(len(labels[-2]) - 2)
    changes = (
        name[:at] + name[at] + name[at:],
        name[:at] + name[at + 1 :],
        name[:at] + name[at + 1] + name[at] + name[at + 2 :],
        name[:at] + "-" + name[at:],
    )
    labels[-2] = attacker.one_of(changes)
    return f"{scheme}{'.'.join(labels)}{rest}"


@attack("homograph", "url")
def homograph(url: str, attacker: Attacker) -> str:
    """A letter of the host from another alphabet, as punycode."""
    scheme, host, rest = _split(url)
    labels = host.split(".")
    if len(labels) < 2 or host.replace(".", "").isdigit():
        return url
    places = [i for i, c in enumerate(labels[-2]) if c in _LOOKALIKE]
    if not places:
        return url
    at = places[attacker.below(len(places))]
    labels[-2] = labels[-2][:at] + _LOOKALIKE[labels[-2][at]] + labels[-2][at + 1 :]
    try:
        name = ".".join(labels).encode("idna").decode()
    except UnicodeError:
        return url
    return f"{scheme}{name}{rest}"


@attack("userinfo", "url")
def userinfo(url: str, attacker: Attacker) -> str:
    """A known name before an ``@``, which browsers read as a user."""
    scheme, host, rest = _split(url)
    return f"{scheme or 'https://'}www.{attacker.one_of(BRANDS)}.com@{host}{rest}"


@attack("percent-encoding", "url")
def percent_encoding(url: str, attacker: Attacker) -> str:
    """Letters of the path in percent-encoding."""
    scheme, host, rest = _split(url)
    out = "".join(
        f"%{ord(c):02X}" if c.isascii() and c.isalnum() and attacker.chance(0.3) else c
        for c in rest
    )
    return f"{scheme}{host}{out}"


_ENDINGS = ("/", "/", "", "", ".html", ".php", ".htm", ".aspx", ".jpg", ".pdf", ".svg")


@attack("ordinary-path", "url", for_benign=True)
def ordinary_path(url: str, attacker: Attacker) -> str:
    """A path of ordinary words, where lists of benign sites have none."""
    scheme, host, rest = _split(url)
    if len(rest.strip("/")) > 0:
        return url
    parts = []
    for _ in range(1 + attacker.below(4)):
        joint = attacker.one_of("---_")
        part = joint.join(_word(attacker) for _ in range(1 + attacker.below(4)))
        parts.append(
            str(attacker.below(10 ** (1 + attacker.below(7)))) if attacker.chance(0.12) else part
        )
    tail = f"?{_word(attacker)}={attacker.below(10_000)}" if attacker.chance(0.06) else ""
    return f"{scheme}{host}/{'/'.join(parts)}{attacker.one_of(_ENDINGS)}{tail}"


_ACCOUNT_HOSTS = ("accounts", "account", "login", "my", "id", "secure", "auth", "billing", "help")
_ACCOUNT_FOLDERS = (
    "", "", "", "account", "accounts", "user", "users", "settings", "profile", "my-account",
    "customer", "member", "auth", "help", "support", "security", "secure", "dashboard",
)  # fmt: skip
_ACCOUNT_PAGES = (
    "login", "signin", "sign_in", "sso", "register", "password/reset", "forgot-password", "2fa",
    "two-factor", "verify", "verify-email", "security", "privacy", "profile", "edit", "update",
    "billing", "payment", "cancel", "delete", "delete-account", "deactivate", "clientarea",
)  # fmt: skip


@attack("account-page", "url", for_benign=True)
def account_page(url: str, attacker: Attacker) -> str:
    """A page of a site's own accounts: login, security, payment, deletion."""
    scheme, host, _ = _split(url)
    site = host.removeprefix("www.")
    if attacker.chance(0.25):
        host = f"{attacker.one_of(_ACCOUNT_HOSTS)}.{site}"
    page = attacker.one_of(_ACCOUNT_PAGES)
    if attacker.chance(0.15):  # a site's own name is no sign of a fake
        page = f"{site.partition('.')[0]}-{page}"
    folder = attacker.one_of(_ACCOUNT_FOLDERS)
    ending = attacker.one_of(("", "", "", "/", ".html", ".php", ".aspx"))
    page = f"{f'/{folder}' if folder else ''}/{page}{ending}"
    if attacker.chance(0.4):
        page = f"/{_fill_sign_in(attacker.one_of(_SIGN_INS), site, attacker)}"
    return f"{scheme or 'https://'}{host}{page}"


# OAuth 2, OpenID, SAML 2, WS-Federation, CAS, and what mail servers and frameworks use.
_SIGN_INS = (
    "oauth/authorize?client_id=ID&redirect_uri=BACK&response_type=code&scope=openid%20profile",
    "oauth2/v2.0/authorize?client_id=ID&response_type=code%20id_token&redirect_uri=BACK&nonce=ID",
    "o/oauth2/auth?client_id=ID&scope=email&access_type=offline&redirect_uri=BACK",
    "connect/authorize?client_id=WORD&redirect_uri=BACK&code_challenge=ID&state=ID",
    "auth/realms/WORD/protocol/openid-connect/auth?client_id=WORD&redirect_uri=BACK",
    "openid/login?openid.mode=checkid_setup&openid.return_to=BACK&openid.assoc_handle=WORD",
    "idp/profile/SAML2/Redirect/SSO?SAMLRequest=ID&RelayState=ID", "idp/SSO.saml2?SAMLRequest=ID",
    "saml2/sso?SAMLRequest=ID&SigAlg=ID", "idp/login?execution=e1s1",
    "adfs/ls/?wa=wsignin1.0&wtrealm=urn%3aWORD&wctx=ID", "adfs/ls/idpinitiatedsignon.aspx",
    "login.srf?wa=wsignin1.0&wreply=BACK&ct=NUMBER", "common/reprocess?ctx=ID",
    "cas/login?service=BACK", "owa/auth/logon.aspx?replaceCurrent=1&url=BACK", "owa/?realm=SITE",
    "webmail/?_task=mail&_mbox=INBOX", "webmail/login.php", "users/sign_in?redirect=BACK",
    "signin/identifier?continue=BACK&flowName=WORD&hl=en", "login?continue=BACK&locale=en_US",
    "login?returnTo=BACK", "signin?next=BACK", "auth/login?session=ID",
    "session/new?return_to=BACK", "wp-login.php?redirect_to=BACK&reauth=1",
    "Account/Login?ReturnUrl=BACK", "mail/inbox", "portal/home?tab=WORD", "track?id=NUMBER",
    "orders/NUMBER", "invoices/NUMBER?token=ID",
)  # fmt: skip
_PLACES = re.compile("ID|BACK|WORD|NUMBER|SITE")


def _fill_sign_in(page: str, site: str, attacker: Attacker) -> str:
    """Return a page with identifiers, words and an address to go back to."""

    def fill(place: re.Match[str]) -> str:
        if place[0] == "ID":
            return _token(attacker, 8, 56)
        if place[0] == "BACK":
            www = attacker.one_of(("", "www.", "app."))
            return attacker.one_of(("%2F", f"https%3A%2F%2F{www}{site}%2F{_word(attacker)}"))
        if place[0] == "NUMBER":
            return str(attacker.below(10**10))
        return site if place[0] == "SITE" else _word(attacker)

    return _PLACES.sub(fill, page)


@attack("known-site", "url", for_benign=True)
def known_site(url: str, attacker: Attacker) -> str:
    """The same page, or a page of accounts, on a well-known site."""
    site = attacker.one_of(KNOWN_SITES)
    if attacker.chance(0.4):
        return account_page(f"https://{site}/", attacker)
    scheme, _, rest = _split(url)
    host = attacker.one_of(("www.", "www.", "", f"{attacker.one_of(_ACCOUNT_HOSTS)}.")) + site
    return f"{scheme or 'https://'}{host}{rest or '/'}"


def _word(attacker: Attacker) -> str:
    """Return a word out of a benign URL."""
    words = re.findall(r"[a-z]{3,12}", attacker.benign_text().lower())
    return attacker.one_of(words) if words else "page"


@attack("redirector", "url")
def redirector(url: str, attacker: Attacker) -> str:
    """The URL behind the redirector of a site that everyone trusts."""
    scheme, host, rest = _split(url)
    target = f"{scheme or 'https://'}{host}{rest}"
    openers = (
        f"https://www.google.com/url?q={quote(target, safe='')}&sa=D",
        f"https://www.bing.com/ck/a?u={quote(target, safe='')}&ntb=1",
        f"https://l.facebook.com/l.php?u={quote(target, safe='')}",
        f"https://www.youtube.com/redirect?q={quote(target, safe='')}",
    )
    return attacker.one_of(openers)
