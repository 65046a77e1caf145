"""Unsloth beside plain transformers + peft: cheques a second and peak memory at equal batch and length.

For whoever has a GPU: python -m research.bench.train_gpu [--shape 7b] [--cheques 100] [--cap 24]. Speed and memory do
not depend on the weights, so a randomly initialised model of the shape stands in for the one from the hub.
`32b-thin` has the width of a 32B and fewer layers: what a layer holds, times the layers left out,
makes up for the rest. `--cap` limits the process to so many GiB, as a smaller card would. `--shape toy --device cpu`
shows without a card that it runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LARGE_VISION = {"depth": 32, "vision": 1280, "vocabulary": 152064}
SHAPES: dict[str, dict[str, int]] = {
    "toy": {"width": 64, "layers": 2, "heads": 4, "kv": 2, "inner": 128, "depth": 2, "vision": 64, "vocabulary": 1024},
    "7b": {"width": 3584, "layers": 28, "heads": 28, "kv": 4, "inner": 18944, **LARGE_VISION},
    "32b-thin": {"width": 5120, "layers": 8, "heads": 40, "kv": 8, "inner": 27648, **LARGE_VISION},
}
SIZE = (1288, 588)  # pixels of a cheque, as a scan at 200 dpi: about 970 image tokens


def build(shape: str, folder: Path, device: str) -> None:
    """A Qwen2.5-VL of the shape with random weights, and a processor that needs no download."""
    import torch

    from reader.local.model import with_torchvision
    from research.pretraining import tokenizer as tok

    with_torchvision()
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    size, ids = SHAPES[shape], {token: number for number, token in enumerate(tok.SPECIALS)}
    sections = [size["width"] // size["heads"] // 8, *[size["width"] // size["heads"] * 3 // 16] * 2]
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": size["width"],
            "num_hidden_layers": size["layers"],
            "num_attention_heads": size["heads"],
            "num_key_value_heads": size["kv"],
            "intermediate_size": size["inner"],
            "vocab_size": size["vocabulary"],
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": sections},
            "pad_token_id": ids[tok.PAD],
            "eos_token_id": ids[tok.END],
            "bos_token_id": None,
        },
        vision_config={
            "depth": size["depth"],
            "hidden_size": size["vision"],
            "num_heads": 16 if size["vision"] > 64 else 4,
            "intermediate_size": 3420 if size["vision"] > 64 else 128,
            "out_hidden_size": size["width"],
            "fullatt_block_indexes": [size["depth"] - 1],
        },
        image_token_id=ids[tok.IMAGE],
        video_token_id=ids[tok.VIDEO],
        vision_start_token_id=ids[tok.VISION_START],
        vision_end_token_id=ids[tok.VISION_END],
    )
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        model = Qwen2_5_VLForConditionalGeneration(config)
    torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder)
    pixels = {"size": {"shortest_edge": 56 * 56, "longest_edge": SIZE[0] * SIZE[1]}}
    Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**pixels),
        tokenizer=tok.build(),
        video_processor=Qwen2VLVideoProcessor(**pixels),
        chat_template=tok.TEMPLATE,
    ).save_pretrained(folder)


def measure(engine: str, folder: str, device: str, cheques: int, batch: int, cap: float) -> dict[str, Any]:
    """Train on so many drawn cheques, a batch to warm up first."""
    import torch

    from cheques.drawing import draw_cheque
    from cheques.fields import CHEQUE
    from trainer.collate import Collator
    from trainer.lora import load
    from trainer.presets import LARGE

    if cap:
        total = torch.cuda.get_device_properties(0).total_memory / 2**30
        torch.cuda.set_per_process_memory_fraction(min(1.0, cap / total))
    drawn = [draw_cheque(number, size=SIZE) for number in range(batch)]
    cards = [(one.image, one.truth) for one in drawn]
    loaded = load(folder, LARGE, device, engine)  # type: ignore[arg-type]
    collate = Collator(loaded.processor, CHEQUE)
    tokens = int(collate(cards)["input_ids"].shape[1])
    loaded.step(cards, collate, 1e-4)
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(max(1, cheques // batch)):
        loaded.step(cards, collate, 1e-4)
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    rate = max(1, cheques // batch) * batch / (time.perf_counter() - began)
    return {"engine": engine, "cheques_per_second": rate, "peak_gib": loaded.peak_bytes() / 2**30, "tokens": tokens}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--shape", choices=SHAPES, default="7b")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--engines", default="unsloth,peft")
    parser.add_argument("--cheques", type=int, default=100)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--cap", type=float, default=0, help="GiB that the process may take of the card")
    parser.add_argument("--measure", nargs=2, metavar=("ENGINE", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        engine, folder = options.measure
        found = measure(engine, folder, options.device, options.cheques, options.batch, options.cap)
        print("RESULT " + json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        build(options.shape, Path(folder), options.device)
        results = [_in_a_process(engine, folder) for engine in options.engines.split(",")]
    print(f"shape {options.shape}, batch {options.batch}, {options.cheques} cheques")
    for result in results:
        print(f"{result['engine']:8} {result['cheques_per_second']:8.2f} cheques/s {result['peak_gib']:7.1f} GiB peak"
              f"  {result['tokens']} tokens")  # fmt: skip
    if len(results) == 2:
        one, other = results
        faster = one["cheques_per_second"] / other["cheques_per_second"]
        print(f"ratio    {faster:8.2f} x         {one['peak_gib'] / other['peak_gib']:7.2f} x")


def _in_a_process(engine: str, folder: str) -> dict[str, Any]:
    """In a process of its own, so that neither engine's patches nor its memory reach the other."""
    command = [sys.executable, *sys.argv, "--measure", engine, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
            return found
    sys.exit(f"{engine}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'no result'}")


if __name__ == "__main__":
    main()
