"""A cheque that was deleted in Label Studio leaves no picture and no reading here, and others lose nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chequemate import forget
from cheques.fields import CHEQUE
from cheques.planted import Planted
from reader.reading import Reading
from store.acquisition_cache import AcquisitionCache
from store.annotation_cache import annotation_copy, update_annotation_copy
from store.blind_readings import BlindReading, blind_readings, note_blind_reading
from store.database import Store
from store.draw import Draw
from store.forgetting import OF_A_CHEQUE, forget_tasks
from store.marks import Unread, keep_unread, unread
from store.planted import PlantedRecord, note_planted
from store.projects import images_of, known_projects
from store.reading_cache import Key, ReadingCache
from store.tables import metadata, place
from store.takeover import ASIDE
from store.versions import Version, Versions
from studio.config import DEFAULT_CONFIG
from studio.formats import Label
from tests.backend_parts import noise
from tests.conftest import LabelStudio
from tests.trainer_parts import runner
from worker.labelled_examples import examples

NAME = "Zoé Personne"
READING = Reading(dict.fromkeys(CHEQUE.names, NAME), dict.fromkeys(CHEQUE.names, 0.5), embedding=(0.5, 0.25))


def kept_of(store: Store, project: int, tasks: list[int]) -> None:
    """All that is ever kept of these tasks."""
    draw, images = Draw(store, project), images_of(store, project)
    images.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        draw.place(task, noise(task))
        label = Label(task, task, f"/{task}", dict.fromkeys(CHEQUE.names, ""), "")
        examples([label], CHEQUE, lambda _, task=task: noise(task), images)
        note_blind_reading(store, project, BlindReading(str(task), "base", {"beneficiaire": NAME}, {}))
    note_planted(store, project, [Planted(str(task), "base", "lieu", NAME, "Lyon") for task in tasks])
    AcquisitionCache(store, project, "base", CHEQUE).add(dict.fromkeys(tasks, READING))
    ReadingCache(store).put({Key.of(str(project), str(task), f"/{task}", "base", "form"): READING for task in tasks})
    keep_unread(store, project, "prelabel", [Unread(task, "unreadable", NAME) for task in tasks])
    update_annotation_copy(
        store, project, 4, "2026", {task: [{"values": {"beneficiaire": NAME}}] for task in tasks}, ()
    )


def trained_on(store: Store, project: int, lessons: list[int]) -> Version:
    versions = Versions(store, project)
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
    store = Store(home)
    kept_of(store, project, [first, second, third])
    old, new = trained_on(store, project, [first, second]), trained_on(store, project, [third])
    monkeypatch.setattr("cheques.settings.settings", lambda: label_studio.settings(home))
    run = runner(_app())

    assert "nothing to forget" in run("--project", project).output
    studio._sdk.tasks.delete(str(first))
    (home / ASIDE / "projects" / "1").mkdir(parents=True)  # of the release before, whose files held values too
    (home / ASIDE / "projects" / "1" / "said.jsonl").write_text(NAME)
    told = run("--project", project).output
    assert (
        "gone from Label Studio: 1\n" in told and f"{old.name} learned from some of them" in told and NAME not in told
    )

    left = {str(second), str(third)}
    assert {path.name.partition("-")[0] for path in images_of(store, project).iterdir()} == left
    assert {one.task for one in blind_readings(store, project)} == left
    record = PlantedRecord.of(store, project)
    assert not record.get(first) and record.get(second)
    sights = AcquisitionCache(store, project, "base", CHEQUE)
    assert first not in sights and second in sights and third in sights
    assert unread(store, project) == ()
    assert set(annotation_copy(store, project, 4)[0]) == {second, third}
    assert not (home / ASIDE).exists()
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
    assert project not in known_projects(Store(tmp_path))


def _app() -> object:
    import typer

    app = typer.Typer()
    app.command()(forget.forget)
    return app


def test_no_trace_of_what_is_forgotten_is_in_any_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    kept_of(store, 7, [1])
    kept_of(store, 8, [1])
    assert all_bytes(tmp_path, NAME) > 0
    counts = forget_tasks(store, 7, {"1"})
    assert set(counts.values()) == {1} and len(counts) == 5
    assert all_bytes(tmp_path, NAME) > 0, "project 8 keeps its own"
    forget_tasks(store, 8, {"1"})
    assert all_bytes(tmp_path, NAME) == 0


def test_every_table_that_knows_a_task_is_reached() -> None:
    about_tasks = {table for table in metadata.tables.values() if "task" in table.c}
    assert about_tasks - {place} == set(OF_A_CHEQUE.values()), "but for the draw, where number and fingerprint stay"


@pytest.mark.parametrize("others", [1, 3000])
def test_thousands_are_forgotten_at_once(store: Store, others: int) -> None:
    gone = {str(task) for task in range(others)}
    kept_of(store, 7, [1, 5000])
    forget_tasks(store, 7, gone | {"1"})
    assert {one.task for one in blind_readings(store, 7)} == {"5000"}
