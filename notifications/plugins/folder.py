"""The embedded default channel: every message becomes two files in a folder and one line in the terminal.

Address: ``dianwufolder:///absolute/path`` or ``dianwufolder://relative/path``; ``?quiet=yes`` keeps the
terminal still. (Apprise reads a scheme only when it is made of letters and digits, hence no hyphen.)
"""

from __future__ import annotations

import re
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from apprise import AppriseAttachment, NotifyBase, NotifyFormat, NotifyType
from apprise.conversion import convert_between
from apprise.manager_plugins import NotificationManager

from notifications.text import one_line

SCHEME = "dianwufolder"


def folder_url(folder: Path, *, quiet: bool = False) -> str:
    """The address that writes into ``folder``."""
    return f"{SCHEME}://{quote(str(folder))}{'?quiet=yes' if quiet else ''}"


class FolderService(NotifyBase):
    """Writes ``<time>-<chance>-<subject>.html`` and ``.txt``, readable by their owner only.

    The plain text comes as an attachment, because Apprise hands a service one body; without one it is
    derived from the HTML.
    """

    service_name = "Dianwu folder"  # type: ignore[assignment]
    protocol = SCHEME  # type: ignore[assignment]
    notify_format = NotifyFormat.HTML
    attachment_support = True
    request_rate_per_sec = 0
    title_maxlen = 250
    body_maxlen = 1_000_000

    def __init__(self, folder: str, quiet: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not folder.strip("/"):
            raise TypeError("a folder to write into is missing")
        self.folder = Path(folder)
        self.quiet = quiet

    def send(
        self,
        body: str,
        title: str = "",
        notify_type: NotifyType = NotifyType.INFO,
        attach: AppriseAttachment | None = None,
        **kwargs: Any,
    ) -> bool:
        """True when both files are on disk; False, with the reason in Apprise's log, when they are not."""
        now = datetime.now(UTC)
        stem = f"{now:%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}-{_slug(title)}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(self.folder / f"{stem}.html", body.encode())
            _write(self.folder / f"{stem}.txt", f"{title}\n\n{self._plain(body, attach)}\n".encode())
        except OSError as error:
            self.logger.warning("could not write the message: %s", error.strerror)
            return False
        if not self.quiet:
            sys.stdout.write(f"[消息] {one_line(title)} → {self.folder / stem}.html\n")
            sys.stdout.flush()
        return True

    @staticmethod
    def _plain(body: str, attach: AppriseAttachment | None) -> str:
        for attachment in attach or ():
            if attachment.mimetype == "text/plain":
                with attachment.open() as stream:
                    return str(stream.read().decode()).strip()
        return str(convert_between(NotifyFormat.HTML, NotifyFormat.TEXT, body))

    def url(self, privacy: bool = False, *args: Any, **kwargs: Any) -> str:
        return f"{SCHEME}://****" if privacy else folder_url(self.folder, quiet=self.quiet)

    @staticmethod
    def parse_url(url: str) -> dict[str, Any] | None:  # type: ignore[override]
        results: dict[str, Any] | None = NotifyBase.parse_url(url, verify_host=False)
        if results:
            # Apprise swallows the slash that makes a path absolute: read it from the address itself.
            results["folder"] = NotifyBase.unquote(url.partition("://")[2].partition("?")[0])
            results["quiet"] = results["qsd"].get("quiet", "").lower() in {"yes", "true", "1"}
        return results


def _write(path: Path, content: bytes) -> None:
    """A reader never sees half a message: written beside, then moved into place."""
    part = path.with_name(f".{path.name}.part")
    part.touch(mode=0o600)
    part.write_bytes(content)
    part.replace(path)


def _slug(title: str) -> str:
    return re.sub(r"[^\w]+", "-", one_line(title)).strip("-")[:40] or "message"


def register() -> None:
    """Make the scheme known to Apprise. Doing it again changes nothing."""
    services = NotificationManager()
    if SCHEME not in services:
        services[SCHEME] = FolderService
