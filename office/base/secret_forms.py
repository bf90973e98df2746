"""The forms secrets have to be written in: what a library would quietly read as another key is refused by its name.

Decoders of base64 skip what they do not know, so a url-safe key, one with ``v1,`` in front or a few plain words give a
key all the same, only not the one that the other side has, and perhaps one of three bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator

from pydantic import SecretStr

from office.base.settings import Settings, SettingsError

PREFIX = "whsec_"
LEAST, MOST = 24, 64
"""Bytes of a Standard Webhooks secret, as its specification says."""
FERNET = 32
LEAST_TEXT = {"audit_key": 8, "api_tokens": 16, "access_tokens": 16}
"""Characters of a secret that is used as it is written. What was signed under an audit key in use must stay checkable."""


QUOTES = tuple("\"'`“”‘’")
IN_HEADERS = {"api_tokens", "access_tokens", "prefect_auth"}
"""What travels in a header of HTTP, where only visible ASCII arrives as it was sent."""


class WrongForm(SettingsError):
    """``setting`` names it; the sentence says what is wrong and never repeats the value."""

    def __init__(self, setting: str, why: str) -> None:
        super().__init__(f"{setting}: {why}")
        self.setting = setting


def webhook_key(secret: SecretStr, setting: str) -> bytes:
    """The key of a ``whsec_…`` secret. Raises :class:`WrongForm` for anything that is not exactly one."""
    value = secret.get_secret_value()
    want = f"须为 {PREFIX} 加标准 base64（{LEAST} 至 {MOST} 字节）"
    if not value.startswith(PREFIX):
        raise WrongForm(setting, f"{want}，缺少 {PREFIX} 前缀（前面也不能有 v1, 或空格）")
    key = _decoded(value.removeprefix(PREFIX), base64.b64decode)
    if key is None:
        raise WrongForm(setting, f"{want}，现有内容不是标准 base64（不能用 - 和 _，不能少 =，不能有空白）")
    if not LEAST <= len(key) <= MOST:
        raise WrongForm(setting, f"{want}，现有 {len(key)} 字节")
    return key


def fernet_key(secret: SecretStr, setting: str = "encryption_keys") -> str:
    """A Fernet key as it is. Raises :class:`WrongForm` for what is not the url-safe base64 of 32 bytes."""
    value = secret.get_secret_value()
    key = _decoded(value, lambda text, **strict: base64.b64decode(text, altchars=b"-_", **strict))
    if key is None or len(key) != FERNET:
        raise WrongForm(setting, "须为 dianwu keys new 生成的密钥（url-safe base64,32 字节）")
    return value


def _decoded(text: str, decode: Callable[..., bytes]) -> bytes | None:
    """The bytes that ``text`` stands for, when it is the one way of writing them."""
    try:
        key = decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    written = base64.b64encode(key).decode()
    return key if text.replace("-", "+").replace("_", "/") == written else None


def _as_written(secret: SecretStr, setting: str) -> None:
    value = secret.get_secret_value()
    name = setting.partition(".")[0]
    least = LEAST_TEXT.get(name, 1)
    if value != value.strip() or not value.isprintable():
        raise WrongForm(setting, "首尾不能有空白，中间不能有换行或控制字符")
    if value[:1] in QUOTES or value[-1:] in QUOTES:
        raise WrongForm(setting, "首尾不能有引号（引号多写了一层，会被当作密钥的一部分）")
    if name in IN_HEADERS and not re.fullmatch(r"[\x21-\x7e]*", value):
        raise WrongForm(setting, "只能用英文字母、数字和半角符号，中间不能有空白（HTTP 头无法传送其他字符）")
    if name == "prefect_auth" and not all(value.partition(":")):
        raise WrongForm(setting, "须为 用户名:密码")
    if len(value) < least:
        raise WrongForm(setting, f"至少 {least} 个字符")


def faults(given: Settings) -> Iterator[WrongForm]:
    """Every secret whose form is wrong; one that is not set is not the matter here."""
    checks: list[tuple[str, SecretStr, Callable[[SecretStr, str], object]]] = [
        *(("encryption_keys", key, fernet_key) for key in given.encryption_keys),
        *(("audit_key", key, _as_written) for key in [given.audit_key] if key.get_secret_value()),
        *(("platform_secrets", key, webhook_key) for key in given.platform_secrets),
        *(("bank_secrets", key, webhook_key) for key in given.bank_secrets),
        *((f"access_tokens.{name}", one.token, _as_written) for name, one in given.access_tokens.items()),
        *((f"subscriber_secrets.{name}", key, webhook_key) for name, key in given.subscriber_secrets.items()),
        *(("api_tokens", key, _as_written) for key in given.api_tokens),
        *(("prefect_auth", key, _as_written) for key in [given.prefect_auth] if key.get_secret_value()),
        *((f"doudian_apps.{name}", key, _as_written) for name, key in given.doudian_apps.items()),
        *((f"tiktok_apps.{name}", key, _as_written) for name, key in given.tiktok_apps.items()),
    ]
    theirs = {key.get_secret_value() for key in given.platform_secrets}
    if any(key.get_secret_value() in theirs for key in given.bank_secrets):
        yield WrongForm("bank_secrets", "不得与 platform_secrets 相同，否则平台可以冒充银行")
    for setting, secret, check in checks:
        try:
            check(secret, setting)
        except WrongForm as fault:
            yield fault


def insist(given: Settings) -> Settings:
    """The settings, unless one of their secrets has a wrong form; called before anything of a process starts."""
    if found := [str(fault) for fault in faults(given)]:
        raise SettingsError(";".join(found))
    return given
