"""What the README promises is there."""

import re
from pathlib import Path

from cheques.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_every_setting_is_in_the_table_with_its_description() -> None:
    for name, field in Settings.model_fields.items():
        assert f"`CHEQUEMATE_{name.upper()}`" in README, name
        assert field.description and field.description in README, name


def test_every_file_it_points_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_command_it_shows_is_one() -> None:
    from typer.main import get_command

    from chequemate.cli import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"chequemate ([a-z]+)", README)) - {"demo"} <= known
