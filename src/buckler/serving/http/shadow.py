"""Challengers judge what the deployed bundle judged, unseen by the caller; only counts stay."""

import asyncio
import logging
import random
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter
from starlette.concurrency import run_in_threadpool

from buckler.errors import BucklerError, SettingsError
from buckler.runtime import load
from buckler.serving.challengers import count_pairs, decide_the_same
from buckler.serving.http.bodies import ARROW, Body
from buckler.serving.records import Wish, judge_values
from buckler.serving.served import Served
from buckler.serving.tables import judge_batches

_LOG = logging.getLogger("buckler.serve")
_MAX_WAITING = 8


class Shadow:
    """Challengers of the bundles that are served.

    Raises
    ------
    BucklerError
        If one is not sound, or no served bundle decides the same.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        served: Sequence[Served],
        share: float,
        trusted_key: Path | None,
        registry: CollectorRegistry,
    ) -> None:
        self._share, self._waiting = share, 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._of: dict[str, list[Served]] = {}
        for path in paths:
            scorer = load(path, trusted_key=trusted_key)
            known = [s for s in served if decide_the_same(s.scorer.manifest, scorer.manifest)]
            if not known:
                raise SettingsError(f"{path}: no served bundle decides the same")
            for champion in known:
                challenger = Served(path, scorer, champion.fields)
                self._of.setdefault(champion.name, []).append(challenger)
        self._events = Counter(
            "buckler_shadow",
            "Events that a challenger judged too, by who raised a detection.",
            ("bundle", "challenger", "detected_by"),
            registry=registry,
        )
        self._left_out = Counter(
            "buckler_shadow_left_out", "Requests not judged twice: too busy.", registry=registry
        )

    def look(self, body: Body, served: Served, wish: Wish) -> None:
        """Have challengers judge a body after it was answered, if there are any and it is drawn."""
        challengers = self._of.get(served.name)
        if not challengers or random.random() >= self._share:  # noqa: S311 - a sample
            return
        if self._waiting >= _MAX_WAITING:
            self._left_out.inc()
            return
        self._waiting += 1
        task = asyncio.create_task(self._judge(body, served, challengers, wish))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _judge(
        self, body: Body, served: Served, challengers: Sequence[Served], wish: Wish
    ) -> None:
        try:
            before = await run_in_threadpool(_detections, body, served, wish)
            for challenger in challengers:
                after = await run_in_threadpool(_detections, body, challenger, wish)
                for name, count in count_pairs(before, after).items():
                    self._events.labels(served.name, challenger.name, name).inc(count)
        except BucklerError as error:
            _LOG.warning("shadow", extra={"fields": {"reason": str(error)}})
        finally:
            self._waiting -= 1


def _detections(body: Body, served: Served, wish: Wish) -> list[bool | None]:
    """Return who raises a detection; None for what could not be judged."""
    if body.media == ARROW:
        batches = judge_batches(body.batches, served.scorer, served.fields, wish.form)
        return [detected for batch in batches for detected in batch.column("detected").to_pylist()]
    return judge_values(body.values, served.scorer, served.fields, Wish(wish.form)).raised
