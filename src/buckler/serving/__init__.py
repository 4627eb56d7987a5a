"""Serving: runs a bundle over files, over HTTP, over streams, and inside other engines.

Serving stands between the runtime and monitoring in the data flow. Its input is a bundle and
events; its output is verdicts, the same to the bit everywhere.

- `score`: events in memory, also dicts with the fields that files have.
- `scan`: files of any size into one output file, with resume; `sinks` are its output formats.
- `http`: ``run_server`` answers JSON, NDJSON and Arrow (extra ``serve``).
- `stream`: ``score_lines`` for pipes, ``watch_folder``, and ``score_topic`` for Kafka.
- `engines`: Ray, Spark, DuckDB, Polars, and `TableScorer` for any Arrow table.
- `bundle_registry`, `deployment`: which bundle is deployed, and whether a candidate is better.
- `challengers`: bundles that score beside the deployed one; only counts stay.
- `capacity`: cores, memory and money that a workload needs.

All of them score in one way: a `LoadedBundle` (`bundles`) and `OutputOptions` go in with the
events, and a `VerdictBatch` (`verdict_batch`) comes out. `event_values` reads objects and JSON into
columns, and `json_rows` writes JSON from columns. `records` and `formats` turn verdicts into OCSF,
ECS and alerts, with the time, host, user and process of their events. Sinks and formats are open: a
new one is one new file, or an entry point of ``buckler.sinks`` or ``buckler.formats``.

Examples
--------
Score a folder of logs; an interrupted scan resumes with the same call::

    from buckler.serving.scan import ScanOptions, scan

    result = scan("url.buckler", ["logs/"], "verdicts.parquet", ScanOptions(overwrite=True))
    print(result.rows, result.detections)

Score events that are Python values, as records of OCSF::

    from buckler.serving.bundles import load_bundle
    from buckler.serving.records import to_records
    from buckler.serving.verdict_batch import OutputOptions, score_values

    bundle, options = load_bundle("url.buckler"), OutputOptions(format_name="ocsf")
    verdicts = score_values([{"url": "http://a.example/"}], bundle, options)
    verdicts.detections, to_records(verdicts, bundle.scorer, options)
"""
