"""Who may know whom, and where torch may be imported."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("backend", "chequemate", "cheques", "studio", "trainer", "worker")
MAY_KNOW: dict[str, tuple[str, ...]] = {
    "chequemate": ROOMS,
    "backend": ("backend", "worker.queue", "trainer.versions", "trainer.draw", "studio", "cheques"),
    "worker": ("worker", "trainer", "studio", "cheques"),
    "trainer": ("trainer", "cheques"),
    "studio": ("studio", "cheques"),
    "cheques": ("cheques",),
}
MAY_IMPORT_TORCH = ("cheques/reading/local", "trainer/lora", "trainer/pretraining/", "trainer/unsloth")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_knows_only_whom_it_may(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    for name in imports(path):
        if name.split(".")[0] in ROOMS:
            assert any(f"{name}.".startswith(f"{known}.") for known in MAY_KNOW[room]), f"{room} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_torch_stays_in_its_rooms(path: Path) -> None:
    if not str(path.relative_to(ROOT)).startswith(MAY_IMPORT_TORCH):
        assert not {name for name in imports(path) if name.split(".")[0] == "torch"}


def test_nothing_is_unpickled() -> None:
    for path in FILES:
        assert not {name for name in imports(path) if name.split(".")[0] in ("pickle", "dill", "joblib")}, path


def test_help_is_light() -> None:
    import subprocess
    import sys

    code = "import chequemate.cli, sys; print({'torch', 'transformers', 'label_studio_sdk'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"
