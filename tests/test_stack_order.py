"""Two annotators at once on a real Label Studio: served is the planned order, and never the same cheque twice."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
import requests

from cheques.settings import Settings
from studio.client import Studio
from tests.backend_parts import drawn
from tests.conftest import LabelStudio
from tests.worker_parts import CONFIG, XML, FakeBackend
from worker.prelabelling import Pile

pytestmark = pytest.mark.integration

CHEQUES = 300


def annotator(label_studio: LabelStudio, name: str) -> Studio:
    """Somebody who signs up by invitation, as people do."""
    invitation = label_studio.client._get("/api/invite").json()["token"]
    session, page = requests.Session(), f"{label_studio.url}/user/signup/?token={invitation}"
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', session.get(page).text)
    assert found
    about = {"email": f"{name}@example.com", "password": "open sesame 1", "csrfmiddlewaretoken": found[1]}
    session.post(page, data=about, headers={"Referer": page}).raise_for_status()
    token = session.get(f"{label_studio.url}/api/current-user/token").json()["token"]
    return Studio(label_studio.url, token)


def served(studio: Studio, project: int) -> int:
    task = studio.next_task(project)
    assert task is not None
    return int(task["id"])


class FigureCache:
    """Two people, each with a cheque open; whoever is done submits and takes the next."""

    def __init__(self, people: list[Studio], project: int) -> None:
        self.people, self.project = people, project
        self.open = [served(person, project) for person in people]
        self.seen = list(self.open)
        self._chance = random.Random(1)

    def work(self, submissions: int) -> None:
        for _ in range(submissions):
            who = self._chance.randrange(len(self.people))
            self.people[who].annotate(self.open[who], [], lead_time=5.0)
            self.open[who] = served(self.people[who], self.project)
            self.seen.append(self.open[who])


def test_two_annotators_follow_the_order_before_and_after_a_new_version(
    label_studio: LabelStudio, tmp_path: Path
) -> None:
    studio = label_studio.client
    project = studio.create_project("order", XML).id
    tasks = studio.import_tasks(project, [{"image": f"/data/local-files/?d=c{n}.png"} for n in range(CHEQUES)])
    draw = drawn(tmp_path, tasks)
    chance = random.Random(2)
    embeddings = {task: tuple(chance.gauss(0, 1) for _ in range(8)) for task in tasks}

    def prelabel(version: str) -> list[int]:
        """What the job does, with readings made up; the order that it plans."""
        backend = FakeBackend(version, embeddings=embeddings)
        about = (studio, project, CONFIG, draw, backend, version, Settings(), lambda **_: None)
        done = Pile(*about).prelabelled()  # type: ignore[arg-type]
        assert done.predicted == len(list(studio.tasks(project, CONFIG, labels="none")))
        studio.serve(project, version)
        scores = {
            task.id: stored.score or 0.0
            for task in studio.tasks(project, CONFIG, labels="none", stored=True)
            for stored in task.stored
            if stored.version == version
        }
        return sorted(scores, key=lambda task: scores[task])

    plan = prelabel("base")
    desk = FigureCache([annotator(label_studio, "anne"), annotator(label_studio, "bruno")], project)
    desk.work(60)
    assert desk.seen == plan[:62]
    roles = "".join("E" if (place := draw.get(task)) and place.role == "exam" else "." for task in plan[:40])
    assert roles == ".E" * 20

    plan = [task for task in prelabel("v1") if task not in desk.open]  # what is open stays with whom it is with
    desk.work(40)
    assert desk.seen[62:] == plan[:40]
    assert len(desk.seen) == len(set(desk.seen))
    hints = {task.id: task.hint for task in studio.tasks(project, CONFIG)}
    blind = {int(place.task) for place in draw.places() if place.arm == "blind"}
    assert any(hints.values()) and not any(hints[task] for task in blind)
