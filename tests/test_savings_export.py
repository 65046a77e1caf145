"""`chequemate savings` on a JSON export of Label Studio, where the arm is read from the prediction's snapshot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from backend.work import work_of
from chequemate.savings import savings
from studio.export import BadExport, read_export

app = Typer()
app.command()(savings)

FIELDS = {"montant_numerique": "1234.56", "date": "2024-05-03", "lieu": "Lyon"}


def region(name: str, text: str, origin: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "image", "type": "textarea", "value": {"text": [text]}, "origin": origin}


def task(number: int, arm: str | None, seconds: float | None, wrong: bool = False, **more: Any) -> dict[str, Any]:
    """A task as the export holds it: `predictions` are ids, the snapshot is inside the annotation."""
    read = FIELDS | ({"lieu": "Dijon"} if wrong else {})
    shown = [region(name, text, "") for name, text in read.items()] if arm == "prelabel" else []
    snapshot = {"id": number, "model_version": "v1", "score": 0.5, "result": shown} if arm else {}
    origins = {"prelabel": "prediction"}
    result = [
        region(name, text, "prediction-changed" if wrong and name == "lieu" else origins.get(arm or "", "manual"))
        for name, text in FIELDS.items()
    ]
    at = f"2026-03-{1 + number // 1440:02d}T{number // 60 % 24:02d}:{number % 60:02d}:00.000000Z"
    annotation = {
        "id": 1000 + number, "completed_by": 1 + number % 3, "result": result, "lead_time": seconds,
        "prediction": snapshot, "was_cancelled": False, "ground_truth": False, "created_at": at, "updated_at": at,
        "task": number, "project": 7, "parent_prediction": number if arm else None,
    }  # fmt: skip
    return {
        "id": number,
        "data": {"image": f"/data/{number}.png"},
        "annotations": [annotation | more],
        "predictions": [number],
    }


def export(path: Path, tasks: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


def trial(count: int = 200, saved: float = 0.4) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    arms = ["blind" if rng.random() < 0.5 else "prelabel" for _ in range(count)]
    times = [
        60 * (1 - saved * (arm == "prelabel")) * float(np.exp(rng.normal(0, 0.3))) * (1 + number % 3 / 2)
        for number, arm in enumerate(arms)
    ]
    return [
        task(number, arm, seconds, wrong=number % 5 == 0)
        for number, (arm, seconds) in enumerate(zip(arms, times, strict=True))
    ]


def run(path: Path, out: Path) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["--export", str(path), "--json", str(out)])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def test_the_numbers_of_an_export(tmp_path: Path) -> None:
    tasks = trial()
    found = run(export(tmp_path / "export.json", tasks), tmp_path / "savings.json")
    assert set(found) == {"enough", "n", "saved_seconds", "saved_percent", "hours_saved", "acceptance", "dropped"}
    assert found["enough"]
    blind = sum(not one["annotations"][0]["prediction"]["result"] for one in tasks)
    assert found["n"] == {"blind": blind, "prelabel": 200 - blind}
    # Speeds of 60, 90 and 120 s, of which a pre-label saves 40 %.
    assert found["saved_seconds"]["low"] < 36 * float(np.exp(0.045)) < found["saved_seconds"]["high"]
    assert found["saved_percent"]["low"] < 40 < found["saved_percent"]["high"]
    assert found["hours_saved"] == pytest.approx((200 - blind) * found["saved_seconds"]["mean"] / 3600, abs=0.01)
    assert found["acceptance"]["date"] == 1.0
    assert found["acceptance"]["lieu"] == pytest.approx(0.8, abs=0.07)
    assert found["dropped"] == {}


def test_what_cannot_be_compared_is_left_out_and_counted(tmp_path: Path) -> None:
    later = "2026-03-04T10:00:00.000000Z"
    odd = [
        task(1000, None, 40.0),
        task(1001, "blind", None),
        task(1002, "prelabel", 90000.0),
        task(1003, "prelabel", 30.0, updated_at=later),
        task(1004, "blind", 30.0, was_cancelled=True),
        task(1005, "blind", 5000.0),
        task(1006, None, None, result=[]),
    ]
    found = run(export(tmp_path / "export.json", trial() + odd), tmp_path / "savings.json")
    reasons = ("skipped", "api", "no_time", "edited", "no_prediction", "outlier", "idle")
    assert found["dropped"] == dict.fromkeys(reasons, 1)


def test_a_gap_that_stood_in_for_a_reading_is_no_blind_cheque(tmp_path: Path) -> None:
    gap = task(1, "blind", 30.0)
    gap["annotations"][0]["prediction"]["model_version"] = "pending"
    (one,) = work_of(read_export(export(tmp_path / "export.json", [gap])))
    assert one.arm is None


def test_an_emptied_project(tmp_path: Path) -> None:
    found = run(export(tmp_path / "export.json", []), tmp_path / "savings.json")
    assert not found["enough"]
    assert found["n"] == {"blind": 0, "prelabel": 0}


def test_a_few_say_not_enough_yet(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["--export", str(export(tmp_path / "export.json", trial(20)))])
    assert "not enough yet: " in done.output


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"image": "a.png", "lieu": "Lyon"}]', '[{"annotations": []}]'])
def test_what_is_no_export_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "no.json"
    path.write_text(content)
    with pytest.raises(BadExport) as caught:
        read_export(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
