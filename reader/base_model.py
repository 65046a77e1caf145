"""Which base an adapter belongs to: shapes alone do not tell two models of one architecture apart."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from reader.reading import Adapter, ReaderError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"  # the files of an adapter, as peft names them
ENDS = 1 << 20  # bytes hashed at either end of a file of weights: a 7B model is known in milliseconds


def base_identity(model: str) -> str:
    """The base's name, and for a folder what tells its weights from others of the same name."""
    folder = Path(model)
    if not folder.is_dir():
        return model
    digest = hashlib.sha256((folder / "config.json").read_bytes() if (folder / "config.json").is_file() else b"")
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(f"{path.name} {path.stat().st_size}".encode() + file.read(ENDS))
            file.seek(-min(path.stat().st_size, ENDS), 2)
            digest.update(file.read())
    return f"{folder.name}-{digest.hexdigest()[:12]}"


def trained_on(adapter: Path) -> str:
    """The base that the adapter in this folder names, or nothing."""
    try:
        return str(json.loads((adapter / CONFIG).read_text(encoding="utf-8")).get("base_model_name_or_path") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def other_base(adapter: Path, model: str) -> str | None:
    """The base that an adapter was trained on, where that surely is not `model`; None where it is, or may be.

    Weights are compared with weights and hub names with hub names: a folder may hold a copy of what a hub name means,
    and an adapter from elsewhere may name a folder that only its maker had.
    """
    named = trained_on(adapter)
    return named if differs(named, base_identity(model)) else None


def differs(named: str, ours: str) -> bool:
    """Are these identities surely those of two bases?"""
    if digest_in(named) and digest_in(ours):
        return digest_in(named) != digest_in(ours)
    return is_on_hub(named) and is_on_hub(ours) and named.lower() != ours.lower()


def check_base(adapter: Adapter, model: str) -> None:
    """Raises ReaderError where the adapter was trained on another base."""
    if base := other_base(adapter.path, model):
        raise ReaderError(
            f"adapter {adapter.name} was trained on another base ({base}): set CHEQUEMATE_MODEL to that one, "
            "or train again"
        )


def digest_in(identity: str) -> str:
    """What tells a folder's weights from others; nothing for a hub name."""
    found = re.fullmatch(r"[^/]*-([0-9a-f]{12})", identity)
    return found[1] if found else ""


def is_on_hub(identity: str) -> bool:
    """Is this the name of a model on the hub, owner/name?"""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", identity) is not None
