"""Pages as browsers show them."""

import random
import re

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buckler._kernel import resolve_link
from buckler.normalize.html_scan import MAX_ELEMENTS, MAX_LINKS, scan_html, scan_mail_page


def text(source: str, **options: bool) -> str:
    return " ".join(scan_html(source, **options).text.split())


@pytest.mark.parametrize(
    "hidden",
    [
        "<div style='display:none'>",
        "<div style='DISPLAY : NONE ; color:red'>",
        "<div style='display:block;display:none'>",
        "<div style='display:none!important;display:block'>",
        "<div style='dis\\70lay:none'>",
        "<div style='display:/**/none'>",
        "<div style='display:n&#111;ne'>",
        "<div style=display:none>",
        "<div title='a>b' style='display:none'>",
        "<div style='font-size:0'>",
        "<div style='font-size:0.0px'>",
        "<div style='font-size:.1px'>",
        "<div style='font:0/0 a'>",
        "<div style='font-size:0'><b style='font-size:2em'>",
        "<div style='font-size:0'><font color=red>",
        "<div style='visibility:hidden'>",
        "<div style='visibility:hidden'><p style='display:block'>",
        "<div style='opacity:0.0'><p style='opacity:1'>",
        "<div style='opacity:0%'>",
        "<div style='max-height:0px'>",
        "<div style='height:1px;overflow:hidden'>",
        "<div style='position:absolute;left:-9999px'>",
        "<div style='text-indent:-999em'>",
        "<div style='margin-left:-2000px'>",
        "<div style='transform:scale(0)'>",
        "<div style='clip:rect(0,0,0,0)'>",
        "<div style='clip-path:inset(50%)'>",
        "<div style='mso-hide:all'>",
        "<div hidden>",
        "<div hidden=until-found>",
        "<div style='color:red' HIDDEN>",
        "<body style='display:none'>",
        "<dialog>",
        "<div style='display:none'></p></span>",
        "<p><font style='font-size:0'>a<p>",
        "<div><b style='display:none'>a</div>",
    ],
)
def test_what_is_hidden(hidden):
    scan = scan_mail_page(hidden + "word<a href=http://a.example>link</a>")
    assert scan.text.split() == []
    assert "word" in scan.hidden
    assert scan.links == []


@pytest.mark.parametrize(
    "shown",
    [
        "<div style='font-size:0'><p style='font-size:13px'>",
        "<td style='font-size:0px'><div style='font-size:0'><td style='font:bold 12px a'>",
        "<div style='font-size:0'><span style='font-size:1rem'>",
        "<div style='font-size:0'><span style='font-size:medium'>",
        "<div style='font-size:0'><font size=3>",
        "<div style='font-size:0'><button>",
        "<div style='visibility:hidden'><p style='visibility:visible'>",
        "<div style='display:none;display:block'>",
        "<div style='display:none;display:block!important'>",
        "<div hidden style='display:flex'>",
        "<div style='opacity:0.5;opacity:.9'>",
        "<div style='max-height:0.5em'>",
        "<div style='left:-9999px'>",
        "<div style='background:url(display:none)'>",
        "<div style='font-size:0.9em'>",
        "<div style='height:0'>",
        "<div data-style='display:none'>",
        "<div title='style=display:none'>",
        "<div a=1 a='' style='' style='display:none'>",
        "<div style='display:none'></div>",
        "<p style='display:none'><p>",
        "<li style='display:none'><li>",
        "<p hidden><div>",
        "<td hidden><td>",
        "<option hidden><option>",
        "<font style='font-size:0'><div></font>",
        "<img style='display:none'>",
        "<br hidden>",
        "<svg><path style='display:none'/>",
        "<dialog open>",
        "<!-- <div hidden> -->",
        "<!--><b>",
        "<!---><b>",
        "<!--a--!><b>",
        "<![if !mso]>",
        "<!--[if !mso]><!-->",
        "<!--[if mso]><div hidden><![endif]-->",
        "<?xml x?>",
        "</>",
        "</ style='display:none'>",
        "<script>'<div hidden>'</script>",
        "<script><!-- <script>x</script> <div hidden> --></script>",
        "<style>a<b</style >",
        "<textarea><div hidden></textarea>",
        "<title><div hidden></title>",
        "<a title='1 < 2 > 1'>",
        "<a title=don't>",
        '<a title = "it\'s">',
        "<p don't>",
        "<template><div hidden></template>",
        "<head><title>x</title><body>",
    ],
)
def test_what_is_shown(shown):
    scan = scan_mail_page(shown + "word<a href=http://a.example>link</a>")
    assert "word" in scan.text
    assert ("http://a.example", "link") in scan.links


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("pay<span>pa</span><b>l</b>", "paypal"),
        ("pay<i style='display:none'>x</i>pal", "paypal"),
        ("pay<!-- x -->pal", "paypal"),
        ("pay\0pal", "paypal"),
        ("a<br>b<td>c<p>d", "a b c d"),
        ("a<span style='display:block'>b</span>", "a b"),
        ("a &lt;b&gt; &amp;amp; &#x41;&#66;&#0000067", "a <b> &amp; ABC"),
        ("&#" + "9" * 5000 + ";x&#x" + "f" * 5000 + ";y&#" + "0" * 5000 + "65;", "\ufffdx\ufffdyA"),
        ("1 < 2 << 3 <", "1 < 2 << 3 <"),
        ("<svg><![CDATA[a<b]]></svg><![CDATA[c<d]]>e", "a<b e"),
        ("<svg><title>no</title><text>yes</text></svg>", "yes"),
        ("<svg><style>no</style><p>yes", "yes"),
        ("<math><mi>x</mi></math>", "x"),
        ("a<plaintext>b</plaintext><i>c", "a b</plaintext><i>c"),
        ("<xmp><b></xmp>", "<b>"),
        ("<textarea>&amp;<b></textarea>", "&<b>"),
        ("<template>no</template><noembed>no</noembed><datalist>no</datalist>yes", "yes"),
        ("<iframe srcdoc='&lt;p>inner'>no</iframe>outer", "inner outer"),
        ("seen <a href='never closed", "seen"),
        ("seen <!-- never closed", "seen"),
        ("seen <style> never closed", "seen"),
    ],
)
def test_text_as_it_is_shown(source, seen):
    assert text(source) == seen


@pytest.mark.parametrize(
    ("style", "shown"), [("font-size:0", True), ("visibility:hidden", False), ("opacity:0", False)]
)
def test_a_link_is_shown_by_a_picture_which_has_no_letters(style, shown):
    source = f"<td style='{style}'>no<a href=x>no<table><td><img src=y></table>no</a>no</td>"
    scan = scan_mail_page(source)
    assert [target for target, _ in scan.links] == ["x"] * shown
    assert "no" not in scan.text


def test_who_runs_no_scripts_sees_what_stands_for_them():
    source = "<noscript><a href=x>y</a></noscript>"
    assert text(source) == "y"
    assert text(source, runs_scripts=True) == ""


@pytest.mark.parametrize(
    ("attributes", "target"),
    [
        ("href=http://a.example/?a=1&copy=2", "http://a.example/?a=1&copy=2"),
        ("href='http://a.example/?a=1&amp;b=2'", "http://a.example/?a=1&b=2"),
        ("HREF = ' http://a.example/ '", "http://a.example/"),
        ("href='http://a.ex\nam\tple/'", "http://a.example/"),
        ("href='&#104;ttp://a.example'", "http://a.example"),
        ("title='>' href=x href=y", "x"),
        ("href='a<b'", "a<b"),
        ("href=x/", "x/"),
        ("/href=x", "x"),
        ("class=''href=x", "x"),
        ("xlink:href=x", "x"),
        ("href=''", ""),
    ],
)
def test_targets_of_links(attributes, target):
    assert scan_mail_page(f"<a {attributes}>z</a>").links == [(target, "z")]


@pytest.mark.parametrize(
    ("base", "target", "found"),
    [
        ("http://a.example/b/c?d#e", "f", "http://a.example/b/f"),
        ("http://a.example/b/c?d/e", "/f", "http://a.example/f"),
        ("http://a.example/b/c", "\\f", "http://a.example\\f"),
        ("http://a.example/b", "?f", "http://a.example/b?f"),
        ("http://a.example", "f", "http://a.example/f"),
        ("http://a.example/b", "", "http://a.example/b"),
        ("http://a.example/b", "//f.example/g", "http://f.example/g"),
        ("http://a.example/b", "/\\f.example", "http://f.example"),
        ("http://a.example/b", "https:f.example", "https://f.example"),
        ("http://a.example/b", "http:f", "http://a.example/f"),
        ("http://a.example/b", "http:///f.example", "http://f.example"),
        ("http://a.example/b", "mailto:x@y", "mailto:x@y"),
        ("", "https:/f.example", "https://f.example"),
        ("", "\\\\f.example", "//f.example"),
        ("", "f.html", "f.html"),
        ("//a.example/b/", "f", "//a.example/b/f"),
        ("\\\\a.example", "f", "//a.example/f"),
        ("//a.example/b/", "/f", "//a.example/f"),
        ("//a.example/b/", "//f.example", "//f.example"),
        ("//a.example/b", "https:/f.example", "https://f.example"),
        ("/b/c?d", "f", "/b/f"),
        ("/b/c", "?f", "/b/c?f"),
        ("b/c", "/f", "/f"),
        ("mailto:x", "f", "f"),
    ],
)
def test_targets_are_resolved_as_the_url_standard_says(base, target, found):
    assert resolve_link(base, target) == found
    if base:
        assert scan_mail_page(f'<base href="{base}"><form action="{target}">').actions == [found]


@pytest.mark.parametrize(
    ("source", "actions"),
    [
        ('<form action=f></form><base href="http://a.example/">', ["http://a.example/f"]),
        ("<form action=f><base><base href=http://a.example/b/>", ["http://a.example/b/f"]),
        ("<base href=http://a.example/><base href=//b.example/><form action=f>",
         ["http://a.example/f"]),
        ("<form action=f><iframe srcdoc='<form action=g><base href=//b.example/>'></iframe>"
         "<form action=h>", ["f", "//b.example/g", "h"]),
        ("<base href=//a.example/><iframe srcdoc='<form action=g>'></iframe>",
         ["//a.example/g"]),
        ("<base href=''><form action=f><base href=//a.example/>", ["//a.example/f"]),
    ],
)  # fmt: skip
def test_the_first_base_counts_for_its_whole_document(source, actions):
    assert sorted(scan_mail_page(source).actions) == sorted(actions)


def test_blocks_and_cells_stand_on_lines_of_their_own():
    source = "<p>a <i>b</i><img src=x>c</p><p>d</p><table><tr><td>e<td>f</table>"
    lines = [" ".join(line.split()) for line in scan_html(source).text.splitlines()]
    assert [line for line in lines if line] == ["a b c", "d", "e", "f"]


_PIECES = """<div> </div> <p> </p> <b> </b> <a href=x> </a> <td> <table> <tr> <li> <ul> <svg>
</svg> <path/> <style> </style> <script> </script> <!-- --> <title> </title> <b/style=display:none>
<div/hidden> <button> <h1> </h1> <select> <option> <template> </template> <math> <body>
<iframe/srcdoc=<p>x> <form/action=f> <img/src=y> <![CDATA[ ]]> <font/size=2> </font>
<base/href=http://a.example> & &#x41; &# < > = ' " word"""
_pages = st.lists(st.sampled_from(_PIECES.split()) | st.text(max_size=4), max_size=60).map("".join)


@given(_pages, st.booleans())
def test_any_page_is_scanned(source, runs_scripts):
    scan = scan_html(source, runs_scripts=runs_scripts)
    assert len(scan.text) + len(scan.hidden) <= 3 * len(source) + 8


@given(_pages)
def test_the_page_of_a_mail_is_what_a_scan_finds(source):
    scan, page = scan_html(source), scan_mail_page(source)
    found = [e for e in scan.elements if e.target is not None]
    assert (page.text, page.hidden) == (scan.text, scan.hidden)
    links = [
        (e.target, " ".join(e.text[:200].split()))
        for e in found
        if e.name in ("a", "area") and e.shown
    ]
    assert page.links == links[:MAX_LINKS]
    actions = [e.target for e in found if e.name in ("form", "button", "input")]
    assert page.actions == actions[:MAX_LINKS]
    assert page.has_images == any(e.name == "img" for e in found)


@pytest.mark.parametrize(
    "piece",
    ["<div>", "<p>", "<b>", "<b style=opacity:0><p>", "<a href=x>", "</b>", "<li>", "</", "<!",
     "<p><button><div>", "<table><td>", "<svg><path/>", "<!--", "<!-- -->", "<script>", "<a b='",
     "<script><!--<script>", '<a b="', "<a b=", "<a ", "<", "<h1><span>", "<span hidden></i>",
     "&", "&#", "&#x", "<body style=opacity:0>", "<base href=http://a.example/><a href=x>",
     "<iframe srcdoc='<p>x'>", "<font style='font-size:0'><td>", "<textarea>", "<a style='a:b;'>"],
)  # fmt: skip
def test_any_markup_is_scanned_in_linear_time(piece):
    # Quadratic work would take many minutes here; nothing is asserted on time.
    scan = scan_html(piece * ((1 << 18) // len(piece)), runs_scripts=True)
    assert len(scan.elements) <= 4 * MAX_ELEMENTS


def test_pages_are_read_as_a_tree_builder_reads_them(real_data):
    """Letters, forms and fields of real pages agree with Lexbor's tree, nearly all."""
    parser = pytest.importorskip("selectolax.lexbor").LexborHTMLParser
    pages = pq.read_table(real_data / "html" / "pages.parquet", columns=["html"])["html"]
    agree = {"form": 0, "input": 0, "text": 0}
    sample = random.Random(0).sample(pages.to_pylist(), 40)
    for page in sample:
        source = page.encode("utf-8", "replace").decode()
        scan, tree = scan_html(source, runs_scripts=True), parser(source)
        for node in tree.css(
            "script, style, noscript, template, title, desc, metadata, defs, symbol"
        ):
            node.decompose()
        for name in ("form", "input"):
            found = sum(element.name == name for element in scan.elements)
            agree[name] += found == min(len(tree.css(name)), MAX_ELEMENTS)
        expected = tree.body.text(separator=" ") if tree.body is not None else ""
        letters = sorted(re.sub(r"\W", "", expected))
        agree["text"] += letters == sorted(re.sub(r"\W", "", scan.text + scan.hidden))
    assert all(count >= len(sample) - 2 for count in agree.values()), agree
