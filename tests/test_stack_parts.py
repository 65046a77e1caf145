"""The stack's own secrets, ports and Redis; the programs that it finds; how other verbs find it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import time
from pathlib import Path

import pytest
import redis

from chequemate import services
from chequemate.stack import PORTS, Stack, StackError, adopt_running, free_port
from cheques import settings as configuration
from cheques.settings import BadSettings, Settings


def settings(home: Path, **more: object) -> Settings:
    return Settings(_env_file=None, home=home, **more)  # type: ignore[call-arg, arg-type]


def test_secrets_are_made_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    first = Stack(settings(tmp_path), parts=())
    first.stop()
    again = Stack(settings(tmp_path), parts=())
    again.stop()
    assert first.secrets == again.secrets
    assert len(first.token) == 40
    int(first.token, 16)
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


@pytest.mark.slow
def test_a_real_redis_runs_on_loopback_with_a_password_and_survives_a_kill(tmp_path: Path) -> None:
    with Stack(settings(tmp_path), parts=("redis",)) as stack:
        client = redis.Redis.from_url(stack.settings.redis_url)
        client.set("kept", "yes")
        client.execute_command("WAITAOF", 0, 0, 0) if client.info()["redis_version"] >= "7.2" else time.sleep(1.2)
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=int(stack.settings.redis_url.rsplit(":", 1)[1].split("/")[0])).ping()
        first = stack.supervisor.pid("redis")
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + 15
        while stack.supervisor.pid("redis") == first or not services.redis_answers(stack.settings.redis_url):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert client.get("kept") == b"yes"
        password = stack.secrets.redis_password
        command = Path(f"/proc/{stack.supervisor.pid('redis')}/cmdline")
        assert not command.exists() or password not in command.read_text()
    assert stat.S_IMODE((tmp_path / "stack/redis/redis.conf").stat().st_mode) == 0o600


def test_redis_url_is_used_where_it_is_set(tmp_path: Path) -> None:
    stack = Stack(settings(tmp_path, redis_url="redis://127.0.0.1:1/0"), parts=("redis",))
    with pytest.raises(StackError, match="Redis does not answer at REDIS_URL"):
        stack.start()


def test_a_port_that_is_taken_is_not_taken_twice() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port


def test_ports_are_the_same_the_next_time(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", PORTS["backend"]))
            taken.listen()
        except OSError:
            pass  # somebody else holds it, which is as good
        first = Stack(settings(tmp_path), parts=("backend",))
        first.stop()
    assert not first.backend_url.endswith(f":{PORTS['backend']}")
    again = Stack(settings(tmp_path), parts=("backend",))
    again.stop()
    assert again.backend_url == first.backend_url


def test_label_studio_is_named_by_the_environment_or_told_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "label-studio"
    monkeypatch.setenv("CHEQUEMATE_LABEL_STUDIO", str(command))
    with pytest.raises(StackError, match=r"make \.venv-labelstudio/ready"):
        services.label_studio_command()
    command.touch()
    assert services.label_studio_command() == str(command)


def test_a_redis_of_the_machine_goes_before_the_bundled_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "redis-server"
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert services.redis_server() == str(installed)
    monkeypatch.setenv("PATH", "")
    assert Path(services.redis_server()).exists()


def test_children_are_told_every_setting_that_was_given(tmp_path: Path) -> None:
    stack = Stack(settings(tmp_path, retrain_every=7, image_hosts=("a", "b"), worth={"date": 2.0}))
    stack.stop()
    told = stack.environment()
    assert told["CHEQUEMATE_RETRAIN_EVERY"] == "7"
    assert told["CHEQUEMATE_IMAGE_HOSTS"] == "a,b"
    assert json.loads(told["CHEQUEMATE_WORTH"]) == {"date": 2}
    assert told["CHEQUEMATE_STUDIO_TOKEN"] == stack.token
    assert told["CHEQUEMATE_HOST"] == "127.0.0.1"


def test_without_a_label_studio_of_its_own_it_serves_that_of_the_settings(tmp_path: Path) -> None:
    elsewhere = settings(tmp_path, studio_url="https://studio.example/", studio_token="theirs", host="0.0.0.0")
    parts = ("redis", "backend", "worker")
    stack = Stack(elsewhere, parts=parts)
    stack.stop()
    told = stack.environment()
    assert told["CHEQUEMATE_STUDIO_URL"] == "https://studio.example/" and told["CHEQUEMATE_STUDIO_TOKEN"] == "theirs"
    assert told["CHEQUEMATE_HOST"] == "0.0.0.0" and told["CHEQUEMATE_PASSWORD"]
    assert stack.backend_listens.startswith("0.0.0.0:") and stack.backend_url.startswith("http://127.0.0.1:")
    stack = Stack(elsewhere.model_copy(update={"backend_url": "https://reads.example"}), parts=parts)
    stack.stop()
    assert stack.backend_url == "https://reads.example"


def test_a_setting_that_is_no_json_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHEQUEMATE_WORTH", "{'date': 2}")
    configuration.settings.cache_clear()
    with pytest.raises(BadSettings, match="CHEQUEMATE_WORTH"):
        configuration.settings()
    configuration.settings.cache_clear()


def test_other_verbs_find_the_running_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHEQUEMATE_HOME", str(tmp_path))
    monkeypatch.setenv("CHEQUEMATE_USER", "somebody")
    (tmp_path / "stack").mkdir()
    ours = {"CHEQUEMATE_STUDIO_TOKEN": "t", "CHEQUEMATE_USER": "chequemate"}
    (tmp_path / "stack/environment.json").write_text(json.dumps(ours))
    monkeypatch.delenv("CHEQUEMATE_STUDIO_TOKEN", raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    adopt_running()
    assert os.environ["CHEQUEMATE_STUDIO_TOKEN"] == "t"
    assert os.environ["CHEQUEMATE_USER"] == "somebody"  # what the user set stays
    (tmp_path / "stack/environment.json").write_text("[]")  # damaged: as if no stack ran
    adopt_running()


def test_a_password_left_empty_in_the_environment_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHEQUEMATE_PASSWORD", "")  # as in a copy of .env.example that nobody filled in
    assert settings(tmp_path).password is None
