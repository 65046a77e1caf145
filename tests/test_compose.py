"""docker-compose.yml, checked without Docker: against the compose specification's own schema, and for its promises."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def specification() -> dict[str, Any]:
    """The schema of the compose specification, as the package check-jsonschema carries it (Apache-2.0)."""
    package = importlib.util.find_spec("check_jsonschema")
    if not package or not package.origin:
        pytest.skip("check-jsonschema is not installed")
    place = Path(package.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema: dict[str, Any] = json.loads(place.read_text())
    return schema


def test_follows_the_compose_specification() -> None:
    jsonschema.validate(COMPOSE, specification())


def test_the_specification_would_notice_a_mistake() -> None:
    broken = COMPOSE | {"services": SERVICES | {"redis": SERVICES["redis"] | {"volume": ["redis:/data"]}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, specification())


def variables() -> dict[str, str]:
    """Variables of the compose file and what stands after their names: ":?…", ":-…" or nothing."""
    return dict(re.findall(r"\$\{(\w+)([^}]*)\}", TEXT))


def test_no_secret_has_a_default() -> None:
    secret = {name: rest for name, rest in variables().items() if re.search("PASSWORD|TOKEN", name)}
    assert set(secret) == {
        "CHEQUEMATE_PASSWORD",
        "CHEQUEMATE_STUDIO_TOKEN",
        "LABEL_STUDIO_PASSWORD",
        "POSTGRES_PASSWORD",
        "REDIS_PASSWORD",
    }
    assert all(rest.startswith(":?") for rest in secret.values())
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            if re.search("PASSWORD|AUTH$", name):
                assert str(value).startswith("${"), name


def test_the_example_names_every_variable_and_no_secret() -> None:
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    example = dict(line.split("=", 1) for line in lines)
    unset = {name for name, rest in variables().items() if name not in example and not rest.startswith(":-")}
    assert unset == set()
    assert all(value == "" for name, value in example.items() if re.search("PASSWORD|TOKEN", name))


def test_every_service_has_a_health_check_and_keeps_its_data() -> None:
    for name, service in SERVICES.items():
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        assert service["restart"] == "unless-stopped", name
        assert any(str(volume).split(":")[0] in COMPOSE["volumes"] for volume in service["volumes"]), name


def test_redis_keeps_an_append_only_file() -> None:
    assert "appendonly yes" in " ".join(SERVICES["redis"]["command"])


def test_only_label_studio_may_be_published_beyond_loopback() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:") or port.startswith("${LABEL_STUDIO_LISTEN:-127.0.0.1:"), name


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_each_profile_has_one_backend_and_one_worker(profile: str) -> None:
    chosen = {name for name, service in SERVICES.items() if profile in service.get("profiles", [])}
    suffix = "" if profile == "cpu" else "-gpu"
    assert chosen == {f"backend{suffix}", f"worker{suffix}"}
    for name in chosen:
        assert ("deploy" in SERVICES[name]) == (profile == "gpu")


def test_what_is_depended_on_exists_and_is_never_in_another_profile() -> None:
    for service in SERVICES.values():
        for needed in service.get("depends_on", {}):
            assert "profiles" not in SERVICES[needed]


def test_the_environment_is_made_of_known_settings() -> None:
    from cheques.settings import Settings

    known = {f"CHEQUEMATE_{name.upper()}" for name in Settings.model_fields}
    for service in SERVICES.values():
        given = {name for name in service["environment"] if name.startswith("CHEQUEMATE_")}
        assert given <= known
