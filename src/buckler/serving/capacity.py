"""Capacity: cores, memory, network and money that a rate of events needs, from measured times.

Batches queue at a pool of cores that each score one at a time. Waiting is estimated by the
approximation of Allen and Cunneen (1990) for many servers and any service time, with an exponential
tail, and checked by a simulation that draws from the measured times.
"""

import heapq
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.bundle.archive import find_bundle
from buckler.errors import InputError, SettingsError
from buckler.normalize.feature_table import events_as_bytes
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import get_reader
from buckler.runtime import Scorer
from buckler.serving.bundles import load_bundle

Floats = npt.NDArray[np.float64]
DAY_S = 86_400
_WARM = 3
_SIMULATED = 200_000
_PROCESS_MB = 90  # of a process without its bundle


@dataclass(frozen=True)
class Measurement:
    """Cost of scoring on this machine, one thread.

    Attributes
    ----------
    batch, seconds
        Number of events in a batch; float64 [n]: time of each batch.
    event_bytes, verdict_bytes, bundle_bytes
        Mean size of an event, and of an answer as JSON; size of the bundle's file.
    stage_shares
        Shares of the validation events that reach each stage of a cascade, and review; empty
        without stages. Batches are measured through all stages.
    """

    batch: int
    seconds: Floats
    event_bytes: float
    verdict_bytes: float
    bundle_bytes: int
    stage_shares: tuple[float, ...] = ()

    @property
    def rate(self) -> float:
        """Events a second of one core."""
        return self.batch / float(self.seconds.mean())


@dataclass(frozen=True)
class Workload:
    """Events to come, and prices.

    Attributes
    ----------
    events_per_day, peak
        Average number of events, and the busiest moment as a multiple of the average.
    utilization
        Largest share of the cores' time that is used at the peak.
    handling_s
        Time of a core for reading, parsing and sending an event, beside scoring it.
    replication, retention_days
        Copies that a log such as Kafka keeps, and for how long.
    partition_rate
        Events a second that one partition carries.
    review_share, reviewer_per_day
        Share of the events for people, and the number that one person can label.
    teacher_share, teacher_usd
        Share of the events for a teacher, and the price of one.
    core_hour_usd, gb_month_usd
        Prices of a core and of storage.
    """

    events_per_day: float
    peak: float = 3.0
    utilization: float = 0.6
    handling_s: float = 0.0
    replication: int = 3
    retention_days: float = 1.0
    partition_rate: float = 20_000.0
    review_share: float = 0.0
    reviewer_per_day: float = 400.0
    teacher_share: float = 0.0
    teacher_usd: float = 0.0
    core_hour_usd: float = 0.04
    gb_month_usd: float = 0.05


@dataclass(frozen=True)
class Waiting:
    """Seconds from when a batch is full to when its verdicts are there: mean and quantiles."""

    mean: float
    p50: float
    p99: float


@dataclass(frozen=True)
class CapacityPlan:
    """Resources for a workload.

    Attributes
    ----------
    mean_rate, peak_rate, core_rate
        Events a second: on average, at the peak, and of one core with handling.
    cores, utilization_at_peak
        Number of cores, and the share of their time that is used at the peak.
    memory_mb, inbound_mbit, outbound_mbit
        Memory, and network at the peak.
    partitions, log_gb
        Partitions of the log, and its size with all copies.
    reviewed_per_day, reviewers, taught_per_day
        Events for people, people, and events for the teacher.
    teacher_usd_per_day, compute_usd_per_day, storage_usd_per_day
        Costs.
    estimated, simulated
        Time of a batch, by formula and by simulation.
    """

    mean_rate: float
    peak_rate: float
    core_rate: float
    cores: int
    utilization_at_peak: float
    memory_mb: float
    inbound_mbit: float
    outbound_mbit: float
    partitions: int
    log_gb: float
    reviewed_per_day: float
    reviewers: float
    taught_per_day: float
    teacher_usd_per_day: float
    compute_usd_per_day: float
    storage_usd_per_day: float
    estimated: Waiting
    simulated: Waiting

    @property
    def usd_per_million(self) -> float:
        """Cost of compute, storage and teacher for a million events."""
        total = self.compute_usd_per_day + self.storage_usd_per_day + self.teacher_usd_per_day
        return total / (self.mean_rate * DAY_S) * 1e6


def measure_bundle(bundle: Path, events: Path, batch: int = 1000) -> Measurement:
    """Time a bundle on the first events of a file.

    Raises
    ------
    BucklerError
        If the bundle or the file cannot be used, or no event in it can be scored.
    """
    loaded = load_bundle(bundle)
    chunks = get_reader(events).chunks(events, loaded.columns, Quarantine())
    texts = next((chunk.events for chunk in chunks if len(chunk.events)), None)
    if texts is None:
        raise InputError(f"{events}: no event in it that can be scored", path=events)
    return measure(loaded.scorer, texts, Path(find_bundle(bundle)).stat().st_size, batch)


def measure(
    scorer: Scorer, texts: pa.Array, bundle_bytes: int, batch: int = 1000, batches: int = 300
) -> Measurement:
    """Time batches of these texts, of which there must be one, on one thread."""
    if not len(texts):
        raise InputError("no event to measure with")
    many = pa.concat_arrays([texts] * math.ceil(batch * 2 / len(texts)))
    rng = np.random.default_rng(0)
    seconds = []
    for number in range(batches + _WARM):
        start = int(rng.integers(0, len(many) - batch + 1))
        part = many.slice(start, batch)
        began = time.perf_counter()
        _ = scorer.score(part).detected
        if number >= _WARM:
            seconds.append(time.perf_counter() - began)
    sizes = [len(event) for event in events_as_bytes(texts, scorer.features)]
    longest = max(len(name) for name in scorer.classes)
    shares = scorer.manifest.calibration.get("share_reaching_each_stage")
    return Measurement(
        batch=batch,
        seconds=np.array(seconds),
        event_bytes=float(np.mean(sizes)),
        # label, score, detection, time, bundle
        verdict_bytes=float(90 + longest + len(scorer.manifest.name)),
        bundle_bytes=bundle_bytes,
        stage_shares=tuple(map(float, shares)) if isinstance(shares, list) else (),
    )


def plan_capacity(measured: Measurement, workload: Workload) -> CapacityPlan:
    """Return the resources that a workload needs.

    Raises
    ------
    SettingsError
        If the workload makes no sense.
    """
    _check(workload)
    mean = workload.events_per_day / DAY_S
    peak = mean * workload.peak
    per_batch = measured.seconds + measured.batch * workload.handling_s
    core_rate = measured.batch / float(per_batch.mean())
    cores = max(1, math.ceil(peak / core_rate / workload.utilization))
    arrivals = peak / measured.batch
    inbound, outbound = measured.event_bytes + 60, measured.verdict_bytes + 60  # and the protocol
    kept = workload.events_per_day * workload.retention_days * workload.replication
    log_gb = kept * (inbound + outbound) / 1e9
    reviewed = workload.review_share * workload.events_per_day
    taught = workload.teacher_share * workload.events_per_day
    return CapacityPlan(
        mean_rate=mean,
        peak_rate=peak,
        core_rate=core_rate,
        cores=cores,
        utilization_at_peak=peak / core_rate / cores,
        memory_mb=cores * (_PROCESS_MB + 2 * measured.bundle_bytes / 1e6),
        inbound_mbit=peak * inbound * 8 / 1e6,
        outbound_mbit=peak * outbound * 8 / 1e6,
        partitions=max(1, math.ceil(peak / workload.partition_rate)),
        log_gb=log_gb,
        reviewed_per_day=reviewed,
        reviewers=reviewed / workload.reviewer_per_day,
        taught_per_day=taught,
        teacher_usd_per_day=taught * workload.teacher_usd,
        compute_usd_per_day=cores * 24 * workload.core_hour_usd,
        storage_usd_per_day=log_gb * workload.gb_month_usd / 30,
        estimated=estimate_waiting(arrivals, per_batch, cores),
        simulated=simulate_waiting(arrivals, per_batch, cores),
    )


def erlang_c(servers: int, offered: float) -> float:
    """Return the probability that an arrival waits, by Erlang's C formula; `offered` in erlangs."""
    if not 0 <= offered < servers:
        raise SettingsError(f"{servers} cores cannot carry {offered:.3g} cores' work")
    blocked = 1.0  # Erlang's B, by its recursion: no factorials that overflow
    for k in range(1, servers + 1):
        blocked = offered * blocked / (k + offered * blocked)
    used = offered / servers
    return blocked / (1 - used * (1 - blocked))


def estimate_waiting(arrivals: float, service: Floats, servers: int) -> Waiting:
    """Estimate the time of batches that arrive at random at this rate; service included."""
    mean = float(service.mean())
    variability = float(service.var() / mean**2)
    waits = erlang_c(servers, arrivals * mean)
    spare = servers / mean - arrivals
    scale = (1 + variability) / 2 / spare  # mean wait of those that wait
    wait = waits * scale

    def quantile(q: float) -> float:
        left = 1 - q
        delay = scale * math.log(waits / left) if waits > left else 0.0
        # Late is what waited long, or what takes long itself.
        return max(delay + float(np.median(service)), float(np.quantile(service, q)))

    return Waiting(wait + mean, quantile(0.5), quantile(0.99))


def simulate_waiting(arrivals: float, service: Floats, servers: int, *, seed: int = 0) -> Waiting:
    """Simulate batches that arrive at random and take measured times at the next free core."""
    rng = np.random.default_rng(seed)
    when = np.cumsum(rng.exponential(1 / arrivals, _SIMULATED)).tolist()
    takes = rng.choice(service, _SIMULATED).tolist()
    free = [0.0] * servers
    spent = np.empty(_SIMULATED)
    for number, (at, length) in enumerate(zip(when, takes, strict=True)):
        done = max(at, heapq.heappop(free)) + length
        heapq.heappush(free, done)
        spent[number] = done - at
    spent = spent[_SIMULATED // 10 :]  # the pool starts empty
    p50, p99 = np.quantile(spent, [0.5, 0.99])
    return Waiting(float(spent.mean()), float(p50), float(p99))


def _check(workload: Workload) -> None:
    if not workload.events_per_day > 0 or not workload.peak >= 1:
        raise SettingsError("events a day must be above 0, and the peak at least 1")
    if not 0 < workload.utilization < 1:
        raise SettingsError("utilization is a share, above 0 and below 1")
    for name in ("review_share", "teacher_share"):
        if not 0 <= getattr(workload, name) <= 1:
            raise SettingsError(f"{name} is a share, from 0 to 1")
