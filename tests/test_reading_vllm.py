"""The reader over HTTP against a real vLLM on this CPU: it reads what the reader in this process reads.

vLLM lives in an environment of its own (`make proof` makes it); without it these tests are skipped.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests
from PIL import Image

from cheques.drawing import draw_cheque
from cheques.fields import CHEQUE
from cheques.settings import MODELS, Settings
from reader.grammar import fits
from reader.local import model as local_model
from reader.local.local_reader import LocalReader
from reader.reading import Adapter, ReaderError, Reading
from reader.remote.remote_reader import RemoteReader
from tests.test_reading_local import hostile, settings_for
from trainer.recipe import LoraRecipe

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
SMALL = MODELS / "small"
START = 600.0  # seconds; a minute or less on an idle machine, more than five on one that is shared by many

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(not PYTHON.exists(), reason="vLLM is not installed here: make .venv-vllm/ready"),
]

# Not `disable_any_whitespace`: it leaves no space after a colon or comma, unlike every answer that the model was
# trained on, and what it then reads is nonsense in valid JSON. `--generation-config vllm`: the server would cut answers
# at the model's own max_new_tokens.
FLAGS = (
    *("--dtype=float32", "--enforce-eager", "--max-model-len=2048", "--max-num-seqs=8", "--generation-config=vllm"),
    *("--enable-lora", "--max-loras=2", "--max-cpu-loras=8", "--max-lora-rank=16"),
    '--structured-outputs-config={"backend":"xgrammar"}',
)
ENVIRONMENT = {
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}


class Vllm:
    """A vLLM server of the tests' own on a free port, its caches and its log in `folder`."""

    def __init__(self, folder: Path, *flags: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url, self.log = f"http://127.0.0.1:{port}", folder / "vllm.log"
        # vLLM imports torchvision in processes of its own, which has no compiled operators for a CPU.
        site = "from reader.local.model import with_torchvision\n\nwith_torchvision()\n"
        (folder / "sitecustomize.py").write_text(site)
        about = {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
        command = [PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--model", SMALL, "--host", "127.0.0.1"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*map(str, command), "--port", str(port), *FLAGS, *flags],
                env={**os.environ, **ENVIRONMENT, **about},
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> Vllm:
        until = time.monotonic() + START
        while not self.answers():
            assert self._process.poll() is None and time.monotonic() < until, self.log.read_text()[-4000:]
            time.sleep(0.5)
        return self

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/health", timeout=2).ok
        except requests.RequestException:
            return False

    def models(self) -> list[str]:
        return [model["id"] for model in requests.get(f"{self.url}/v1/models", timeout=10).json()["data"]]

    def reader(self, home: Path) -> RemoteReader:
        return RemoteReader(Settings(reader_url=self.url, home=home, batch=4, _env_file=None))  # type: ignore[arg-type, call-arg]

    def stop(self) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(30)
        with suppress(ProcessLookupError):  # its engine and worker outlive it where it is stopped while starting
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def running(folder: Path, *flags: str) -> Iterator[Vllm]:
    server = Vllm(folder, *flags)
    try:
        yield server.wait()
    finally:
        server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vllm]:
    """As vLLM is by default: it ignores an adapter's vision layers."""
    with running(tmp_path_factory.mktemp("vllm")) as server:
        yield server


@pytest.fixture(scope="module")
def cheques() -> list[Image.Image]:
    """A dozen, half of them of hands that the model never saw."""
    return [draw_cheque(900_000 + n, hands="seen" if n % 2 else "unseen").image for n in range(12)]


@pytest.fixture(scope="module")
def near() -> LocalReader:
    """The reader in this process, its vision tower in the server's float32 too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_model, "fast_bfloat16", lambda: False)
        return LocalReader(settings_for(SMALL))


def made_adapter(folder: Path, name: str, recipe: LoraRecipe) -> Adapter:
    """An adapter on the recipe's layers that was never trained: it changes what is read, and most is still right."""
    local_model.with_torchvision()
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    torch.manual_seed(7)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=recipe.targets)
    model = get_peft_model(AutoModelForImageTextToText.from_pretrained(SMALL, dtype=torch.float32), config)
    for key, weight in model.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(weight, std=0.15)
    model.save_pretrained(folder / name / "adapter")
    return Adapter(f"7/{name}", folder / name / "adapter")


def differing(some: Sequence[Reading], others: Sequence[Reading]) -> list[tuple[int, str]]:
    return [
        (n, name)
        for n, (one, other) in enumerate(zip(some, others, strict=True))
        for name in CHEQUE.names
        if one.values.get(name) != other.values.get(name)
    ]


def assert_same(far: Sequence[Reading], near: Sequence[Reading]) -> None:
    """The same values, and log-probabilities and confidences that mean the same."""
    assert differing(far, near) == []
    for there, here in zip(far, near, strict=True):
        assert there.raw == here.raw
        assert there.confidence == pytest.approx(here.confidence, abs=0.002)
        for name in CHEQUE.names:
            # Of 17 nats between the likeliest tokens two kernels may disagree by a hundredth.
            assert there.evidence[name] == pytest.approx(here.evidence[name], abs=0.005, rel=0.02)


@pytest.mark.parametrize("constrained", [True, False])
def test_vllm_reads_what_is_read_in_this_process(
    server: Vllm, near: LocalReader, cheques: list[Image.Image], tmp_path: Path, constrained: bool
) -> None:
    far = server.reader(tmp_path)
    assert_same(far.read(cheques, CHEQUE, constrained=constrained), near.read(cheques, CHEQUE, constrained=constrained))
    far.close()


def test_hostile_images_give_whole_readings(server: Vllm, tmp_path: Path) -> None:
    far = server.reader(tmp_path)
    assert all(fits(CHEQUE, reading.raw) for reading in far.read(hostile(48), CHEQUE))
    far.close()


def test_an_adapter_is_loaded_and_unloaded_by_name(
    server: Vllm, near: LocalReader, cheques: list[Image.Image], tmp_path: Path
) -> None:
    far, adapter = server.reader(tmp_path), made_adapter(tmp_path, "v1", LoraRecipe(vision=False))
    base = far.read(cheques[:6], CHEQUE)
    adapted = far.read(cheques[:6], CHEQUE, adapter)
    assert server.models()[1:] and server.models()[1].startswith("7-v1-")
    assert differing(adapted, base)
    assert_same(adapted, near.read(cheques[:6], CHEQUE, adapter))
    assert [reading.raw for reading in far.read(cheques[:6], CHEQUE)] == [reading.raw for reading in base]
    far.close()
    assert len(server.models()) == 1


def test_vision_layers_that_vllm_ignores_are_an_error(server: Vllm, cheques: list[Image.Image], tmp_path: Path) -> None:
    far = server.reader(tmp_path)
    far.read(cheques[:1], CHEQUE, made_adapter(tmp_path, "v1", LoraRecipe(vision=False)))
    with pytest.raises(ReaderError, match="--enable-tower-connector-lora") as error:
        far.read(cheques[:1], CHEQUE, made_adapter(tmp_path, "v2", LoraRecipe()))
    assert "\n" not in str(error.value)
    far.close()
    assert len(server.models()) == 1


def test_vision_layers_are_read_with_where_vllm_is_told_to(
    near: LocalReader, cheques: list[Image.Image], tmp_path: Path
) -> None:
    adapter = made_adapter(tmp_path, "v3", LoraRecipe())
    with running(tmp_path, "--enable-tower-connector-lora") as server:
        far = server.reader(tmp_path / "home")
        adapted = far.read(cheques[:6], CHEQUE, adapter)
        assert differing(adapted, far.read(cheques[:6], CHEQUE))
        assert_same(adapted, near.read(cheques[:6], CHEQUE, adapter))
        far.close()
