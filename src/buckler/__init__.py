"""Buckler: small, fast, calibrated classifiers for security events, distilled from large models.

Large models judge URLs, mails, command lines and alerts well, but cannot run on billions of events
a day. Buckler uses a large model in training, within a budget, and ships a small model in a bundle:
one signed file that scores events everywhere, with its evidence inside.

Data flow
---------
::

    readers ─▶ dataset ─▶ labels ◀─ teachers, synthesis
                            │
                         training ─▶ students ─▶ evaluation ─▶ bundle ─▶ runtime ─▶ serving
                            ▲                                                         │
                            └───────── review (annotations) ◀─── monitoring (drift) ◀─┘

Each step is a package whose docstring is its tour. A package imports only packages to its left.

- `readers` read files of events; `dataset` joins them, with labels, targets, groups and sources.
- `teachers` and analysts annotate events; `labels` keeps every annotation and merges them.
- `synthesis` writes synthetic examples of what is rare.
- `training` fits a `student`; `evaluation` measures it on sources and times that it has not seen.
- `bundle` is the file format; `runtime` loads a bundle and scores with it.
- `serving` scans files, answers HTTP, and reads streams; `monitoring` finds drift; `review` lets
  analysts label what matters; `triage` ranks alerts.
- `pipeline` runs recipes; `cli` is the `buckler` command. Python and the command line share their
  verbs: `buckler scan` calls `buckler.scan`.

Four uses
---------
Score a few events with a bundle, and see why::

    import buckler

    scorer = buckler.load("url-threat.buckler")
    verdicts = scorer.score(["http://a.example/", "http://b.example/login.php"])
    print(verdicts.scores, verdicts.detected)
    print(scorer.score_one("http://b.example/login.php", top=5).why)

Train a bundle from labeled files, and measure it on others::

    from pathlib import Path

    run = buckler.train([Path("urls.csv")], "url-threat", Path("out"))
    evaluation = buckler.evaluate(run.bundle, [Path("test.csv")], Path("report"))
    print(evaluation.assessment.figures["auroc"])

Let a large model label events within a budget, and learn from its annotations::

    from buckler.dataset import read_dataset
    from buckler.tasks import get_task
    from buckler.teachers import get_teacher
    from buckler.teachers.budget import Budget

    task = get_task("url-threat")
    events = read_dataset([Path("unlabeled.parquet")], task, labeled=False)
    teacher = get_teacher("chat", Path("chat.toml"), task)
    buckler.label(events, teacher, "labels.db", budget=Budget(usd=20))
    buckler.run("buckler.toml")  # a recipe with [labels] store = "labels.db"

Run a bundle on files of any size, and watch whether it still holds::

    buckler.scan("out/url-threat.buckler", ["proxy-logs/"], "verdicts.parquet")
    result = buckler.monitor("out/url-threat.buckler", ["now.parquet"], ["then.parquet"])
    print([alert.reason for alert in result.windows[-1].alerts])

A task of one's own is a TOML file. A reader, teacher, student or sink of one's own is one file:
`buckler.testing` checks it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from buckler.monitoring.monitor import monitor
    from buckler.pipeline.adapt import adapt
    from buckler.pipeline.agree import agree
    from buckler.pipeline.escalate import escalate
    from buckler.pipeline.evaluate import evaluate
    from buckler.pipeline.join_bundles import cascade
    from buckler.pipeline.run import run, train
    from buckler.review.refresh import refresh
    from buckler.review.retrain import learn
    from buckler.runtime import Scorer, Verdict, Verdicts, load
    from buckler.serving.scan import scan
    from buckler.serving.score import score
    from buckler.tasks import Task
    from buckler.teachers.labeling import label
    from buckler.training.attack import attack
    from buckler.training.selection import select
    from buckler.training.synthesize import synthesize

__version__ = "0.1.0"

# Imported when used, so that an endpoint that imports buckler.runtime pays for nothing else.
_HOMES = {
    "OperatingPoint": "buckler.operating_point",
    "Scorer": "buckler.runtime",
    "Task": "buckler.tasks",
    "Verdict": "buckler.runtime",
    "Verdicts": "buckler.runtime",
    "adapt": "buckler.pipeline.adapt",
    "agree": "buckler.pipeline.agree",
    "attack": "buckler.training.attack",
    "cascade": "buckler.pipeline.join_bundles",
    "escalate": "buckler.pipeline.escalate",
    "evaluate": "buckler.pipeline",
    "label": "buckler.teachers.labeling",
    "learn": "buckler.review.retrain",
    "load": "buckler.runtime",
    "monitor": "buckler.monitoring",
    "refresh": "buckler.review.refresh",
    "run": "buckler.pipeline",
    "scan": "buckler.serving.scan",
    "score": "buckler.serving.score",
    "select": "buckler.training.selection",
    "synthesize": "buckler.training.synthesize",
    "train": "buckler.pipeline",
}
__all__ = [
    "OperatingPoint",
    "Scorer",
    "Task",
    "Verdict",
    "Verdicts",
    "__version__",
    "adapt",
    "agree",
    "attack",
    "cascade",
    "escalate",
    "evaluate",
    "label",
    "learn",
    "load",
    "monitor",
    "refresh",
    "run",
    "scan",
    "score",
    "select",
    "synthesize",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'buckler' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
