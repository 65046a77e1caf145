"""`chequemate import` brings what people really have into a project of a real Label Studio."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from chequemate.cli import app
from chequemate.connect import unseen_by_browsers
from cheques.drawing import draw_cheque
from cheques.scans import cheques_on
from studio.client import Studio
from studio.config import DEFAULT_CONFIG, read_config
from studio.images import fetch_image
from tests.conftest import LabelStudio

XML = DEFAULT_CONFIG.read_text(encoding="utf-8")
CONFIG = read_config(XML)


def cheque(seed: int, width: int = 0) -> Image.Image:
    image = draw_cheque(seed).image
    return image.resize((width, round(image.height * width / image.width))) if width else image


def sheet(*seeds: int, paper: str = "white") -> Image.Image:
    """Cheques one below the other on a scan of A4 at 150 dpi."""
    page = Image.new("RGB", (1240, 1754), paper)
    for place, seed in enumerate(seeds):
        page.paste(cheque(seed, 900), (100 + 10 * place, 60 + 560 * place))
    return page


def written(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def odd_files(folder: Path) -> dict[str, str]:
    """Writes them; by name, what the report must say of each."""
    exif = Image.Exif()
    exif[0x0112] = 3
    levels = np.asarray(cheque(7).convert("L")).astype(np.uint16)
    fax = [cheque(seed, 1728).convert("1") for seed in (1, 2, 3)]
    files: dict[str, tuple[bytes, str]] = {
        "01 plain.png": (written(cheque(0), "PNG"), "as it is"),
        "02 fax.tif": (
            written(fax[0], "TIFF", compression="group4", save_all=True, append_images=fax[1:], dpi=(204, 196)),
            "page 1 of 3: TIFF, converted to PNG",
        ),
        "03 letter.pdf": (written(cheque(4, 1600), "PDF", resolution=200), "PDF, converted to PNG"),
        "04 phone.jpg": (
            written(cheque(5).resize((8000, 6000), Image.Resampling.NEAREST), "JPEG", quality=60),
            "48 megapixels, scaled down to 4000 x 3000",
        ),
        "05 upside down, marked.jpg": (written(cheque(6).rotate(180), "JPEG", exif=exif), "as it is"),
        "06 upside down, marked.png": (written(cheque(16).rotate(180), "PNG", exif=exif), "turned upright"),
        "07 upside down.jpg": (written(cheque(17).rotate(180), "JPEG"), "as it is"),
        "08 cut off.jpg": (written(cheque(8), "JPEG")[:9000], "left out: damaged or cut-off image"),
        "09 cut off.tif": (written(cheque(9), "TIFF")[:9000], "left out: damaged or cut-off"),
        "10 three on one.jpg": (written(sheet(10, 11, 12), "JPEG", quality=92), "cheque 1 of 3, cut out as PNG"),
        "11 cmyk.jpg": (written(cheque(13).convert("CMYK"), "JPEG"), "CMYK, converted to RGB"),
        "12 grey of 16 bits.png": (written(Image.fromarray(levels * 257), "PNG"), "grey of 16 bits, converted to 8"),
        "13 grey of 12 bits.tif": (written(Image.fromarray(levels * 16), "TIFF"), "TIFF, converted to PNG"),
        "14 é reçu n°5.png": (written(cheque(14), "PNG"), "as it is"),
        "14 e\u0301 rec\u0327u n°6.png": (written(cheque(15), "PNG"), "as it is"),
        "15 100%25 a+b&c=d#1.png": (written(cheque(18), "PNG"), "as it is"),
        "16 empty.png": (b"", "left out: an empty file"),
        "17 notes.txt": ("À scanner : trois chèques".encode(), "left out: not a PNG"),
        "18 100 MB of red.png": (
            written(Image.new("RGB", (5800, 5800), "red"), "PNG", compress_level=0),
            "left out: one colour all over",
        ),
        "19 bomb.png": (written(Image.new("1", (20_000, 15_000)), "PNG"), "left out: more than 178 megapixels"),
        "20 the first again.png": (written(cheque(0), "PNG"), "left out: the same file as another one here"),
        "21 webp.webp": (written(cheque(19), "WEBP"), "as it is"),
        "22 three on black.tif": (written(sheet(20, 21, 22, paper="black"), "TIFF"), "cheque 1 of 3, cut out as PNG"),
        "23 protected.pdf": (b"%PDF-1.7\nnothing", "left out: damaged or protected PDF"),
        "24 cheque.gif": (written(cheque(23), "GIF"), "left out: not a PNG"),
    }
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
        files["25 phone.heic"] = (written(cheque(24), "HEIF"), "HEIC, converted to JPEG")
    except ImportError:
        pass
    folder.mkdir(parents=True)
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    return {name: said for name, (_, said) in files.items()}


@pytest.fixture
def chequemate(label_studio: LabelStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a verb as somebody would who works with this Label Studio; what it prints."""
    from cheques import settings as module

    def run(*words: str, files_root: Path | None = None) -> str:
        own = label_studio.settings(tmp_path / "home", files_root=files_root)
        monkeypatch.setattr(module, "settings", lambda: own)
        monkeypatch.setenv("COLUMNS", "300")
        done = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    return run


def data_of(studio: Studio, project: int) -> list[dict[str, Any]]:
    return [data for _, data, _ in studio.task_data(project)]


@pytest.mark.integration
def test_twenty_odd_files(label_studio: LabelStudio, chequemate: Callable[..., str], tmp_path: Path) -> None:
    folder, root = label_studio.files / "odd scans", label_studio.files
    wanted = odd_files(folder)
    project = label_studio.client.create_project("Scans", XML).id

    report = chequemate("import", str(folder), "--project", str(project), files_root=root)
    print(report)

    lines = report.splitlines()
    for name, said in wanted.items():
        about = [line for line in lines if line[2:].startswith(name)]
        assert any(said in line for line in about), (name, about)
    assert "02 fax.tif: left out: pages 2, 3: page 1 is read; choose another with CHEQUEMATE_PAGE" in report
    data = data_of(label_studio.client, project)
    assert len(data) == sum(line.startswith("✓") for line in lines) > 15
    own = label_studio.settings(tmp_path / "home", files_root=None)
    # Through Label Studio alone, as a browser fetches them.
    by_source = {one["source"]: fetch_image(one["image"], own, project) for one in data}
    for marked, seed in (("05 upside down, marked.jpg", 6), ("06 upside down, marked.png", 16)):
        upright = cheque(seed)
        assert np.abs(np.asarray(by_source[marked], int) - np.asarray(upright, int)).mean() < 6
    assert by_source["10 three on one.jpg, cheque 2"].width in range(895, 915)

    again = chequemate("import", str(folder), "--project", str(project), files_root=root)
    assert "there already" in again and "✓" not in again
    assert len(data_of(label_studio.client, project)) == len(data)
    shutil.rmtree(folder)


@pytest.mark.integration
def test_cut_off_and_run_again_nothing_comes_in_twice(
    label_studio: LabelStudio, chequemate: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "scans"  # not below the root of local files: uploaded
    folder.mkdir()
    for seed in range(6):
        cheque(seed).save(folder / f"é {seed}+%", ("PNG", "WEBP")[seed % 2])  # no suffix says what it is
    project = label_studio.client.create_project("Coupé", XML).id
    monkeypatch.setattr("chequemate.import_.TASKS_A_REQUEST", 2)
    sent = Studio.import_tasks
    times = []

    def dies_after_sending(self: Studio, *about: Any) -> list[int]:
        made = sent(self, *about)
        times.append(made)
        if len(times) == 2:
            raise KeyboardInterrupt  # sent, and nobody told us
        return made

    monkeypatch.setattr(Studio, "import_tasks", dies_after_sending)
    own = label_studio.settings(tmp_path / "home", files_root=None)
    monkeypatch.setattr("cheques.settings.settings", lambda: own)
    CliRunner().invoke(app, ["import", str(folder), "--project", str(project)])
    monkeypatch.setattr(Studio, "import_tasks", sent)
    chequemate("import", str(folder), "--project", str(project))
    assert sorted(one["source"] for one in data_of(label_studio.client, project)) == [f"é {n}+%" for n in range(6)]
    assert all(fetch_image(one["image"], own, project).width == 640 for one in data_of(label_studio.client, project))


@pytest.mark.integration
def test_a_task_that_shows_a_tiff_shows_a_png_after_the_import_and_keeps_its_label(
    label_studio: LabelStudio, chequemate: Callable[..., str]
) -> None:
    folder = label_studio.files / "tiffs"
    folder.mkdir()
    cheque(30).save(folder / "à+1.tif")
    studio = label_studio.client
    project = studio.create_project("TIFF", XML).id
    studio.serve_files(project, str(folder))
    (task,) = studio.import_tasks(project, [{"image": "/data/local-files/?d=tiffs/%C3%A0%2B1.tif"}])
    region = {"from_name": "lieu", "to_name": "image", "type": "textarea", "value": {"text": ["Lyon"]}}
    studio.annotate(task, [region])

    said = unseen_by_browsers(studio, studio.project(project), CONFIG)
    assert said.startswith(f"1 tasks ({task}) are TIFF, PDF or HEIC files")
    assert said.endswith(f"chequemate import DIR --project {project}, with the folder of the files")
    report = chequemate("import", str(folder), "--project", str(project), files_root=label_studio.files)

    assert unseen_by_browsers(studio, studio.project(project), CONFIG) == ""
    assert f"task {task} shows it now" in report
    ((only, data, labelled),) = studio.task_data(project)
    assert only == task and labelled and data["image"].endswith(".png")


@pytest.mark.integration
def test_labels_keep_their_annotators_and_times(
    label_studio: LabelStudio, chequemate: Callable[..., str], tmp_path: Path
) -> None:
    folder = tmp_path / "labelled"
    folder.mkdir()
    lines = []
    for seed, about in enumerate(
        [
            {"annotator": label_studio.email, "lead_time": 31.5, "created_at": "2024-05-03T10:00:00Z"},
            {"annotator": "parti@bank.example"},
            {"annotator": 1},  # the number of a user here; and of whom, where the labels were made?
        ]
    ):
        cheque(seed).save(folder / f"c{seed}.png")
        lines.append({"image": f"c{seed}.png", "lieu": "Lyon", "devise": "EUR", "bank": "x"} | about)
    lines.append({"image": "gone.png", "lieu": "Lyon"})
    lines[2]["devise"] = "ZZZ"
    (folder / "truth.jsonl").write_text("\n".join(map(json.dumps, lines)))
    studio = label_studio.client
    project = studio.create_project("Étiquettes", XML).id

    report = chequemate("import", str(folder), "--project", str(project))

    assert "! bank: no fields of the project's form; left out" in report
    assert "! truth.jsonl:3: devise has no such choice in the project; left out" in report
    assert "gone.png: left out: no such file" in report
    assert "1 labels by parti@bank.example, no user here" in report and "1 labels by 1, no user here" in report
    labels = sorted(studio.labels(project, CONFIG), key=lambda label: label.task)
    assert [label.values["lieu"] for label in labels] == ["Lyon"] * 3
    assert [label.seconds for label in labels] == [31.5, None, None]
    assert not any(label.ground_truth for label in labels)
    data = sorted(data_of(studio, project), key=lambda one: one["source"])
    assert data[0]["labelled_at"] == "2024-05-03T10:00:00Z" and "labelled_by" not in data[0]
    assert data[1]["labelled_by"] == "parti@bank.example"
    assert "3 there already" in chequemate("import", str(folder), "--project", str(project))
    assert len(list(studio.labels(project, CONFIG))) == 3

    # The same labels go on, by an export, into another project of this Label Studio, and into one elsewhere.
    export = tmp_path / "export.json"
    exported = studio._get(f"/api/projects/{project}/export", exportType="JSON", download_all_tasks="true").json()
    for task in exported:
        task["data"]["dossier"] = "12"  # a column of their own
    export.write_text("\ufeff" + json.dumps(exported), encoding="utf-8")
    other = studio.create_project("Ailleurs", XML).id
    report = chequemate("import", str(export), "--project", str(other))
    assert report.count("image where it was, 1 label") == 3
    again = sorted(studio.labels(other, CONFIG), key=lambda label: label.task)
    assert [label.values for label in again] == [label.values for label in labels]
    assert [label.annotator for label in again] == [label.annotator for label in labels]
    assert "no user here" not in report
    data = sorted(data_of(studio, other), key=lambda one: one["source"])
    assert data[1]["labelled_by"] == "parti@bank.example" and data[2]["dossier"] == "12"
    assert "3 there already" in chequemate("import", str(export), "--project", str(other))

    for task in exported:  # of another server: its numbers say nothing here, and its files are not there
        task["data"]["image"] = f"/data/upload/99/0a1b2c3d-{task['data']['source']}"
        task["annotations"][0] |= {"created_at": "2023-01-01T00:00:00Z", "completed_by": 1}
    export.write_text(json.dumps(exported), encoding="utf-8")
    third = studio.create_project("D'un autre serveur", XML).id
    report = chequemate("import", str(export), "--project", str(third), "--images", str(folder))
    assert "3 labels by 1, no user here" in report and "--annotator 1=NAME@…" in report
    assert len(list(studio.labels(third, CONFIG))) == 3


def test_cheques_are_cut_apart_only_where_the_gaps_are_plain() -> None:
    assert len(cheques_on(sheet(1, 2, 3))) == 3
    assert cheques_on(sheet(1)) == []  # one alone stays where it lies
    assert [cheques_on(cheque(seed)) for seed in range(8)] == [[]] * 8  # gaps between lines of writing are none
    touching = Image.new("RGB", (900, 810), "white")
    for place in range(2):
        touching.paste(cheque(place, 900), (0, 405 * place))
    assert cheques_on(touching) == []


def test_without_a_source_it_says_what_to_give() -> None:
    done = CliRunner().invoke(app, ["import", "--project", "1"])
    assert done.exit_code == 2 and "give a folder of scans" in done.output
