"""The configuration: environment variables CHEQUEMATE_* (and .env), read once, checked at start."""

from __future__ import annotations

import ipaddress
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AliasChoices, Field, HttpUrl, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

MODELS = Path(__file__).resolve().parent.parent / "models"


class Settings(BaseSettings):
    """Every setting with its default. The README's table is made from these descriptions."""

    model_config = SettingsConfigDict(
        env_prefix="CHEQUEMATE_", env_file=".env", env_ignore_empty=True, extra="ignore", populate_by_name=True
    )

    home: Path = Field(Path(".chequemate"), description="where versions, the draw and the logs live")
    model: str = Field(
        str(MODELS / "small"), description="base model: a folder, or a hub name such as Qwen/Qwen2.5-VL-7B-Instruct"
    )
    reader_url: HttpUrl | None = Field(
        None, description="read through this OpenAI-compatible server (vLLM) instead of in this process"
    )
    reader_key: SecretStr | None = Field(None, description="API key of that server")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:1")
    threads: int = Field(0, ge=0, description="CPU threads of the reader; 0: as many as there are cores")
    batch: int = Field(8, ge=1, description="cheques read at once")

    studio_url: HttpUrl = Field(
        HttpUrl("http://127.0.0.1:8080"),
        validation_alias=AliasChoices("CHEQUEMATE_STUDIO_URL", "LABEL_STUDIO_URL"),
        description="Label Studio, as the backend and the worker reach it",
    )
    studio_token: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("CHEQUEMATE_STUDIO_TOKEN", "LABEL_STUDIO_API_KEY"),
        description="its API key: a legacy token or a personal access token",
    )
    files_root: Path | None = Field(
        None, description="Label Studio's local-files document root, when this machine sees it"
    )
    image_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="hosts from which http(s) images may be fetched, comma-separated"
    )
    page: int = Field(1, ge=1, description="which page of a TIFF or PDF with several is read, from 1")

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        validation_alias=AliasChoices("CHEQUEMATE_REDIS_URL", "REDIS_URL"),
        description="Redis of the queue",
    )
    backend_url: HttpUrl = Field(
        HttpUrl("http://127.0.0.1:9090"), description="the backend, as Label Studio and the worker reach it"
    )
    host: str = Field("127.0.0.1", description="address that the backend listens on")
    user: str = Field("chequemate", description="basic-auth user of the backend")
    password: SecretStr | None = Field(
        None, description="basic-auth password; without one the backend listens on loopback only"
    )

    projects: Annotated[tuple[int, ...], NoDecode] = Field(
        (), description="Label Studio projects to serve, beside those joined by `chequemate connect`"
    )
    retrain_every: int = Field(20, ge=1, description="new or changed lessons that start a retraining")
    strategy: Literal["active", "uncertainty", "diverse", "random"] = Field(
        "active",
        description="which lesson comes next: the most instructive, or (to compare) by one signal or by chance",
    )
    worth: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {},
        description='what a field is worth to that order, as JSON ({"date": 2}); else an amount 2, any other field 1',
    )
    doubt: float = Field(
        0.8, ge=0, le=1, description="fields with a confidence below this are named to the annotator in the task"
    )
    reconcile_seconds: float = Field(
        60.0, gt=0, description="how often the worker asks Label Studio what webhooks may have missed"
    )
    job_timeout: int = Field(24 * 3600, ge=60, description="seconds that a training may take")
    training_log: Path | None = Field(
        None, description="folder for TensorBoard logs of the trainings; needs the package tensorboard"
    )
    blind: bool = Field(True, description="show half of the exam without pre-labels, to measure the time saved")
    second_share: float = Field(
        0.0, ge=0, le=1, description="share of the exam that a second annotator labels too, to measure quality"
    )
    planted: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="share of the lessons whose pre-label shows one planted error, to measure attention",
    )

    @field_validator("image_hosts", "projects", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().resolve()


class BadSettings(ValueError):
    """A setting that cannot be used: one line that names its variable."""


def is_loopback(host: str) -> bool:
    """Is this name or address always this machine?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def has_password(redis_url: str) -> bool:
    """Does a Redis URL carry a password?"""
    parts = urlsplit(redis_url)
    return bool(parts.password or parse_qs(parts.query).get("password"))


def check_redis(settings: Settings) -> None:
    """What the worker does is in Redis: nobody on a network may write there unasked. Raises BadSettings."""
    host = urlsplit(settings.redis_url).hostname
    if host and not is_loopback(host) and not has_password(settings.redis_url):
        raise BadSettings(
            f"CHEQUEMATE_REDIS_URL names {host} without a password: set requirepass there, and give it as"
            f" redis://:PASSWORD@{host}:6379/0"
        )


def keep_private(home: Path) -> None:
    """Only its owner reads the home, and what this process and its children write: pictures of cheques, tokens."""
    os.umask(0o077)
    home.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # somebody else's folder: that is for them to say
        home.chmod(0o700)


@cache
def settings() -> Settings:
    """The settings of this process. Raises BadSettings naming each wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"CHEQUEMATE_{str(e['loc'][0]).upper().removeprefix('CHEQUEMATE_')}: {e['msg']}" for e in error.errors()
        )
        raise BadSettings(f"settings: {wrong}; correct the environment or .env") from None
    except SettingsError:  # raised before any validation
        raise BadSettings('settings: CHEQUEMATE_WORTH: give it as JSON, such as {"date": 2}') from None
