"""Takes the screenshots of the documentation: `python -m benchmarks.screenshots`.

Chromium opens the review application and the report of an attack on events that are made up here.
"""

import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "images"
PASSPHRASE = "correct horse battery staple"  # noqa: S105 - of a store that is thrown away
TASK = "/t/url-threat"
_COLORS = 128
_BUCKLER = (sys.executable, "-P", "-m", "buckler.cli.main")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        work = Path(folder)
        log = write_log(work / "proxy.jsonl")
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        _run("review", "add", str(log), "-b", "url", "--store", str(work / "labels.db"))
        with review_server(work / "labels.db") as (first, address):
            take_review(browser, first, address)
        _run("attack", "url", str(write_labels(work / "urls.csv")), "-o", str(work))
        page = browser.new_page(viewport={"width": 1280, "height": 620})
        page.goto((work / "attack.html").as_uri())
        save(page, "attack.png")
        browser.close()


def write_log(path: Path) -> Path:
    """Write a proxy's log of made-up visits."""
    lines, words = [], ("wallet", "billing", "parcel", "payroll", "mailbox", "rewards")
    for n in range(240):
        lure, place = words[n // 4 % 6], words[n // 24 % 6]
        url = (
            f"http://{lure}-update{n % 12}.freehost.example/signin/{place}/{n}",
            f"http://bank.example/account/statement/{n}.html",
            f"https://news.example/2026/11/{n}/an-article-about-things",
            f"https://docs.example/en/stable/reference/{n}.html",
        )[n % 4]
        event = {"url": url, "ts": 1793491200 + 977 * n, "src_ip": f"10.0.0.{n % 40}"}
        event |= {"user": ("ada", "bob", "eve")[n % 3], "source": "proxy"}
        lines.append(json.dumps(event | {"agent": {"name": f"pc-{n % 7}"}}))
    path.write_text("\n".join(lines))
    return path


def write_labels(path: Path) -> Path:
    """Write labeled URLs; the class follows the site."""
    rows = [
        f"http://secure{n}.login-wallet{n % 30}.example/verify/account?id={n},phishing\n"
        f"https://site{n}.example/articles/{n}/index.html,benign\n"
        for n in range(300)
    ]
    path.write_text("url,label\n" + "".join(rows))
    return path


@contextmanager
def review_server(store: Path) -> Iterator[tuple[str, str]]:
    """Yield the address of the first account's page, and that of the application."""
    command = [*_BUCKLER, "review", "serve", "url", "--store", str(store), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found: list[str] = []
    for line in process.stdout:
        found += re.findall(r"http://[\w.:/?=-]+", line)
        if len(found) == 2:
            break
    try:
        yield found[0], found[1]
    finally:
        process.terminate()
        process.wait(20)


def take_review(browser: Browser, first: str, address: str) -> None:
    """Create the first account, label some events, and take the pictures."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(first)
    page.fill("input[name=name]", "ada")
    page.fill("input[name=password]", PASSPHRASE)
    page.keyboard.press("Enter")
    page.wait_for_url("**/?message=first")
    for _ in range(12):
        page.goto(f"{address}{TASK}")
        page.keyboard.press("Enter")
        page.wait_for_selector("#label")
        page.keyboard.press("2" if "freehost" in page.inner_text("pre.event") else "1")
        page.wait_for_selector(".toast")
    page.goto(f"{address}{TASK}?detected=yes")
    page.set_viewport_size({"width": 1280, "height": 560})
    save(page, "review-queue.png")
    event = page.get_attribute("td.free a", "href")
    page.goto(f"{address}{event}")
    page.keyboard.press("c")
    page.wait_for_selector("#label")
    page.set_viewport_size({"width": 1280, "height": 900})
    save(page, "review.png")
    phone = browser.new_context(
        viewport={"width": 420, "height": 900},
        color_scheme="dark",
        storage_state=context.storage_state(),
    ).new_page()
    phone.goto(f"{address}{event}")
    save(phone, "review-phone.png")


def save(page: Page, name: str) -> None:
    """Save what the window shows, in few colors: the pictures are part of the repository."""
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").quantize(_COLORS).save(PICTURES / name, optimize=True)


def _run(*command: str) -> None:
    subprocess.run([*_BUCKLER, *command], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
