"""Documents by mail: a file for somebody to keep, sent as an attachment."""

from __future__ import annotations

from apprise import Apprise, AppriseAsset, NotifyFormat
from apprise.attachment.memory import AttachMemory

from notifications.channels import listening


class DocumentRefused(ValueError):
    """The service did not take it; why, without any address."""


def send(address: str, subject: str, text: str, name: str, content: str) -> None:
    """Send one document; raises :class:`DocumentRefused` unless the service said that it took it."""
    carrier = Apprise(asset=AppriseAsset(app_id="Dianwu", app_desc="Dianwu", app_url="", async_mode=False))
    with listening() as heard:
        if not carrier.add(address):
            raise DocumentRefused("地址无法识别")
        attached = AttachMemory(content=content, name=name, mimetype="application/json")
        taken = carrier.notify(title=subject, body=text, body_format=NotifyFormat.TEXT, attach=attached)
    if taken is not True:
        raise DocumentRefused("连接失败" if "connection" in " ".join(heard).lower() else "服务没有接受")
