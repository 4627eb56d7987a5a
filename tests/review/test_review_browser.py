"""The review application in a real browser: whole sessions, hostile events, accessibility."""

import shutil
import threading
import unicodedata
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from buckler.bundle.archive import read_bundle
from buckler.dataset import Dataset
from buckler.labels import AnnotationColumns, Annotator, LabelStore
from buckler.labels.ledger import add_flags
from buckler.runtime import load
from buckler.serving.bundle_registry import BundleRegistry
from buckler.tasks import get_task
from tests.support.cli import buckler
from tests.support.hostile_texts import HOSTILE
from tests.support.made_up import made_up_events, made_up_table

pytest.importorskip("argon2", reason="the extra 'review' is not installed")
pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import sync_playwright

from buckler.review.accounts import Accounts, Role
from buckler.review.enqueue import EnqueueOptions, enqueue_events
from buckler.review.label_recorder import LabelForm, LabelRecorder
from buckler.review.queue import Queue
from buckler.review.review_tables import ITEMS
from buckler.review.safe_text import visible
from tests.support.review_site import PASSPHRASE, review_site

TASK = get_task("url-threat")
CHROMIUM = next((p for n in ("chromium", "chromium-browser") if (p := shutil.which(n))), None)


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (Debian: chromium)")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def watched(context):
    """Open a page; what should never happen on it is noted in the list."""
    page = context.new_page()
    noted: list[str] = []
    page.on("dialog", lambda dialog: (noted.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("pageerror", lambda error: noted.append(f"error {error}"))

    def console(message):
        if message.type == "error" and "Failed to load resource" not in message.text:
            noted.append(f"console {message.text}")

    page.on("console", console)
    return page, noted


def sign_in(page, address, name):
    page.goto(f"{address}/sign-in")
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", PASSPHRASE)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/")


def press(page, key):
    """Press a key and wait for the page that it leads to."""
    page.evaluate("() => { document.querySelector('main').dataset.old = 'yes'; }")
    page.keyboard.press(key)
    page.wait_for_function("() => !document.querySelector('main').dataset.old")


# --- a whole session ------------------------------------------------------------------------------


def campaign(n, rng, positive_share=0.5):
    """Events of a kind that the deployed bundle has not seen: bad ones on a paste service."""
    positive = rng.random(n) < positive_share
    words = ["alpha", "delta", "omega", "sigma", "kappa"]
    urls = [
        f"http://paste{rng.integers(10**6)}.example/{rng.choice(words)}/"
        + (f"invoice-overdue-{rng.integers(1000)}" if b else f"holiday-photos-{rng.integers(1000)}")
        for b in positive
    ]
    return pa.table(
        {
            "url": urls,
            "label": np.where(positive, "phishing", "benign"),
            "group": [f"c{rng.integers(10**9)}" for _ in range(n)],
            "ts": pa.array(1_750_000_000 + np.arange(n)),
            "source": ["campaign"] * n,
        }
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A deployed bundle, a recipe with frozen tests, and a queue of a new campaign."""
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(0)
    old = made_up_table(2500, rng)
    pq.write_table(old.slice(0, 1500), folder / "train.parquet")
    frozen = pa.concat_tables([old.slice(1500, 1000), campaign(1000, rng)])
    pq.write_table(frozen, folder / "frozen.parquet")
    now = pa.concat_tables([campaign(300, rng), made_up_table(300, rng)])
    pq.write_table(now.drop_columns(["label"]), folder / "now.parquet")
    (folder / "buckler.toml").write_text(
        'task = "url-threat"\nname = "url"\noutput = "out"\n'
        '[data]\ntrain = ["train.parquet"]\ntest = ["frozen.parquet"]\n'
        '[split]\non_leak = "drop"\n[evaluation]\noperating_point = {fpr = 0.01}\n'
        "[student]\ntable_bits = 12\nfolds = 3\n"
    )
    first = buckler("run", folder / "buckler.toml")
    assert first.returncode == 0, first.stderr
    registry = ["-r", folder / "registry"]
    assert (
        buckler("registry", "promote", "url", folder / "out/url.buckler", *registry).returncode == 0
    )
    live = folder / "registry/url/live.buckler"
    added = buckler(
        "review", "add", folder / "now.parquet", "-b", live, "-s", folder / "labels.db",
        "-r", folder / "train.parquet",
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    with LabelStore(folder / "labels.db") as store:
        Accounts(store).add("ann", Role.ANALYST, PASSPHRASE)
    return folder


def test_sign_in_judge_twenty_undo_sign_out_retrain_promote(chromium, shop):
    where, live = str(shop / "labels.db"), shop / "registry/url/live.buckler"

    def truth(url):
        return "invoice" in url or url.startswith("https://")

    with review_site(where, live) as address:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        page, noted = watched(context)
        sign_in(page, address, "ann")
        press(page, "Enter")
        judged = 0
        while judged < 20:
            url = page.inner_text("pre.event >> nth=0").strip()
            press(page, "2" if truth(url) else "1")
            assert page.inner_text(".toast span") == "Label stored."
            judged += 1
        before = page.url
        press(page, "u")
        assert "undone" in page.inner_text(".toast")
        assert page.url != before
        url = page.inner_text("pre.event >> nth=0").strip()
        page.keyboard.press("n")
        page.keyboard.type("seen before")
        page.keyboard.press("Enter")  # in the note it must press nothing
        assert page.input_value("input[name=note]") == "seen before"
        page.keyboard.press("Escape")
        press(page, "2" if truth(url) else "1")
        press(page, "s")
        assert "Skipped" in page.inner_text(".toast")
        page.goto(f"{address}/t/url-threat/dashboard")
        assert page.inner_text(".figures dd >> nth=0") == "20"
        page.click("text=Sign out")
        page.wait_for_selector("text=Signed out.")
        page.goto(f"{address}/t/url-threat")
        assert page.url.endswith("/sign-in")
        assert noted == []
        context.close()
    with LabelStore(where) as store:
        verdicts = [
            (batch.rationales[i], batch.confidence[i])
            for batch in store.annotations(TASK)
            for i in range(len(batch))
        ]
    assert len([c for _, c in verdicts if c == 1]) >= 20
    assert any(why == "seen before" for why, _ in verdicts)

    learn = ["learn", shop / "buckler.toml", "--from-review", "-s", where, "-r", shop / "registry"]
    done = buckler(*learn, "--name", "url", "--weight", "20")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "promote: better on the frozen tests" in done.stdout
    history = BundleRegistry(shop / "registry", "url").history()
    assert [e.action for e in history] == ["promote", "promote"]
    assert load(live).sha256 == history[-1].sha256
    again = buckler(*learn, "--name", "url", "--weight", "20")
    assert again.returncode == 1  # the same bundle is no better than itself
    assert "no sure gain" in again.stdout
    back = buckler("registry", "roll-back", "url", "-r", shop / "registry", "--reason", "a test")
    assert back.returncode == 0
    assert load(live).sha256 == history[0].sha256


# --- hostile events -------------------------------------------------------------------------------

_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
# What the browser's own page holds of attackers' text, apart from our markers.
_INSPECT = """() => {
  const bad = [];
  if (window.pwned) bad.push('ran a script');
  const allowed = new Set(['BDI', 'SPAN', 'MARK', 'CODE']);
  for (const box of document.querySelectorAll('pre.event, bdi, .rationale')) {
    for (const element of box.querySelectorAll('*')) {
      if (!allowed.has(element.tagName)) bad.push('element ' + element.tagName);
      for (const attribute of element.attributes)
        if (attribute.name !== 'class') bad.push('attribute ' + attribute.name);
    }
  }
  for (const script of document.querySelectorAll('script, link, img, iframe, base, form, a')) {
    for (const name of ['src', 'href', 'action']) {
      const at = script.getAttribute(name);
      if (at !== null && !/^(\\/(?!\\/)|#)/.test(at)) bad.push(script.tagName + ' to ' + at);
    }
    if (script.tagName === 'SCRIPT' && !script.getAttribute('src')) bad.push('inline script');
  }
  if (document.querySelectorAll('style, object, embed, iframe, base, meta[http-equiv]').length)
    bad.push('foreign element');
  return [bad, document.body.innerText];
}"""


_WITHOUT_MARKERS = """() => {
  const copy = document.querySelector('pre.event').cloneNode(true);
  for (const marker of copy.querySelectorAll('.code')) marker.remove();
  return copy.textContent;
}"""


@pytest.fixture(scope="module")
def hostile_site(tmp_path_factory, url_bundle):
    """Every hostile text as an event, a group, an annotator's words and name, a flag and a note."""
    folder = tmp_path_factory.mktemp("hostile")
    where = str(folder / "labels.db")
    texts = [t.encode("utf-8", "replace") for t in HOSTILE]
    groups = [t.encode("utf-8", "replace").decode() for t in HOSTILE]
    events = Dataset.from_texts(texts, TASK, groups=groups, sources=groups)
    ids = events.ids
    with LabelStore(where) as store:
        enqueue_events(store, events, load(url_bundle), options=EnqueueOptions(sample_share=0))
        for k in range(0, len(HOSTILE), 10):
            who = Annotator(
                groups[k][:100] or "x", groups[k + 1 if k + 1 < len(groups) else 0], "llm"
            )
            part = slice(k, k + 10)
            n = len(ids[part])
            said = np.tile(np.float32([0.4, 0.6]), (n, 1))
            store.add_arrays(
                TASK,
                who,
                ids[part],
                said,
                AnnotationColumns(rationales=groups[part], cost_usd=[1.0] * n),
            )
        add_flags(store, [(i, "injection", t) for i, t in zip(ids, groups, strict=True)])
        accounts = Accounts(store)
        lea = accounts.add("lea", Role.ADMIN, PASSPHRASE)
        queue = Queue(store, TASK)
        recorder = LabelRecorder(queue, second_share=0)
        with store.reading() as connection:
            query = select(ITEMS.c.id, ITEMS.c.event_id)
            numbers = {bytes(e): i for i, e in connection.execute(query)}
        for event_id, text in zip(ids[::4], HOSTILE[::4], strict=True):
            item = queue.item(numbers[event_id])
            if item.duplicate_of is None and queue.claim(item.id, lea.id):
                recorder.record(
                    item.id,
                    lea.key,
                    LabelForm(
                        0, note=text.encode("utf-8", "replace").decode(), family=item.id % 3 == 0
                    ),
                )
    registry, bundle = BundleRegistry(folder / "registry", "url"), read_bundle(url_bundle)
    for text in HOSTILE[:20]:
        registry.promote(bundle, text)
    settings = f'registry = "{folder / "registry"}"\n'
    with review_site(where, url_bundle, settings=settings, folder=folder) as address:
        yield address, [numbers[i] for i in ids]


def test_hostile_texts_are_shown_and_never_obeyed(chromium, hostile_site):
    assert len(HOSTILE) >= 100
    address, numbers = hostile_site
    context = chromium.new_context()
    page, noted = watched(context)
    elsewhere: list[str] = []
    page.on("request", lambda r: r.url.startswith(address) or elsewhere.append(r.url))
    page.goto(f"{address}/sign-in")
    for text in HOSTILE[::8]:  # the name of whoever tries to sign in stands in the audit log
        page.request.post(f"{address}/sign-in", form={"name": text, "password": "x", "pre": ""})
    sign_in(page, address, "lea")

    def look(path, expected=None):
        answer = page.goto(f"{address}{path}")
        assert answer.status in (200, 400, 404), path
        # Split headers would be headers of the answer.
        assert not {"x-injected", "a"} & set(answer.headers)
        assert "stolen" not in answer.headers.get("set-cookie", "")
        wrong, body = page.evaluate(_INSPECT)
        assert wrong == [], (path, expected)
        raw = {c for c in body if unicodedata.category(c) in _HIDDEN} - set("\n\t")
        assert raw == set(), (path, expected, raw)
        return body

    for number, text in zip(numbers, HOSTILE, strict=True):
        body = look(f"/t/url-threat/e/{number}", text)
        assert "Event" in body
        shown = page.evaluate(_WITHOUT_MARKERS)
        plain = "".join(c for c in text[:40] if c.isascii() and c.isalnum())
        assert plain in "".join(c for c in shown if c.isascii() and c.isalnum()), text
    for path in ("", "/dashboard", "/families"):
        look(f"/t/url-threat{path}")
    for path in ("/", "/audit", "/accounts", "/bundles", "/account"):
        look(path)
    for text in HOSTILE[::3]:
        asked = quote(text.encode("utf-8", "replace")[:60])
        look(
            f"/t/url-threat?q={asked}&state={asked}&label={asked}&stratum={asked}&after={asked}",
            text,
        )
        look(f"/t/{asked.replace('%2F', '')}?message={asked}", text)
    assert noted == []
    assert elsewhere == []
    assert {c["name"] for c in context.cookies()} <= {"buckler-review", "buckler-review-pre"}
    context.close()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_become_markup_of_ours_alone(text):
    shown = str(visible(text))
    inside = shown.replace('<span class="code">', "").replace("</span>", "")
    assert "<" not in inside and ">" not in inside and '"' not in inside and "'" not in inside
    assert not any(unicodedata.category(c) in _HIDDEN and c not in "\n\t" for c in shown)


# --- accessibility and layout ---------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 420])
def test_pages_are_accessible_and_fit(chromium, hostile_site, scheme, width):
    axe = Path(pytest.importorskip("axe_playwright_python").__file__).with_name("axe.min.js")
    address, numbers = hostile_site
    # The policy forbids scripts of others, axe's too; it is lifted for this check alone.
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    page, _ = watched(context)
    page.goto(f"{address}/sign-in")
    serious = []

    def check(path):
        page.goto(f"{address}{path}")
        page.add_script_tag(path=str(axe))
        found = page.evaluate("async () => (await axe.run()).violations")
        serious.extend(
            (path, v["id"], v["nodes"][0]["html"][:200])
            for v in found
            if v["impact"] in ("serious", "critical")
        )
        wide = page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= width, (path, wide)

    check("/sign-in")
    sign_in(page, address, "lea")
    for path in ("/", "/t/url-threat", "/t/url-threat/dashboard", "/t/url-threat/families",
                 "/audit", "/accounts", "/account", "/bundles", "/t/none"):  # fmt: skip
        check(path)
    page.goto(f"{address}/")
    press(page, "Enter")
    check(page.url.removeprefix(address).partition("?")[0])  # one's own, with the keys
    for number in numbers[:2]:
        check(f"/t/url-threat/e/{number}")
    assert serious == []
    context.close()


# --- single sign-on -------------------------------------------------------------------------------


@contextmanager
def identity_provider():
    """A real OpenID Connect provider on loopback."""
    provider = pytest.importorskip("oidc_provider_mock")
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, provider.app(), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.filterwarnings(
    "ignore:.*authlib.*", "ignore::DeprecationWarning"
)  # the provider's own
def test_single_sign_on(chromium, tmp_path, url_bundle):
    where = str(tmp_path / "labels.db")
    with LabelStore(where) as store:
        enqueue_events(store, made_up_events(60, np.random.default_rng(0)), load(url_bundle))
        accounts = Accounts(store)
        accounts.add("eve@example.org", Role.LEAD, None)
        accounts.add("ann@example.org", Role.ADMIN, PASSPHRASE)
    with identity_provider() as issuer:
        import httpx

        def known(subject, **claims):
            url = f"{issuer}/users/{subject}"
            answer = httpx.put(url, json={"userinfo": claims, **claims})
            assert answer.status_code < 300, answer.text

        known("s-eve", email="eve@example.org", email_verified=True)
        known("s-ann", email="ann@example.org", email_verified=True)
        known("s-new", email="new@example.org", email_verified=True)
        known("s-odd", email="odd@example.org", email_verified=False)
        (tmp_path / "secret").write_text("a secret\n")
        settings = (
            f'oidc_issuer = "{issuer}"\noidc_client = "review"\noidc_secret_file = "secret"\n'
            'oidc_new = "analyst"\n'
        )
        with review_site(where, url_bundle, settings=settings, folder=tmp_path) as address:

            def arrive(subject):
                context = chromium.new_context()
                page = context.new_page()
                page.goto(f"{address}/sign-in")
                page.click("text=Sign in with your organization")
                page.wait_for_url(f"{issuer}/**")
                page.fill("input[name=sub]", subject)
                page.click("button:has-text('Authorize')")
                page.wait_for_url(f"{address}/**")
                text = page.inner_text("body")
                context.close()
                return text

            assert "eve@example.org" in arrive("s-eve")
            assert "eve@example.org" in arrive("s-eve")  # bound to the subject now
            assert "new@example.org" in arrive("s-new")
            # Who has a password is nobody else's, and an address must be verified.
            assert "no account" in arrive("s-ann").lower() or "ask an admin" in arrive("s-ann")
            assert "ask an admin" in arrive("s-odd")
            forged = httpx.get(f"{address}/oidc/back?code=x&state=y")
            assert forged.status_code == 401
    with LabelStore(where) as store:
        roles = {u.name: (u.role, bool(u.subject)) for u in Accounts(store).all()}
    assert roles["eve@example.org"] == (Role.LEAD, True)
    assert roles["new@example.org"] == (Role.ANALYST, True)
    assert roles["ann@example.org"] == (Role.ADMIN, False)
    assert "odd@example.org" not in roles
