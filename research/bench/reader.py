"""How fast the local reader is, as ratios within one run: batches, the grammar, a new champion, length, pixels, start.

`python -m research.bench.reader [--cheques N] [--model M] [--threads N] [--cpu] [--json FILE]`. What is
compared takes turns and the best of each counts, since the machine may have other work. Where it has much of it,
`--cpu --threads 1` counts processor seconds: those of the wall clock on a machine with one idle core.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from PIL.Image import Image

from cheques.drawing import draw_cheque
from cheques.fields import CHEQUE, Form
from cheques.settings import Settings
from reader.local.local_reader import LocalReader
from reader.local.model import vision_tower
from reader.reading import Adapter
from research.bench.parts import arguments, tell

ROOT = Path(__file__).resolve().parents[2]
TURNS = 3
clock = time.perf_counter
SWAPS = 200
START = """
import os
from cheques.drawing import draw_cheque
from cheques.fields import CHEQUE
from reader.open_reader import open_reader
from cheques.settings import settings
open_reader(settings()).read([draw_cheque(0).image], CHEQUE)
os._exit(0)  # to tidy up takes torch another second or two
"""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--cheques", type=int, default=24)
    parser.add_argument("--cpu", action="store_true")
    given = parser.parse_args()
    if given.cpu:
        global clock
        clock = time.process_time
    settings = Settings(model=given.model, threads=given.threads, batch=8, _env_file=None)
    cheques = [draw_cheque(seed).image for seed in range(given.cheques)]
    found: dict[str, Any] = {"load": os.getloadavg()[0], "cores": os.cpu_count()}
    found["start_seconds"] = round(seconds_to_start(given.model), 2)
    reader = LocalReader(settings)
    reader.read(cheques[:8], CHEQUE)
    for measure in (batches, sight, grammar, lengths, pixels, swaps):
        found |= measure(reader, cheques)
        tell(found, given.json)


def batches(reader: LocalReader, cheques: Sequence[Image]) -> dict[str, float]:
    """Eight at once against one by one: at least 2.5 times the cheques a second. One cheque, warm: under 1 s."""

    def one_by_one() -> None:
        for cheque in cheques:
            reader.read([cheque], CHEQUE)

    alone, together = best_of_turns(one_by_one, lambda: reader.read(cheques, CHEQUE))
    return {
        "one_cheque_seconds": round(alone / len(cheques), 3),
        "eight_at_once_seconds_each": round(together / len(cheques), 3),
        "eight_at_once_ratio": round(alone / together, 2),
    }


def sight(reader: LocalReader, cheques: Sequence[Image]) -> dict[str, float]:
    """The vision tower as transformers has it against the reader's own ways through it, in the same precision."""
    import torch
    from transformers import AutoModelForImageTextToText

    own = vision_tower(reader._session.loaded.model)  # type: ignore[union-attr]
    plain = vision_tower(AutoModelForImageTextToText.from_pretrained(reader._model, dtype=own.dtype))  # type: ignore[union-attr]
    seen = reader._session.inputs(list(cheques[:8]), CHEQUE)  # type: ignore[union-attr]

    def see(tower: Any) -> None:
        with torch.inference_mode():
            tower(seen["pixel_values"].to(tower.dtype), grid_thw=seen["image_grid_thw"])

    theirs, ours = best_of_turns(lambda: see(plain), lambda: see(own))
    return {"sight_seconds_of_eight": round(ours, 3), "sight_ratio": round(theirs / ours, 2)}


def grammar(reader: LocalReader, cheques: Sequence[Image]) -> dict[str, float]:
    """Under the grammar against free, by the token, since free answers may be of another length: at most 1.10."""
    counts = dict.fromkeys((True, False), 0)

    def read(constrained: bool) -> None:
        answers = reader.read(cheques, CHEQUE, constrained=constrained)
        tokenize = reader._session.loaded.processor.tokenizer  # type: ignore[union-attr]
        counts[constrained] = max(len(tokenize(answer.raw).input_ids) for answer in answers)

    held, free = best_of_turns(lambda: read(True), lambda: read(False))
    return {
        "grammar_seconds": round(held, 2),
        "free_seconds": round(free, 2),
        "grammar_tokens": counts[True],
        "free_tokens": counts[False],
        "grammar_ratio": round(held / free, 3),
    }


def lengths(reader: LocalReader, cheques: Sequence[Image]) -> dict[str, float]:
    """Seconds a cheque for one, three and all seven fields: what the length of the answer costs."""
    forms = {n: Form(CHEQUE.fields[:n]) for n in (1, 3, 7)}
    times = best_of_turns(*(lambda form=form: reader.read(cheques, form) for form in forms.values()))  # type: ignore[misc]
    return {f"fields_{n}_seconds": round(t / len(cheques), 3) for n, t in zip(forms, times, strict=True)}


def pixels(reader: LocalReader, cheques: Sequence[Image]) -> dict[str, float]:
    """Seconds a cheque at half, the same and twice the pixels that the processor asks for, one field each."""
    form = Form(CHEQUE.fields[:1])
    images: Any = reader._session.loaded.processor.image_processor  # type: ignore[union-attr]
    asked = dict(images.size)

    def read(times: float) -> None:
        images.size = {side: int(value * times) for side, value in asked.items()}
        reader.read(cheques, form)

    sizes = (0.5, 1.0, 2.0)
    times = best_of_turns(*(lambda size=size: read(size) for size in sizes))  # type: ignore[misc]
    images.size = asked
    return {f"pixels_{size}_seconds": round(t / len(cheques), 3) for size, t in zip(sizes, times, strict=True)}


def swaps(reader: LocalReader, cheques: Sequence[Image]) -> dict[str, float]:
    """Adapters put on that are not in memory: under 100 ms each, and memory flat over 200."""
    with tempfile.TemporaryDirectory() as folder:
        adapters = [random_adapter(reader._model, Path(folder), n) for n in range(6)]
        use = reader._session.adapters.use  # type: ignore[union-attr]
        for adapter in adapters:
            use(adapter)
        before, times = resident_megabytes(), []
        for n in range(SWAPS):
            started = clock()
            use(adapters[n % 6])
            times.append(clock() - started)
        use(None)
        return {
            "swap_median_ms": round(1000 * median(times), 1),
            "swap_worst_ms": round(1000 * max(times), 1),
            "swap_megabytes_grown": round(resident_megabytes() - before, 1),
        }


def random_adapter(model: str, folder: Path, seed: int) -> Adapter:
    """An adapter with the trainer's layers and rank, and random weights."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    from trainer.recipe import LoraRecipe

    recipe = LoraRecipe()
    torch.manual_seed(seed)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        target_modules=recipe.targets,
        init_lora_weights=False,
    )
    path = folder / f"v{seed}"
    get_peft_model(AutoModelForImageTextToText.from_pretrained(model), config).save_pretrained(path)
    return Adapter(f"bench/v{seed}", path)


def seconds_to_start(model: str) -> float:
    """From nothing to the first reading, in a process of its own: under 8 s."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", START], env=os.environ | {"CHEQUEMATE_MODEL": model}, cwd=ROOT, check=True)
    return time.perf_counter() - started


def best_of_turns(*ways: Callable[[], Any]) -> list[float]:
    """The best time of each, taking turns."""
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(TURNS):
        for way, so_far in zip(ways, times, strict=True):
            started = clock()
            way()
            so_far.append(clock() - started)
    return [min(so_far) for so_far in times]


def resident_megabytes() -> float:
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 / 1e6 if statm.exists() else float("nan")


if __name__ == "__main__":
    main()
