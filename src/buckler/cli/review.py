"""`buckler review`: the analysts' application, its queue and its accounts."""

import getpass
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from buckler.cli.console import err, out, safe, step_progress
from buckler.cli.options import TrustedKey
from buckler.dataset import ColumnNames, read_dataset
from buckler.errors import MissingExtraError, SettingsError
from buckler.labels import LabelStore, open_existing
from buckler.readers.quarantine import Quarantine
from buckler.runtime import load
from buckler.tasks import get_task

app = typer.Typer(help="The analysts' application: judge what is worth most.", no_args_is_help=True)
user = typer.Typer(help="Accounts of the application.", no_args_is_help=True)
app.add_typer(user, name="user")

Store = Annotated[
    str, typer.Option("--store", "-s", help="A file, or a PostgreSQL URL.", envvar="BUCKLER_LABELS")
]
RoleName = Annotated[str, typer.Option(help="analyst, lead or admin.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="File with the password; - reads it from standard input."),
]


@app.command("add")
def add(
    data: Annotated[list[Path], typer.Argument(help="Files or folders of events.")],
    bundle: Annotated[Path, typer.Option("--bundle", "-b", help="The deployed bundle.")],
    store: Store = "labels.db",
    task: Annotated[str | None, typer.Option("--task", "-t", help="File of your own task.")] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(
            "--reference", "-r", help="Events of when it was made: unlike them is worth more."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Show at most so many, those worth most.", min=1)
    ] = None,
    sample_share: Annotated[
        float, typer.Option(help="Draw so many by lot too, for honest figures.", min=0, max=0.5)
    ] = 0.01,
    text_column: Annotated[str | None, typer.Option(help="Name of the text column.")] = None,
    format_name: Annotated[
        str | None, typer.Option("--format", help="Read as this format, whatever the suffix.")
    ] = None,
    trusted_key: TrustedKey = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn by lot.", min=0)] = 0,
) -> None:
    """Put events into the queue; those that are there already stay."""
    from buckler.review.fill import fill_queue

    scorer = load(bundle, trusted_key=trusted_key)
    the_task = get_task(task or scorer.manifest.task)
    if list(scorer.classes) != the_task.class_names:
        raise SettingsError(f"{bundle}: a bundle of other classes than task {the_task.name!r}")
    with step_progress() as progress, Quarantine() as quarantine, LabelStore(store) as opened:
        bar = progress.add_task("reading")

        def read(paths: list[Path]) -> Any:
            return read_dataset(
                paths,
                the_task,
                ColumnNames(text=text_column),
                format_name=format_name,
                labeled=False,
                quarantine=quarantine,
            )

        events = read(data)
        then = read(reference) if reference else None
        progress.update(bar, description="valuing")
        done = 0

        def tell(n: int, total: int) -> None:
            nonlocal done
            done += n
            progress.update(bar, description=f"storing {done:,} of {total:,}")

        found = fill_queue(
            opened,
            events,
            scorer,
            reference=then,
            limit=limit,
            sample_share=sample_share,
            seed=seed,
            on_progress=tell,
        )
    out.print(
        f"{found.events:,} events, {found.detections:,} detections: {found.added:,} to be shown "
        f"({found.drawn:,} drawn by lot), {found.folded:,} near-duplicates behind them"
    )
    for n, why in (
        (found.known, "were in the queue before"),
        (found.judged, "a human has judged already"),
        (found.ruled_out, "are of families that were judged as a whole"),
        (found.left_out, "are worth less than those that are shown"),
    ):
        if n:
            out.print(f"  {n:,} {why}")
    if quarantine.count:
        err.print(quarantine.summary())


@app.command("export")
def export(
    target: Annotated[Path, typer.Argument(help="The .json file to write.")],
    task: Annotated[str, typer.Option("--task", "-t", help="A task, or a .toml file.")],
    tool: Annotated[str, typer.Option("--as", help="label-studio or argilla.")],
    store: Store = "labels.db",
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=100_000)] = 1000,
) -> None:
    """Write what waits for a verdict for another annotation tool."""
    from buckler.review.annotation_tools import export_queue

    with open_existing(store) as opened:
        n = export_queue(_queue(opened, task), _tool(tool), target, limit)
    out.print(f"{n:,} events: {target}")


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="What the tool exported, as JSON.")],
    task: Annotated[str, typer.Option("--task", "-t", help="A task, or a .toml file.")],
    tool: Annotated[str, typer.Option("--as", help="label-studio or argilla.")],
    store: Store = "labels.db",
) -> None:
    """Take verdicts over from another annotation tool."""
    from buckler.review.annotation_tools import import_answers

    with open_existing(store) as opened, Quarantine() as quarantine:
        n = import_answers(_queue(opened, task), _tool(tool), source, quarantine)
    out.print(f"{n:,} new annotations")
    if quarantine.count or quarantine.passed_over:
        err.print(quarantine.summary())


@app.command("serve")
def serve(
    bundles: Annotated[list[Path] | None, typer.Argument(help="Deployed bundles.")] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="A .toml file; see docs/review.md.")
    ] = None,
    store: Annotated[str | None, typer.Option("--store", "-s", help="The label store.")] = None,
    trusted_key: TrustedKey = None,
    host: Annotated[str | None, typer.Option(help="Where to listen (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port (8812); 0 takes a free one.")] = None,
    registry: Annotated[Path | None, typer.Option(help="Folder of deployed bundles.")] = None,
) -> None:
    """Serve the application to browsers."""
    try:
        from buckler.review.settings import read_review_settings
        from buckler.review.web.server import run_review
    except ImportError as error:
        raise MissingExtraError("the review application", "review") from error
    given: dict[str, Any] = {
        "bundles": bundles or None,
        "store": store,
        "trusted_key": trusted_key,
        "host": host,
        "port": port,
        "registry": registry,
    }
    known = {name: value for name, value in given.items() if value is not None}
    run_review(read_review_settings(settings, known))


@user.command("add")
def add_user(
    name: Annotated[str, typer.Argument(help="Name; for single sign-on the e-mail address.")],
    role: RoleName = "analyst",
    store: Store = "labels.db",
    password_file: PasswordFile = None,
    sign_on: Annotated[
        bool, typer.Option("--single-sign-on", help="No password: by the identity provider.")
    ] = False,
) -> None:
    """Make an account."""
    module = _module()
    chosen = _role(role)
    password = None if sign_on else _password(password_file)
    with LabelStore(store) as opened:
        made = module.Accounts(opened).add(name, chosen, password)
        module.write_audit(opened, "command line", "account made", f"{made.name}, {made.role}")
    out.print(f"account {made.name}, {made.role}")


@user.command("list")
def list_users(store: Store = "labels.db") -> None:
    """Show the accounts."""
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "role", "signs in by", "state"):
        table.add_column(heading)
    with open_existing(store) as opened:
        for each in _module().Accounts(opened).all():
            ways = ["password"] * each.has_password + ["single sign-on"] * bool(each.subject)
            state = "in use" if each.active else "closed"
            table.add_row(safe(each.name), each.role, ", ".join(ways) or "-", state)
    out.print(table)


@user.command("change")
def change_user(
    name: Annotated[str, typer.Argument(help="Name.")],
    role: Annotated[str | None, typer.Option(help="analyst, lead or admin.")] = None,
    close: Annotated[
        bool | None, typer.Option("--close/--open", help="Close it, or open it again.")
    ] = None,
    password: Annotated[bool, typer.Option("--password", help="Give it a new password.")] = False,
    store: Store = "labels.db",
    password_file: PasswordFile = None,
) -> None:
    """Change an account: role, password, whether it is in use."""
    module = _module()
    with open_existing(store) as opened:
        accounts = module.Accounts(opened)
        found = accounts.require(name)
        if role is not None:
            accounts.set_role(found.id, _role(role))
        if password or password_file is not None:
            accounts.set_password(found, _password(password_file))
        if close is not None:
            accounts.set_active(found.id, not close)
        told = ", ".join(
            [name]
            + ([role] if role else [])
            + (["new password"] if password or password_file else [])
            + ([] if close is None else ["closed" if close else "open"])
        )
        module.write_audit(opened, "command line", "account changed", told)
    out.print(f"changed: {safe(told)}")


def _queue(store: LabelStore, task: str) -> Any:
    from buckler.review.queue import Queue
    from buckler.review.schema import migrate_review

    with store.writing() as connection:
        migrate_review(connection)
    return Queue(store, get_task(task))


def _tool(name: str) -> Any:
    from buckler.review.annotation_tools import Tool

    try:
        return Tool(name)
    except ValueError:
        raise SettingsError(f"--as: {name[:40]!r} is no tool: label-studio or argilla") from None


def _module() -> Any:
    try:
        from buckler.review import accounts
    except ImportError as error:
        raise MissingExtraError("the review application", "review") from error
    return accounts


def _role(name: str) -> Any:
    try:
        return _module().Role(name)
    except ValueError:
        raise SettingsError(f"{name[:40]!r} is no role: analyst, lead or admin") from None


def _password(file: Path | None) -> str:
    if file is not None and str(file) == "-":
        return sys.stdin.readline().rstrip("\r\n")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").splitlines()[0]
        except (OSError, UnicodeDecodeError, IndexError) as error:
            raise SettingsError(f"{file}: no password can be read from it") from error
    if not sys.stdin.isatty():
        raise SettingsError("give the password with --password-file; - is standard input")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise SettingsError("the two passwords differ")
    return first
