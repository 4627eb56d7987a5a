"""The features of pages: facts of their structure, which no text of a page can forge."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler import _kernel
from buckler.normalize import get_normalizer
from buckler.normalize.html_v1 import html_structure_facts
from buckler.normalize.page_structure import describe_fact, encode_facts

FORM = get_normalizer("html-structure-v2")
MARK = b"\x1f\x1d"
FAKE = (
    "<title>PayPal: log in</title><link rel='shortcut icon' href=https://www.paypal.com/i.ico>"
    "<form action=search.asp></form>"
    "<a href=#>Help</a><a>x</a><a href='javascript:void(0)'>y</a><a href=''>z</a>"
    "<img src=//www.paypal.com/logo.png><script src=/a.js></script><img src=logo.png>"
    "<form method=post action='next.php?x#y'><input type=password></form><form action=/late></form>"
)


def facts(page: str) -> dict[str, str]:
    return dict(fact.split("=") for fact in html_structure_facts(page))


def test_a_fake_login_page():
    found = facts(FAKE)
    assert found["posts"] == "relative.php"  # the form of the password
    assert (found["links"], found["links-nowhere"], found["link-hosts"]) == ("4", "4", "0")
    assert (found["icon"], found["title-brand"]) == ("absolute", "linked")
    assert (found["resources-absolute"], found["resources-relative"]) == ("3", "2")


def test_the_same_page_on_its_own_site():
    page = FAKE.replace("href=#", "href=https://www.paypal.com/help").replace("next.php", "/signin")
    found = facts(page)
    assert (found["posts"], found["icon"]) == ("root", "absolute-own")
    assert (found["title-brand"], found["link-hosts"]) == ("own", "1")
    assert facts(page.replace("paypal.com", "shop.example"))["title-brand"] == "absent"


BELOW = "<p>many words of an ordinary page</p><a href=/news>News</a><img src=/a.png>" * 90


@pytest.mark.parametrize("end", ["</form>", "</FORM >", "<form action=/x>"])
def test_content_below_the_form_of_the_password_changes_nothing(end):
    page = "<title>Bank</title><a href=/>Home</a><form action=go.php><input type=PassWord>"
    known = html_structure_facts(page)
    assert html_structure_facts(page + end + BELOW) == known
    assert html_structure_facts(page + end + "<input type=password>" + BELOW) == known
    assert html_structure_facts(page + "\0" + BELOW + end) != known  # inside the form


@pytest.mark.parametrize(
    "decoy",
    [
        "<!-- <input type=password> --></form>",
        "<script>'<input type=password></form>'</script>",
        "<form action=/><input type=password style='display:none'></form>",
        "<iframe srcdoc='<input type=text></form>'></iframe>",
    ],
)
def test_a_password_that_nobody_sees_ends_nothing(decoy):
    page = f"{decoy}{BELOW}<form action=go.php><input type=password></form>"
    found = facts(page)
    assert (found["posts"], found["links"]) == ("relative.php", facts(BELOW)["links"])


@pytest.mark.parametrize("shift", range(4))
def test_a_form_without_end_counts_up_to_a_whole_letter(shift):
    page = "<form action=go.php><input type=password>" + "x" * shift
    assert facts(page + "\U0001d538" * 4096 + BELOW)["posts"] == "relative.php"
    assert facts(page + "\U0001d538" * 4096 + BELOW)["links"] == "0"


def test_without_a_password_all_of_a_page_counts():
    page = "<form action=go.php><input name=mail></form>"
    assert facts(page + BELOW)["links"] == facts(BELOW)["links"]


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("", "posts="),
        ("#", "posts=fragment"),
        ("mailto:a@b.example", "posts=contact"),
        ("data:text/html,x", "posts=data"),
        ("JavaScript:go()", "posts=script"),
        ("HTTPS://a.example/x.JSP;id=1", "posts=absolute.jsp"),
        ("//a.example", "posts=absolute"),
        ("file:///c:/x.html", "posts=local"),
        ("x:y", "posts=relative"),
    ],
)
def test_where_a_form_posts_to(action, kind):
    found = html_structure_facts(f'<form action="{action}"></form>')
    assert kind in found
    assert describe_fact(kind).startswith("a form that posts to ")


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=400), st.text(max_size=200)), st.sampled_from((FAKE, "<a>")))
def test_any_page_has_its_facts_behind_its_text(noise, page):
    raw = page.encode() + (noise.encode("utf-8", "replace") if isinstance(noise, str) else noise)
    text, mark, features = FORM.normalize(raw, 8192).partition(MARK)
    expected = html_structure_facts(raw)
    assert mark and features.decode() == encode_facts(expected)
    assert text.count(b"\x1f") == 3
    assert all(describe_fact(fact) for fact in expected)


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=60),
    st.binary(max_size=24).map(lambda b: b.replace(b"\x1d", b"a")),
    st.integers(1, 90),
)
def test_features_stay_as_they_are_behind_folded_text(text, features, left):
    kept = features[: len(features) // 4 * 4]
    behind = MARK + kept if kept else b""
    expected = _kernel.normalize(2, text, left) + behind
    assert _kernel.normalize(4, text + MARK + features, left + len(behind)) == expected
    assert len(_kernel.normalize(4, text + MARK + features, left)) <= left


def test_a_title_cannot_forge_features():
    page = "<title>\x1f\x1daaaa</title><button>\x1d\x1f\x1dbbbb</button>"
    assert FORM.normalize(page, 8192).count(MARK) == 1
