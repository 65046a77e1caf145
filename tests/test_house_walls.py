"""Who may know whom, without circles, and where torch may be imported."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_KNOW: dict[str, tuple[str, ...]] = {
    "backend": ("worker.queue", "store", "study", "studio", "reader", "cheques"),
    "chequemate": ("backend", "cheques", "reader", "research", "store", "studio", "study", "trainer", "worker"),
    "cheques": (),
    "reader": ("cheques",),
    "research": ("backend", "cheques", "reader", "store", "studio", "study", "trainer", "worker"),
    "store": ("reader.reading", "cheques"),
    "studio": ("reader.reading", "cheques"),
    "study": ("cheques",),
    "trainer": ("store", "study", "reader", "cheques"),
    "worker": ("trainer", "store", "study", "studio", "reader", "cheques"),
}
MAY_IMPORT_TORCH = ("reader/local/", "research/", "trainer/lora.py", "trainer/tensorboard.py")
FILES = {
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
    for room in MAY_KNOW
    for path in sorted((ROOT / room).rglob("*.py"))
}


def imports(path: Path) -> set[str]:
    """What a file imports anywhere, functions and type-only blocks included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("module", FILES)
def test_a_room_knows_only_whom_it_may(module: str) -> None:
    room = module.split(".")[0]
    for name in imports(FILES[module]):
        if name.split(".")[0] in MAY_KNOW:
            assert any(f"{name}.".startswith(f"{known}.") for known in (room, *MAY_KNOW[room])), f"it imports {name}"


@pytest.mark.parametrize("module", FILES)
def test_torch_stays_in_its_rooms(module: str) -> None:
    path = FILES[module]
    if not path.relative_to(ROOT).as_posix().startswith(MAY_IMPORT_TORCH):
        assert not {name for name in imports(path) if name.split(".")[0] == "torch"}


def test_no_files_know_each_other_in_a_circle() -> None:
    knows = {module: {_file_of(name) for name in imports(path)} - {module, ""} for module, path in FILES.items()}
    while leaves := [module for module, known in knows.items() if not known & knows.keys()]:
        for module in leaves:
            del knows[module]
    assert not knows, "these import each other, directly or through others"


def _file_of(name: str) -> str:
    while name and name not in FILES:
        name = name.rpartition(".")[0]
    return name


def test_nothing_is_unpickled() -> None:
    for path in FILES.values():
        assert not {name for name in imports(path) if name.split(".")[0] in ("pickle", "dill", "joblib")}, path


def test_help_is_light() -> None:
    code = "import chequemate.cli, sys; print({'torch', 'transformers', 'label_studio_sdk'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"
