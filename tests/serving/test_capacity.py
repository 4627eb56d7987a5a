"""Capacity on paper: queueing against simulation and against what is known exactly."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.errors import InputError, SettingsError
from buckler.serving.capacity import (
    Measurement,
    Workload,
    erlang_c,
    estimate_waiting,
    measure,
    plan_capacity,
    simulate_waiting,
)
from tests.support.cli import buckler
from tests.support.made_up import made_up_table

MEASURED = Measurement(1000, np.full(50, 0.002), 60.0, 100.0, 300_000)


def test_erlang_c_where_it_is_known():
    assert erlang_c(1, 0.7) == pytest.approx(0.7)  # M/M/1: waits as often as it is busy
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert erlang_c(10_000, 9_900.0) < 1
    with pytest.raises(SettingsError, match="cannot carry"):
        erlang_c(2, 2.0)


def test_one_core_and_exponential_times_are_the_textbook():
    service = np.random.default_rng(0).exponential(0.01, 200_000)
    estimated = estimate_waiting(70.0, service, 1)
    assert estimated.mean == pytest.approx(0.01 / 0.3, rel=0.03)
    simulated = simulate_waiting(70.0, service, 1)
    assert simulated.mean == pytest.approx(0.01 / 0.3, rel=0.1)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.floats(0.2, 0.85), st.floats(0.0, 1.5))
def test_the_estimate_is_near_the_simulation(servers, used, spread):
    rng = np.random.default_rng(1)
    service = 0.01 * np.exp(spread * rng.normal(size=4000) - spread**2 / 2)
    arrivals = used * servers / service.mean()
    estimated = estimate_waiting(arrivals, service, servers)
    simulated = simulate_waiting(arrivals, service, servers)
    assert estimated.mean == pytest.approx(simulated.mean, rel=0.35)
    assert 0.3 < estimated.p99 / simulated.p99 < 2.5


def test_a_plan_carries_its_load():
    load = Workload(
        1e12,
        peak=2,
        utilization=0.5,
        handling_s=1e-6,
        review_share=1e-9,
        teacher_share=1e-6,
        teacher_usd=0.001,
    )
    found = plan_capacity(MEASURED, load)
    assert found.peak_rate == pytest.approx(2e12 / 86_400)
    assert found.core_rate == pytest.approx(1000 / 0.003)
    assert found.utilization_at_peak <= 0.5
    assert found.cores * found.core_rate * 0.5 >= found.peak_rate
    assert (found.cores - 1) * found.core_rate * 0.5 < found.peak_rate
    assert found.teacher_usd_per_day == pytest.approx(1000)
    assert found.reviewers == pytest.approx(2.5)
    assert found.simulated.mean == pytest.approx(found.estimated.mean, rel=0.2)
    more = plan_capacity(MEASURED, Workload(2e12, peak=2, utilization=0.5, handling_s=1e-6))
    assert more.cores == pytest.approx(2 * found.cores, rel=0.001)


@pytest.mark.parametrize(
    "wrong", [{"events_per_day": 0}, {"peak": 0.5}, {"utilization": 1}, {"review_share": 2}]
)
def test_loads_that_make_no_sense_are_refused(wrong):
    with pytest.raises(SettingsError):
        plan_capacity(MEASURED, Workload(**({"events_per_day": 1e6} | wrong)))


def test_times_are_measured_on_the_bundle_itself(url_scorer):
    texts = pa.array(made_up_table(300, np.random.default_rng(0))["url"].to_pylist())
    found = measure(url_scorer, texts, 1000, batch=500, batches=20)
    assert len(found.seconds) == 20
    assert (found.seconds > 0).all()
    assert 20 < found.event_bytes < 200
    with pytest.raises(InputError, match="no event"):
        measure(url_scorer, texts.slice(0, 0), 1000)


def test_from_the_command_line(url_bundle, tmp_path):
    import pyarrow.parquet as pq

    pq.write_table(made_up_table(500, np.random.default_rng(0)), tmp_path / "urls.parquet")
    done = buckler("capacity", url_bundle, tmp_path / "urls.parquet", "--events-per-day", "1e12")
    assert done.returncode == 0, done.stderr
    assert "11,574,074, 34,722,222" in done.stdout
    assert "USD for a million events" in done.stdout
    wrong = buckler("capacity", url_bundle, tmp_path / "urls.parquet", "--utilization", "3")
    assert wrong.returncode == 2
