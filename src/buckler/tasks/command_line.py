"""command-line: does this command serve an attacker?"""

from buckler.tasks import process_fields
from buckler.tasks.task import TASKS, Task

COMMAND_LINE = TASKS.add(
    Task(
        name="command-line",
        description="Command lines of processes and scripts as benign or malicious",
        classes={
            "benign": "What users, administrators, installers and services run.",
            "malicious": "A step of an attack: discovery, execution, evasion, theft or damage.",
        },
        positive=("malicious",),
        normalizer="command-v2",
        max_bytes=4096,
        segmenter="commands",
        text_columns=process_fields.COMMAND,
        context=(process_fields.PARENT, process_fields.IMAGE, process_fields.USER),
        group_columns=("group", *process_fields.HOST),
        further_columns=process_fields.FURTHER,
        aliases={"good": "benign", "bad": "malicious", "attack": "malicious"},
        guidance=(
            "Malicious: encoded or downloaded code that is run at once, dumping of credentials, "
            "disabling of defenses or logs, deleting backups, unusual use of system binaries to "
            "load code, reverse shells, new administrators, persistence in hidden places. "
            "Administration, software installation and builds are benign even when they look "
            "technical."
        ),
        medium="command-line",
    )
)
