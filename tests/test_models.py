"""The ready-made bundles: names in place of files, signed, small, and honest about their limits."""

import numpy as np
import pytest

import buckler
from buckler.bundle.archive import find_bundle, read_bundle, ready_made_bundles
from buckler.bundle.signature import check_signature
from buckler.errors import BundleError
from buckler.models import PROJECT_KEY, list_models, path_of_model
from buckler.tasks import get_bundle_task
from tests.support.cli import buckler as command

NAMES = sorted(ready_made_bundles())


def test_there_is_one_for_urls_and_all_are_small():
    assert "url" in NAMES
    sizes = [path_of_model(name).stat().st_size for name in NAMES]
    assert max(sizes) <= 1_200_000
    assert sum(sizes) <= 6_000_000


@pytest.mark.parametrize("name", NAMES)
def test_each_is_signed_and_says_what_it_is(name):
    bundle = read_bundle(name)
    check_signature(bundle, PROJECT_KEY.read_bytes())
    manifest = bundle.manifest
    task = get_bundle_task(manifest)
    opening = bundle.entries["card.md"].decode().split("\n| ")[0]
    advice = "train with rows of your own" if task.features else "adapt it to your own stream"
    assert advice in opening
    assert list_models()[name].name == name


def test_a_name_stands_for_a_file(tmp_path, monkeypatch):
    urls = ["https://paypal-login.verify-account.example/signin.php", "https://www.python.org/"]
    scores = buckler.load("url").score(urls).scores
    assert np.array_equal(scores, buckler.score(path_of_model("url"), urls).scores)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "url").mkdir()  # a folder of that name is no bundle
    assert find_bundle("url") == path_of_model("url")


def test_a_file_of_that_name_wins_and_a_wrong_name_lists_the_right_ones(tmp_path, monkeypatch):
    with pytest.raises(BundleError, match=r"there are: .*url"):
        buckler.load("urls-of-mine")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "url").write_bytes(b"no bundle")
    assert find_bundle("url") == "url"


def test_the_only_bundle_of_a_folder_is_meant(tmp_path):
    bundle = tmp_path / "out" / "mine.buckler"
    bundle.parent.mkdir()
    bundle.write_bytes(path_of_model("url").read_bytes())
    assert find_bundle(bundle.parent) == bundle
    (bundle.parent / "other.buckler").write_bytes(b"")
    with pytest.raises(BundleError, match=r"2 bundles \(mine\.buckler, other\.buckler\)"):
        find_bundle(bundle.parent)


def test_commands_take_the_name(tmp_path):
    done = command("score", "url", "http://login-verify.example/account.php", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "score" in done.stdout
    (tmp_path / "urls.txt").write_text("http://a.example/\nhttps://b.example/login.php\n")
    out = tmp_path / "v.csv"
    done = command("scan", "urls.txt", "-b", "url", "-o", out, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(out.read_text().splitlines()) == 3
    listing = command("models", cwd=tmp_path)
    assert "url-threat" in listing.stdout
