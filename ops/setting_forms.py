"""Addresses in the settings: what cannot be one is refused by the setting's name, before anything starts and by the doctor.

A slip in an address is heard of only when something has not arrived: a letter that nobody misses, an anchor in a folder
called ``s3:``, a link that leads nowhere. So each is held against its form, as the secrets are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from limits import parse as rate_of

from models.reviews import Role
from office.base.secret_forms import WrongForm
from office.base.settings import Settings, SettingsError

TAGS = (*(role.value for role in Role), "staff", "merchant")
"""What ``staff_channels`` may be named by."""
RELAY = "须为我方邮件服务器的地址，例如 mailtos://USER:PASSWORD@mail.example.com/?from=noreply@example.com"
PLACE = "须为目录的完整路径或 fsspec 地址（例如 s3://桶/目录）"
ANCHOR = f"{PLACE}，或邮件地址（mailtos://…?to=邮箱）"
FORGETFUL = frozenset({"http", "https", "data", "memory"})
"""Where fsspec writes nothing, or nothing that stays."""
_WEB = {"desk_url": "", "public_url": "", "prefect_api_url": "/api", "doudian_api": ""}
"""Settings that are addresses on the web, and how each has to end."""


def faults(given: Settings) -> Iterator[WrongForm]:
    """Every address whose form is wrong; the sentences say what is expected and repeat nothing of it."""
    yield from _rates(given)
    yield from _web(given)
    yield from _channels(given)
    if relay := given.mail_relay.get_secret_value():
        from notifications.apprise_addresses import fault_of_relay  # with an address to judge comes Apprise, not before

        if why := fault_of_relay(relay):
            yield WrongForm("mail_relay", f"{RELAY}；{why}")
    for anchor in given.audit_anchors:
        if why := _anchor(anchor.get_secret_value()):
            yield WrongForm("audit_anchors", f"{ANCHOR}；{why}")
    if given.evidence_url and (why := _place(given.evidence_url)):
        yield WrongForm("evidence_url", f"{PLACE}；{why}")


def insist(given: Settings) -> Settings:
    """The settings, unless an address in them cannot be one; called before anything of a process starts."""
    if found := [str(fault) for fault in faults(given)]:
        raise SettingsError(";".join(found))
    return given


def _rates(given: Settings) -> Iterator[WrongForm]:
    for setting in ("rate_limit", "signed_rate_limit"):
        try:
            rate_of(getattr(given, setting))
        except ValueError:
            yield WrongForm(setting, "须写成 次数/时间，例如 600/minute")


def _web(given: Settings) -> Iterator[WrongForm]:
    for setting, ending in _WEB.items():
        if (address := getattr(given, setting)) and not _leads_somewhere(address, ending):
            yield WrongForm(setting, f"须为 http(s)://主机{ending}，首尾不能有空白")
        elif setting == "desk_url" and urlsplit(address).path not in {"", "/"}:
            yield WrongForm(setting, "主机后面不能有路径，例如 https://desk.example.com")
    for name, address in given.subscribers.items():
        if not _leads_somewhere(address):
            yield WrongForm(f"subscribers.{name}", "须为 http(s)://主机/路径，首尾不能有空白")


def _leads_somewhere(address: str, ending: str = "") -> bool:
    try:
        parts = urlsplit(address)
        port = parts.port  # raises when it is none
    except ValueError:
        return False
    whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0
    return whole and re.search(r"\s", address) is None and address.rstrip("/").endswith(ending)


def _channels(given: Settings) -> Iterator[WrongForm]:
    for tag, addresses in given.staff_channels.items():
        if tag not in TAGS:
            yield WrongForm("staff_channels", f"没有岗位「{tag}」，可用：{'、'.join(TAGS)}")
        for address in addresses:
            from notifications.apprise_addresses import fault_of

            if why := fault_of(address.get_secret_value()):
                yield WrongForm(f"staff_channels.{tag}", why)


def _anchor(place: str) -> str:
    if place.lower().startswith(("mailto:", "mailtos:")):
        from notifications.apprise_addresses import fault_of

        return fault_of(place)
    return _place(place)


def _place(place: str) -> str:
    """Why nothing could be kept at a folder or an address of fsspec; empty when it could."""
    if place != place.strip() or not place.isprintable():
        return "首尾不能有空白，中间不能有控制字符"
    kind, found, rest = place.partition("://")
    if not found:
        return "" if place.startswith(("/", "~/")) else "不是完整路径"
    import fsspec  # an address of its own is what it is for

    try:
        fsspec.get_filesystem_class(kind)
    except ImportError:
        return f"本机没有安装 {kind}:// 所需的程序包"
    except ValueError:
        return f"没有 {kind}:// 这种位置（拼写有误？）"
    return "这种位置不能保存内容" if kind in FORGETFUL or not rest.strip("/") else ""
