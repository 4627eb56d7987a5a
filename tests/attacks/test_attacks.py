"""Attacks: what they do, that they take any text, and what is measured under them."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.attacks import Attacker, attacks_on, get_attack, get_attacks
from buckler.errors import SettingsError
from buckler.evaluation.robustness import compare_attacked, robustness_html, robustness_table
from buckler.normalize import get_normalizer
from buckler.normalize.known_sites import KNOWN_SITES
from buckler.normalize.sites import site_of
from buckler.training.augmentation import attack_scorers, augment
from buckler.training.cross_validation import apart_from
from tests.support.cli import buckler
from tests.support.made_up import made_up_events

COMMAND, URL = get_normalizer("command-v2"), get_normalizer("url-v3")
PAIRS = sorted(
    (m, a.name) for m in ("command-line", "url", "message", "text") for a in attacks_on(m)
)


def attacker(seed: int = 0, benign: tuple[str, ...] = ("git status", "http://a.example/news/one")):
    return Attacker(np.random.default_rng(seed), benign)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=120), st.sampled_from(PAIRS), st.integers(0, 99))
def test_any_text_can_be_attacked_and_in_the_same_way_again(text, pair, seed):
    attack = get_attack(pair[1], pair[0])
    text = text.encode("utf-8", "replace").decode()
    once = attack(text, attacker(seed))
    assert once == attack(text, attacker(seed))
    assert len(once.encode("utf-8", "surrogateescape")) <= 12 * len(text.encode()) + 6000
    assert attack.description.endswith(".")


POWERSHELL = "powershell -NoProfile -Command Invoke-Expression ('whoami'+' /all') -Wait"


@pytest.mark.parametrize(
    "name",
    ["carets", "empty-quotes", "ticks", "random-case", "wide-spaces", "invisible", "homoglyphs"],
)
@pytest.mark.parametrize("text", ["schtasks.exe /create /tn updater /tr runner.exe", POWERSHELL])
def test_the_normalized_form_undoes_these(name, text):
    for seed in range(20):
        made = get_attack(name, "command-line")(text, attacker(seed))
        assert (
            COMMAND.normalize(made, 4096).split(b"\x1f")[0]
            == (COMMAND.normalize(text, 4096).split(b"\x1f")[0])
        )


@pytest.mark.parametrize(
    "name", ["variables", "concatenation", "format-operator", "substrings", "base64"]
)
def test_and_shows_what_these_run(name):
    text = "cmd.exe /c powershell -c Start-Process 'notepad.exe' -Verb runas"
    for seed in range(20):
        made = get_attack(name, "command-line")(text, attacker(seed))
        assert made != text
        form = COMMAND.normalize(made, 4096)
        assert b"notepad.exe" in form
        assert b"start-process" in form


def test_context_stays_as_it_is():
    made = get_attack("carets", "command-line")(
        "whoami.exe /all\x1fcmd.exe\x1f\x1froot", attacker()
    )
    assert made.endswith("\x1fcmd.exe\x1f\x1froot")


def test_redirectors_and_homographs_are_seen_through():
    url = "http://paypal-login.example/verify/account"
    plain = URL.normalize(url, 768).split(b"\x1f")[:2]
    for seed in range(20):
        assert (
            URL.normalize(get_attack("redirector", "url")(url, attacker(seed)), 768).split(b"\x1f")[
                :2
            ]
            == plain
        )
        made = get_attack("homograph", "url")(url, attacker(seed))
        assert "xn--" in made
        assert URL.normalize(made, 768).split(b"\x1f")[0] == plain[0]


def test_variations_are_no_attacks():
    assert "ordinary-path" not in [a.name for a in attacks_on("url")]
    made = get_attack("ordinary-path", "url")("http://a.example/", attacker())
    assert re.match(r"http://a\.example/.+", made)
    assert (
        get_attack("ordinary-path", "url")("http://a.example/b", attacker()) == "http://a.example/b"
    )


@pytest.mark.parametrize("url", ["http://www.shop.example/", "https://shop.example/a/b?c=1#d", "x"])
def test_account_pages_and_identifiers_keep_the_site(url):
    site = re.sub(r"^https?://(www\.)?", "", url).partition("/")[0]
    for seed in range(30):
        page = get_attack("account-page", "url")(url, attacker(seed))
        assert re.match(rf"https?://([a-z]+\.)?{re.escape(site)}/", page.replace("www.", ""))
        named = get_attack("opaque-id", "url")(url, attacker(seed))
        assert named.partition("/?")[0].startswith(url.partition("/a")[0].rstrip("/"))
        assert re.search(r"[\w-]{12,}", named.removeprefix(url.partition("/a")[0]))


def test_pages_of_known_sites_are_on_known_sites():
    for seed in range(60):
        page = get_attack("known-site", "url")("http://shop.example/a/b?c=1", attacker(seed))
        assert site_of(page.split("/")[2]) in KNOWN_SITES
        assert page.endswith("/a/b?c=1") or "shop" not in page


def test_unknown_attacks_are_named():
    with pytest.raises(SettingsError, match="no attack 'x' on a url; there are: benign-path"):
        get_attacks(["x"], "url")


def test_copies_keep_id_group_and_label_of_their_origin():
    events = made_up_events(400, np.random.default_rng(1))
    extra = augment(events, get_attacks(["all"], "url"), 0.5, 0)
    assert extra is not None
    assert len(extra) == 200
    assert 0.3 < (extra.labels == 1).mean() < 0.5  # as among the events
    assert set(extra.ids) <= set(events.ids)
    held = events.take(np.arange(0, 400, 2))
    kept = apart_from(extra, held)
    ids = set(held.ids)
    assert all(extra.ids[int(i)] not in ids for i in kept)
    texts = set(events.raw_texts)
    assert all(t not in texts for t in extra.raw_texts)


def test_what_is_measured_under_attack(url_scorer):
    events = made_up_events(600, np.random.default_rng(2))
    attacks = get_attacks(["brand-in-path", "typo-squat"], "url")
    pair = {"one": url_scorer, "two": url_scorer}
    found, twin = attack_scorers(pair, events, attacks, seed=3, max_events=100)
    (again,) = attack_scorers({"one": url_scorer}, events, attacks, seed=3, max_events=100)
    assert twin.outcomes == found.outcomes
    assert found == again
    assert [o.attack for o in found.outcomes] == ["brand-in-path", "typo-squat"]
    assert found.detected.n_rows == (events.labels == 1).sum()
    assert found.outcomes[0].n_changed == 100
    table = robustness_table([found, found])
    assert len(table.heading) == 6
    page = robustness_html("t <b>", "lead", [found])
    assert "t &lt;b&gt;" in page
    assert "of 100 positive events; after the worst attack, " in page
    none = np.zeros(0, bool)
    assert compare_attacked(attacks[0], none, none, np.zeros(0, np.int64)).n_changed == 0


def test_events_of_one_group_make_no_narrow_interval_under_attack():
    (attack,) = get_attacks(["userinfo"], "url")
    before, after = np.ones(300, bool), np.arange(300) % 30 < 15  # half of the groups
    alone = compare_attacked(attack, before, after, np.arange(300))
    grouped = compare_attacked(attack, before, after, np.arange(300) % 30)
    assert grouped.after.value == alone.after.value == 0.5
    widths = [found.after.high - found.after.low for found in (grouped, alone)]
    assert widths[0] > 2.5 * widths[1]
    assert grouped.before.low < alone.before.low


def test_attack_on_the_command_line(tmp_path, url_bundle):
    data = tmp_path / "a.jsonl"
    events = made_up_events(300, np.random.default_rng(4))
    rows = zip(events.column("text"), events.label_names, strict=True)
    data.write_text("\n".join(json.dumps({"url": t.decode(), "label": label}) for t, label in rows))
    result = buckler("attack", url_bundle, data, "-o", tmp_path / "out", "-a", "userinfo")
    assert result.returncode == 0, result.stderr
    document = json.loads((tmp_path / "out" / "attack.json").read_text())
    assert document["models"][0]["outcomes"][0]["attack"] == "userinfo"
    assert "userinfo" in (tmp_path / "out" / "attack.html").read_text()
    assert "brand-in-path" in buckler("attack", url_bundle, "--list").stdout
    assert buckler("attack", url_bundle, data, "-o", tmp_path, "-a", "no").returncode == 2


def test_a_recipe_with_an_unknown_attack_fails_before_any_work(tmp_path):
    (tmp_path / "buckler.toml").write_text(
        'task = "url-threat"\n[data]\ntrain = ["not-read.jsonl"]\n[evaluation]\nattacks = ["x"]\n'
    )
    result = buckler("run", tmp_path / "buckler.toml")
    assert result.returncode == 2
    assert "no attack 'x' on a url" in result.stderr


def test_a_recipe_with_augmentation_reports_both_students(tmp_path):
    events = made_up_events(1500, np.random.default_rng(5))
    rows = zip(events.column("text"), events.label_names, events.groups, strict=True)
    (tmp_path / "a.jsonl").write_text(
        "\n".join(json.dumps({"url": t.decode(), "label": a, "group": g}) for t, a, g in rows)
    )
    (tmp_path / "buckler.toml").write_text(
        'task = "url-threat"\n[data]\ntrain = ["a.jsonl"]\n[split]\non_leak = "allow"\n'
        '[student]\nfolds = 3\ntable_bits = 12\n[augmentation]\nattacks = ["subdomain-chain"]\n'
        'variations = ["ordinary-path"]\n[evaluation]\nresamples = 50\n'
        'attacks = ["subdomain-chain"]\n'
    )
    result = buckler("run", tmp_path / "buckler.toml")
    assert result.returncode == 0, result.stderr
    assert "not augmented" in " ".join(result.stdout.split())
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["robustness"][-1]["attack"] == "subdomain-chain"
    assert "Under attack" in (tmp_path / "out" / "report.html").read_text()
