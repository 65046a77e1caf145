"""The configuration: environment variables CHEQUEMATE_* (and .env), read once, checked at start."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import re
import ssl
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, quote, urlsplit

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, HttpUrl, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from cheques.network import prepare

DOTENV = ".env"
ENCODING = "utf-8-sig"  # the mark that Windows writes first would become a part of the first name
OTHERS = ("CHEQUEMATE_LABEL_STUDIO", "CHEQUEMATE_WORKER_PID")  # are read elsewhere, and are no settings
MODELS = Path(__file__).resolve().parent.parent / "models"


class Settings(BaseSettings):
    """Every setting with its default. The table in docs/configuration.md has these descriptions."""

    model_config = SettingsConfigDict(
        env_prefix="CHEQUEMATE_",
        env_file=DOTENV,
        env_file_encoding=ENCODING,
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
    )

    home: Path = Field(Path(".chequemate"), description="where Chequemate's own state and the logs live")
    files: Path | None = Field(
        None, description="where adapters, reports and images of labelled cheques lie, if not in the home"
    )
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL for Chequemate's own state (postgresql+psycopg://…) instead of a file in the home"
    )
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
    studio_public_url: HttpUrl | None = Field(
        None, description="Label Studio as people open it and as its tasks name it, where that is another address"
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

    ca_bundle: Path | None = Field(
        None, description="file with the certificates (PEM) of a private CA, trusted beside the public ones"
    )

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        validation_alias=AliasChoices("CHEQUEMATE_REDIS_URL", "REDIS_URL"),
        description="Redis of the queue",
    )
    redis_password: SecretStr | None = Field(
        None, description="its password as it is, for one that an address would have to escape (`/`, `#`, `@`)"
    )
    backend_url: HttpUrl = Field(
        HttpUrl("http://127.0.0.1:9090"), description="the backend, as Label Studio and the worker reach it"
    )
    host: str = Field("127.0.0.1", description="address that the backend listens on")
    user: str = Field("chequemate", description="basic-auth user of the backend")
    password: SecretStr | None = Field(
        None, description="basic-auth password; without one the backend listens on loopback only"
    )

    projects: Annotated[tuple[Annotated[int, Field(ge=1, lt=10**18)], ...], NoDecode] = Field(
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

    date_years: int = Field(
        20,
        ge=1,
        le=90,
        description="a cheque's date lies at most so many years before the day of its label, and three after it",
    )

    @property
    def studio_page(self) -> str:
        """Label Studio's address for links that people open, without a slash at the end."""
        return str(self.studio_public_url or self.studio_url).rstrip("/")

    @field_validator("image_hosts", "projects", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        # With commas, since JSON in an environment variable is hard to type.
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("image_hosts")
    @classmethod
    def _names_alone(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [host for host in hosts if "/" in host]:
            raise ValueError(
                f"{wrong[0]} is no host: give the name alone, such as images.example or images.example:8443"
            )
        return hosts

    @field_validator("ca_bundle")
    @classmethod
    def _with_certificates(cls, path: Path | None) -> Path | None:
        if path is None:
            return None
        path = path.expanduser().resolve()
        # Loaded once here: otherwise a wrong file fails at the first request, as an error of TLS.
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:
            said = error.strerror if isinstance(error, FileNotFoundError | PermissionError) else "no certificate in it"
            raise ValueError(f"{path} is no file with certificates in PEM ({said})") from None
        return path

    @field_validator("home", "files")
    @classmethod
    def _absolute(cls, folder: Path | None) -> Path | None:
        return folder and folder.expanduser().resolve()

    @field_validator("database_url")
    @classmethod
    def _of_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        # Without the address in the message: it may hold a password.
        if url and not re.fullmatch(r"postgresql(\+psycopg)?://\S+", url.get_secret_value()):
            raise ValueError("give postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, or leave it out for SQLite")
        return url

    @model_validator(mode="after")
    def _redis_with_its_password(self) -> Settings:
        if self.redis_password and not has_password(self.redis_url):
            scheme, _, place = self.redis_url.partition("://")
            user, _, host = place.rpartition("@")
            self.redis_url = f"{scheme}://{user}:{quote(self.redis_password.get_secret_value(), safe='')}@{host}"
        return self

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **more: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # Files come last, so that the setting itself goes first.
        return *sources, *more.values(), Files(settings_cls)


class Files(PydanticBaseSettingsSource):
    """CHEQUEMATE_PASSWORD_FILE=/run/secrets/password: any setting may be what a file holds, as secrets are mounted.

    The setting itself goes first. Raises BadSettings where the file cannot be read.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = f"CHEQUEMATE_{field_name.upper()}_FILE"
        if not (path := os.environ.get(name)):
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no text"
            raise BadSettings(f"settings: {name}: {path}: {reason}; name a file that can be read") from None

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value}


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
    """Raises BadSettings for a Redis on a network without a password: who writes there decides what the worker does."""
    host = urlsplit(settings.redis_url).hostname
    if host and not is_loopback(host) and not has_password(settings.redis_url):
        raise BadSettings(
            f"CHEQUEMATE_REDIS_URL names {host} without a password: set requirepass there, and give it as"
            f" redis://:PASSWORD@{host}:6379/0"
        )


def keep_private(home: Path) -> None:
    """Lets the owner alone read the home and what this process and its children write: pictures of cheques, tokens."""
    os.umask(0o077)
    home.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # somebody else's folder: that is for them to say
        home.chmod(0o700)


@cache
def settings() -> Settings:
    """The settings of this process; its network is set by them. Raises BadSettings naming each wrong variable."""
    try:
        found = Settings()
        # Set once and here, before any client exists: clients read the environment when they are made.
        own = (found.studio_url, found.backend_url, found.reader_url)
        prepare([url.host.strip("[]") for url in own if url and url.host], found.ca_bundle, found.home)
        return found
    except ValidationError as error:
        wrong = "; ".join(
            f"CHEQUEMATE_{str(e['loc'][0]).upper().removeprefix('CHEQUEMATE_')}: {e['msg']}" for e in error.errors()
        )
        raise BadSettings(f"settings: {wrong}; correct the environment or .env") from None
    except UnicodeDecodeError:
        raise BadSettings("settings: .env is not UTF-8; save it as UTF-8") from None
    except SettingsError:  # raised before any validation
        raise BadSettings('settings: CHEQUEMATE_WORTH: give it as JSON, such as {"date": 2}') from None
    except OSError as error:
        raise BadSettings(
            f"CHEQUEMATE_HOME cannot be written ({error.strerror}): set it to a folder of your own"
        ) from None


def remarks(settings: Settings) -> list[str]:
    """What is set and does nothing, one line each with its remedy: misspelt names, what another setting makes idle."""
    everything = dotenv_values(DOTENV, encoding=ENCODING) | os.environ
    given = {name.upper(): value for name, value in everything.items() if value}
    variables = {
        name: about.validation_alias.choices
        if isinstance(about.validation_alias, AliasChoices)
        else [f"CHEQUEMATE_{name.upper()}"]
        for name, about in Settings.model_fields.items()
    }
    # `Files` reads the environment alone, not .env.
    files = {f"CHEQUEMATE_{name.upper()}_FILE": variable for name, variable in variables.items()}
    known = {str(variable) for names in variables.values() for variable in names} | {*files} & {*os.environ}
    found = []
    for name in sorted(given):
        if name.startswith("CHEQUEMATE_") and name not in known and name not in OTHERS:
            nearest = get_close_matches(name, known, 1, 0.75)
            if name in files:
                found.append(f"{name} is not read from {DOTENV}, and does nothing; set it in the environment")
                continue
            remedy = (
                f"did you mean {nearest[0]}?" if nearest else "correct the name (docs/configuration.md), or unset it"
            )
            found.append(f"{name} is no setting, and does nothing; {remedy}")
    for file, names in files.items():
        if file in given and (named := [str(name) for name in names if str(name) in given]):
            found.append(f"{file} does nothing, for {named[0]} is set; unset one")
    for names in variables.values():
        if len({given[name] for name in map(str, names) if name in given}) > 1:
            found.append(f"{' and '.join(map(str, names))} differ, and one of them does nothing; unset one")
    if settings.reader_key and not settings.reader_url:
        found.append("CHEQUEMATE_READER_KEY does nothing; set CHEQUEMATE_READER_URL with it, or unset it")
    if "user" in settings.model_fields_set and settings.password is None:
        found.append("CHEQUEMATE_USER does nothing; set CHEQUEMATE_PASSWORD with it, or unset it")
    if settings.training_log and importlib.util.find_spec("tensorboard") is None:
        found.append("CHEQUEMATE_TRAINING_LOG cannot be written to; pip install tensorboard, or unset it")
    return found
