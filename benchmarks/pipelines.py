"""Whole scans on one core: file to file."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from benchmarks.measure import in_turns, table
from benchmarks.models import FOLDER, events, scorer
from buckler.serving.scan import ScanOptions, scan

COPIES = 2


def run(data: Path) -> None:
    column = events(data, "url-threat", "threat-train").raw
    urls = pa.concat_arrays(column.chunks * COPIES).cast(pa.large_string())
    texts = urls.to_pylist()
    parquet, ndjson = FOLDER / "urls.parquet", FOLDER / "urls.ndjson"
    lines, csv = FOLDER / "urls.txt", FOLDER / "urls.csv"
    pq.write_table(pa.table({"url": urls}), parquet)
    ndjson.write_text("".join(json.dumps({"ts": 1, "url": t}) + "\n" for t in texts))
    lines.write_text("\n".join(texts))
    pa.csv.write_csv(pa.table({"url": urls}), csv)
    model = scorer(data, "url-threat", "threat-train")
    settings = ScanOptions(("url",), overwrite=True, restart=True)

    def scanning(source: Path, suffix: str = ".parquet"):
        target = FOLDER / f"verdicts{suffix}"
        return lambda: scan(model, [source], target, settings)

    work = {
        "Parquet to Parquet": scanning(parquet),
        "NDJSON to Parquet": scanning(ndjson),
        "CSV to Parquet": scanning(csv),
        "lines to Parquet": scanning(lines),
        "Parquet to CSV": scanning(parquet, ".csv"),
        "Parquet to NDJSON": scanning(parquet, ".jsonl"),
    }
    seconds = in_turns(work, 3)
    table(
        (f"scan of {len(texts):,} URLs", "events/s"),
        [(name, f"{len(texts) / value:,.0f}") for name, value in seconds.items()],
    )
