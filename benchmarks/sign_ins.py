"""The ready-made `url` bundle on sign-in and account pages of real sites, in `sign_ins.txt`."""

from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks.measure import table
from buckler.evaluation.intervals import rate
from buckler.evaluation.report import rate_text
from buckler.normalize.known_sites import KNOWN_SITES
from buckler.normalize.sites import site_of
from buckler.runtime import load


def run(_: Path) -> None:
    """Print the table, and the false positives."""
    lines = Path(__file__).with_name("sign_ins.txt").read_text(encoding="utf-8").splitlines()
    urls = [line for line in lines if not line.startswith("#")]
    verdicts = load("url").score(urls)
    is_known = np.array([site_of(urlsplit(url).hostname or "") in KNOWN_SITES for url in urls])
    rows = [
        (name, f"{own.sum():,}", rate_text(rate(verdicts.detected[own]), 3))
        for name, own in (("sites of the list", is_known), ("other sites", ~is_known))
    ]
    table(("sign-in pages of", "URLs", "false positives"), rows)
    for at in np.flatnonzero(verdicts.detected):
        print(f"{verdicts.scores[at]:.4f}  {urls[at]}")
