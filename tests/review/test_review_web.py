"""The review application over HTTP: who may do what, and what nobody may."""

import re
import ssl
import threading

import httpx
import numpy as np
import pytest
from sqlalchemy import select, update

from buckler.labels import LabelStore
from buckler.tasks import get_task
from tests.support.certificates import self_signed
from tests.support.made_up import made_up_events

pytest.importorskip("argon2", reason="the extra 'review' is not installed")

from buckler.review.accounts import Accounts, Role
from buckler.review.audit import read_audit
from buckler.review.enqueue import enqueue_events
from buckler.review.queue import Filter, Queue
from buckler.review.review_tables import LABELS, USERS, State
from buckler.review.web.protection import MAX_BODY_BYTES
from buckler.runtime import load
from tests.support.review_site import PASSPHRASE, Browser, field, review_site

TASK = get_task("url-threat")
PAGES = ["/", "/t/url-threat", "/t/url-threat/dashboard", "/t/url-threat/families", "/account"]
LEADS, ADMINS = ["/audit"], ["/accounts"]
PLOTS = [f"/t/url-threat/plots/{name}.svg" for name in ("queue", "labels", "bundle", "teachers")]


@pytest.fixture(scope="module")
def site(tmp_path_factory, url_bundle):
    where = str(tmp_path_factory.mktemp("review") / "labels.db")
    with LabelStore(where) as store:
        events = made_up_events(600, np.random.default_rng(5))
        enqueue_events(store, events, load(url_bundle))
        accounts = Accounts(store)
        for name, role in (("ann", Role.ANALYST), ("bob", Role.ANALYST), ("lea", Role.LEAD)):
            accounts.add(name, role, PASSPHRASE)
        accounts.add("adam", Role.ADMIN, PASSPHRASE)
    with review_site(where, url_bundle) as address:
        yield address, where


@pytest.fixture(autouse=True)
def _closed_clients(monkeypatch):
    opened, begin = [], httpx.Client.__init__

    def remember(client, **options):
        begin(client, **options)
        opened.append(client)

    monkeypatch.setattr(httpx.Client, "__init__", remember)
    yield
    for client in opened:
        client.close()


@pytest.fixture
def signed_in(site):
    def open_as(name: str) -> Browser:
        browser = Browser(site[0])
        assert browser.sign_in(name).status_code == 200
        return browser

    return open_as


def item_of(response: httpx.Response) -> int:
    found = re.search(r"/e/(\d+)", str(response.url))
    assert found is not None, response.url
    return int(found[1])


def test_nothing_is_shown_to_strangers(site):
    stranger = httpx.Client(base_url=site[0])
    for path in [*PAGES, *LEADS, *ADMINS, *PLOTS, "/t/url-threat/e/1", "/bundles"]:
        answer = stranger.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in"), path
        assert answer.text == ""
    for path in ("/t/url-threat/next", "/t/url-threat/e/1/label", "/accounts", "/sign-out"):
        assert stranger.post(path, data={"label": "benign"}).status_code in (303, 400, 403)
    stranger.cookies.set("buckler-review", "x" * 43)
    assert stranger.get("/").status_code == 303
    for path in ("/docs", "/openapi.json", "/redoc", "/oidc"):
        assert stranger.get(path).status_code == 404


def test_every_answer_has_its_headers(site, signed_in):
    browser = signed_in("adam")
    for path in [*PAGES, *LEADS, *ADMINS, *PLOTS, "/static/review.js", "/none", "/sign-in"]:
        headers = browser.http.get(path).headers
        policy = headers["content-security-policy"]
        assert "unsafe-eval" not in policy and "*" not in policy
        assert "script-src" not in policy or "script-src 'self'" in policy
        assert policy.startswith("default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers
    html = browser.http.get("/t/url-threat").text
    assert not re.search(r"<script(?! src=\"/static/)", html)
    assert " style=" not in html and "<style" not in html and " onclick" not in html


def test_a_form_from_elsewhere_does_nothing(site, signed_in):
    browser = signed_in("ann")
    token = browser.token()
    for data, headers in (
        ({}, {}),
        ({"csrf": "x" * len(token)}, {}),
        ({"csrf": signed_in("bob").token()}, {}),
        ({"csrf": token}, {"Origin": "https://evil.example"}),
        ({"csrf": token}, {"Origin": "null"}),
        ({"csrf": token}, {"Sec-Fetch-Site": "cross-site"}),
    ):
        for path in ("/t/url-threat/next", "/t/url-threat/undo", "/sign-out"):
            assert browser.http.post(path, data=data, headers=headers).status_code == 403
    assert browser.http.get("/").status_code == 200  # still signed in
    page = httpx.Client(base_url=site[0])
    form = {"name": "ann", "password": PASSPHRASE, "pre": field(page.get("/sign-in").text, "pre")}
    fresh = httpx.Client(base_url=site[0])
    assert fresh.post("/sign-in", data=form).status_code == 400  # another browser's form
    foreign = page.post("/sign-in", data=form, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403


@pytest.mark.parametrize("number", ["0", "-1", str(2**31), str(2**63), "9" * 400])
def test_numbers_beyond_the_database_are_no_fault_of_the_server(signed_in, number):
    browser = signed_in("adam")
    for path in (
        f"/t/url-threat/e/{number}",
        f"/audit?before={number}",
        f"/t/url-threat?after=0.5%20{number}",
        f"/t/url-threat?after=nan%20{number}",
        f"/t/url-threat?after=1e999%20{number}",
    ):
        assert browser.http.get(path).status_code < 500, path
    for path in (
        f"/t/url-threat/e/{number}/claim",
        f"/t/url-threat/e/{number}/label",
        f"/t/url-threat/e/{number}/skip",
        f"/t/url-threat/families/{number}/revoke",
        f"/accounts/{number}",
    ):
        form = {"label": "benign", "role": "lead", "seconds": "9" * 400}
        assert browser.post(path, **form).status_code < 500, path


def test_a_name_of_any_characters_is_a_wrong_name(site):
    browser = Browser(site[0])
    for name in ("ann\0", "\0", "a\ud800".encode("utf-8", "surrogatepass"), "\r\nx", "\u202e"):
        assert browser.sign_in(name).status_code == 401


def test_roles(signed_in):
    allowed = {
        "ann": (200, 403, 403),
        "lea": (200, 200, 403),
        "adam": (200, 200, 200),
    }
    for name, codes in allowed.items():
        browser = signed_in(name)
        for paths, code in zip((PAGES, LEADS, ADMINS), codes, strict=True):
            for path in paths:
                assert browser.http.get(path).status_code == code, (name, path)
    ann = signed_in("ann")
    assert ann.post("/accounts", name="eve", role="admin", password=PASSPHRASE).status_code == 403
    assert ann.post("/accounts/1", role="admin", active="1").status_code == 403
    assert ann.post("/t/url-threat/families/1/revoke").status_code == 403


def test_an_admin_keeps_the_accounts(site, signed_in):
    adam = signed_in("adam")
    assert adam.post("/accounts", name="eve", role="analyst", password="short").status_code == 400
    made = adam.post("/accounts", name="eve", role="analyst", password=PASSPHRASE)
    assert "Account changed" in made.text
    eve = signed_in("eve")
    with LabelStore(site[1]) as store:
        number = Accounts(store).require("eve").id
        own = Accounts(store).require("adam").id
    assert adam.post(f"/accounts/{number}", role="lead", active="1").status_code == 200
    assert eve.http.get("/audit").status_code == 200  # from the next request on
    assert adam.post(f"/accounts/{number}", role="lead").status_code == 200  # closed
    assert str(eve.http.get("/").url).endswith("/sign-in")
    assert Browser(site[0]).sign_in("eve").status_code == 401
    assert adam.post(f"/accounts/{own}", role="analyst", active="1").status_code == 400
    assert adam.post("/accounts/99999", role="analyst").status_code == 404
    assert adam.post(f"/accounts/{number}", role="king", active="1").status_code == 400
    log = adam.http.get("/audit").text
    assert "account added" in log and "eve, lead, closed" in log


def test_sign_in_is_limited_and_says_nothing_of_accounts(site):
    browser = Browser(site[0])
    answers = [browser.sign_in("bob", f"wrong password {k}") for k in range(6)]
    assert [a.status_code for a in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    for _ in range(10):
        assert browser.sign_in("bob", PASSPHRASE).status_code == 429
    nobody = browser.sign_in("nobody", "wrong password")
    same = re.compile(r'name="pre" value="[^"]+"')
    assert same.sub("", nobody.text) == same.sub("", answers[0].text)
    with LabelStore(site[1]) as store:
        found = [e for e in read_audit(store) if e.who == "bob"]
    assert {e.action for e in found} >= {"sign-in failed", "sign-in refused"}
    assert {e.address for e in found} == {"127.0.0.1"}
    assert sum(e.action == "sign-in refused" for e in found) == 5  # a flood fills no log


def test_a_new_password_ends_every_session(site, signed_in):
    adam = signed_in("adam")
    adam.post("/accounts", name="zoe", role="analyst", password=PASSPHRASE)
    one, two = signed_in("zoe"), signed_in("zoe")
    assert one.post("/account", old="wrong", new="another horse battery").status_code == 403
    assert one.post("/account", old=PASSPHRASE, new="short").status_code == 400
    assert one.post("/account", old=PASSPHRASE, new="another horse battery").status_code == 200
    for browser in (one, two):
        assert str(browser.http.get("/").url).endswith("/sign-in")
    assert Browser(site[0]).sign_in("zoe", "another horse battery").status_code == 200


def test_judging_over_http(site, signed_in):
    ann, lea = signed_in("ann"), signed_in("lea")
    first = item_of(ann.post("/t/url-threat/next"))
    assert item_of(lea.post("/t/url-threat/next")) != first
    path = f"/t/url-threat/e/{first}"
    assert "is working on this event" in lea.http.get(path).text
    stolen = lea.post(f"{path}/label", label="phishing")
    assert stolen.status_code == 409 and "Not stored" in stolen.text
    assert ann.post(f"{path}/label", label="nonsense").status_code == 400
    assert ann.post(f"{path}/label").status_code == 400
    assert ann.post(f"{path}/label", label="benign", seconds="nan").status_code == 400
    done = ann.post(f"{path}/label", label="phishing", note="kit\r\nX: y", seconds="2.5")
    assert "Label stored" in done.text
    assert item_of(done) != first
    twice = ann.post(f"{path}/label", label="benign")
    assert twice.status_code == 409  # the form was sent a second time
    undone = ann.post("/t/url-threat/undo")
    assert item_of(undone) == first and "undone" in undone.text
    skipped = ann.post(f"{path}/skip")
    assert item_of(skipped) != first
    assert "Event released" in ann.post("/t/url-threat/release").text
    for missing in ("/t/none", "/t/url-threat/e/0", f"/t/url-threat/e/{2**30}", "/t/x/e/1"):
        assert ann.http.get(missing).status_code == 404
    for odd in (
        "?after=x",
        "?after=nan+1",
        "?after=1e999+5",
        "?stratum=%00",
        "?q=%22*",
        "?label=x",
    ):
        assert ann.http.get(f"/t/url-threat{odd}").status_code == 200
    for odd in ("abc", "-1", str(2**40)):
        assert ann.http.get(f"/t/url-threat/e/{odd}").status_code == 400
    assert ann.http.get("/?message=<script>").text.count("<script>") == 0


def test_blind_means_blind(site, signed_in):
    browser = signed_in("lea")
    with LabelStore(site[1]) as store:
        queue = Queue(store, TASK)
        drawn = [i for i in queue.page(Filter()).items if i.blind]
        plain = next(i for i in queue.page(Filter(state=State.OPEN)).items if not i.blind)
    shown = browser.http.get(f"/t/url-threat/e/{drawn[0].id}").text
    assert "score" not in shown and "Blind labeling" in shown and 'class="w' not in shown
    assert "score" in browser.http.get(f"/t/url-threat/e/{plain.id}").text


def test_what_is_too_large_or_asks_for_another_host_is_refused(site):
    client = httpx.Client(base_url=site[0])
    assert client.post("/sign-in", content=b"x" * (MAX_BODY_BYTES + 1)).status_code == 413
    chunks = (b"x" * 4096 for _ in range(100))
    assert client.post("/sign-in", content=chunks).status_code == 413
    assert client.get("/sign-in", headers={"Host": "evil.example"}).status_code == 400
    assert client.post("/sign-in", data={"name": "a" * 50_000}).status_code == 400
    assert client.get("/static/../../../etc/passwd").status_code == 404
    assert client.get("/static/%2e%2e/site.py").status_code == 404


def test_over_tls_and_behind_a_proxy(site, tmp_path, url_bundle):
    certificate, key = self_signed(tmp_path)
    settings = f'tls_certificate = "{certificate}"\ntls_key = "{key}"\n'
    with review_site(site[1], url_bundle, settings=settings, folder=tmp_path) as address:
        assert address.startswith("https://")
        trusted = ssl.create_default_context(cafile=str(certificate))
        browser = Browser(address, verify=trusted)
        assert browser.sign_in("lea").status_code == 200
        (cookie,) = (
            c for c in browser.http.cookies.jar if "review" in c.name and "pre" not in c.name
        )
        assert (cookie.name, cookie.secure, cookie.path) == ("__Host-buckler-review", True, "/")
        assert "HttpOnly" in cookie._rest
        headers = browser.http.get("/").headers
        assert headers["strict-transport-security"].startswith("max-age=")
    settings = 'behind_proxy = ["127.0.0.1"]\npublic_hosts = ["review.example"]\n'
    with review_site(site[1], url_bundle, settings=settings, folder=tmp_path) as address:
        asked = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
        asked |= {"Host": "review.example"}
        client = httpx.Client(base_url=address, headers=asked)
        page = client.get("/sign-in")
        assert "Secure" in page.headers["set-cookie"]
        form = {"name": "zed", "password": "x", "pre": field(page.text, "pre")}
        pre = {"Cookie": f"buckler-review-pre={form['pre']}"}
        assert client.post("/sign-in", data=form, headers=pre).status_code == 401
    with LabelStore(site[1]) as store:
        assert next(e.address for e in read_audit(store) if e.who == "zed") == "203.0.113.9"


def test_who_asks_cannot_be_made_up_without_a_proxy(site):
    client = httpx.Client(base_url=site[0], headers={"X-Forwarded-For": "203.0.113.9"})
    page = client.get("/sign-in")
    form = {"name": "yak", "password": "x", "pre": field(page.text, "pre")}
    assert client.post("/sign-in", data=form).status_code == 401
    with LabelStore(site[1]) as store:
        assert next(e.address for e in read_audit(store) if e.who == "yak") == "127.0.0.1"


def test_many_browsers_at_once_lose_nothing(store_where, url_bundle):
    """Twenty signed-in browsers judge at the same moment, through the real server."""
    where, judged, errors = store_where, list[int](), list[object]()
    with LabelStore(where) as store:
        events = made_up_events(500, np.random.default_rng(5))
        enqueue_events(store, events, load(url_bundle))
        accounts = Accounts(store)
        first = accounts.add("load-0", Role.ANALYST, PASSPHRASE)
        for k in range(1, 20):
            made = accounts.add(f"load-{k}", Role.ANALYST, None)
            hashed = select(USERS.c.password).where(USERS.c.id == first.id)
            with store.writing() as connection:  # one hash for all: hashing is slow on purpose
                password = connection.scalar(hashed)
                connection.execute(
                    update(USERS).where(USERS.c.id == made.id).values(password=password)
                )

    def work(address: str, k: int) -> None:
        try:
            browser = Browser(address)
            assert browser.sign_in(f"load-{k}").status_code == 200
            token = browser.token()
            page = browser.http.post("/t/url-threat/next", data={"csrf": token})
            for _ in range(10):
                item = item_of(page)
                form = {"csrf": token, "label": "benign", "seconds": "1"}
                page = browser.http.post(f"/t/url-threat/e/{item}/label", data=form)
                assert page.status_code == 200, page.text
                judged.append(item)
        except Exception as error:
            errors.append(error)

    with review_site(where, url_bundle) as address:
        threads = [threading.Thread(target=work, args=(address, k)) for k in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
    with LabelStore(where) as store, store.reading() as connection:
        rows = connection.scalars(select(LABELS.c.item_id)).all()
    assert sorted(rows) == sorted(judged)
    assert len(judged) == 200
