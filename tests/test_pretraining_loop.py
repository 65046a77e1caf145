"""Pretraining's loop: a resume is exact, a damaged checkpoint is one line, and only a better model is shipped."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from research.pretraining import checkpoint, export, run  # noqa: E402
from research.pretraining.checkpoint import BadCheckpoint, Progress  # noqa: E402
from research.pretraining.lines import HeadsStage, LinesStage  # noqa: E402
from research.pretraining.loop import Plan, rate, train  # noqa: E402
from research.pretraining.reading import ChequesStage, ReadingStage  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


def plan(folder: Path, steps: float) -> Plan:
    seconds = count()
    return Plan(steps, folder, processes=0, measure_every=1e9, log=lambda _: None, clock=lambda: float(next(seconds)))


def small_start() -> tuple[torch.nn.ModuleDict, run.Optimiser]:
    return run.fresh("cpu", patches=2, copies=2)


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_resume_is_exact(tmp_path: Path) -> None:
    stage = LinesStage(2, fixed=0)
    whole, optimiser = small_start()
    train(stage, whole, optimiser, Progress("lines"), plan(tmp_path / "whole", 4))

    first, optimiser = small_start()
    halves = replace(plan(tmp_path / "halves", 4), measure_every=2.0, after_measure=_killed)
    with pytest.raises(KeyboardInterrupt):
        train(stage, first, optimiser, Progress("lines"), halves)

    second, optimiser = small_start()
    progress = checkpoint.load(tmp_path / "halves" / "lines.safetensors", second, optimiser)
    assert progress.batches == 2
    optimiser.share_weights()
    train(stage, second, optimiser, progress, plan(tmp_path / "halves", 4))
    for (name, one), other in zip(whole.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_the_rate_warms_up_and_comes_down(tmp_path: Path) -> None:
    p = plan(tmp_path, 1000)
    shares = [rate(Progress("lines", batches, 0, seconds), p) for batches, seconds in ((0, 0), (99, 500), (999, 999))]
    assert shares[0] == 0.01 and shares[1] == 1 and shares[2] == pytest.approx(0.02)


def test_a_checkpoint_cut_short_is_one_line(tmp_path: Path) -> None:
    modules, optimiser = small_start()
    path = tmp_path / "lines.safetensors"
    checkpoint.save(path, Progress("lines", 7), modules, optimiser)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadCheckpoint) as error:
        checkpoint.load(path, modules, optimiser)
    assert "\n" not in str(error.value) and "delete the file" in str(error.value)


def test_a_resume_goes_on_where_the_furthest_stage_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[str, int]] = []
    modules, optimiser = small_start()
    monkeypatch.setattr(run, "fresh", lambda device: (modules, optimiser))
    monkeypatch.setattr(run, "stages", lambda device: [LinesStage(2, 0), ReadingStage(2, 0), ChequesStage(1, 0)])
    monkeypatch.setattr(
        run, "train", lambda stage, modules, optimiser, progress, plan: trained.append((stage.name, progress.batches))
    )
    checkpoint.save(tmp_path / "lines.safetensors", Progress("lines", 9, 18, 1e6), modules, optimiser)
    checkpoint.save(tmp_path / "reading.safetensors", Progress("reading", 7, 14, 1.0), modules, optimiser)
    run.pretrain(1000, "cpu", tmp_path, resume=True)
    assert trained == [("reading", 7), ("cheques", 0)]


# On from the shipped weights


def test_heads_that_do_not_ship_learn_before_the_tower_learns_from_them(tmp_path: Path) -> None:
    modules, optimiser = small_start()
    tower = {name: weight.clone() for name, weight in modules["model"].state_dict().items()}
    head = modules["head"].letters.weight.detach().clone()
    train(HeadsStage(2, fixed=0), modules, optimiser, Progress("heads"), plan(tmp_path, 2))
    assert all(torch.equal(weight, tower[name]) for name, weight in modules["model"].state_dict().items())
    assert not torch.equal(modules["head"].letters.weight, head)


def test_weights_go_on_with_cheques_that_they_have_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules, optimiser = small_start()
    shipped, out = tmp_path / "shipped", tmp_path / "out"
    export.export(shipped, modules["model"], Progress("cheques", 5, 42, 60.0), {"seen_exact": 0.5})
    begun: list[Progress] = []
    monkeypatch.setattr(run, "fresh", lambda device: (modules, optimiser))
    monkeypatch.setattr(run, "stages", lambda device: [LinesStage(2, 0), ReadingStage(2, 0), ChequesStage(2, 0)])
    monkeypatch.setattr(run, "train", lambda stage, modules, optimiser, progress, plan: begun.append(progress))
    run.pretrain(1, "cpu", out, begin=shipped)
    heads, cheques = begun
    assert (heads.stage, heads.first_batch(2)) == ("heads", 0)
    assert (cheques.stage, cheques.first_batch(2)) == ("cheques", 24), "three times eight batches of two hold 42"

    reached = cheques.after(2, 30.0)
    checkpoint.save(out / "cheques.safetensors", reached, modules, optimiser)
    assert checkpoint.load(out / "cheques.safetensors", modules, optimiser) == reached
    export.export(shipped, modules["model"], reached, {"seen_exact": 0.6})
    assert export.seen(shipped) == (44, 90.0)


# The shipped folder


def test_an_export_loads_as_any_qwen_and_is_replaced_only_by_a_better_one(tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = tmp_path / "model"
    modules, _ = small_start()
    ship = run.shipping(folder)
    ship(modules, Progress("cheques", 10, 80, 60.0), {"seen_exact": 0.5, "unseen_exact": 0.25})
    again = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    embedded = modules["model"].get_input_embeddings().weight
    assert torch.equal(again.get_output_embeddings().weight, embedded.to(torch.bfloat16).float())
    assert AutoProcessor.from_pretrained(folder).image_processor.merge_size == 2
    assert sum(file.stat().st_size for file in folder.iterdir()) < 25e6
    assert "not for production" in (folder / "README.md").read_text()

    begun, _ = small_start()
    checkpoint.load_model(folder / export.WEIGHTS, begun["model"])
    assert torch.equal(begun["model"].get_output_embeddings().weight, embedded.to(torch.bfloat16).float())

    before = (folder / export.WEIGHTS).stat().st_mtime_ns
    ship(modules, Progress("cheques", 20, 160, 120.0), {"seen_exact": 0.4, "unseen_exact": 0.25})
    assert (folder / export.WEIGHTS).stat().st_mtime_ns == before
