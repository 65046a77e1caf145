"""A cheque that was deleted in Label Studio leaves no picture and no reading here, and others lose nothing."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chequemate import forget
from cheques.disk import append_line, keep_lines
from cheques.fields import CHEQUE
from reader.reading import Reading
from store.blind_readings import SAID, keep, kept
from store.draw import Draw
from store.projects import folder
from store.reading_cache import Key, Stored
from store.versions import Version, Versions
from studio.config import DEFAULT_CONFIG
from studio.planted import RECORD, Planted, Record
from tests.backend_parts import noise
from tests.conftest import LabelStudio
from tests.trainer_parts import runner
from worker.acquisition_cache import Sights
from worker.jobs import IMAGES

NAME = "Zoé Personne"
READING = Reading(dict.fromkeys(CHEQUE.names, NAME), dict.fromkeys(CHEQUE.names, 0.5), embedding=(0.5, 0.25))


def kept_of(home: Path, project: int, tasks: list[int]) -> None:
    """All that is ever kept of these tasks."""
    place = folder(home, project)
    draw = Draw.open(place)
    for task in tasks:
        digest = draw.place(task, noise(task)).digest
        (place / IMAGES).mkdir(exist_ok=True)
        noise(task).save(place / IMAGES / f"{digest}.png")
        keep(place, {"task": str(task), "version": "base", "values": {"beneficiaire": NAME}, "confidence": {}})
        append_line(place / RECORD, Planted(str(task), "base", "lieu", NAME, "Lyon").line)
    Sights(place, "base", CHEQUE).add(dict.fromkeys(tasks, READING))
    Stored(home).put({Key.of(str(project), str(task), f"/{task}", "base", "form"): READING for task in tasks})


def trained_on(home: Path, project: int, lessons: list[int]) -> Version:
    versions = Versions(home, project)
    with versions.staging() as staging:
        (staging / "adapter").mkdir()
        (staging / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
        (staging / "report").mkdir()
        about = {"data": {"lessons": [str(task) for task in lessons], "exam": []}}
        (staging / "report" / "report.json").write_text(json.dumps(about))
        (staging / "report" / "report.html").write_text(NAME)
        return versions.add(staging, Version("", str(project), staging, decision="promoted"))


def all_bytes(home: Path, name: str) -> int:
    """How many files of the home hold the name."""
    spelt = (name.encode(), json.dumps(name)[1:-1].encode())
    return sum(any(one in path.read_bytes() for one in spelt) for path in home.rglob("*") if path.is_file())


@pytest.mark.integration
def test_what_was_deleted_in_label_studio_is_forgotten_here(
    tmp_path: Path, label_studio: LabelStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio, home = label_studio.client, tmp_path / "home"
    project = studio.create_project("forget", DEFAULT_CONFIG.read_text(encoding="utf-8")).id
    first, second, third = studio.import_tasks(
        project, [{"image": f"/data/local-files/?d=c{number}.png"} for number in range(3)]
    )
    kept_of(home, project, [first, second, third])
    old, new = trained_on(home, project, [first, second]), trained_on(home, project, [third])
    monkeypatch.setattr("cheques.settings.settings", lambda: label_studio.settings(home))
    run = runner(_app())

    assert "nothing to forget" in run("--project", project).output
    studio._sdk.tasks.delete(str(first))
    told = run("--project", project).output
    assert (
        "gone from Label Studio: 1\n" in told and f"{old.name} learned from some of them" in told and NAME not in told
    )

    place = folder(home, project)
    left = {str(second), str(third)}
    draw = Draw.open(place)
    assert {path.stem for path in (place / IMAGES).iterdir()} == {
        draw.place(int(n), noise(int(n))).digest for n in left
    }
    assert {line["task"] for line in kept(place)} == left
    assert not Record.of(place).get(first) and Record.of(place).get(second)
    sights = Sights(place, "base", CHEQUE)
    assert first not in sights and second in sights and third in sights
    assert not (old.path / "report" / "report.html").exists() and (new.path / "report" / "report.html").exists()
    assert "nothing, it was done before" in run("--project", project).output


@pytest.mark.integration
def test_a_project_that_was_never_served_is_one_line(
    tmp_path: Path, label_studio: LabelStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = label_studio.client
    project = studio.create_project("never", DEFAULT_CONFIG.read_text(encoding="utf-8")).id
    monkeypatch.setattr("cheques.settings.settings", lambda: label_studio.settings(tmp_path))
    answer = runner(_app())("--project", project)
    assert answer.exit_code == 2 and "nothing is kept of project" in answer.output
    assert not folder(tmp_path, project).exists()


def _app() -> object:
    import typer

    app = typer.Typer()
    app.command()(forget.forget)
    return app


def test_no_trace_of_a_forgotten_reading_is_in_the_file(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    secret = Reading({"beneficiaire": "Marguerite"}, {"beneficiaire": 0.5})
    mine = Key.of("7", "1", "/1", "base", "form")
    others = [Key.of("7", "2", "/2", "base", "form"), Key.of("8", "1", "/1", "base", "form")]
    stored.put({mine: secret, **dict.fromkeys(others, READING)})
    assert all_bytes(tmp_path, "Marguerite") > 0
    assert stored.forget_tasks("7", ["1"]) == 1
    assert all_bytes(tmp_path, "Marguerite") == 0
    assert list(stored.get([mine, *others])) == others

    stored.put({mine: secret})
    with closing(sqlite3.connect(stored.path, isolation_level="EXCLUSIVE")) as busy:
        busy.execute("BEGIN EXCLUSIVE")
        stored._connection.execute("PRAGMA busy_timeout = 50")  # type: ignore[union-attr]
        assert stored.forget_tasks("7", ["1"]) is None, "said, not passed over in silence"
    stored.close()


def test_lines_go_whole_and_damaged_ones_with_them(tmp_path: Path) -> None:
    for task in (1, 2, 3):
        keep(tmp_path, {"task": str(task), "values": {"beneficiaire": NAME}})
    path = tmp_path / SAID
    path.write_bytes(path.read_bytes() + b'{"task": "4", "val{"task": "5"}\n' + '{"task": "6", "é'.encode()[:-1])
    assert keep_lines(path, lambda line: line["task"] != "2") == 2
    assert [line["task"] for line in kept(tmp_path)] == ["1", "3"]
    keep(tmp_path, {"task": "7"})
    assert [line["task"] for line in kept(tmp_path)] == ["1", "3", "7"]
    assert keep_lines(tmp_path / "never.jsonl", lambda line: True) == 0
