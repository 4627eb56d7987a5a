"""Monitoring: compares current events with reference events, and says whether a bundle still holds.

Monitoring follows serving in the data flow. Its input is a bundle, the events that the bundle
meets now, and reference events from the time when it was made. Its output, a `MonitorResult`, holds
one `Window` a month (week, day): drift of scores and events, the estimated quality, the quality
measured by labels that arrived late, and drift alerts with a reason and an action.

    monitor         compare files with files, window by window
    monitor_stream  compare JSON lines as they arrive
    write_report    write the result as HTML, JSON and Prometheus gauges

The parts serve callers with datasets of their own: `windows` compares, `drift` tests, `quality`
estimates, and `samples` asks a teacher to label a sample of a window.

Examples
--------
::

    from buckler.monitoring import MonitorSettings, monitor

    result = monitor("url.buckler", ["now.parquet"], ["then.parquet"], MonitorSettings(by="week"))
    for window in result.windows:
        for alert in window.alerts:
            print(window.name, alert.reason, alert.action)
"""

from buckler.monitoring.drift_report import write_report
from buckler.monitoring.live import monitor_stream
from buckler.monitoring.monitor import MonitorSettings, TeacherSample, monitor
from buckler.monitoring.windows import DriftAlert, DriftLimits, MonitorResult, Window

__all__ = [
    "DriftAlert",
    "DriftLimits",
    "MonitorResult",
    "MonitorSettings",
    "TeacherSample",
    "Window",
    "monitor",
    "monitor_stream",
    "write_report",
]
