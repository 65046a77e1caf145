"""What the code imports is declared, what is declared is imported, and a remote reader needs no extra."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SHIPPED = [room.rstrip("*") for room in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]]
NEVER_IMPORTED = {
    "accelerate": "transformers loads a model onto a card with it",
    "bitsandbytes": "transformers loads a model in 4 bits with it",
    "gunicorn": "is run",
    "psycopg": "SQLAlchemy takes it for PostgreSQL",
    "tensorboard": "torch.utils.tensorboard writes with it",
}


def named(requirements: list[str]) -> set[str]:
    """The distributions of these requirements, spelt alike."""
    names = {re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in requirements}
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names} - {"chequemate"}


BASE = named(PROJECT["project"]["dependencies"])
EXTRAS = {extra: named(wanted) for extra, wanted in PROJECT["project"]["optional-dependencies"].items()}


def imported(room: str) -> set[str]:
    """The distributions that a room's files import."""
    modules = set()
    for path in (ROOT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module.split(".")[0])
    ours = {*SHIPPED, "research", "tests"}
    known = packages_distributions()
    return named([known.get(name, [name])[0] for name in modules - ours - sys.stdlib_module_names])


@pytest.mark.parametrize("room", [*SHIPPED, "research", "tests"])
def test_what_is_imported_is_declared(room: str) -> None:
    # A file that makes fonts lies beside them, and is not run by those who use them.
    of_developers = EXTRAS["dev"] if room in ("research", "tests") else {"fonttools"}
    declared = BASE | of_developers | set().union(*(wanted for extra, wanted in EXTRAS.items() if extra != "dev"))
    assert imported(room) - declared == set()


def test_what_is_declared_is_imported() -> None:
    used = set().union(*(imported(room) for room in SHIPPED)) | NEVER_IMPORTED.keys()
    declared = BASE.union(*(wanted for extra, wanted in EXTRAS.items() if extra != "dev"))
    assert declared - used == set()


WITHOUT_EXTRAS = """
import sys
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions

missing, wanted = sys.argv[1].split(","), sys.argv[2].split(",")
found = packages_distributions().items()
modules = {name for name, distributions in found if distributions[0].lower().replace("_", "-") in missing}

class Refuses(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in modules else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Refuses
for module in wanted:
    __import__(module)

from cheques.settings import Settings
from reader.open_reader import open_reader
from reader.reading import ReaderError
from trainer.presets import recipe_here
from trainer.recipe import TrainingError

remote, local = Settings(_env_file=None, reader_url="http://127.0.0.1:9"), Settings(_env_file=None)
for use, settings in ((open_reader, remote), (open_reader, local), (recipe_here, local)):
    try:
        use(settings)
    except (ReaderError, TrainingError) as error:
        print(error)
"""


@pytest.mark.slow
def test_a_remote_reader_needs_no_extra(tmp_path: Path) -> None:
    wanted = "backend.app,worker.jobs,worker.rq_worker,chequemate.cli"
    missing = ",".join(set().union(*(found for extra, found in EXTRAS.items() if extra != "dev")) - BASE)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS, missing, wanted],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"CHEQUEMATE_HOME": str(tmp_path), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    remote, local, training = done.stdout.splitlines()
    assert "127.0.0.1:9" in remote
    assert re.fullmatch(r"reading in this process needs \w+: install chequemate\[local\], or set \w+", local)
    assert training == "training needs torch, peft, sklearn, matplotlib: install chequemate[train]"
