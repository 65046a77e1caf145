"""What the README and the pages in docs/ promise is there."""

import re
from pathlib import Path

import pytest

from cheques.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = {path.relative_to(ROOT).as_posix(): path for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))}
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def text_of(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def anchor(heading: str) -> str:
    """The name of a heading in an address, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_every_setting_is_in_the_table_with_its_description() -> None:
    for name, field in Settings.model_fields.items():
        assert f"`CHEQUEMATE_{name.upper()}`" in CONFIGURATION, name
        assert field.description and field.description in CONFIGURATION, name


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) < 200


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text_of(page))
    for target in ("".join(pair) for pair in targets):
        if "://" in target:
            continue
        path, _, name = target.partition("#")
        there = (PAGES[page].parent / path).resolve() if path else PAGES[page]
        assert there.exists(), target
        if name:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert name in map(anchor, headings), target


@pytest.mark.parametrize("page", PAGES)
def test_every_command_it_shows_is_one(page: str) -> None:
    from typer.main import get_command

    from chequemate.cli import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    shown = [
        line for code in re.findall(r"```.*?```|`[^`\n]+`", text_of(page), re.DOTALL) for line in code.splitlines()
    ]
    assert {verb for line in shown for verb in re.findall(r"\bchequemate ([a-z]+)", line)} <= known


@pytest.mark.parametrize("page", PAGES)
def test_every_variable_it_names_is_a_setting(page: str) -> None:
    known = {f"CHEQUEMATE_{name.upper()}" for name in Settings.model_fields} | {"CHEQUEMATE_LABEL_STUDIO"}
    named = set(re.findall(r"CHEQUEMATE_[A-Z_]*[A-Z]", text_of(page)))
    assert {name.removesuffix("_FILE") for name in named} <= known


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_function_it_names_is_there(page: str) -> None:
    """`worker/jobs.py:retrain`, `tests/test_loop.py`, `deploy/`."""
    named = re.findall(r"`([\w/.-]+\.(?:py|sh|yml|xml|po)|[\w.-]+/[\w/-]*)(?::(\w+))?`", text_of(page))
    rooms = {path.name for path in ROOT.iterdir()}
    for path, name in named:
        if path.split("/")[0] in rooms:
            assert (ROOT / path).exists(), path
            assert not name or re.search(rf"^(def|class) {name}\b|^{name}\b.*=", (ROOT / path).read_text(), re.M), name


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_it_shows_is_one(page: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"[`\n]make ([a-z-]+)", text_of(page))) <= targets
