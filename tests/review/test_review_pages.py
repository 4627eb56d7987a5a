"""Pages of the review: the first account, tabs, progress, facts, and a label that is undone."""

import json
import re

import pytest

pytest.importorskip("argon2", reason="the extra 'review' is not installed")
pytest.importorskip("fastapi", reason="the extra 'review' is not installed")

from starlette.testclient import TestClient

from buckler.dataset import ColumnNames, read_dataset
from buckler.errors import SettingsError
from buckler.evaluation.intervals import wilson
from buckler.labels import LabelStore
from buckler.review.accounts import Role
from buckler.review.dashboard import precision_progress
from buckler.review.enqueue import EnqueueOptions, enqueue_events
from buckler.review.facts import FACT_FIELDS, find_facts
from buckler.review.queue import Filter
from buckler.review.review_tables import State
from buckler.review.settings import ReviewSettings
from buckler.review.web.app import build_review
from buckler.runtime import load
from buckler.tasks import get_task
from tests.support.review_site import PASSPHRASE, field

TASK = get_task("url-threat")
HOSTILE = "<script>alert(1)</script>\u202e"


def write_log(path):
    """Write a proxy's log: 60 sites, the first seen three times, by a user who writes markup."""
    urls = [f"http://login-{n}.bank{n}.example/verify/{n}" for n in range(60)]
    urls += [f"{urls[0]}?again={n}" for n in range(2)]
    lines = [
        {
            "url": url,
            "ts": 1793491200 + 60 * n,
            "src_ip": f"10.0.0.{n}",
            "user": {"name": HOSTILE if n in (0, 60) else "anna"},
            "agent": {"name": f"pc-{n}"},
        }
        for n, url in enumerate(urls)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


@pytest.fixture(scope="module")
def store_path(tmp_path_factory, url_bundle):
    folder = tmp_path_factory.mktemp("review")
    columns = ColumnNames(event_fields=FACT_FIELDS)
    events = read_dataset([write_log(folder / "proxy.jsonl")], TASK, columns, labeled=False)
    with LabelStore(folder / "labels.db") as store:
        enqueue_events(store, events, load(url_bundle), options=EnqueueOptions(sample_share=0.3))
    return folder / "labels.db"


@pytest.fixture
def site(store_path, url_bundle):
    app = build_review(ReviewSettings(store=str(store_path), bundles=[url_bundle]))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client, app.state.site


@pytest.fixture
def signed_in(site):
    client, state = site
    if state.accounts.is_empty:
        state.accounts.add("adam", Role.ADMIN, PASSPHRASE)
    page = client.get("/sign-in")
    form = {"name": "adam", "password": PASSPHRASE, "pre": field(page.text, "pre")}
    assert client.post("/sign-in", data=form).url.path == "/"
    return client


def test_whoever_has_the_key_creates_the_first_account_and_nobody_else(tmp_path, url_bundle):
    LabelStore(tmp_path / "new.db").close()
    app = build_review(ReviewSettings(store=str(tmp_path / "new.db"), bundles=[url_bundle]))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        key = app.state.site.first_key
        assert "There is no account yet" in client.get("/sign-in").text
        for path in ("/first", "/first?key=", "/first?key=wrong", f"/first?key={key}x"):
            assert client.get(path).status_code == 404, path
        form = {"key": key, "name": "adam", "password": PASSPHRASE}
        assert client.post("/first", data=form | {"key": "wrong"}).status_code == 404
        elsewhere = {"Origin": "https://evil.example"}
        assert client.post("/first", data=form, headers=elsewhere).status_code == 403
        weak = client.post("/first", data=form | {"password": "short"})
        assert weak.status_code == 400 and "12 to 200 characters" in weak.text
        assert app.state.site.accounts.is_empty
        assert field(client.get(f"/first?key={key}").text, "key") == key
        welcome = client.post("/first", data=form)
        assert welcome.url.path == "/" and "administrator" in welcome.text
        assert client.get("/accounts").status_code == 200
        assert client.get(f"/first?key={key}").status_code == 404
        assert client.post("/first", data=form | {"name": "eve"}).status_code == 404
        with pytest.raises(SettingsError, match="an account already"):
            app.state.site.accounts.add_first("eve", PASSPHRASE)
        assert "no account yet" not in client.get("/sign-in").text


def test_tabs_count_and_filter_what_they_name(site, signed_in):
    _, state = site
    queue = state.task("url-threat").queue
    page = signed_in.get("/t/url-threat").text
    tabs = dict(re.findall(r'<a href="/t/url-threat\?([^"]*)"[^>]*>[\w -]+ <span[^>]*>(\d+)', page))
    waiting = queue.counts()[State.OPEN]
    assert int(tabs[""]) == waiting
    found = queue.page(Filter(detected=True)).items
    assert int(tabs["detected=yes"]) == len(found) > 0
    assert all(item.detected and not item.blind for item in found)
    shown = signed_in.get("/t/url-threat?detected=yes").text
    assert shown.count('class="free"') == len(found) and "hidden until labeled" not in shown
    words = queue.page(Filter("login", detected=True)).items
    assert {item.id for item in words} == {item.id for item in found}


def test_a_stored_label_offers_to_undo_it(site, signed_in):
    csrf = field(signed_in.get("/account").text, "csrf")
    opened = signed_in.post("/t/url-threat/next", data={"csrf": csrf})
    item = opened.url.path
    stored = signed_in.post(f"{item}/label", data={"csrf": csrf, "label": "phishing"})
    toast = re.search(r'<div class="toast" role="status">(.*?)</div>', stored.text, re.S)[1]
    assert "Label stored." in toast and 'action="/t/url-threat/undo"' in toast
    undone = signed_in.post("/t/url-threat/undo", data={"csrf": csrf})
    assert undone.url.path == item and "undone" in undone.text
    assert "/undo" not in re.search(r'class="toast".*?</div>', undone.text, re.S)[0]


def test_facts_help_to_decide_and_are_escaped(site, signed_in):
    _, state = site
    queue = state.task("url-threat").queue
    with queue.store.reading() as connection:
        ids = connection.exec_driver_sql("SELECT item_id FROM review_facts").scalars().all()
    items = [queue.item(number) for number in ids]
    facts = {item.id: find_facts(item, queue) for item in items}
    top = max(items, key=lambda item: facts[item.id].near_duplicates)
    assert facts[top.id].seen_by["host"][0] and facts[top.id].first_s >= 1793491200
    hostile = [i for i in items if HOSTILE in facts[i.id].seen_by["user"][0]]
    for item in hostile:
        page = signed_in.get(f"/t/url-threat/e/{item.id}").text
        assert "Source address" in page and "10.0.0." in page
        assert "<script>alert" not in page and "\u202e" not in page
        assert "&lt;script&gt;alert(1)" in page
    assert hostile


def test_earlier_labels_of_the_group_are_told_unless_the_event_is_blind(site):
    _, state = site
    queue = state.task("url-threat").queue
    items = queue.page(Filter()).items
    first, second = [item for item in items if not item.blind][:2]
    with queue.store.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE review_items SET group_name = 'one.example' WHERE id IN (?, ?)",
            (first.id, second.id),
        )
        connection.exec_driver_sql(
            "UPDATE review_items SET state = 3, analyst_label = 1 WHERE id = ?", (first.id,)
        )
    assert find_facts(queue.item(second.id), queue).earlier == {"phishing": 1}
    with queue.store.writing() as connection:
        connection.exec_driver_sql("UPDATE review_items SET stratum = 1 WHERE id = ?", (second.id,))
    assert find_facts(queue.item(second.id), queue).earlier == {}


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (8, 8), (20, 30), (70, 100), (900, 1000)])
def test_progress_says_how_many_labels_narrow_the_interval(hits, n):
    found = precision_progress(wilson(hits, n))
    share = hits / n if n else 0.5

    def half(rows):
        ends = wilson(share * rows, rows)
        return (ends.high - ends.low) / 2

    assert (
        half(n + found.to_go) <= found.goal < half(max(1, n + found.to_go - 1)) or not found.to_go
    )
    assert n or (found.goal, found.to_go) == (0.1, 93)
