"""A review application at work on loopback, for the tests: a real server on a real store."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.cli import Command

PASSPHRASE = "correct horse battery staple"


@contextmanager
def review_site(
    store: str, *bundles: Path, settings: str = "", folder: Path | None = None
) -> Iterator[str]:
    """Yield the address of a server process."""
    arguments: list[str] = [*map(str, bundles), "--store", store, "--port", "0"]
    if settings and folder is not None:
        (folder / "review.toml").write_text(settings)
        arguments += ["--settings", str(folder / "review.toml")]
    read, write = os.pipe()
    with (
        os.fdopen(read) as told,
        os.fdopen(write, "wb") as out,
        Path(os.devnull).open("rb") as nothing,
    ):
        process = Command(
            *("review", "serve", *arguments), stdin=nothing, stdout=out, stderr=out, env=os.environ
        )
        out.close()
        try:
            for line in told:
                if '"listening"' in line:
                    yield json.loads(line)["address"]
                    return
            raise AssertionError("the server did not start")
        finally:
            process.terminate()
            process.wait(20)


class Browser:
    """A client that keeps cookies, and knows the token of the last page's forms."""

    def __init__(self, address: str, **options: Any) -> None:
        self.http = httpx.Client(base_url=address, follow_redirects=True, timeout=60, **options)

    def sign_in(self, name: str, password: str = PASSPHRASE) -> httpx.Response:
        page = self.http.get("/sign-in")
        form = {"name": name, "password": password, "pre": field(page.text, "pre")}
        return self.http.post("/sign-in", data=form)

    def token(self) -> str:
        return field(self.http.get("/account").text, "csrf")

    def post(self, path: str, **form: object) -> httpx.Response:
        return self.http.post(path, data={"csrf": self.token(), **form})


def field(page: str, name: str) -> str:
    """Return the value of a form's hidden field."""
    return page.split(f'name="{name}" value="', 1)[1].split('"', 1)[0]
