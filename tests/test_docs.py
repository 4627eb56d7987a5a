"""Documentation: commands, options, settings, imports, links and paths must exist in the code."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import get_args, get_origin

import pytest
from pydantic import BaseModel
from typer.core import TyperGroup

import buckler
from buckler.cli.main import COMMANDS, load_command
from buckler.pipeline.recipe import Recipe
from buckler.students import STUDENTS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
)
RECIPES = sorted((ROOT / "examples").rglob("buckler.toml"))
OPERATIONS = sorted(path for path in (ROOT / "ops").iterdir() if path.is_file())
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CALL = re.compile(r"(?<![\w./-])buckler((?: +[^\s|;#&)`\"]+)+)")
PATH = re.compile(r"(?:src|docs|examples|benchmarks|tests|ops)/[\w./-]*\w")
SOURCE = ROOT / "src" / "buckler"
NAMES = [name for group in COMMANDS.values() for name in group]


def name_of(path):
    return str(path.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for language, text in FENCE.findall(page.read_text()):
        if language in languages:
            yield text


def spans(page: Path) -> list[str]:
    return SPAN.findall(FENCE.sub("", page.read_text()))


# --- commands and options -------------------------------------------------------------------------


@cache
def command(name: str):
    return load_command(name)


def options_of(found) -> set[str]:
    own = {
        option for parameter in found.params for option in parameter.opts + parameter.secondary_opts
    }
    return own | {"--help"}


@cache
def all_options() -> set[str]:
    waiting, found = [command(name) for name in NAMES], {"--version", "--debug"}
    study = (ROOT / "benchmarks" / "study" / "__main__.py").read_text()
    found |= set(re.findall(r'"(--[a-z-]+)"', study))
    while waiting:
        one = waiting.pop()
        found |= options_of(one)
        waiting += one.commands.values() if isinstance(one, TyperGroup) else []
    return found


def mistakes(call: str) -> Iterator[str]:
    words = call.split()
    if not re.fullmatch(r"[a-z-]+", words[0]) or words[0].startswith("-"):
        return
    if words[0] not in NAMES:
        yield f"no command {words[0]}"
        return
    found, rest = command(words[0]), words[1:]
    while isinstance(found, TyperGroup) and rest and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
        if rest[0] not in found.commands:
            yield f"no command {words[0]} {rest[0]}"
            return
        found, rest = found.commands[rest[0]], rest[1:]
    for word in rest:
        option = word.split("=")[0].rstrip(",.:]…").lstrip("[")
        if re.fullmatch(r"--?[a-z][a-z-]*", option) and option not in options_of(found):
            yield f"{found.name} has no option {option}"


@pytest.mark.parametrize("page", PAGES + OPERATIONS, ids=name_of)
def test_commands_and_options_exist(page):
    if page.suffix == ".md":
        texts = [*blocks(page, "sh", "console", ""), *spans(page)]
    else:
        texts = [page.read_text()]
    calls = [c for text in texts for c in CALL.findall(text.replace("\\\n", " "))]
    assert [m for call in calls for m in mistakes(call)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_an_option_named_in_a_sentence_exists(page):
    named = {m for span in spans(page) for m in re.findall(r"^--[a-z][a-z-]*", span)}
    assert named <= all_options(), named - all_options()


def test_the_help_of_a_command_opens_as_its_line_in_the_list():
    for group in COMMANDS.values():
        for name, line in group.items():
            if not isinstance(command(name), TyperGroup):
                assert (command(name).help or "").split("\n")[0] == line


# --- settings -------------------------------------------------------------------------------------


@cache
def models() -> list[type[BaseModel]]:
    """Every model of a TOML file or of a part of one."""
    for module in walk_packages(buckler.__path__, "buckler."):
        try:
            import_module(module.name)
        except ImportError:
            continue
    waiting, found = [BaseModel], []
    while waiting:
        for one in waiting.pop().__subclasses__():
            waiting.append(one)
            if one.__module__.startswith("buckler."):
                found.append(one)
    return found


def model_in(annotation) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for m in map(model_in, get_args(annotation)) if m is not None), None)


def unknown_keys(content: dict, model: type[BaseModel], at: str = "") -> list[str]:
    found = []
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for key, value in content.items():
        if key in fields:
            found += unknown_parts(value, fields[key].annotation, f"{at}{key}.")
        elif model.model_config.get("extra") != "allow":
            found.append(at + key)
    return found


def unknown_parts(value: object, annotation: object, at: str) -> list[str]:
    """Look into the tables of a value: one table, a list of them, or tables by name."""
    if isinstance(value, list):
        return [key for part in value for key in unknown_parts(part, annotation, at)]
    inner = model_in(annotation)
    if inner is None or not isinstance(value, dict):
        return []
    if get_origin(annotation) is dict:
        kind = get_args(annotation)[1]
        return [k for name, v in value.items() for k in unknown_parts(v, kind, f"{at}{name}.")]
    return unknown_keys(value, inner, at)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_exist(page):
    for text in blocks(page, "toml"):
        content = tomllib.loads(text)
        unknown = {model.__name__: unknown_keys(content, model) for model in models()}
        fewest = min(unknown.items(), key=lambda pair: len(pair[1]))
        assert not fewest[1], f"{text}\nclosest: {fewest}"


@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_recipes_of_the_examples_have_known_keys(path):
    assert unknown_keys(tomllib.loads(path.read_text()), Recipe) == []


def documented_keys() -> set[str]:
    """Keys of the table in docs/recipe.md; a name without a section follows the one before it."""
    found = set()
    table = (ROOT / "docs" / "recipe.md").read_text().partition("## Stages")[0]
    for line in table.splitlines():
        if not line.startswith("| `"):
            continue
        section = ""
        for key in SPAN.findall(line.split("|")[1]):
            if key.startswith("[["):
                section = key.strip("[]")
                continue
            section = key.rpartition(".")[0] if "." in key else section
            found.add(key if "." in key or not section else f"{section}.{key}")
    return found


def recipe_keys(model: type[BaseModel], at: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if inner is None:
            yield at + (field.alias or name)
        else:
            yield from recipe_keys(inner, f"{at}{field.alias or name}.")


def test_the_table_of_the_recipe_is_complete():
    assert documented_keys() == set(recipe_keys(Recipe))


def documented_defaults(family: str) -> dict[str, str]:
    """Defaults of a family's settings in the table of docs/students.md, as text."""
    section = (ROOT / "docs" / "students.md").read_text().partition("## Settings")[2]
    table = section.partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in table.splitlines()
        if "|" in line
    ]
    column = rows[0].index(f"`{family}`")
    found = {}
    for row in rows[2:]:
        if row[column]:
            values = re.findall(r'`"([^"]+)"`|`?([\w.-]+)`?', row[column])
            found |= dict(zip(SPAN.findall(row[0]), map("".join, values), strict=True))
    return found


@pytest.mark.parametrize("family", ["ngram", "bytecnn", "trees"])
def test_the_settings_of_students_have_the_documented_defaults(family):
    if family == "bytecnn":
        pytest.importorskip("torch")
    settings = {f.name: f.default for f in fields(STUDENTS.get(family)) if f.init}
    for name in ("seed", "checkpoints", "features", "n_categories"):
        settings.pop(name, None)
    documented = documented_defaults(family)
    assert documented.keys() == settings.keys()
    for name, default in settings.items():
        said = documented[name]
        if isinstance(default, int | float):
            assert float(said) == default, name
        else:
            assert said == (default or "none"), name


def stage_names() -> set[str]:
    texts = [path.read_text() for path in (ROOT / "src" / "buckler" / "pipeline").glob("*.py")]
    pattern = r'\.step\("([\w-]+)"\)|^class \w+\(\w+(?:\[\w+\])?, name="([\w-]+)"'
    return {step or stage for text in texts for step, stage in re.findall(pattern, text, re.M)}


def test_the_stages_are_named():
    section = (ROOT / "docs" / "recipe.md").read_text().partition("## Stages")[2]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in SPAN.findall(row)} == stage_names()


# --- language -------------------------------------------------------------------------------------

# The glossary: words of this list have one accepted synonym, such as "score" for "badness".
REJECTED = re.compile(
    r"\b(badness|bad class|false alarms?|opinions?|label?lers?|specimens?|committees?|cross-fitted"
    r"|told apart|drawn by lot|by lot|stands? behind|newness|surely|thrown away|throws? (it|them) "
    r"away"
    r"|goes on where|go on where|the word of|speaks)\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_words_are_those_of_the_glossary(page):
    assert [found.group() for found in REJECTED.finditer(page.read_text())] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_prose_has_one_width(page):
    lines = FENCE.sub("", page.read_text()).splitlines()
    prose = [line for line in lines if not line.startswith(("|", "![", "#", "<", "[!["))]
    assert [line for line in prose if len(line) > 100] == []
    assert [line for line in prose if line.count("`") % 2] == []  # code is not cut in two


# --- Python, links and paths ----------------------------------------------------------------------


def resolve(dotted: str) -> bool:
    """Say whether a dotted name is a module, or an attribute of one."""
    parts = dotted.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:n]))
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("buckler"):
                return True  # an extra is not installed
            continue
        for name in parts[n:]:
            if not hasattr(found, name):
                return False
            found = getattr(found, name)
        return True
    return False


@cache
def entry_point_groups() -> set[str]:
    texts = (path.read_text() for path in (ROOT / "src").rglob("*.py"))
    return {group for text in texts for group in re.findall(r'"(buckler\.\w+)"', text)}


def imported(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_snippets_import_what_exists(page):
    names = [n for text in blocks(page, "python") for n in imported(text)]
    names += [s for s in spans(page) if re.fullmatch(r"buckler(\.\w+)+", s)]
    ours = {name for name in names if name.split(".")[0] == "buckler"}
    ours -= {f"buckler.{suffix}" for suffix in ("toml", "h", "c", "mjs", "wasm")}
    assert [name for name in ours if not resolve(name) and name not in entry_point_groups()] == []


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), link
        assert not anchor or anchor in anchors(file), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_and_targets_exist(page):
    named = [s for s in spans(page) if PATH.fullmatch(s)]
    assert [path for path in named if not (ROOT / path).exists()] == []
    text = page.read_text()
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([\w-]+)", text)) <= targets


# --- tours of the packages ------------------------------------------------------------------------


def defined_names(folder: Path) -> set[str]:
    """Return the names of files, folders, functions, classes and constants below a folder."""
    files = [*folder.rglob("*.py"), *folder.rglob("*.[ch]")]
    found = {name for path in files for name in (path.stem, path.name)}
    found |= {part for path in files for part in path.relative_to(folder).parent.parts}
    for path in folder.rglob("*.py"):
        definitions = re.findall(
            r"^ *(?:def|class) (\w+)|^([A-Z_]+)\b.* = ", path.read_text(), re.M
        )
        found |= {function or constant for function, constant in definitions}
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.glob("*/__init__.py")), ids=lambda p: p.parent.name)
def test_the_tour_of_a_package_names_what_it_holds(path):
    tour = ast.get_docstring(ast.parse(path.read_text())) or ""
    anywhere = {name for name in defined_names(SOURCE) if not name.islower()}
    known = {"buckler", *STUDENTS.names(), *(folder.name for folder in SOURCE.iterdir())}
    named = set(re.findall(r"(?<!`)`(\w+(?:\.py|\.c)?)`(?!`)", tour))
    assert named - defined_names(path.parent) - anywhere - known == set()
