"""Names that logs give to the fields of a process: Windows events, EDR, audit logs, ECS, OCSF.

Windows: Sysmon 1 and Security 4688, as .evtx, evtx_dump, winlogbeat, Wazuh or flat JSON. Others:
ECS (Elastic Defend, auditbeat), OCSF, Microsoft Defender, CrowdStrike, osquery, Laurel, Falco.
"""

_WINDOWS = ("", "winlog.event_data.", "event_data.", "EventData.", "Event.EventData.")


def windows(*fields: str) -> tuple[str, ...]:
    """Return the names of fields of Windows events, the first field before the second."""
    return tuple(
        name
        for field in fields
        for name in (
            *(prefix + field for prefix in _WINDOWS),
            f"data.win.eventdata.{field[0].lower()}{field[1:]}",
        )
    )


def _defender(field: str) -> tuple[str, str]:
    return field, f"properties.{field}"


COMMAND = (
    *("text", "command_line", *windows("CommandLine"), "event.CommandLine"),
    *("process.command_line", "process.cmd_line", *_defender("ProcessCommandLine")),
    *("EXECVE.ARGV_STR", "EXECVE.ARGV", "output_fields.proc.cmdline", "proc.cmdline"),
    *("columns.cmdline", "cmdline", "process.args", "data.audit.execve"),
)
PARENT_IMAGE = (
    *("parent_image", *windows("ParentImage", "ParentProcessName"), "process.parent.executable"),
    *("process.parent_process.file.path", "actor.process.file.path", "PARENT_INFO.exe"),
    *(*_defender("InitiatingProcessFolderPath"), "output_fields.proc.pexepath"),
    *("ParentBaseFileName", "event.ParentBaseFileName"),
)
PARENT_COMMAND = (
    *("parent", "parent_command_line", *windows("ParentCommandLine")),
    *("process.parent.command_line", "process.parent_process.cmd_line", "actor.process.cmd_line"),
    *(*_defender("InitiatingProcessCommandLine"), "PARENT_INFO.ARGV_STR", "PARENT_INFO.ARGV"),
    *("output_fields.proc.pcmdline", "proc.pcmdline", "process.parent.args"),
)
PARENT = (*PARENT_COMMAND, *PARENT_IMAGE)
IMAGE = (
    *("image", *windows("Image", "NewProcessName"), "process.executable", "process.file.path"),
    *(*_defender("FolderPath"), "SYSCALL.exe", "output_fields.proc.exepath", "columns.path"),
    *("data.audit.exe", "ImageFileName", "event.ImageFileName"),
)
USER = (
    *("user", *windows("User", "SubjectUserName"), "user.name", "actor.user.name"),
    *("process.user.name", *_defender("AccountName"), "SYSCALL.UID", "SYSCALL.uid"),
    *("output_fields.user.name", "columns.username", "columns.uid", "data.audit.uid"),
    *("UserName", "event.UserName"),
)
HOST = (
    *("host", "Computer", "host.name", "winlog.computer_name", "computer_name", "device.hostname"),
    *("Hostname", "Event.System.Computer", "System.Computer", "data.win.system.computer"),
    *(*_defender("DeviceName"), "hostIdentifier", "NODE", "hostname", "ComputerName", "agent.name"),
)
# What Sigma's rules ask beside the command line, by the name of the column that holds it.
FURTHER = {
    "parent_image": PARENT_IMAGE,
    "parent": PARENT,
    "image": IMAGE,
    "user": USER,
    "original_file_name": (
        *(*windows("OriginalFileName"), "process.pe.original_file_name"),
        *(*_defender("ProcessVersionInfoOriginalFileName"), "process.file.internal_name"),
    ),
    "file_description": (
        *(*windows("Description"), "process.pe.description", "process.file.desc"),
        *_defender("ProcessVersionInfoFileDescription"),
    ),
    "product": (
        *(*windows("Product"), "process.pe.product", "process.file.product.name"),
        *_defender("ProcessVersionInfoProductName"),
    ),
    "company": (
        *(*windows("Company"), "process.pe.company", "process.file.company_name"),
        *_defender("ProcessVersionInfoCompanyName"),
    ),
    "file_version": (*windows("FileVersion"), "process.pe.file_version", "process.file.version"),
    "hashes": windows("Hashes"),
    "integrity_level": (
        *(*windows("IntegrityLevel", "MandatoryLabel"), "process.integrity"),
        *("process.Ext.token.integrity_level_name", *_defender("ProcessIntegrityLevel")),
    ),
    "current_directory": (
        *(*windows("CurrentDirectory"), "process.working_directory", "CWD.cwd"),
        *("output_fields.proc.cwd", "columns.cwd"),
    ),
    "logon_id": windows("LogonId", "SubjectLogonId"),
    "parent_user": (*windows("ParentUser"), "process.parent.user.name"),
}
