"""command-line: does this command serve an attacker?"""

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
        normalizer="command-v1",
        max_bytes=4096,
        # Plain tables; Sysmon and Security as .evtx or flat JSON; winlogbeat; ECS; OCSF.
        text_columns=(
            "text",
            "command_line",
            "CommandLine",
            "process.command_line",
            "winlog.event_data.CommandLine",
            "EventData.CommandLine",
            "Event.EventData.CommandLine",
            "process.cmd_line",
        ),
        context=(
            (
                "parent",
                "parent_command_line",
                "ParentCommandLine",
                "ParentImage",
                "ParentProcessName",
                "process.parent.command_line",
                "process.parent.executable",
                "winlog.event_data.ParentCommandLine",
                "winlog.event_data.ParentProcessName",
                "EventData.ParentCommandLine",
                "EventData.ParentProcessName",
                "Event.EventData.ParentCommandLine",
                "Event.EventData.ParentProcessName",
                "process.parent_process.cmd_line",
                "actor.process.cmd_line",
                "actor.process.file.path",
            ),
            (
                "image",
                "Image",
                "NewProcessName",
                "process.executable",
                "winlog.event_data.Image",
                "winlog.event_data.NewProcessName",
                "EventData.Image",
                "EventData.NewProcessName",
                "Event.EventData.Image",
                "Event.EventData.NewProcessName",
                "process.file.path",
            ),
            (
                "user",
                "User",
                "SubjectUserName",
                "user.name",
                "winlog.event_data.User",
                "winlog.event_data.SubjectUserName",
                "EventData.User",
                "EventData.SubjectUserName",
                "Event.EventData.User",
                "Event.EventData.SubjectUserName",
                "actor.user.name",
                "process.user.name",
            ),
        ),
        group_columns=(
            "group",
            "host",
            "Computer",
            "host.name",
            "winlog.computer_name",
            "device.hostname",
            "Hostname",
        ),
        aliases={"good": "benign", "bad": "malicious", "attack": "malicious"},
        guidance=(
            "Malicious: encoded or downloaded code that is run at once, dumping of credentials, "
            "disabling of defenses or logs, deleting backups, unusual use of system binaries to "
            "load "
            "code, reverse shells, new administrators, persistence in hidden places. "
            "Administration, "
            "software installation and builds are benign even when they look technical."
        ),
        medium="command-line",
    )
)
