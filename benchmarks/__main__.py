"""Runs the sections, side by side in one process on one core, and prints their tables."""

import argparse
import sys
from pathlib import Path

from benchmarks import (
    adapt,
    agree,
    asking,
    decay,
    deploy,
    encoder,
    families,
    faults,
    footprint,
    instructions,
    labels,
    mail_parsers,
    merging,
    normalizing,
    overload,
    pages,
    peers,
    pipelines,
    quality,
    readers,
    reading,
    refresh,
    review_queue,
    review_scale,
    scoring,
    segments,
    sign_ins,
    teachers,
    threads,
    training,
    trees,
)
from benchmarks.measure import machine_line, pin_to_one_core

SECTIONS = {
    "scoring": scoring.run,
    "instructions": instructions.run,
    "training": training.run,
    "threads": threads.run,
    "quality": quality.run,
    "curve": quality.run_curve,
    "pipelines": pipelines.run,
    "readers": readers.run,
    "normalizing": normalizing.run,
    "reading": reading.run,
    "mail-parsers": mail_parsers.run,
    "pages": pages.run,
    "sign-ins": sign_ins.run,
    "labels": labels.run,
    "merging": merging.run,
    "footprint": footprint.run,
    "asking": asking.run,
    "encoder": encoder.run,
    "teachers": teachers.run,
    "deploy": deploy.run,
    "services": deploy.run_services,
    "decay": decay.run,
    "faults": faults.run,
    "overload": overload.run,
    "review-queue": review_queue.run,
    "review-scale": review_scale.run,
    "families": families.run,
    "peers": peers.run,
    "trees": trees.run,
    "adapt": adapt.run,
    "agree": agree.run,
    "refresh": refresh.run,
    "segments": segments.run,
}
# Only when named: minutes of fine-tuning, or engines to start.
SLOW = (
    "instructions",
    "adapt",
    "merging",
    "encoder",
    "teachers",
    "families",
    "peers",
    "deploy",
    "services",
    "decay",
    "faults",
    "overload",
    "review-queue",
    "review-scale",
    "segments",
)
DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "sections",
        nargs="*",
        metavar="SECTION",
        help=f"{', '.join(SECTIONS)}; by default all but {', '.join(SLOW)}",
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the public data sets")
    arguments = parser.parse_args()
    unknown = set(arguments.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    if not (arguments.data / "url").is_dir():
        print(f"no data in {arguments.data}: give --data", file=sys.stderr)
        return 2
    print(machine_line())
    if not set(arguments.sections) & {
        "deploy",
        "services",
        "faults",
        "overload",
    }:  # servers and their load generators share the cores
        pin_to_one_core()
    for name in arguments.sections or [s for s in SECTIONS if s not in SLOW]:
        print(f"\n## {name}\n", flush=True)
        SECTIONS[name](arguments.data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
