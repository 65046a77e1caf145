"""Adapters and merged models leave the house, and adapters from elsewhere come into it."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cheques.disk import sync_folder, sync_tree
from cheques.fields import CHEQUE
from cheques.settings import Settings
from reader.base_model import CONFIG, other_base, trained_on
from reader.confidence import FILE as CONFIDENCE
from reader.reading import Adapter
from store.versions import LESSONS, WEIGHTS, Version, VersionError, Versions

CHECKED_ON = 8  # drawn cheques that the merged model must read as the adapter does
MAY_TURN = 0.05  # of their values
FIRST = "v0"  # the adapter that a team brings along


def export_adapter(version: Version, folder: Path) -> None:
    """Write the adapter, its calibration and its lessons' digests to `folder`; no report, which holds pictures.

    Raises VersionError.
    """
    if problem := version.problem():
        raise VersionError(problem)
    with appearing(folder) as draft:
        shutil.copytree(version.path / "adapter", draft, dirs_exist_ok=True)
        for beside in (CONFIDENCE, LESSONS):
            if (version.path / beside).is_file():
                shutil.copy2(version.path / beside, draft / beside)


def export_merged(version: Version, folder: Path, settings: Settings) -> None:
    """Write the base with the adapter merged in, after it has read some cheques as the adapter does.

    Raises VersionError where it reads otherwise or cannot be written, ReaderError.
    """
    from trainer.lora import merge_adapter

    if problem := version.problem():
        raise VersionError(problem)
    here = settings.model_copy(update={"reader_url": None})  # no server has the merged model
    with appearing(folder) as draft:
        apart = drawn_values(here, version.adapter)  # first: what cannot be read with cannot be merged either
        merge_adapter(here.model, version.adapter.path, draft)
        if (version.path / CONFIDENCE).is_file():
            shutil.copy2(version.path / CONFIDENCE, draft / CONFIDENCE)
        merged = drawn_values(here.model_copy(update={"model": str(draft)}), None)
        wrong = sum(one != other for one, other in zip(apart, merged, strict=True))
        # Merging rounds the weights: it may turn a value in doubt. An adapter merged wrongly turns most of them.
        if wrong > len(apart) * MAY_TURN:
            raise VersionError(
                f"{version.name}: merged, {wrong} of {len(apart)} values are read otherwise; export the adapter instead"
            )


def drawn_values(settings: Settings, adapter: Adapter | None, count: int = CHECKED_ON) -> list[str | None]:
    """Every value of `count` drawn cheques, as read by the model of these settings."""
    from cheques.drawing import draw_cheque
    from reader.open_reader import reader_here

    with reader_here(settings) as reader:
        readings = reader.read([draw_cheque(number).image for number in range(count)], CHEQUE, adapter)
    return [reading.values.get(name) for reading in readings for name in CHEQUE.names]


def import_adapter(versions: Versions, folder: Path, model: str, name: str = "") -> Version:
    """Take the adapter in `folder` as the next version of the base `model`, or as `name`.

    It serves once a person promotes it, or the gate does: the next retraining judges it on the exam. Raises
    VersionError (no adapter, or one of another base).
    """
    weights, config = folder / WEIGHTS, folder / CONFIG
    for path in (weights, config):
        if not path.is_file():
            raise VersionError(f"{path} is missing: give a folder written by `chequemate versions export`")

    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, "numpy") as file:
            keys = list(file.keys())
        json.loads(config.read_text(encoding="utf-8"))
    except (SafetensorError, ValueError, OSError) as error:
        raise VersionError(f"{folder} holds no adapter ({error}): export it again") from None
    if not any(".lora_" in key for key in keys):
        raise VersionError(f"{weights} holds no LoRA weights: give an adapter, not a model")
    if base := other_base(folder, model):
        raise VersionError(
            f"{folder}: trained on another base ({base}); set CHEQUEMATE_MODEL to that one, or train again"
        )
    with versions.staging() as staging:
        (staging / "adapter").mkdir()
        for path in folder.iterdir():
            if path.is_file() and path.name in (CONFIDENCE, LESSONS):
                shutil.copy2(path, staging / path.name)
            elif path.is_file() and path.suffix in (".safetensors", ".json", ".md"):
                shutil.copy2(path, staging / "adapter" / path.name)
        reasons = (f"imported from {folder.name}, not judged here",)
        version = Version(
            name, versions.project, staging, base=trained_on(folder), decision="imported", reasons=reasons, brought=True
        )
        return versions.add(staging, version)


def must_read(folder: Path, settings: Settings) -> None:
    """Read a drawn cheque with the adapter in `folder`: one that cannot be read with blocks every retraining.

    Raises VersionError, ReaderError.
    """
    if not (folder / WEIGHTS).is_file():
        raise VersionError(f"{folder / WEIGHTS} is missing: give a folder written by `chequemate versions export`")
    # A name of its own, since readers keep adapters by name.
    drawn_values(settings, Adapter(f"import/{secrets.token_hex(4)}", folder), 1)


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A folder that appears under its name whole or not at all. Raises VersionError."""
    if folder.exists():
        raise VersionError(f"{folder} exists already: give a folder that does not")
    draft = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    try:
        draft.mkdir(parents=True)
        yield draft
        sync_tree(draft)
        draft.replace(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise VersionError(f"{folder}: {error.strerror or error}; make room, or give another folder") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
