"""`python -m tests.record_requests`: what Label Studio sends to an ML backend, recorded from a real one.

Writes tests/data/label-studio-requests.json, which test_backend_recorded.py replays. Again after an upgrade of Label
Studio or label-studio-ml: `git diff` then shows what they send otherwise.
"""

from __future__ import annotations

import json
import re
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import requests
from flask import request
from werkzeug.serving import make_server

from backend.app import create_app
from chequemate.connect import auth_header
from chequemate.stack import PORTS, Stack
from cheques.drawing.folder import write_folder
from cheques.settings import Settings
from studio.client import Studio
from studio.config import DEFAULT_CONFIG
from tests.backend_parts import FakeReader, noise, settings_in

FILE = Path(__file__).parent / "data" / "label-studio-requests.json"
USER, PASSWORD = "chequemate", "recorded"
# What differs from one run to the next, and what is secret.
VARYING = re.compile(r'"(access_token|hostname|ml_backend|created_at|updated_at|unique_id|draft_created_at)": "[^"]*"')


def record(home: Path) -> list[dict[str, Any]]:
    """Every request, in the order in which it came: method, path, headers that count, JSON body."""
    found: list[dict[str, Any]] = []
    app = create_app(settings_in(home / "backend", user=USER, password=PASSWORD), FakeReader, lambda *_: noise(1))

    @app.before_request
    def _keep() -> None:
        body = json.loads(VARYING.sub(r'"\1": ""', json.dumps(request.get_json(silent=True))))
        query = f"?{request.query_string.decode()}" if request.query_string else ""
        headers = {name: value for name in ("Content-Type", "Authorization") if (value := request.headers.get(name))}
        found.append({"method": request.method, "path": request.path + query, "headers": headers, "body": body})

    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.port}"
    settings = Settings(_env_file=None, home=home / "stack", user=USER, password=PASSWORD)  # type: ignore[call-arg, arg-type]
    stack = Stack(settings, usual_ports=dict.fromkeys(PORTS, 0))
    try:
        stack.start(only=("label-studio",))
        studio = Studio(stack.studio_url, stack.token)
        write_folder(stack.files / "cheques", 3, 1)
        project = studio.create_project("Chèques", DEFAULT_CONFIG.read_text(encoding="utf-8")).id
        studio.serve_files(project, str(stack.files / "cheques"))
        backend = studio.register_backend(project, url, "Chequemate", USER, PASSWORD)
        studio.register_webhook(project, f"{url}/webhook", auth_header(settings))
        tasks = studio.import_tasks(
            project, [{"image": f"/data/local-files/?d=cheques/c000{n}.png"} for n in (1, 2, 3)]
        )

        def call(method: str, path: str, body: Any = None) -> None:
            token = {"Authorization": f"Token {stack.token}"}
            requests.request(method, stack.studio_url + path, json=body, headers=token, timeout=60).raise_for_status()

        every = {"selectedItems": {"all": True}}
        call("POST", f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}", every)
        place = {"from_name": "lieu", "to_name": "image", "type": "textarea", "value": {"text": ["Lyon"]}}
        annotation = studio.annotate(tasks[0], [place], lead_time=12.0)
        call("PATCH", f"/api/annotations/{annotation}/", {"result": [{**place, "value": {"text": ["Nice"]}}]})
        call("DELETE", f"/api/annotations/{annotation}/")
        studio.annotate(tasks[1], [], was_cancelled=True)
        call("POST", f"/api/ml/{backend}/train", {})
        studio.patch_project(project, title="Chèques de mai")
        call("DELETE", f"/api/tasks/{tasks[2]}/")
        call("POST", f"/api/dm/actions?id=delete_tasks_annotations&project={project}", every)
        time.sleep(3.0)  # webhooks are sent beside the answer
    finally:
        stack.stop()
        server.shutdown()
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        recorded = record(Path(home))
    FILE.write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{FILE}: {len(recorded)} requests")
