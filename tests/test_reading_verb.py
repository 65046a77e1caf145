"""`chequemate read` as a user runs it, with a reader that needs no model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from chequemate.read import read
from cheques.drawing import draw_cheque
from cheques.fields import Form
from cheques.settings import settings
from reader import open_reader as readers
from reader.reading import Adapter, ReaderError, Reading

app = typer.Typer()
app.command()(read)


class Echo:
    """Reads the width of the image as the place."""

    def __init__(self) -> None:
        self.adapter: Adapter | None = None

    def read(
        self, images: Sequence[Image.Image], form: Form, adapter: Adapter | None = None, *, constrained: bool = True
    ) -> list[Reading]:
        self.adapter = adapter
        return [Reading({"lieu": f"à {image.width}", "devise": ""}, {"lieu": 0.5, "devise": 0.99}) for image in images]

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def echo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Echo:
    reader = Echo()
    monkeypatch.setattr(readers, "open_reader", lambda settings: reader)
    monkeypatch.setenv("CHEQUEMATE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    return reader


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for n in range(3):
        draw_cheque(n).image.save(folder / f"c{n}.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_a_folder_gives_a_json_list_with_values_and_confidences(folder: Path) -> None:
    result = CliRunner().invoke(app, [str(folder), "--json"])
    entries = json.loads(result.stdout)
    assert [Path(entry["image"]).name for entry in entries] == ["c0.png", "c1.png", "c2.png"]
    assert entries[0]["values"] == {"lieu": "à 640", "devise": ""}
    assert entries[0]["confidence"] == {"lieu": 0.5, "devise": 0.99}


def test_people_get_a_line_for_each_field(folder: Path) -> None:
    result = CliRunner().invoke(app, [str(folder / "c0.png")])
    assert "lieu                 50%  à 640" in result.stdout


def test_an_unreadable_image_among_others_is_one_line_and_the_rest_is_read(folder: Path) -> None:
    (folder / "b.png").write_bytes(b"no image at all")
    result = CliRunner().invoke(app, [str(folder), str(folder / "missing.png"), "--json"])
    entries = {Path(entry["image"]).name: entry for entry in json.loads(result.stdout)}
    assert result.exit_code == 0
    assert len(entries) == 5 and entries["c1.png"]["values"]
    assert entries["b.png"]["values"] == {} and "not a PNG" in entries["b.png"]["error"]
    assert "missing.png" in result.stderr and result.stderr.count("\n") == 2


def test_what_was_read_before_the_reader_failed_is_printed(
    folder: Path, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chequemate.read.CHUNK", 2)
    whole = echo.read

    def tired(images: Sequence[Image.Image], *more: object, **how: object) -> list[Reading]:
        if len(images) < 2:
            raise ReaderError("the server is gone: start it")
        return whole(images, *more, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(echo, "read", tired)
    result = CliRunner().invoke(app, [str(folder), "--json"])
    assert isinstance(result.exception, ReaderError)
    assert [Path(entry["image"]).name for entry in json.loads(result.stdout)] == ["c0.png", "c1.png"]


def test_nothing_to_read_is_one_line_and_no_success(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [str(tmp_path / "missing.png"), "--json"])
    assert result.exit_code == 2 and result.stderr.count("\n") == 1


def test_the_sheet_shows_the_cheques_beside_their_readings(folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [str(folder), "--sheet", str(tmp_path / "sheet.png")])
    assert result.exit_code == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 2 * 640 and sheet.height > 2 * 225
        assert len(sheet.convert("RGB").crop((520, 0, 900, 60)).getcolors(100_000) or []) > 3


def test_base_is_read_without_an_adapter_and_an_unknown_version_is_an_error(folder: Path, echo: Echo) -> None:
    assert CliRunner().invoke(app, [str(folder), "--version", "base"]).exit_code == 0
    assert echo.adapter is None
    result = CliRunner().invoke(app, [str(folder), "--version", "v9"])
    assert "no version v9" in str(result.exception)
