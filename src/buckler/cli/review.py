"""`buckler review`: serves the analysts' application, and manages its queue and accounts."""

import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from buckler.cli import options as opt
from buckler.cli.console import err, out, print_table, safe, show_steps
from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.errors import SettingsError
from buckler.extras import import_extra
from buckler.files import read_bytes
from buckler.labels import LabelStore, open_existing
from buckler.readers.quarantine import Quarantine
from buckler.review.annotation_tools import Tool, export_queue, import_answers
from buckler.review.audit import read_audit, verify_audit, write_audit
from buckler.review.enqueue import EnqueueOptions, enqueue_events
from buckler.review.facts import FACT_FIELDS
from buckler.review.queue import Queue
from buckler.review.review_tables import migrate_review
from buckler.runtime import load
from buckler.tasks import get_task

if TYPE_CHECKING:
    from buckler.review.accounts import Role

app = typer.Typer(help="Label the events that teach a model most.", no_args_is_help=True)
user = typer.Typer(help="Manage the accounts of the application.", no_args_is_help=True)
app.add_typer(user, name="user")

RoleName = Annotated[str, typer.Option(help="Role: analyst, lead or admin.")]
ToolName = Annotated[Tool, typer.Option("--as", help="Annotation tool.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="File with the password; - reads standard input."),
]


@app.command("add")
def add(
    data: opt.EventFiles,
    bundle: Annotated[Path, typer.Option("--bundle", "-b", help="The deployed bundle.")],
    store: opt.Store = "labels.db",
    task: opt.TaskFile = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(
            "--reference", "-r", help="Events of the bundle's time; novel events rank higher."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Largest number of ranked events to add.", min=1)
    ] = None,
    sample_share: Annotated[
        float, typer.Option(help="Share of random samples, for metrics.", min=0, max=0.5)
    ] = 0.01,
    text_column: opt.TextColumn = None,
    format_name: opt.FormatName = None,
    trusted_key: opt.TrustedKey = None,
    seed: opt.Seed = 0,
) -> None:
    """Add events to the queue; events that are in it already stay unchanged."""
    scorer = load(bundle, trusted_key=trusted_key)
    the_task = get_task(task or scorer.manifest.task)
    if list(scorer.classes) != the_task.class_names:
        raise SettingsError(f"{bundle}: a bundle of other classes than task {the_task.name!r}")
    with show_steps("reading") as on_step, Quarantine() as quarantine, LabelStore(store) as opened:

        def read(paths: list[Path]) -> Dataset:
            return read_dataset(
                paths,
                the_task,
                ColumnNames(text=text_column, event_fields=FACT_FIELDS),
                format_name=format_name,
                labeled=False,
                quarantine=quarantine,
            )

        events = read(data)
        older = read(reference) if reference else None
        on_step("ranking")
        stored = 0

        def on_progress(n: int, total: int) -> None:
            nonlocal stored
            stored += n
            on_step(f"storing {stored:,} of {total:,}")

        summary = enqueue_events(
            opened,
            events,
            scorer,
            reference=older,
            options=EnqueueOptions(limit, sample_share, seed),
            on_progress=on_progress,
        )
    out.print(
        f"{summary.events:,} events, {summary.detections:,} detections: {summary.added:,} to be "
        f"shown ({summary.sampled:,} random samples), {summary.duplicates:,} near-duplicates"
    )
    for n, why in (
        (summary.known, "were in the queue before"),
        (summary.labeled, "have a human label already"),
        (summary.family_labeled, "belong to families that were labeled as a whole"),
        (summary.left_out, "rank below the limit"),
    ):
        if n:
            out.print(f"  {n:,} {why}")
    if quarantine.count:
        err.print(quarantine.summary())


@app.command("export")
def export(
    target: Annotated[Path, typer.Argument(help="JSON file to write.")],
    task: opt.TaskName,
    tool: ToolName,
    store: opt.Store = "labels.db",
    limit: Annotated[
        int, typer.Option(help="Largest number of events.", min=1, max=100_000)
    ] = 1000,
) -> None:
    """Export the waiting events for another annotation tool."""
    with open_existing(store) as opened:
        n = export_queue(Queue(opened, get_task(task)), tool, target, limit)
    out.print(f"{n:,} events: {target}")


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="Export of the tool, as JSON.")],
    task: opt.TaskName,
    tool: ToolName,
    store: opt.Store = "labels.db",
) -> None:
    """Import labels from another annotation tool."""
    with open_existing(store) as opened, Quarantine() as quarantine:
        n = import_answers(Queue(opened, get_task(task)), tool, source, quarantine)
    out.print(f"{n:,} new annotations")
    if quarantine.count or quarantine.passed_over:
        err.print(quarantine.summary())


@app.command("serve")
def serve(
    bundles: Annotated[list[Path] | None, typer.Argument(help="Deployed bundles.")] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="Settings file (TOML); see docs/review.md.")
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", "-s", help="Label store: a file, or a PostgreSQL URL.")
    ] = None,
    trusted_key: opt.TrustedKey = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port (8812); 0 takes a free one.")] = None,
    registry: Annotated[Path | None, typer.Option(help="Folder of deployed bundles.")] = None,
) -> None:
    """Serve the application to browsers."""
    import_extra("argon2", _FEATURE, "review")
    layered = import_extra("buckler.serving.layered_settings", _FEATURE, "review")
    kind = import_extra("buckler.review.settings", _FEATURE, "review").ReviewSettings
    run_review = import_extra("buckler.review.web.app", _FEATURE, "review").run_review
    given = {
        "bundles": bundles or None,
        "store": store,
        "trusted_key": trusted_key,
        "host": host,
        "port": port,
        "registry": registry,
    }
    given = {name: value for name, value in given.items() if value is not None}
    run_review(layered.read_layered_settings(kind, settings, given))


@user.command("add")
def add_user(
    name: Annotated[str, typer.Argument(help="Name; for single sign-on the e-mail address.")],
    role: RoleName = "analyst",
    store: opt.Store = "labels.db",
    password_file: PasswordFile = None,
    single_sign_on: Annotated[
        bool, typer.Option("--single-sign-on", help="Sign in by the identity provider alone.")
    ] = False,
) -> None:
    """Add an account."""
    accounts = import_extra("buckler.review.accounts", _FEATURE, "review")
    chosen = _role(role)
    password = None if single_sign_on else _read_password(password_file)
    with LabelStore(store) as opened:
        account = accounts.Accounts(opened).add(name, chosen, password)
        detail = f"{account.name}, {account.role}"
        write_audit(opened, "command line", "account added", detail)
    out.print(f"account {detail}")


@user.command("list")
def list_users(store: opt.Store = "labels.db") -> None:
    """List the accounts."""
    accounts = import_extra("buckler.review.accounts", _FEATURE, "review")
    rows = []
    with open_existing(store) as opened:
        for account in accounts.Accounts(opened).all():
            ways = ["password"] * account.has_password + ["single sign-on"] * bool(account.subject)
            state = "active" if account.active else "closed"
            rows.append((safe(account.name), account.role, ", ".join(ways) or "-", state))
    print_table(("name", "role", "signs in by", "state"), rows)


@user.command("change")
def change_user(
    name: Annotated[str, typer.Argument(help="Name.")],
    role: Annotated[str | None, typer.Option(help="Role: analyst, lead or admin.")] = None,
    close: Annotated[
        bool | None, typer.Option("--close/--open", help="Close the account, or open it again.")
    ] = None,
    password: Annotated[bool, typer.Option("--password", help="Set a new password.")] = False,
    store: opt.Store = "labels.db",
    password_file: PasswordFile = None,
) -> None:
    """Change role, password or state of an account."""
    module = import_extra("buckler.review.accounts", _FEATURE, "review")
    with open_existing(store) as opened:
        accounts = module.Accounts(opened)
        change = accounts.change(
            accounts.require(name),
            role=None if role is None else _role(role),
            active=None if close is None else not close,
            password=_read_password(password_file) if password or password_file else None,
        )
        write_audit(opened, "command line", "account changed", change)
    out.print(f"changed: {safe(change)}")


@app.command("audit")
def audit(
    store: opt.Store = "labels.db",
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that no entry was changed or removed.")
    ] = False,
    noted: Annotated[
        str | None, typer.Option(help="Newest digest of an earlier check: it must still be there.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Number of entries to list.", min=1)] = 100,
) -> None:
    """List the newest entries of the audit log, or check its chain of digests."""
    with open_existing(store) as opened:
        with opened.writing() as connection:
            migrate_review(connection)
        if verify or noted is not None:
            found = verify_audit(opened, noted)
            out.print(f"{found.entries:,} entries, none changed or removed")
            out.print(f"newest digest  {found.digest or '-'}")
            return
        rows = [
            (
                datetime.fromtimestamp(entry.at_s, UTC).isoformat(timespec="seconds"),
                *(safe(text) for text in (entry.who, entry.address, entry.action, entry.detail)),
            )
            for entry in read_audit(opened, limit=limit)
        ]
    print_table(("time", "who", "address", "action", "detail"), rows)


_FEATURE = "the review application"


def _role(name: str) -> "Role":
    from buckler.review.accounts import Role

    try:
        return Role(name)
    except ValueError:
        raise SettingsError(f"{name[:40]!r} is no role: analyst, lead or admin") from None


def _read_password(file: Path | None) -> str:
    if file is not None and str(file) == "-":
        return sys.stdin.readline().rstrip("\r\n")
    if file is not None:
        lines = read_bytes(file, SettingsError).decode(errors="replace").splitlines()
        if not lines:
            raise SettingsError(f"{file}: holds no password", path=file)
        return lines[0]
    if not sys.stdin.isatty():
        raise SettingsError("give the password with --password-file; - is standard input")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Repeat: ") != first:
        raise SettingsError("the two passwords differ")
    return first
