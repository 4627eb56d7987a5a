"""Tables of results on the terminal."""

import time
from collections.abc import Callable

from rich.table import Table

from buckler.cli.console import err, out, print_table, safe
from buckler.evaluation.evaluation import Evaluation
from buckler.evaluation.report import ReportFiles, ReportTable, figure_rows, rate_text
from buckler.evaluation.robustness import robustness_table
from buckler.pipeline.run import Run
from buckler.teachers.budget import Account, Spending
from buckler.teachers.labeling import Progress
from buckler.training.auxiliary import auxiliary_table


def print_run(run: Run) -> None:
    """Print stages, figures, and where bundle and report lie."""
    rows = []
    for stage in run.stages:
        repeated = "operating_point"  # a sentence that stands at the end
        shown = {k: v for k, v in stage.summary.items() if v not in (0, "") and k != repeated}
        text = ", ".join(f"{k.replace('_', ' ')} {_short(v)}" for k, v in shown.items())
        text = f"(done before) {text}" if stage.reused else text
        rows.append((stage.name, f"{stage.seconds:.1f}", safe(text, 2000)))
    print_table(("stage", "seconds", ""), rows, right=("seconds",))
    out.print()
    print_assessment(run.assessment)
    if run.comparison is not None:
        out.print()
        print_comparison(run.comparison)
    if run.auxiliary:
        out.print()
        print_rows(auxiliary_table(run.auxiliary))
    if run.robustness:
        out.print()
        print_rows(robustness_table(run.robustness))
    out.print()
    if run.warning:
        err.print(
            "WARNING: a student that learned from labels alone is better on "
            f"{safe(run.warning, 500)}; the registry refuses this bundle",
            style="bold red",
        )
    out.print(run.operating_sentence)
    out.print(f"bundle  {run.bundle} ({run.bundle.stat().st_size:,} bytes)")
    print_report(run.report)
    out.print(f"next    buckler scan FILES -b {run.bundle} -o verdicts.parquet")


def print_report(report: ReportFiles) -> None:
    """Print where the report lies."""
    if report.html is not None:
        out.print(f"report  {report.html}")
    else:
        out.print("report  no HTML: pip install 'buckler[report]'")
    out.print(f"        {report.json}")


def print_comparison(comparison: ReportTable) -> None:
    """Print the judges side by side, one a column; their intervals stand in the report."""
    table = Table(box=None, pad_edge=False)
    for position, row in enumerate([comparison.heading, *comparison.rows]):
        table.add_column(
            safe(row[0], 40), justify="right" if position else "left", overflow="fold", max_width=16
        )
    for name, *cells in list(zip(comparison.heading, *comparison.rows, strict=True))[1:]:
        table.add_row(name, *(safe(cell.partition(" (")[0], 40) for cell in cells))
    out.print(table)


def print_rows(found: ReportTable) -> None:
    """Print a table as it stands, without intervals."""
    headings = [safe(name, 40) for name in found.heading]
    rows = ([safe(cell.partition(" (")[0], 40) for cell in row] for row in found.rows)
    print_table(headings, rows, right=headings[1:])


def print_assessment(assessment: Evaluation) -> None:
    """Print the figures with their intervals, and what the thresholds do."""
    rows = figure_rows(assessment)
    for at in assessment.thresholds:
        deployed = " (deployed)" if at.target_fpr == assessment.deployed_fpr else ""
        rows.append((f"Threshold for FPR {at.target_fpr:g}{deployed}", "", ""))
        for name, rate in (("detection", at.detection), ("false positives", at.false_positives)):
            value, _, interval = rate_text(rate).partition(" (")
            rows.append((f"  {name}", value, interval.rstrip(")")))
    numbers = ("value", "95 % interval")
    print_table((f"{assessment.n_rows:,} test rows", *numbers), rows, right=numbers)
    if assessment.positive:
        out.print(
            "Detection: share of positive events detected. FPR: share of the others detected."
        )


def _short(value: str | float | bool) -> str:
    if isinstance(value, (bool, str)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def print_estimate(calls: int, spending: Spending) -> None:
    """Print what calls to a language model would probably cost."""
    out.print(
        f"{calls:,} calls to make: about {spending.input_tokens:,} tokens in, "
        f"{spending.output_tokens:,} out, {spending.cost_usd:.4f} USD; nothing was asked"
    )


def print_account(account: Account) -> None:
    """Print what a paid run did and cost."""
    spent = account.spent
    out.print(
        f"{account.calls:,} calls ({account.retries:,} tried again), {spent.input_tokens:,} tokens "
        f"in, {spent.output_tokens:,} out, {spent.cost_usd:.4f} USD"
    )
    for reason, count in account.rejects.most_common(5):
        out.print(f"rejected {count:,}: {safe(reason, 120)}")
    if account.uncertain:
        out.print(
            f"{account.uncertain:,} calls broke after they were sent: counted by their estimate"
        )
    if account.unanswered:
        err.print(f"{account.unanswered:,} questions got no answer: run again to ask them")
    if account.stopped:
        err.print(f"stopped: {account.stopped}; run again to go on")


def asking_progress(
    on_step: Callable[[str], None], title: str = "asking"
) -> Callable[[Progress], None]:
    """Return a listener that shows events, dollars and the time left of a labeling job."""
    started = time.monotonic()

    def show(now: Progress) -> None:
        text = f"{title}: {now.done:,} of {now.total:,}"
        if now.account is not None:
            spent = now.account.spent
            text += f", {spent.cost_usd:.4f} USD, {spent.tokens:,} tokens"
        if now.done:
            seconds = time.monotonic() - started
            text += f", {seconds / now.done * (now.total - now.done):,.0f} s left"
        on_step(text)

    return show
