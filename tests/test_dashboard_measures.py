"""What Prometheus is told, and that the Grafana dashboard asks for nothing else."""

import json
import re
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from backend.dashboard.figures import NO_FIGURES
from backend.dashboard.prometheus import Measures, measured
from cheques.settings import Settings
from tests.dashboard_parts import ShownDesk, figures
from worker.queue import connect

ROOT = Path(__file__).parent.parent


def told(tmp_path: Path) -> str:
    registry = CollectorRegistry()
    settings = Settings(home=tmp_path, projects=(1,))
    registry.register(Measures(settings, ShownDesk(figures()), connect("redis://127.0.0.1:1/0", 0.2)))
    return generate_latest(registry).decode()


def test_labels_times_and_versions(tmp_path: Path) -> None:
    shown, text = figures(), told(tmp_path)
    effect = shown.savings.effect
    assert effect is not None
    assert 'chequemate_labels{project="1"} 500.0' in text
    assert f'chequemate_trial_cheques{{arm="blind",project="1"}} {float(shown.savings.blind)}' in text
    assert f'chequemate_saved_seconds{{end="low",project="1"}} {effect.seconds.low}' in text
    assert 'chequemate_versions{decision="promoted",project="1"} 2.0' in text
    assert 'chequemate_acceptance{field="date",project="1"}' in text


def test_no_saving_is_told_while_there_is_not_enough() -> None:
    metrics = {metric.name: metric.samples for metric in measured({1: NO_FIGURES})}
    assert metrics["chequemate_saved_seconds"] == []
    assert metrics["chequemate_labels"][0].value == 0


def test_grafana_asks_for_metrics_that_exist(tmp_path: Path) -> None:
    board = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text(encoding="utf-8"))
    asked = set(re.findall(r"chequemate_[a-z_]+", json.dumps([panel["targets"] for panel in board["panels"]])))
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "backend").rglob("*.py"))
    known = set(re.findall(r'chequemate_[a-z_]+(?=")', source)) | set(
        re.findall(r"TYPE (chequemate_\w+)", told(tmp_path))
    )
    assert {re.sub(r"_(total|bucket)$", "", name) for name in asked} <= known
