"""The curves of a training, to be watched in TensorBoard."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from trainer.recipe import TrainingError

FLUSH_SECONDS = 10


class Curves:
    """Points in a TensorBoard log in `folder`; without a folder nothing is written.

    Raises TrainingError where TensorBoard is not installed.
    """

    def __init__(self, folder: Path | None) -> None:
        self._writer: Any = None
        self._open: Any = None
        if folder:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise TrainingError(
                    f"{folder}: a log needs TensorBoard: pip install tensorboard, or train without a log"
                ) from None
            self._open = partial(SummaryWriter, str(folder), flush_secs=FLUSH_SECONDS)

    def add(self, step: int, **values: float) -> None:
        """The values at this step, each on the curve of its name. Raises OSError (a full disk)."""
        if self._open:
            # A training that was killed repeats the steps since its checkpoint: they are drawn once.
            self._writer = self._writer or self._open(purge_step=step)
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Have on disk what was added."""
        if self._writer:
            self._writer.close()
