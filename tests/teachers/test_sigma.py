import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buckler.dataset import ColumnNames, read_dataset
from buckler.errors import InputError, SettingsError
from buckler.tasks import get_task
from buckler.teachers import get_teacher
from buckler.teachers.sigma import SigmaSettings, SigmaTeacher, image_of

pytest.importorskip("sigma", reason="the extra 'sigma' is not installed")
TASK = get_task("command-line")
RULE = """\
title: Encoded PowerShell
status: test
logsource: {category: process_creation, product: windows}
detection:
  selection_image:
    - Image|endswith: '\\powershell.exe'
    - OriginalFileName: 'PowerShell.EXE'
  selection_flag:
    CommandLine|contains|windash: ' -enc'
  filter_parent:
    ParentImage|endswith: '\\ccmexec.exe'
  condition: all of selection_* and not filter_parent
level: high
"""
OTHER = """\
title: Anything with a regular expression
logsource: {category: process_creation}
detection:
  selection:
    CommandLine|re: 'bitsadmin\\s+/transfer.{1,80}https?://'
  condition: selection
level: medium
---
title: Not about processes
logsource: {category: dns_query}
detection: {selection: {QueryName: x}, condition: selection}
---
title: Two levels below
logsource: {category: process_creation}
detection: {selection: {CommandLine|contains: a}, condition: selection}
level: low
"""


def events_of(tmp_path, **columns):
    pq.write_table(pa.table(columns), tmp_path / "e.parquet")
    return read_dataset([tmp_path / "e.parquet"], TASK, ColumnNames(keep=SigmaTeacher.columns))


@pytest.fixture
def rules(tmp_path):
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.yml").write_text(RULE)
    (folder / "b.yaml").write_text(OTHER)
    return folder


def test_rules_match_fields_and_filters_as_sigma_says(tmp_path, rules):
    (tmp_path / "sigma.toml").write_text('rules = ["rules"]\n')
    who = get_teacher("sigma", tmp_path / "sigma.toml", TASK)
    texts = [
        "powershell -ENC aaa",
        "powershell /enc aaa",
        "powershell -enc aaa",
        "cmd /c powershell -enc",
        "bitsadmin  /transfer n http://a.example/x c:\\x",
    ]
    events = events_of(
        tmp_path,
        text=texts,
        image=[r"C:\W\POWERSHELL.exe", None, r"C:\W\powershell.exe", r"C:\W\cmd.exe", None],
        parent_image=["a", "a", r"C:\W\CCMExec.exe", "a", None],
    )
    assert who.titles(events) == [
        ["Encoded PowerShell"],
        ["Encoded PowerShell"],  # the image is guessed from the line; / is a dash too
        [],
        [],
        ["Anything with a regular expression"],
    ]
    annotations = who.annotate(events)
    assert [o and round(o.probabilities[1], 2) for o in annotations] == [
        0.85,
        0.85,
        None,
        None,
        0.6,
    ]
    assert annotations[0].rationale == "Encoded PowerShell"
    # Without parents, whether the filter holds is not known: the rule does not fire.
    bare = events_of(tmp_path, text=texts)
    assert who.titles(bare)[0] == []


FIELDS = """\
title: Parent and original name
logsource: {category: process_creation}
detection:
  selection:
    ParentImage|endswith: '\\winword.exe'
    OriginalFileName: 'Cmd.Exe'
    Product|contains: 'Windows'
    IntegrityLevel: [High, S-1-16-12288]
  condition: selection
level: high
"""
PARENT, KNOWN = r"C:\Office\WINWORD.EXE", "Microsoft Windows"
SYSMON = {
    "CommandLine": "cmd /c whoami",
    "ParentImage": PARENT,
    "OriginalFileName": "Cmd.Exe",
    "Product": KNOWN,
    "IntegrityLevel": "High",
}


@pytest.mark.parametrize(
    "event",
    [
        SYSMON,
        {"winlog": {"event_data": SYSMON}},
        {"Event": {"EventData": SYSMON}},
        {"data": {"win": {"eventdata": {k[0].lower() + k[1:]: v for k, v in SYSMON.items()}}}},
        {
            "process": {
                "command_line": "cmd /c whoami",
                "parent": {"executable": PARENT},
                "pe": {"original_file_name": "Cmd.Exe", "product": KNOWN},
                "Ext": {"token": {"integrity_level_name": "High"}},
            }
        },
        {
            "class_uid": 1007,
            "process": {
                "cmd_line": "cmd /c whoami",
                "file": {"internal_name": "Cmd.Exe", "product": {"name": KNOWN}},
                "integrity": "High",
            },
            "actor": {"process": {"file": {"path": PARENT}}},
        },
        {
            **SYSMON,
            "ParentImage": None,
            "ParentProcessName": PARENT,
            "IntegrityLevel": None,
            "MandatoryLabel": "S-1-16-12288",
        },
    ],
    ids=["sysmon", "winlogbeat", "evtx_dump", "wazuh", "ecs", "ocsf", "4688"],
)
def test_rules_read_their_fields_in_every_log(tmp_path, event):
    (tmp_path / "fields.yml").write_text(FIELDS)
    who = SigmaTeacher(SigmaSettings(rules=[tmp_path / "fields.yml"]), TASK)
    (tmp_path / "log.jsonl").write_text(json.dumps(event))
    events = read_dataset([tmp_path / "log.jsonl"], TASK, ColumnNames(keep=who.columns))
    assert who.titles(events) == [["Parent and original name"]]


def test_the_version_is_a_hash_of_the_rules(tmp_path, rules):
    def version():
        return SigmaTeacher(SigmaSettings(rules=[rules]), TASK).annotator.version

    before = version()
    (rules / "a.yml").write_text(RULE.replace("level: high", "level: critical"))
    assert version() != before


def test_what_is_no_rule_is_passed_over_and_named(tmp_path, rules):
    (rules / "c.yml").write_text("title: [unclosed")
    (rules / "d.yml").write_text(
        "title: x\nlogsource: {category: process_creation}\ndetection: 7\n"
    )
    (rules / "e.yml").write_text(
        RULE.replace("Encoded PowerShell", "lookahead").replace(
            "CommandLine|contains|windash: ' -enc'", "CommandLine|re: '(?=x)y'"
        )
    )
    (rules / "f.yml").write_bytes(b"\xff\xfe\x00")
    who = SigmaTeacher(SigmaSettings(rules=[rules]), TASK)
    assert {key.rsplit("/", 1)[-1] for key in who.skipped} == {
        "c.yml",
        "x",
        "f.yml",
        "lookahead",
    }
    with pytest.raises(InputError, match="no such file"):
        SigmaTeacher(SigmaSettings(rules=[tmp_path / "nowhere"]), TASK)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match="no rule that can be evaluated"):
        SigmaTeacher(SigmaSettings(rules=[tmp_path / "empty"]), TASK)
    with pytest.raises(SettingsError, match="without a positive class"):
        SigmaTeacher(SigmaSettings(rules=[rules]), get_task("url-category"))


@pytest.mark.parametrize(
    ("line", "image"),
    [
        ("powershell -c x", r"\powershell.exe"),
        (r'"C:\Program Files\a b\x.exe" /q', r"C:\Program Files\a b\x.exe"),
        (r"C:\x\y.com z", r"C:\x\y.com"),
        ("/usr/bin/curl -s", "/usr/bin/curl"),
        ("", ""),
        ('"', ""),
    ],
)
def test_an_image_is_guessed_from_the_line(line, image):
    assert image_of(line) == image


def test_it_agrees_with_another_engine_on_real_telemetry(real_data):
    """The data name the rules that another engine found to match, with all fields."""
    folder = real_data / "command_line"
    who = SigmaTeacher(
        SigmaSettings(rules=[folder / "sigma-process-creation.parquet"], min_level="informational"),
        TASK,
    )
    assert len(who.skipped) < 10
    events = read_dataset(
        [folder / "telemetry-unlabelled.parquet"], TASK, ColumnNames(keep=(*who.columns, "rules"))
    )
    events = events.take(np.arange(0, len(events), 3))
    both = ours = theirs = 0
    for mine, text in zip(who.titles(events), events.column("rules"), strict=True):
        other = {title for title in (text or "").split(" | ") if title}
        both += len(other & set(mine))
        ours += len(set(mine))
        theirs += len(other)
    assert both / ours > 0.95  # what fires here fires there
    assert both / theirs > 0.65  # what needs fields that are not in the data does not fire here
