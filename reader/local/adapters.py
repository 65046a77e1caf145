"""Adapters put on one model in memory and taken off again: a new champion at once, the base always underneath."""

from __future__ import annotations

from typing import Any

from safetensors import SafetensorError, safe_open

from reader.base_model import CONFIG, WEIGHTS, check_base
from reader.local.model import why
from reader.reading import Adapter, ReaderError

KEPT = 4  # adapters in memory; the one used longest ago is dropped first


class Adapters:
    """The adapters of one base model, which stays usable without them. `name`: its folder or hub name."""

    def __init__(self, model: Any, name: str) -> None:
        self._model, self._name = model, name
        self._peft: Any | None = None
        self._names: dict[str, str] = {}  # of the adapters in memory, the one used last at the end -> name for peft
        self._current: str | None = None

    def use(self, adapter: Adapter | None) -> None:
        """From now on the model reads with this adapter, or as the base. Raises ReaderError, the model unharmed."""
        if adapter is None:
            if self._current is not None:
                self._peft.base_model.disable_adapter_layers()  # type: ignore[union-attr]
                self._current = None
            return
        if adapter.name not in self._names:
            self._load(adapter)
        # To the end of the dict: the one used last.
        self._names[adapter.name] = self._names.pop(adapter.name)
        if self._current != adapter.name:
            assert self._peft is not None
            self._peft.base_model.enable_adapter_layers()
            # Without inference_mode peft would let gradients flow again.
            self._peft.set_adapter(self._names[adapter.name], inference_mode=True)
            self._current = adapter.name
        while len(self._names) > KEPT:
            self._forget(self._names.pop(next(iter(self._names))))

    def _load(self, adapter: Adapter) -> None:
        # Checked before peft touches the model, since a load that fails half-way leaves traces.
        weights = adapter.path / WEIGHTS
        if not weights.is_file() or not (adapter.path / CONFIG).is_file():
            raise ReaderError(
                f"adapter {adapter.name}: no {WEIGHTS} and {CONFIG} in {adapter.path}: promote another version"
            )
        try:
            with safe_open(weights, "pt") as file:
                shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 (no mapping)
        except (SafetensorError, OSError) as error:
            raise ReaderError(
                f"adapter {adapter.name}: {weights} is cut short or damaged ({why(error)}): promote another version"
            ) from None
        check_base(adapter, self._name)
        if not shapes or not all(fits(self._model, key, shape) for key, shape in shapes.items()):
            raise ReaderError(
                f"adapter {adapter.name} was trained on another base: set CHEQUEMATE_MODEL to that one, or train again"
            )

        from peft import PeftModel

        name = adapter.name.replace(".", "_")  # peft makes it the name of a module
        options = {"adapter_name": name, "is_trainable": False, "autocast_adapter_dtype": False}
        try:
            if self._peft is None:
                self._peft = PeftModel.from_pretrained(self._model, str(adapter.path), **options)
                self._current = adapter.name
            else:
                device = next(self._model.parameters()).device
                self._peft.load_adapter(str(adapter.path), torch_device=str(device), **options)
        except Exception as error:  # peft, safetensors and torch each raise their own for an adapter that does not fit
            self._forget(name)
            raise ReaderError(
                f"adapter {adapter.name} cannot be used ({why(error)}): promote another version"
            ) from None
        self._names[adapter.name] = name

    def _forget(self, name: str) -> None:
        if self._peft is not None and name in self._peft.peft_config:
            self._peft.delete_adapter(name)


def fits(model: Any, key: str, shape: list[int]) -> bool:
    """Has the model the layer that a LoRA weight belongs to, with as many features?"""
    path, _, part = key.removeprefix("base_model.model.").rpartition(".lora_")
    try:
        layer = model.get_submodule(path)
    except AttributeError:
        return False
    size = {"A.weight": (1, "in_features"), "B.weight": (0, "out_features")}.get(part)
    return size is None or shape[size[0]] == getattr(layer, size[1], None)
