"""Addresses of services, judged by their form before anything is sent: why not in Chinese, with nothing of the address in it."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from apprise.manager_plugins import NotificationManager

from notifications import mail
from notifications.channels import listening, register, scheme, service_of
from notifications.plugins import robots

MAIL = frozenset({"mailto", "mailtos"})
EXAMPLE = "mailtos://USER:PASSWORD@mail.example.com/?from=noreply@example.com&to=ops@example.com"
HOOKS = "json://主机/路径，或机器人自己的 wecombot://KEY、dingtalk://令牌、feishu://令牌、lark://令牌、schan://KEY"
_WRITTEN = {"To": "to", "Carbon Copy": "cc", "Blind Carbon Copy": "bcc"}
"""How Apprise says whom it leaves out, and where they are named; :func:`notifications.mail.aim` puts them back in."""
_SHORT = {"name", "user", "pass", "port", "wkd", "inline"}


def fault_of(address: str) -> str:
    """Why nothing could be sent to an Apprise address; empty when something could."""
    if address != address.strip() or not address.isprintable() or "://" not in address:
        return f"须为 Apprise 地址，例如 {EXAMPLE}，首尾不能有空白"
    register()
    kind = scheme(address)
    with listening() as heard:
        service = service_of(address)
    if service is None:
        if kind in {"http", "https"}:
            return f"网页地址须写成 {HOOKS}"
        if kind in robots.DEAF:
            return f"{kind}:// 会在 HTTP 200 的应答里拒绝消息，无法确认送达，请改用邮件或 {HOOKS}"
        known = kind in NotificationManager()
        return f"{kind}:// 地址不完整或写法有误" if known else f"没有 {kind}:// 这种通知服务（拼写有误?）"
    if kind not in MAIL:
        return ""
    left_out = [found[1] for line in heard if (found := re.match("Dropped invalid (.+) email", line))]
    if any(not mail.named(address, _WRITTEN.get(whom, "")) for whom in left_out):
        return "收件人（to、cc、bcc）或 reply 里有不是邮箱的内容"
    if any("PGP Support is not available" in line for line in heard):
        return "pgp 须先安装 PGPy"
    options = {
        name.lower()
        for name, _ in parse_qsl(urlsplit(address).query, keep_blank_values=True)
        if not name.startswith(("+", "-", ":"))
    }
    if options - {*service.template_args, *_SHORT}:
        return "有不认识的选项（拼写有误，或密码里的特殊字符没有写成 %XX）；常用的是 from、to、cc、bcc、smtp、mode"
    sender = dict(parse_qsl(urlsplit(address).query)).get("from", "")
    if sender and "@" not in sender:
        return "from 须为邮箱地址"
    return ""


def fault_of_relay(address: str) -> str:
    """Why a merchant's bare address could not be reached through this mail server of ours; empty when it could."""
    if scheme(address) not in MAIL or "://" not in address:
        return "不是 mailto:// 或 mailtos:// 地址"
    return fault_of(mail.through(address, "probe@example.com"))
