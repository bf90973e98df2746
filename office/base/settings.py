"""Settings: environment variables ``DIANWU_*`` over one settings file over safe defaults."""

from __future__ import annotations

import ipaddress
import os
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings import SettingsError as Unparsable

from models.text import odd


class SettingsError(ValueError):
    """The settings contradict each other; the sentence says which and what to do."""


def read_file(file: Path) -> dict[str, Any]:
    """What a settings file says, with or without a byte-order mark. Raises :class:`SettingsError` that names the file."""
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} 不是 UTF-8 编码，请另存为 UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{file} 写法有误或没有保存完整（{error}）") from error
    except OSError as error:
        raise SettingsError(f"{file} 无法读取（{type(error).__name__}）") from error


class _SettingsFile(TomlConfigSettingsSource):
    def _read_file(self, file_path: Any) -> dict[str, Any]:
        return read_file(file_path)


class AccessToken(BaseModel):
    """A bearer token for one reader: what it may do, and for which shops."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: SecretStr
    may: frozenset[Literal["cases", "evidence", "proof"]]
    """``cases``: read ``GET /cases/{id}``; ``evidence``: stage files with ``POST /evidence``; ``proof`` beside it: what this
    token stages counts as the bank's proof, so only the bank and finance have it."""
    shops: tuple[str, ...] = ("*",)
    """Shop ids; ``*`` in one stands for anything: ``dd-*`` for the shops of one platform."""


def _texts(value: Any) -> Iterator[str]:
    """Every text in a setting, whatever its shape."""
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case str() | Path():
            yield str(value)
        case dict():
            for part in (*value, *value.values()):
                yield from _texts(part)
        case list() | tuple():
            for part in value:
                yield from _texts(part)
        case BaseModel():
            yield from _texts([part for _, part in value])


class Settings(BaseSettings):
    """Everything an installation may set. ``dianwu doctor`` explains each; ``docs/operations.md`` lists them."""

    model_config = SettingsConfigDict(env_prefix="DIANWU_", extra="forbid", hide_input_in_errors=True)

    profile: Literal["demo", "production"] = "demo"
    """``production`` refuses to move the clock, to use the sandbox bank and to start without secrets of its own."""
    home: Path = Path(".dianwu")
    """Where the embedded default keeps its database, mail folder, generated secrets and logs."""
    database_url: str = ""
    """``sqlite:///…`` or ``postgresql+psycopg://…``; empty means SQLite in ``home``."""

    host: str = "127.0.0.1"
    door_port: int = 8787
    desk_port: int = 8788
    desk_url: str = ""
    """The desk as people reach it (``https://desk.example.com``), and the only address it answers to. Empty:
    ``http://localhost`` with its port on a machine by itself, which the cookies of the door and Prefect do not reach."""
    public_url: str = ""
    """Where the world reaches the door (``https://door.example.com``): links to evidence lead there. Empty: host and port."""
    prefect_port: int = 4200
    prefect_api_url: str = ""
    """The address of Prefect's API where it is not host and port; links to runs are made of it. See ``prefect_api``."""
    prefect_auth: SecretStr = SecretStr("")
    """``user:password`` for Prefect's own basic authentication; required when ``host`` is not loopback."""
    prefect_keep_hours: float = Field(default=72, gt=1)
    """How long Prefect keeps the runs that have ended, with names, forms and answers in them. Ours keeps every case."""
    work_pool: str = "dianwu"
    worker_type: Literal["dianwu", "process"] = "dianwu"

    confirmation: Literal["", "immediate", "window", "confirm"] = ""
    """When a weighty answer given through Prefect counts: at once, when whoever gave it has had time to object, or when
    they have confirmed it at the terminal. Empty: at once in a demonstration, after the time to object in production."""

    encryption_keys: list[SecretStr] = Field(default_factory=list)
    """Fernet keys, newest first; older ones still open what they sealed."""
    audit_key: SecretStr = SecretStr("")
    audit_anchors: list[SecretStr] = Field(default_factory=list)
    """Where the ends of the audit chains are written for somebody else to keep: folders, fsspec addresses (``s3://…``) or
    mail addresses as Apprise knows them (``mailtos://…``)."""
    audit_anchor_hours: float = Field(default=24, gt=0)
    platform_secrets: list[SecretStr] = Field(default_factory=list)
    """Standard Webhooks secrets (``whsec_…``) under which the platform may sign; several while rotating."""
    bank_secrets: list[SecretStr] = Field(default_factory=list)
    """Standard Webhooks secrets of the bank. With them ``payout.*`` is taken from the bank alone, and nothing else from it;
    production insists on them."""
    api_tokens: list[SecretStr] = Field(default_factory=list)
    """Bearer tokens that may read every case and stage evidence for every shop."""
    access_tokens: dict[str, AccessToken] = Field(default_factory=dict)
    """Name → bearer token that may do less: see :class:`AccessToken`."""
    subscribers: dict[str, str] = Field(default_factory=dict)
    """Name → address of those who receive our events; the sandbox bank is one of them in a demonstration."""
    subscriber_secrets: dict[str, SecretStr] = Field(default_factory=dict)
    """Name → Standard Webhooks secret (``whsec_…``) with which we sign for that subscriber."""
    sandbox_bank: bool = True
    sandbox_facts: bool = True
    """Whether the sandbox platform answers ``facts.requested``; there is none in production."""

    doudian_apps: dict[str, SecretStr] = Field(default_factory=dict)
    """Douyin-shop app key → app secret, for ``POST /webhooks/doudian`` and calls to their API."""
    doudian_api: str = "https://openapi-fxg.jinritemai.com"
    """Where their API is (their sandbox has another address); empty: it is never called."""
    tiktok_apps: dict[str, SecretStr] = Field(default_factory=dict)
    evidence_url: str = ""
    """An fsspec address for evidence; empty means a folder in ``home``."""
    evidence_fetch_hosts: list[str] = Field(default_factory=list)

    staff_channels: dict[str, list[SecretStr]] = Field(default_factory=dict)
    """Role → Apprise addresses. ``staff`` serves roles without their own, ``merchant`` merchants without contacts."""
    mail_relay: SecretStr = SecretStr("")
    """``mailtos://…`` address of our own mail server; with it a merchant's contact may be a bare mail address."""
    service_contact: str = "平台商家客服"
    platform_name: str = "店务演示平台"
    platform_tax_no: str = "91110000600037341L"

    outbound_timeout_seconds: float = 10
    """How long a subscriber may take to answer before the event counts as not delivered and is tried again."""
    max_body_bytes: int = 2_097_152
    max_connections: int = 500
    """How many connections the door keeps; when all are taken, whoever has been sending headers for longest has to go."""
    min_free_mb: int = 256
    """With less room than this on the disk of ``home`` the door calls itself not ready."""
    rate_limit: str = "600/minute"
    """For each address: reads, uploads, and messages that no known sender has signed."""
    signed_rate_limit: str = "12000/minute"
    """For each address: messages whose signature fits. A sender's burst is work, not an attack."""
    webhook_tolerance_seconds: int = 300

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = Path(os.environ.get("DIANWU_CONFIG", "dianwu.toml"))
        given = _SettingsFile(settings_cls, file)
        home = Path(os.environ.get("DIANWU_HOME") or given.toml_data.get("home", ".dianwu")).expanduser()
        return (init_settings, env_settings, given, _SettingsFile(settings_cls, home / "secrets.toml"))

    @field_validator("home", mode="before")
    @classmethod
    def _somewhere(cls, value: Any) -> Any:
        if value == "":  # else whatever folder somebody happens to stand in would be filled
            raise SettingsError("是空的，请写明目录，或不要设置")
        return value

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @model_validator(mode="after")
    def _safe(self) -> Settings:
        for name, value in self:
            if found := next((found for text in _texts(value) if (found := odd(text, allowed="\n\r\t"))), ""):
                what = "不是 UTF-8 编码的字节" if found.startswith("U+D") else "控制字符或方向控制字符"
                raise SettingsError(f"{name}：含有{what} {found}，请删去或改正")
        if self.database_url and not self.database_url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise SettingsError("database_url：须为 postgresql+psycopg://用户@主机/库名 或 sqlite:////完整路径/文件.db")
        if not self.prefect_auth.get_secret_value():
            if not self.loopback:
                raise SettingsError(f"host {self.host} 不是本机地址：须设置 prefect_auth，否则任何人都能读取并恢复案件")
            if self.production:
                raise SettingsError(
                    "profile = production：须设置 prefect_auth，否则本机的任何用户都能读取案件（dianwu keys init 会一并生成）"
                )
        if self.production and self.sandbox_bank:
            raise SettingsError("profile = production：须设置 sandbox_bank = false，并在 subscribers 中填写真正的银行")
        if self.production and self.confirmation == "immediate":
            raise SettingsError(
                "profile = production 时不能 confirmation = immediate：能访问 Prefect 接口的人就能改写关于资金的决定而无人得知；"
                "请设为 window 或 confirm"
            )
        return self

    @property
    def production(self) -> bool:
        return self.profile == "production"

    @property
    def holding(self) -> str:
        """What a weighty answer given through Prefect waits for."""
        return self.confirmation or ("window" if self.production else "immediate")

    @property
    def loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'dianwu.db'}"

    @property
    def database_file(self) -> Path | None:
        """The file of an SQLite database; ``None`` with a server's."""
        kind, found, path = self.database.partition("sqlite:///")
        return Path(path) if found and not kind and path else None

    @property
    def door_url(self) -> str:
        return f"http://{self.host}:{self.door_port}"

    @property
    def desk(self) -> str:
        """The desk's address for people."""
        return self.desk_url.rstrip("/") or f"http://{'localhost' if self.loopback else self.host}:{self.desk_port}"

    @property
    def public(self) -> str:
        """The door's address for those outside."""
        return self.public_url.rstrip("/") or self.door_url

    @property
    def prefect_api(self) -> str:
        """Prefect's API as this process reaches it. Where people reach it by another address (a proxy's, say), Prefect's
        own ``PREFECT_API_URL`` beside ``prefect_api_url`` says so; without ``prefect_api_url`` it is host and port."""
        local = f"http://{self.host}:{self.prefect_port}/api"
        return (os.environ.get("PREFECT_API_URL") or self.prefect_api_url) if self.prefect_api_url else local

    @property
    def prefect_ui(self) -> str:
        """Prefect as people reach it: links lead there."""
        return (self.prefect_api_url or self.prefect_api).removesuffix("/api")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once at first use."""
    try:
        return Settings()
    except Unparsable as error:  # names the setting, not what it was given
        raise SettingsError(f"环境变量里的列表和表须写成 JSON（{error}）") from error
