import pytest

from buckler.errors import InputError, SettingsError
from buckler.tasks import Task, get_task, list_tasks

OWN = """\
name = "auth-log"
positive = ["attack"]
max_bytes = 1024
aliases = { malicious = "attack" }
[classes]
normal = "What users do."
attack = "Guessing and spraying."
"""


def test_the_built_in_tasks_are_there():
    names = [task.name for task in list_tasks()]
    assert names == [
        "alert-triage",
        "command-line",
        "email",
        "html",
        "pe",
        "url-category",
        "url-threat",
    ]
    assert len(get_task("url-category").classes) == 29
    assert get_task("email").positive == ("spam", "phishing")


def test_a_task_of_ones_own_is_read_from_toml(tmp_path):
    (tmp_path / "t.toml").write_text(OWN)
    task = get_task(tmp_path / "t.toml")
    assert (task.name, task.class_names, task.positive) == (
        "auth-log",
        ["normal", "attack"],
        ("attack",),
    )
    assert task.class_index("malicious") == task.class_index(" ATTACK ") == 1
    with pytest.raises(InputError, match="'odd' is not a class of task 'auth-log'"):
        task.class_index("odd")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('positive = ["attack"]', 'positive = ["nobody"]', "no class 'nobody'"),
        (
            'positive = ["attack"]',
            'positive = ["attack", "normal"]',
            "not every class can be positive",
        ),
        ("max_bytes = 1024", "max_bytes = 0", "max_bytes"),
        ("max_bytes = 1024", 'max_bytes = "x"', "max_bytes"),
        ("max_bytes = 1024", 'normalizer = "url-v9"', "unknown normalizer"),
        ("max_bytes = 1024", 'group_by = "moon"', "group_by"),
        ("max_bytes = 1024", "speed = 1", "speed"),
        ('attack = "Guessing and spraying."', "", "at least two classes"),
        ("[classes]", "[classes", "not valid TOML"),
        ('name = "auth-log"', "", "name"),
    ],
)
def test_a_definition_that_makes_no_sense_is_named(tmp_path, old, new, words):
    (tmp_path / "t.toml").write_text(OWN.replace(old, new))
    with pytest.raises(SettingsError, match=words) as caught:
        get_task(tmp_path / "t.toml")
    assert "t.toml" in str(caught.value)


def test_unknown_tasks_and_missing_files_are_named(tmp_path):
    with pytest.raises(
        SettingsError,
        match="there are: alert-triage, command-line, email, html, pe, url-category, url-threat",
    ):
        get_task("url")
    with pytest.raises(SettingsError, match="cannot be read"):
        get_task(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="at least two classes"):
        Task("t", {"one": ""})
