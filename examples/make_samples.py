"""Writes the samples of `examples/`: made-up events, so that every command can be tried at once.

    python examples/make_samples.py

Texts are expanded from the templates of `buckler synthesize`, which were written for Buckler: names
and addresses are reserved ones (RFC 2606, RFC 5737), and nothing in them works. Alerts and rows of
numbers are drawn here. A model of a sample knows how it was made, and nothing of the world.
"""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from buckler.dataset import Dataset
from buckler.synthesis.generate import spread_drafts
from buckler.synthesis.generator import get_generator
from buckler.synthesis.template import read_template
from buckler.tasks import get_task

FOLDER = Path(__file__).resolve().parent
SEED = 1
ROWS = {"url-threat": 1000, "command-line": 600, "url-category": 600, "email": 240, "html": 240}
START = datetime(2026, 3, 2, 8, tzinfo=UTC)


def main() -> None:
    """Write every sample into the folder of its task."""
    for task_name, n_rows in ROWS.items():
        write_texts(task_name, n_rows)
    write_alerts(FOLDER / "alert-triage" / "sample.json")
    write_programs(FOLDER / "pe" / "sample.csv")
    write_auth_log(FOLDER / "own-task")


def write_texts(task_name: str, n_rows: int) -> None:
    """Write texts of a task: lines as CSV, documents as JSON lines."""
    task, rng = get_task(task_name), np.random.default_rng(SEED)
    template = read_template(task)
    generator = get_generator("grammar", template, Dataset.from_texts([], task), SEED)
    drafts = generator.drafts(spread_drafts(template, 4 * n_rows))
    rows = list({draft.text: draft.combination.label for draft in drafts}.items())
    if task_name == "email":  # whose template has no spam
        rows += [(advertise(rng), "spam") for _ in range(len(rows) // 2)]
    chosen = [rows[i] for i in rng.permutation(len(rows))[:n_rows]]
    text_name, label_name = task.text_columns[0], task.label_columns[0]
    folder = FOLDER / task_name
    if task_name in ("email", "html"):
        lines = (json.dumps({text_name: text, label_name: label}) for text, label in chosen)
        (folder / "sample.jsonl").write_text("".join(f"{line}\n" for line in lines))
        return
    with (folder / "sample.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((text_name, label_name))
        writer.writerows(chosen)


OFFERS = ["watches", "pills", "loans", "printer ink", "followers", "casino credit", "seo services"]
PRAISE = ["cheap", "unlimited", "exclusive", "guaranteed", "certified", "no-risk", "lifetime"]
CALLS = ["Order now", "Act today", "Click here before midnight", "Reply YES", "Limited stock"]


def advertise(rng: np.random.Generator) -> str:
    """Return an advertisement that nobody asked for."""
    offer, praise, call = (str(rng.choice(words)) for words in (OFFERS, PRAISE, CALLS))
    number, discount = int(rng.integers(10, 999)), int(rng.integers(30, 95))
    return (
        f"From: {praise} {offer} <offer{number}@deals{number}.example>\n"
        f"Subject: {discount}% off {praise} {offer}!\nMIME-Version: 1.0\n"
        f"Content-Type: text/plain; charset=utf-8\n\n"
        f"Dear friend,\n\n{praise.title()} {offer} at {discount}% off. {call}: "
        f"http://deals{number}.example/{offer.split()[0]}?c={number}\n\nTo stop, write to "
        f"remove@deals{number}.example\n"
    )


ORDINARY = {
    "ET INFO Observed DNS Query to .biz TLD": 3,
    "ET POLICY curl User-Agent Outbound": 3,
    "SURICATA STREAM ESTABLISHED retransmission packet before last ack": 3,
    "ET SCAN Potential SSH Scan OUTBOUND": 2,
    "ET INFO TLS Handshake Failure": 3,
}
ATTACK = {
    "ET SCAN Nmap Scripting Engine User-Agent Detected": 2,
    "ET EXPLOIT Possible Webshell Upload": 1,
    "ET ATTACK_RESPONSE Output of id command from HTTP server": 1,
    "ET MALWARE Reverse Shell Traffic Observed": 1,
}


def write_alerts(path: Path) -> None:
    """Write ten days of Suricata's alerts: noise of 20 hosts, and a break-in every other day."""
    rng, alerts = np.random.default_rng(SEED), []
    for day in range(10):
        for host in range(20):
            for _ in range(int(rng.poisson(1.5))):
                at = START + timedelta(days=day, minutes=int(rng.integers(600)))
                rule = str(rng.choice(list(ORDINARY)))
                alerts += list(repeat_alert(at, f"10.0.0.{host + 10}", rule, False, rng))
        if day % 2:
            victim = f"10.0.0.{int(rng.integers(10, 30))}"
            for step, rule in enumerate(ATTACK):
                at = START + timedelta(days=day, hours=4, minutes=12 * step)
                alerts += list(repeat_alert(at, victim, rule, True, rng))
    alerts.sort(key=lambda alert: str(alert["timestamp"]))
    path.write_text("".join(f"{json.dumps(alert)}\n" for alert in alerts))


def repeat_alert(
    at: datetime, host: str, rule: str, is_attack: bool, rng: np.random.Generator
) -> Iterator[dict[str, object]]:
    """Yield an alert and its repetitions within some seconds."""
    severity = (ATTACK if is_attack else ORDINARY)[rule]
    source = f"203.0.113.{int(rng.integers(1, 255))}"
    for second in range(int(rng.integers(1, 6))):
        yield {
            "timestamp": (at + timedelta(seconds=second)).isoformat(),
            "event_type": "alert",
            "host": host,
            "src_ip": source,
            "dest_ip": host,
            "alert": {"signature": rule, "severity": severity},
            "label": "attack" if is_attack else "false_positive",
        }


def write_programs(path: Path) -> None:
    """Write header fields of programs that do not exist, drawn from two overlapping shapes."""
    schema, rng = get_task(FOLDER / "pe" / "task.toml").features, np.random.default_rng(SEED)
    names = list(schema.numbers)
    centers = rng.normal(size=(2, len(names))) * 0.3
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*names, "label"))
        for row in range(200):
            values = np.exp(centers[row % 2] + rng.normal(size=len(names)) + 3).astype(int)
            writer.writerow((*values.tolist(), ("benign", "malware")[row % 2]))


AUTH_LINES = {
    "normal": [
        "sshd[{pid}]: Accepted publickey for {user} from 10.0.{a}.{b} port {port} ssh2: ED25519",
        "sshd[{pid}]: pam_unix(sshd:session): session opened for user {user}(uid=10{a}) by (uid=0)",
        "sshd[{pid}]: Failed password for {user} from 10.0.{a}.{b} port {port} ssh2",
        "sudo: {user} : TTY=pts/{a} ; PWD=/home/{user} ; USER=root ; COMMAND=/usr/bin/apt update",
        "CRON[{pid}]: pam_unix(cron:session): session closed for user {user}",
        "systemd-logind[{pid}]: New session {port} of user {user}.",
    ],
    "attack": [
        "sshd[{pid}]: Invalid user {guess} from 203.0.113.{b} port {port}",
        "sshd[{pid}]: Failed password for invalid user {guess} from 203.0.113.{b} port {port} ssh2",
        "sshd[{pid}]: Failed password for root from 198.51.100.{b} port {port} ssh2",
        "sshd[{pid}]: error: maximum authentication attempts exceeded for invalid user {guess} "
        "from 203.0.113.{b} port {port} ssh2 [preauth]",
        "sshd[{pid}]: Connection closed by authenticating user root 198.51.100.{b} port {port}",
    ],
}
USERS = ("ana", "bo", "chen", "dora", "deploy", "backup")
GUESSES = ("admin", "test", "oracle", "postgres", "ubuntu", "git", "pi", "user1", "ftp", "guest")


def write_auth_log(folder: Path) -> None:
    """Write an authentication log without labels, and a few labeled lines of another week."""
    rng = np.random.default_rng(SEED)
    lines = [auth_line(rng, START + timedelta(minutes=7 * i)) for i in range(1200)]
    (folder / "auth.log").write_text("".join(f"{line}\n" for line, _ in lines))
    later = [auth_line(rng, START + timedelta(days=14, minutes=7 * i)) for i in range(200)]
    with (folder / "labeled.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("line", "label"), *later])


def auth_line(rng: np.random.Generator, at: datetime) -> tuple[str, str]:
    """Return a line of an authentication log and its label; one in four is an attack."""
    label = "attack" if rng.random() < 0.25 else "normal"
    values: dict[str, object] = {
        "pid": int(rng.integers(1000, 60000)),
        "port": int(rng.integers(1024, 65000)),
        "a": int(rng.integers(0, 9)),
        "b": int(rng.integers(1, 255)),
        "user": str(rng.choice(USERS)),
        "guess": str(rng.choice(GUESSES)),
    }
    text = str(rng.choice(AUTH_LINES[label])).format(**values)
    return f"{at:%b %d %H:%M:%S} web{rng.integers(1, 4)} {text}", label


if __name__ == "__main__":
    main()
