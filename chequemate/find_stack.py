"""How a verb in one terminal finds the stack that `chequemate demo` runs in another."""

from __future__ import annotations

import contextlib
import json
import os

from cheques.settings import Settings

ENVIRONMENT = "environment.json"  # in the stack's folder, while it runs


def adopt_running() -> None:
    """Let this process find the stack that runs under its home, if one does; what the user set stays as it is."""
    with contextlib.suppress(ValueError):  # wrong settings are told of by whoever needs them
        own = Settings()
        with contextlib.suppress(OSError):
            for name, text in json.loads((own.home / "stack" / ENVIRONMENT).read_text()).items():
                if name.removeprefix("CHEQUEMATE_").lower() not in own.model_fields_set:
                    os.environ.setdefault(name, text)
