"""command-line: does this command serve an attacker?"""

from buckler.tasks.task import Task

COMMAND_LINE = Task(
    name="command-line",
    description="Command lines of processes and scripts as benign or malicious",
    classes={
        "benign": "What users, administrators, installers and services run.",
        "malicious": "A step of an attack: discovery, execution, evasion, theft or damage.",
    },
    bad=("malicious",),
    normaliser="text-v1",
    max_bytes=4096,
    text_columns=("text", "command_line", "CommandLine", "process.command_line"),
    aliases={"good": "benign", "bad": "malicious", "attack": "malicious"},
    guidance=(
        "Malicious: encoded or downloaded code that is run at once, dumping of credentials, "
        "disabling of defences or logs, deleting backups, unusual use of system binaries to load "
        "code, reverse shells, new administrators, persistence in hidden places. Administration, "
        "software installation and builds are benign even when they look technical."
    ),
    medium="command-line",
)
