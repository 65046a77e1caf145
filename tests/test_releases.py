"""Other releases of Label Studio than the one that everything is tried with: what a team needs works there too."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from rich.progress import Progress

from chequemate.demo import prepare
from chequemate.stack import Stack
from cheques.settings import Settings
from store.database import Store
from store.draw import Draw
from studio.client import Studio
from studio.formats import read_config
from tests.conftest import ANY_PORTS
from tests.test_loop import run

pytestmark = [pytest.mark.integration, pytest.mark.proof]

ROOT = Path(__file__).parent.parent
CHEQUES = 30


@pytest.fixture(scope="module", params=["1.20.0", "1.13.1"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything, with an older Label Studio from an environment that `make proof` makes."""
    command = ROOT / f".venv-labelstudio-{request.param}/bin/label-studio"
    if not command.exists():
        pytest.skip(f"make .venv-labelstudio-{request.param}/ready")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHEQUEMATE_LABEL_STUDIO", str(command))
        home = tmp_path_factory.mktemp("home")
        # No retraining: that is of our own parts, and served by none of Label Studio's.
        own = Settings(_env_file=None, home=home, retrain_every=1000, reconcile_seconds=15.0)  # type: ignore[call-arg]
        with Stack(own, usual_ports=ANY_PORTS) as stack:
            assert Studio(stack.studio_url, stack.token).server_version() == request.param
            yield stack


def test_connect_the_served_order_the_blind_arm_and_the_form(stack: Stack) -> None:
    project = prepare(stack, Progress(disable=True), CHEQUES)
    studio = Studio(stack.studio_url, stack.token)
    config = read_config(project.label_config)
    assert (project.model_version, project.sampling) == ("base", "Uncertainty sampling")
    assert len(config.form.names) == 7
    draw = Draw(Store(stack.settings.home), project.id)
    tasks = {task.id: task for task in studio.tasks(project.id, config, stored=True)}
    blind = {int(place.task) for place in draw.places() if place.arm == "blind"}
    assert blind and {task.id for task in tasks.values() if task.stored[0].empty} == blind

    truth = str(stack.files / "cheques" / "truth.jsonl")
    run(stack, "simulate", "--labels", "15", "--project", str(project.id), "--truth", truth, "--no-breaks")
    labels = sorted((label for label in studio.labels(project.id, config)), key=lambda label: label.annotation)
    assert len({label.task for label in labels}) == 15
    scores = [tasks[label.task].stored[0].score for label in labels]
    assert all(a < b for a, b in pairwise(score for score in scores if score is not None)), "served as they are scored"
    assert all(label.offered and (label.shown is None) == (label.task in blind) for label in labels)
    run(stack, "doctor", "--project", str(project.id))  # which would fail where something is broken
