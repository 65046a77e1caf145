"""What the benches of the reader ask on their command line, and how they tell what they found."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from cheques.settings import Settings


def arguments(about: str | None) -> argparse.ArgumentParser:
    """--model, --threads, --json; a benchmark adds its own."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--model", default=Settings(_env_file=None).model)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    return parser


def tell(found: dict[str, Any], file: Path | None) -> None:
    """Print it, and write it where --json said."""
    print(json.dumps(found, indent=1), flush=True)
    if file:
        file.write_text(json.dumps(found, indent=1) + "\n")
