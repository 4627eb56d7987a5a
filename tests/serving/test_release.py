"""What builds, checks and publishes it: wheels, bills of materials, the image, workflows."""

import re
import struct
import tomllib
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ops.wheel_sbom import build_sbom
from ops.wheels import GLIBC, MACHINES, check_binary

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
IMAGE_EXTRAS = ("serve", "kafka", "trust")


def locked(name):
    """Return name -> versions of a lock file; every entry has a hash."""
    found = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / "requirements" / name).read_text().strip()):
        pin, *hashes = [part.strip(" \\") for part in entry.splitlines()]
        assert hashes, pin
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", h) for h in hashes), pin
        package, version = re.match(r"(\S+?)==(\S+)", pin).groups()
        found.setdefault(canonicalize_name(package), set()).add(version)
    return found


def needed(extras):
    """Return the packages that the project and some of its extras name."""
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return {canonicalize_name(Requirement(line).name) for line in lines} - {"buckler"}


# --- the image ------------------------------------------------------------------------------------


def test_the_image_holds_locked_packages_and_nothing_else():
    text = (ROOT / "ops" / "Dockerfile").read_text()
    assert "--require-hashes" in text
    assert "requirements/serve.lock" in text
    installs = re.findall(r"pip install(?:[^&\n]|\\\n)*", text)
    assert len(installs) == 2
    assert all("--require-hashes" in line or "--no-index --no-deps" in line for line in installs)
    assert re.findall(r"^FROM (\S+)", text, re.M) == ["${BASE}"] * 2
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", text, re.M)
    assert "HEALTHCHECK" in text
    makefile = (ROOT / "Makefile").read_text()
    assert "--build-arg BASE=$(BASE)@$$digest" in makefile
    compiled = next(line for line in makefile.splitlines() if "--extra kafka" in line)
    assert tuple(re.findall(r"--extra (\w+)", compiled)) == IMAGE_EXTRAS
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for copied in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.M):
        assert all(f"!{name}" in ignored for name in copied.split())


def test_the_locks_agree_and_hold_what_the_project_names():
    everything, image = locked("dev.lock"), locked("serve.lock")
    assert needed(IMAGE_EXTRAS) <= set(image)
    assert needed(["report"]) <= set(locked("run.lock"))
    for lock in (image, locked("run.lock")):
        assert {name: v for name, v in lock.items() if v - everything.get(name, set())} == {}


# --- wheels ---------------------------------------------------------------------------------------


def test_a_bill_of_materials_names_what_a_wheel_holds_and_needs():
    validators = pytest.importorskip("cyclonedx.validation.json")
    from cyclonedx.schema import SchemaVersion

    metadata = Message()
    metadata["Name"], metadata["Version"] = PROJECT["name"], PROJECT["version"]
    metadata["Summary"], metadata["License-Expression"] = "A summary", PROJECT["license"]
    for line in PROJECT["dependencies"]:
        metadata["Requires-Dist"] = line
    metadata["Requires-Dist"] = 'torch>=2.6; extra == "torch"'
    text = build_sbom(metadata, b"the bytes of a wheel")
    assert validators.JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert text == build_sbom(metadata, b"the bytes of a wheel")
    found = set(re.findall(r'"purl": "pkg:pypi/([^@"]+)@', text))
    assert needed([]) | {"pydantic-core", "buckler"} <= found  # what they need in turn is there too
    assert "torch" not in found
    (version,) = re.findall(r"pkg:npm/htmx\.org@([\d.]+)\"", text)[:1]
    script = ROOT / "src" / "buckler" / "review" / "web" / "static" / "htmx.min.js"
    assert f'version:"{version}"' in script.read_text()


def test_a_kernel_for_another_machine_or_a_newer_library_is_refused():
    def library(machine, glibc):
        head = b"\x7fELF\x02\x01".ljust(18, b"\0") + struct.pack("<H", machine)
        return head + b"\0GLIBC_2.2.5\0GLIBC_%d.%d\0" % glibc

    number = MACHINES["aarch64"]
    check_binary(library(number, GLIBC), number)
    with pytest.raises(SystemExit, match="machine"):
        check_binary(library(MACHINES["x86_64"], GLIBC), number)
    with pytest.raises(SystemExit, match="glibc"):
        check_binary(library(number, (2, 99)), number)


# --- workflows ------------------------------------------------------------------------------------


def test_there_are_workflows_and_a_policy():
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml"]
    policy = (ROOT / "SECURITY.md").read_text()
    assert "Reporting a vulnerability" in policy
    for linked in re.findall(r"\]\(([\w./-]+)\)", policy):
        assert (ROOT / linked).exists()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_few_rights_and_runs_pinned_actions(path):
    text = path.read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    assert "secrets." not in text
    for line in re.findall(r"uses: .*", text):
        assert re.fullmatch(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    for name, job in workflow["jobs"].items():
        rights = {"id-token": "write"} if name == "publish" else {"contents": "read"}
        assert job["permissions"] == rights
        assert job["timeout-minutes"]
        for step in job["steps"]:
            if "checkout@" in step.get("uses", ""):
                assert step["with"] == {"persist-credentials": False}
            assert "${{" not in step.get("run", "")  # a name of a branch is no command
            assert set(re.findall(r"\bmake (\w+)", step.get("run", ""))) <= targets
