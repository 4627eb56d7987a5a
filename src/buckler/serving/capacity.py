"""How many cores, how much memory, network and money a rate of events needs, from measured times.

Batches queue at a pool of cores that each judge one at a time. Waiting is estimated by the
approximation of Allen and Cunneen (1990) for many servers and any service time, with an exponential
tail, and checked by a simulation that draws from the measured times.
"""

import heapq
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from buckler.errors import InputError, SettingsError
from buckler.runtime import Scorer

Floats = npt.NDArray[np.float64]
DAY_S = 86_400
_WARM = 3
_SIMULATED = 200_000


@dataclass(frozen=True)
class Measured:
    """What judging costs on this machine, one thread.

    Attributes
    ----------
    batch
        Events in a batch.
    seconds
        float64 [n]: of each batch that was timed.
    event_bytes
        Mean size of an event.
    verdict_bytes
        Mean size of an answer as JSON.
    bundle_bytes
        Size of the bundle's file.
    """

    batch: int
    seconds: Floats
    event_bytes: float
    verdict_bytes: float
    bundle_bytes: int

    @property
    def rate(self) -> float:
        """Events a second of one core."""
        return self.batch / float(self.seconds.mean())

    @property
    def variability(self) -> float:
        """Squared coefficient of variation of the service time."""
        return float(self.seconds.var() / self.seconds.mean() ** 2)


@dataclass(frozen=True)
class Load:
    """What is asked for.

    Attributes
    ----------
    events_per_day
        On average.
    peak
        The busiest moment, as a multiple of the average.
    utilization
        Of the cores, at the peak, at most.
    handling
        Seconds of a core that reading, parsing and sending take for an event beside judging it.
    replication
        Copies that a log such as Kafka keeps.
    retention_days
        How long it keeps them.
    partition_rate
        Events a second that one partition is asked to carry.
    review_share, reviewer_per_day
        Of the events for people, and how many one can judge.
    teacher_share, teacher_usd
        Of the events for a teacher, and what it takes for one.
    core_hour_usd, gb_month_usd
        Prices.
    """

    events_per_day: float
    peak: float = 3.0
    utilization: float = 0.6
    handling: float = 0.0
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
    """Seconds from when a batch is full to when its verdicts are there.

    Attributes
    ----------
    mean, p50, p99
        As estimated, or as simulated.
    """

    mean: float
    p50: float
    p99: float


@dataclass(frozen=True)
class Plan:
    """What it takes."""

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
        """Compute, storage and teacher for a million events."""
        total = self.compute_usd_per_day + self.storage_usd_per_day + self.teacher_usd_per_day
        return total / (self.mean_rate * DAY_S) * 1e6


def measure(
    scorer: Scorer, texts: pa.Array, bundle_bytes: int, batch: int = 1000, batches: int = 300
) -> Measured:
    """Time batches of these texts, one thread.

    Raises
    ------
    InputError
        If there are no texts.
    """
    if not len(texts):
        raise InputError("no event to measure with")
    times = -(-batch * 2 // len(texts))
    many = pa.concat_arrays([texts] * max(1, times))
    rng = np.random.default_rng(0)
    seconds = []
    for number in range(batches + _WARM):
        start = int(rng.integers(0, len(many) - batch + 1))
        part = many.slice(start, batch)
        began = time.perf_counter()
        scorer.score(part).detected  # noqa: B018 - computed when it is read
        if number >= _WARM:
            seconds.append(time.perf_counter() - began)
    sizes = pa.compute.binary_length(texts).to_numpy(zero_copy_only=False)
    longest = max(len(name) for name in scorer.classes)
    answer = 90 + longest + len(scorer.manifest.name)  # label, score, detection, time, bundle
    return Measured(batch, np.array(seconds), float(np.mean(sizes)), float(answer), bundle_bytes)


def plan(measured: Measured, load: Load, *, process_mb: float = 90.0, seed: int = 0) -> Plan:
    """Return what a load takes.

    Raises
    ------
    SettingsError
        If the load makes no sense.
    """
    _check(load)
    mean = load.events_per_day / DAY_S
    peak = mean * load.peak
    service = float(measured.seconds.mean()) + measured.batch * load.handling
    core_rate = measured.batch / service
    cores = max(1, math.ceil(peak / core_rate / load.utilization))
    per_batch = measured.seconds + measured.batch * load.handling
    arrivals = peak / measured.batch
    inbound, outbound = measured.event_bytes + 60, measured.verdict_bytes + 60  # and the protocol
    log_gb = (
        load.events_per_day * load.retention_days * (inbound + outbound) * load.replication / 1e9
    )
    reviewed = load.review_share * load.events_per_day
    taught = load.teacher_share * load.events_per_day
    return Plan(
        mean,
        peak,
        core_rate,
        cores,
        peak / core_rate / cores,
        cores * (process_mb + 2 * measured.bundle_bytes / 1e6),
        peak * inbound * 8 / 1e6,
        peak * outbound * 8 / 1e6,
        max(1, math.ceil(peak / load.partition_rate)),
        log_gb,
        reviewed,
        reviewed / load.reviewer_per_day,
        taught,
        taught * load.teacher_usd,
        cores * 24 * load.core_hour_usd,
        log_gb * load.gb_month_usd / 30,
        estimate_waiting(arrivals, per_batch, cores),
        simulate_waiting(arrivals, per_batch, cores, seed=seed),
    )


def erlang_c(servers: int, offered: float) -> float:
    """Return the probability that an arrival waits, by Erlang's C formula; `offered` in erlangs.

    Raises
    ------
    SettingsError
        If the servers cannot carry what is offered.
    """
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


def simulate_waiting(
    arrivals: float, service: Sequence[float] | Floats, servers: int, *, seed: int = 0
) -> Waiting:
    """Simulate batches that arrive at random and take measured times at the next free core."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(1 / arrivals, _SIMULATED)
    when = np.cumsum(gaps).tolist()
    takes = rng.choice(np.asarray(service, np.float64), _SIMULATED).tolist()
    free = [0.0] * servers
    spent = np.empty(_SIMULATED)
    for number, (at, length) in enumerate(zip(when, takes, strict=True)):
        done = max(at, heapq.heappop(free)) + length
        heapq.heappush(free, done)
        spent[number] = done - at
    spent = spent[_SIMULATED // 10 :]  # the pool starts empty
    p50, p99 = np.quantile(spent, [0.5, 0.99])
    return Waiting(float(spent.mean()), float(p50), float(p99))


def _check(load: Load) -> None:
    if not load.events_per_day > 0 or not load.peak >= 1:
        raise SettingsError("events a day must be above 0, and the peak at least 1")
    if not 0 < load.utilization < 1:
        raise SettingsError("utilization is a share, above 0 and below 1")
    for name in ("review_share", "teacher_share"):
        if not 0 <= getattr(load, name) <= 1:
            raise SettingsError(f"{name} is a share, from 0 to 1")
