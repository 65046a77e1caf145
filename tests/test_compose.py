"""docker-compose.yml, checked without Docker: against the compose specification's own schema, and for its promises."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from chequemate.connect import check_backend_url
from cheques.settings import BadSettings

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GPU: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "deploy" / "gpu.yml").read_text())["services"]


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


def test_every_password_is_a_file_that_secrets_sh_makes_and_none_is_in_an_environment(tmp_path: Path) -> None:
    assert not [name for name in variables() if re.search("PASSWORD|TOKEN|KEY", name)]
    for service in SERVICES.values():
        assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|KEY|AUTH$", name) and "ENABLE" not in name:
                assert value == f"/run/secrets/{Path(value).name}" and Path(value).name in service["secrets"], name
    folder = tmp_path / "of the team"
    for _ in range(2):
        subprocess.run(["sh", ROOT / "deploy" / "secrets.sh"], env={**os.environ, "SECRETS": str(folder)}, check=True)
        made = {path.name: path.read_text() for path in folder.iterdir()}
    assert made.keys() == COMPOSE["secrets"].keys() and folder.stat().st_mode & 0o777 == 0o700
    assert all(re.fullmatch("[0-9a-f]{40}", made[name]) for name in made if name != "reader_key")
    assert len(set(made.values())) == len(made)


def test_secrets_sh_takes_over_what_an_older_env_holds_and_changes_nothing_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    shutil.copy(ROOT / "deploy" / "secrets.sh", tmp_path / "deploy")
    (tmp_path / ".env").write_text("REDIS_PASSWORD='p/#@ $x'\nCHEQUEMATE_STUDIO_TOKEN=abc\nCHEQUEMATE_READER_KEY=k\n")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "backend_password").write_text("mine")
    subprocess.run(["sh", tmp_path / "deploy" / "secrets.sh"], env={"PATH": os.environ["PATH"]}, check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert (made["redis_password"], made["label_studio_token"], made["reader_key"]) == ("p/#@ $x", "abc", "k")
    assert made["backend_password"] == "mine"


def test_the_example_names_every_variable_that_must_be_set() -> None:
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    example = dict(line.split("=", 1) for line in lines)
    unset = {name for name, rest in variables().items() if name not in example and not rest.startswith((":-", "-"))}
    assert unset == set()


def test_every_service_has_a_health_check_limits_its_log_and_memory_and_keeps_its_data() -> None:
    for name, service in SERVICES.items():
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        assert service["restart"] == "unless-stopped", name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}, name
        assert service["mem_limit"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert any(str(volume).split(":")[0] in COMPOSE["volumes"] for volume in service["volumes"]), name


def test_who_shares_the_home_is_the_same_user_for_nobody_else_can_read_it() -> None:
    sharing = {name for name, service in SERVICES.items() if "home:/data" in service["volumes"]}
    assert sharing == {"backend", "worker"}
    assert {SERVICES[name]["user"] for name in sharing} == {"1000:1000"}
    assert "useradd --uid 1000" in (ROOT / "deploy" / "Dockerfile").read_text()


def test_what_is_ours_can_write_to_its_volumes_alone() -> None:
    for name in ("backend", "worker"):
        assert SERVICES[name]["read_only"] and SERVICES[name]["cap_drop"] == ["ALL"], name


def test_redis_keeps_an_append_only_file() -> None:
    assert "appendonly yes" in " ".join(SERVICES["redis"]["entrypoint"])


def test_only_label_studio_and_the_proxy_may_be_published_beyond_loopback() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert name == "proxy" or re.match(r"\$\{\w+_LISTEN:-127\.0\.0\.1:", port), name


def test_one_image_is_built_once_and_its_tag_is_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert [name for name, service in SERVICES.items() if "build" in service] == ["backend"]
    assert {SERVICES[name]["image"] for name in ("backend", "worker")} == {f"chequemate:{version}-cpu"}
    assert {GPU[name]["image"] for name in ("backend", "worker")} == {f"chequemate:{version}-gpu"}


def test_with_a_card_the_same_services_take_its_place_and_nothing_else_changes() -> None:
    """Were they services of another name, the old ones would go on and hold the address and the port."""
    assert GPU.keys() == {"backend", "worker"}
    for service in GPU.values():
        assert service["deploy"]["resources"]["reservations"]["devices"][0]["driver"] == "nvidia"
        assert service.keys() <= {"image", "build", "deploy", "mem_limit"}
    assert {name for name, service in SERVICES.items() if "profiles" in service} == {"proxy"}


def test_what_is_depended_on_exists_and_is_never_in_another_profile() -> None:
    for service in SERVICES.values():
        for needed in service.get("depends_on", {}):
            assert "profiles" not in SERVICES[needed]


def test_label_studio_sends_events_to_the_name_that_the_backend_is_given() -> None:
    from cheques.settings import Settings

    url = SERVICES["worker"]["environment"]["CHEQUEMATE_BACKEND_URL"]
    check_backend_url(Settings(_env_file=None, backend_url=url))  # type: ignore[call-arg]
    assert urlsplit(url).hostname in SERVICES["backend"]["networks"]["default"]["aliases"]
    with pytest.raises(BadSettings, match=r"such as backend\.internal"):
        check_backend_url(Settings(_env_file=None, backend_url="http://backend:9090"))  # type: ignore[call-arg, arg-type]


def test_the_environment_is_made_of_known_settings() -> None:
    from cheques.settings import Settings

    known = {f"CHEQUEMATE_{name.upper()}" for name in Settings.model_fields}
    for service in SERVICES.values():
        given = {name for name in service.get("environment", {}) if name.startswith("CHEQUEMATE_")}
        assert {name.removesuffix("_FILE") for name in given} <= known


def test_every_setting_reaches_the_backend_and_the_worker_and_an_empty_one_has_its_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from cheques.settings import Settings

    own = ("backend", "worker")
    settings = {f"CHEQUEMATE_{name.upper()}": name for name in Settings.model_fields}
    for name in own:
        given = {name.removesuffix("_FILE") for name in SERVICES[name]["environment"]}
        assert settings.keys() <= given, name
        assert "env_file" not in SERVICES[name]  # it would bring the passwords of the others
    given = SERVICES["worker"]["environment"]
    left_empty = [name for name, value in given.items() if name in settings and str(value).endswith(":-}")]
    assert len(left_empty) > 10
    for name in left_empty:
        monkeypatch.setenv(name, "")
    made = Settings(_env_file=None)
    for name in left_empty:
        field = settings[name]
        assert getattr(made, field) == Settings.model_fields[field].default, name


# Label Studio 1.23.2, core/utils/io.py, validate_ip
BANNED_BY_LABEL_STUDIO = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24
192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 233.252.0.0/24 240.0.0.0/4 255.255.255.255/32
::/128 ::1/128 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001:0000::/32 2001:20::/28
2001:db8::/32 2002::/16 fc00::/7 fe80::/10 ff00::/8
"""


def collapsed(networks: list[str]) -> list[Any]:
    """Equal for lists that hold the same addresses, the fourth version's before the sixth's."""
    parsed = [ipaddress.ip_network(network) for network in networks]
    four = [network for network in parsed if isinstance(network, ipaddress.IPv4Network)]
    six = [network for network in parsed if isinstance(network, ipaddress.IPv6Network)]
    return [*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six)]


def test_label_studio_may_call_the_backend_and_no_other_private_address() -> None:
    environment = SERVICES["label-studio"]["environment"]
    assert "SSRF_PROTECTION_ENABLED" not in environment and "ML_BLOCK_LOCAL_IP" not in environment  # on by default
    assert environment["USE_DEFAULT_BANNED_SUBNETS"] == "false"
    banned = environment["USER_ADDITIONAL_BANNED_SUBNETS"].split(",")  # as Label Studio splits it, blanks and all
    backend = SERVICES["backend"]["networks"]["default"]["ipv4_address"]
    assert not any(ipaddress.ip_address(backend) in ipaddress.ip_network(network) for network in banned)
    assert collapsed([*banned, f"{backend}/32"]) == collapsed(BANNED_BY_LABEL_STUDIO.split())


def test_no_other_service_is_given_the_address_of_the_backend() -> None:
    (network,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    subnet, others = ipaddress.ip_network(network["subnet"]), ipaddress.ip_network(network["ip_range"])
    address = ipaddress.ip_address(SERVICES["backend"]["networks"]["default"]["ipv4_address"])
    assert address in subnet and address not in others and str(address) != network["gateway"]
    assert SERVICES["label-studio"].get("networks") is None


def test_what_git_ignores_is_not_sent_to_the_builder_either() -> None:
    ignored = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()}
    kept_out = {line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text().split()}
    assert ignored <= kept_out
