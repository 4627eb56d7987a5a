"""Challengers score what the deployed bundle scored, unseen by the caller; only counts stay."""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from buckler.errors import BucklerError, SettingsError
from buckler.serving.bundles import LoadedBundle, load_bundle
from buckler.serving.challengers import answers_same_question, count_pairs
from buckler.serving.http.bodies import Body, score_body
from buckler.serving.http.observation import Metrics
from buckler.serving.verdict_batch import OutputOptions, VerdictBatch

_LOG = logging.getLogger("buckler.serve")
_MAX_WAITING = 8


class Shadow:
    """Challengers of the bundles that are served; for each, one of these must decide the same."""

    def __init__(
        self,
        paths: Sequence[Path],
        bundles: Sequence[LoadedBundle],
        share: float,
        trusted_key: Path | None,
        metrics: Metrics,
    ) -> None:
        self._share, self._waiting, self._metrics = share, 0, metrics
        self._tasks: set[asyncio.Task[None]] = set()
        self._challengers: dict[str, list[LoadedBundle]] = {}
        for path in paths:
            loaded = load_bundle(path, trusted_key=trusted_key)
            manifest = loaded.scorer.manifest
            champions = [b for b in bundles if answers_same_question(b.scorer.manifest, manifest)]
            if not champions:
                raise SettingsError(f"{path}: no served bundle decides the same", path=path)
            for champion in champions:
                challenger = replace(loaded, columns=champion.columns)
                self._challengers.setdefault(champion.name, []).append(challenger)

    def score(
        self,
        body: Body,
        verdicts: Sequence[VerdictBatch],
        bundle: LoadedBundle,
        options: OutputOptions,
    ) -> None:
        """Have challengers score a body after it was answered, if it falls into the share."""
        challengers = self._challengers.get(bundle.name)
        if not challengers or random.random() >= self._share:  # noqa: S311 - a sample
            return
        if self._waiting >= _MAX_WAITING:
            self._metrics.shadow_left_out.inc()
            return
        self._waiting += 1
        work = self._count(body, _list_detected(verdicts), bundle, challengers, options)
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _count(
        self,
        body: Body,
        before: list[bool | None],
        bundle: LoadedBundle,
        challengers: Sequence[LoadedBundle],
        options: OutputOptions,
    ) -> None:
        try:
            for challenger in challengers:
                at_point = challenger.with_operating_point(bundle.operating_point)
                found = await run_in_threadpool(score_body, body, at_point, options)
                for pair, count in count_pairs(before, _list_detected(found)).items():
                    self._metrics.shadow.labels(bundle.name, challenger.name, pair).inc(count)
        except BucklerError as error:
            _LOG.warning("shadow", extra={"fields": {"reason": str(error)}})
        finally:
            self._waiting -= 1


def _list_detected(batches: Sequence[VerdictBatch]) -> list[bool | None]:
    """Return True for each detection; None for events that could not be scored."""
    return [detected for batch in batches for detected in batch.detected]
