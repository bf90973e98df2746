"""Chat robots of WeCom, DingTalk, Feishu, Lark and ServerChan: they refuse inside an HTTP 200 and count in bytes.

Apprise takes every HTTP 200 of theirs for a yes. Here a message is out when the answer's own code says so; one that is
too long as the service counts is split at line ends, and shortened with its link beyond :data:`MOST_PIECES`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import requests
from apprise import NotifyBase, NotifyFormat, NotifyType
from apprise.manager_plugins import NotificationManager
from apprise.plugins.bark import NotifyBark
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.feishu import NotifyFeishu
from apprise.plugins.lark import NotifyLark
from apprise.plugins.serverchan import NotifyServerChan
from apprise.plugins.wecombot import NotifyWeComBot

from notifications.text import one_line

MOST_PIECES = 5
"""A robot may say twenty things a minute; nobody reads more than a few pages of them."""
HALF = 9_800
"""Bytes of text in a request of at most 20,000, were every one of them a quotation mark, which JSON writes as two."""
_LABEL = len("(5/5)\n")
_LINK = re.compile(r"https?://[^\s<>\"]+")
_CODES = ("errcode", "code", "StatusCode")
DEAF = ("pushdeer", "pushdeers", "pushme", "qq", "spugpush", "synology", "synologys")
"""Services of Apprise's that refuse inside an HTTP 200, too, and whose answers nobody here reads: they are not offered."""


class Robot(NotifyBase):
    """What they have in common. ``most`` is how many bytes one message may have, as the service counts."""

    most: ClassVar[int]
    title_maxlen = 0
    body_maxlen = 1_000_000
    """Characters: what is split is split here, by bytes."""

    def send(self, body: str, title: str = "", notify_type: NotifyType = NotifyType.INFO, **kwargs: Any) -> bool:
        """True when the service said yes to every piece; False, with its code in Apprise's log, otherwise."""
        text = f"{title}\n{body}" if title else body
        return all(self._say(piece) for piece in pieces(text, self.most))

    def _say(self, text: str) -> bool:
        self.throttle()
        address, params = self._address()
        content = json.dumps(self._payload(text), ensure_ascii=False).encode()
        headers = {"User-Agent": self.app_id, "Content-Type": "application/json; charset=utf-8"}
        try:
            answer = requests.post(
                address,
                params=params,
                data=content,
                headers=headers,
                verify=self.verify_certificate,
                timeout=self.request_timeout,
                allow_redirects=False,
            )
        except requests.RequestException:
            self.logger.warning("A connection error occurred.")
            return False
        if answer.status_code != requests.codes.ok:
            self.logger.warning("refused, error=%d", answer.status_code)
            return False
        code = code_of(answer.content)
        if code != 0:
            self.logger.warning("refused, code=%s", "none" if code is None else code)
        return code == 0

    def _address(self) -> tuple[str, dict[str, str]]:
        raise NotImplementedError

    def _payload(self, text: str) -> dict[str, Any]:
        raise NotImplementedError


def code_of(answer: bytes) -> int | None:
    """The code inside an answer, the first that is no yes where there are several; ``None`` when it has none: then nobody said yes."""
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    found = [said[name] for name in _CODES if name in said] if isinstance(said, dict) else []
    if not all(isinstance(code, int) and not isinstance(code, bool) for code in found):
        return None
    return next((code for code in found if code), 0) if found else None


class WeCom(Robot, NotifyWeComBot):
    """``wecombot://KEY``: 2,048 bytes of text."""

    most = 2048

    def _address(self) -> tuple[str, dict[str, str]]:
        return self.notify_url.format(key=self.key), {}

    def _payload(self, text: str) -> dict[str, Any]:
        return {"msgtype": "text", "text": {"content": text}}


class DingTalk(Robot, NotifyDingTalk):
    """``dingtalk://TOKEN``, or ``dingtalk://SECRET@TOKEN`` signed: a request of 20,000 bytes."""

    most = HALF

    def _address(self) -> tuple[str, dict[str, str]]:
        address = self.notify_url.format(token=self.token)
        if not self.secret:
            return address, {}
        stamp = str(round(time.time() * 1000))
        sign = hmac.new(self.secret.encode(), f"{stamp}\n{self.secret}".encode(), hashlib.sha256).digest()
        return address, {"timestamp": stamp, "sign": base64.b64encode(sign).decode()}

    def _payload(self, text: str) -> dict[str, Any]:
        at = {"atMobiles": list(self.targets), "isAtAll": False}
        if self.notify_format == NotifyFormat.MARKDOWN:
            title = one_line(text.partition("\n")[0], 100)
            return {"msgtype": "markdown", "markdown": {"title": title, "text": text}, "at": at}
        return {"msgtype": "text", "text": {"content": text}, "at": at}


class Feishu(Robot, NotifyFeishu):
    """``feishu://TOKEN``: a request of 20 KB."""

    most = HALF

    def _address(self) -> tuple[str, dict[str, str]]:
        return self.notify_url.format(token=self.token), {}

    def _payload(self, text: str) -> dict[str, Any]:
        return {"msg_type": "text", "content": {"text": text}}


class Lark(Robot, NotifyLark):
    """``lark://TOKEN``: Feishu outside China."""

    most = HALF

    def _address(self) -> tuple[str, dict[str, str]]:
        return f"{self.notify_url}{self.token}", {}

    def _payload(self, text: str) -> dict[str, Any]:
        return {"msg_type": "text", "content": {"text": text}}


class ServerChan(Robot, NotifyServerChan):
    """``schan://KEY``: Markdown of 32 KB under a title of 32 characters."""

    most = 32_000
    notify_format = NotifyFormat.MARKDOWN

    def _address(self) -> tuple[str, dict[str, str]]:
        return self.notify_url.format(token=self.token), {}

    def _payload(self, text: str) -> dict[str, Any]:
        return {"title": one_line(text.partition("\n")[0], 32), "desp": text}


class Bark(NotifyBark):
    """``bark://HOST/KEY``: Apple carries 4,096 bytes to a phone, the title and the device among them."""

    title_maxlen = 0
    body_maxlen = 1_000_000

    def send(self, body: str, title: str = "", notify_type: NotifyType = NotifyType.INFO, **kwargs: Any) -> bool:
        """True when the server took every piece."""
        return all(super(Bark, self).send(body=piece, title=title, **kwargs) for piece in pieces(body, 3_000))


def pieces(text: str, most: int) -> list[str]:
    """``text`` in pieces of at most ``most`` bytes, numbered when there are several.

    Cut at line ends, in the middle of a line only where it is longer than a piece, never inside a character. What does
    not fit into :data:`MOST_PIECES` is left to the link that the text holds.
    """
    if _size(text) <= most:
        return [text]
    found = list(_cut(text, most - _LABEL))
    if len(found) > MOST_PIECES:
        links = _LINK.findall(text)
        rest = f"\n……（内容过长，其余请见 {links[-1]}）" if links else "\n……（内容过长，其余请在店务中查看）"
        found = found[:MOST_PIECES]
        found[-1] = next(_cut(found[-1], most - _LABEL - _size(rest))) + rest
    return [f"({number}/{len(found)})\n{piece}" for number, piece in enumerate(found, 1)]


def _cut(text: str, most: int) -> Iterator[str]:
    while text:
        if _size(text) <= most:
            yield text
            return
        fits = text.encode()[:most].decode("utf-8", "ignore")
        end = fits.rfind("\n") + 1 or len(fits)
        yield text[:end].rstrip("\n")
        text = text[end:]


def _size(text: str) -> int:
    return len(text.encode())


def register() -> None:
    """Put them in the place of Apprise's own, and nothing in the place of the deaf. Doing it again changes nothing."""
    services = NotificationManager()
    services.remove(*DEAF, unload=False)
    for robot in (WeCom, DingTalk, Feishu, Lark, ServerChan, Bark):
        for schema in filter(None, (robot.protocol, robot.secure_protocol)):
            if services[schema] is not robot:
                services.remove(schema, unload=False)
                services[schema] = robot
