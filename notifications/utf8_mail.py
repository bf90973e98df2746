"""Mail to addresses such as ``张三@example.cn`` (SMTPUTF8, RFC 6531), which Apprise cannot write into a letter."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import TypeGuard

from apprise import NotifyBase
from apprise.plugins.email.base import NotifyEmail, PGPMode
from apprise.plugins.email.common import SecureMailMode

from notifications.rendering import Rendered


def needed(service: NotifyBase) -> TypeGuard[NotifyEmail]:
    """Whether somebody whom it goes to has a name before the ``@`` that is beyond ASCII."""
    return isinstance(service, NotifyEmail) and not "".join(_whom(service)).isascii()


def send(service: NotifyEmail, rendered: Rendered) -> str:
    """Send through the mail server of an Apprise service, as the service would; empty when taken, or what went wrong."""
    if service.pgp_mode != PGPMode.NONE:
        return "PGP goes with names in ASCII only"
    letter = _letter(service, rendered)
    secure = ssl.create_default_context()
    if not service.verify_certificate:
        secure.check_hostname, secure.verify_mode = False, ssl.CERT_NONE
    where = (service.smtp_host, service.port or 0)
    patience = service.socket_connect_timeout
    server: smtplib.SMTP | None = None
    try:
        if service.secure_mode == SecureMailMode.SSL:
            server = smtplib.SMTP_SSL(*where, timeout=patience, context=secure)
        else:
            server = smtplib.SMTP(*where, timeout=patience)
        if service.secure_mode == SecureMailMode.STARTTLS:
            server.starttls(context=secure)
        if service.user and service.password:
            server.login(service.user, service.password)
        refused = server.send_message(letter, str(service.from_addr[1]), _whom(service))
        return str(refused or "")
    except (OSError, smtplib.SMTPException, ValueError) as error:
        return str(error) or type(error).__name__
    finally:
        if server is not None:
            with suppress(OSError, smtplib.SMTPException):
                server.quit()


def _whom(service: NotifyEmail) -> list[str]:
    """Everybody, those who get a copy among them."""
    return list(dict.fromkeys([address for _, address in service.targets] + sorted({*service.cc, *service.bcc})))


def _letter(service: NotifyEmail, rendered: Rendered) -> EmailMessage:
    letter = EmailMessage(policy=policy.SMTPUTF8)
    letter["Subject"] = rendered.subject
    letter["From"] = _address(str(service.from_addr[1]), str(service.from_addr[0] or ""))
    letter["To"] = [_address(one, str(name or "")) for name, one in service.targets]
    if service.cc:
        letter["Cc"] = [_address(one, str(service.names.get(one) or "")) for one in sorted(service.cc)]
    if service.reply_to:
        letter["Reply-To"] = sorted(service.reply_to)
    letter["Message-ID"] = make_msgid(domain=service.smtp_host)
    letter["Date"] = format_datetime(datetime.now(UTC))
    letter.set_content(rendered.text)
    letter.add_alternative(rendered.html, subtype="html")
    return letter


def _address(written: str, name: str = "") -> Address:
    local, _, domain = written.rpartition("@")
    return Address(name, local, domain)
