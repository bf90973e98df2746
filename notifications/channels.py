"""Channels: the port through which a rendered message leaves, with Apprise behind it.

Apprise reports trouble by returning nothing; here its silence becomes an error.

Addresses hold passwords, tokens and personal contacts. They live in memory while a message is sent and appear
in no repr, log line, error or delivery note: those name a service by its scheme only.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from html import escape
from typing import Protocol, assert_never
from urllib.parse import urlsplit

from apprise import Apprise, AppriseAsset, NotifyBase, NotifyFormat, OverflowMode
from apprise.attachment.memory import AttachMemory
from pydantic import Field

from models.base import Frozen
from models.reviews import Role
from notifications import mail, utf8_mail
from notifications.plugins import folder, robots
from notifications.rendering import Rendered
from notifications.text import as_markdown

MERCHANT = "merchant"
"""The audience tag of merchants; its services in the settings serve merchants without contacts."""
PERSON = "person"
"""The audience tag of one member of staff, told over a channel of their own; a role's services never serve for it."""
STAFF = "staff"
"""The tag whose services are used for roles that have none of their own."""
MERCHANT_SCHEMES = frozenset({"mailto", "mailtos"})
"""What a merchant's own contact may be by default. Contacts come from outside: with any scheme allowed they
could make us call addresses inside our own network or write files."""


class Target(Frozen):
    """Whom a message is for: ``audience`` is a role or ``merchant``; ``contacts`` are personal addresses.

    ``already`` holds the service keys that an earlier attempt reached (``DeliveryFailed.reached``), so that a
    retry does not send to them twice.
    """

    audience: str
    contacts: tuple[str, ...] = Field(default=(), repr=False)
    already: frozenset[str] = frozenset()

    @classmethod
    def staff(cls, role: str, contacts: Iterable[str] = (), already: Iterable[str] = ()) -> Target:
        """Everyone of a role, and the personal addresses in ``contacts`` besides."""
        return cls(audience=str(role), contacts=tuple(contacts), already=frozenset(already))

    @classmethod
    def person(cls, contacts: Iterable[str], already: Iterable[str] = ()) -> Target:
        """One member of staff, by the addresses that are theirs alone."""
        return cls(audience=PERSON, contacts=tuple(contacts), already=frozenset(already))

    @classmethod
    def merchant(cls, contacts: Iterable[str], already: Iterable[str] = ()) -> Target:
        """One merchant, by their contacts: Apprise addresses, or bare mail addresses when a relay is set."""
        return cls(audience=MERCHANT, contacts=tuple(contacts), already=frozenset(already))


class Delivery(Frozen):
    """What became of a message that did not fail: delivered, or skipped for a reason an operator can read."""

    delivered: bool
    reason: str
    """``已送达:mailtos、json`` or ``已跳过:…``; never an address."""


class DeliveryFailed(Exception):
    """At least one service did not take the message; worth a retry.

    ``failures`` are (scheme, why) pairs; ``reached`` the keys of the services that did take it, for
    ``Target.already``.
    """

    def __init__(self, failures: Sequence[tuple[str, str]], reached: Iterable[str] = ()) -> None:
        self.failures = tuple(failures)
        self.reached = tuple(reached)
        super().__init__("投递失败：" + "、".join(f"{scheme}({why})" for scheme, why in self.failures))


class ChannelMisconfigured(ValueError):
    """The settings name a service that Apprise cannot use."""

    def __init__(self, tag: str, scheme: str) -> None:
        super().__init__(f"通知渠道「{tag}」里有一个无法识别的 {scheme}:// 地址，请检查设置")
        self.tag = tag
        self.scheme = scheme


class Notifier(Protocol):
    """The port: returns when the message is out or nobody can be told, else raises ``DeliveryFailed``."""

    def send(self, target: Target, rendered: Rendered) -> Delivery: ...


def register() -> None:
    """Make our own services known to Apprise, and keep what it says out of the log. Doing it again changes nothing."""
    folder.register()
    robots.register()
    _keep_addresses_out_of_logs()


class AppriseNotifier:
    """Sends through Apprise, each service on its own, in the form it shows best.

    ``services`` maps a tag (a role's value, ``staff`` or ``merchant``) to Apprise addresses and is checked at
    once (``ChannelMisconfigured``). ``mail_relay`` is the ``mailtos://`` address of our own mail server; with
    it a merchant's contact may be a bare mail address, and ``mailto:`` without a log-in goes through it, too. Safe to share between threads.
    """

    def __init__(
        self,
        services: Mapping[str, Sequence[str]],
        *,
        mail_relay: str | None = None,
        merchant_schemes: frozenset[str] = MERCHANT_SCHEMES,
    ) -> None:
        register()
        self._services = {tag: tuple(addresses) for tag, addresses in services.items()}
        self._mail_relay = mail_relay
        self._merchant_schemes = merchant_schemes
        relay = (self.mail_contact("probe@example.com"),) if mail_relay else ()
        for tag, addresses in (*self._services.items(), ("mail_relay", relay)):
            for address in addresses:
                with listening():
                    if service_of(address) is None:
                        raise ChannelMisconfigured(tag, scheme(address))

    def __repr__(self) -> str:
        shown = {tag: [scheme(address) for address in addresses] for tag, addresses in self._services.items()}
        return f"AppriseNotifier({shown})"

    def send(self, target: Target, rendered: Rendered) -> Delivery:
        """Delivered means that every service said so; one that says no, or nothing, is ``DeliveryFailed``."""
        addresses, why_none = self._addresses(target)
        if not addresses:
            return Delivery(delivered=False, reason=f"已跳过：{why_none}")
        failures: list[tuple[str, str]] = []
        reached = {service_key(address) for address in addresses} & target.already
        for address in addresses:
            if service_key(address) in target.already:
                continue
            if why := _send_one(address, rendered):
                failures.append((scheme(address), why))
            else:
                reached.add(service_key(address))
        if failures:
            raise DeliveryFailed(failures, sorted(reached))
        return Delivery(delivered=True, reason="已送达：" + "、".join(dict.fromkeys(map(scheme, addresses))))

    def mail_contact(self, address: str) -> str:
        """The Apprise address that sends to a bare mail address through our relay."""
        return mail.through(self._mail_relay or "", address)

    def _addresses(self, target: Target) -> tuple[list[str], str]:
        """Where to send, without doubles, and what to say when that is nowhere."""
        if target.audience == MERCHANT:
            each = [self._merchant_addresses(contact) for contact in target.contacts]
            found = [address for addresses in each for address in addresses] or list(self._services.get(MERCHANT, ()))
            refused = sum(not addresses for addresses in each)
            why = f"商家的 {refused} 个联系方式都不是允许的渠道" if refused else "商家没有登记联系方式"
            return list(dict.fromkeys(found)), f"{why}，也没有配置商家默认渠道"
        if target.audience == PERSON:
            own = [address for contact in target.contacts for address in self._own_addresses(contact)]
            return list(dict.fromkeys(own or self._services.get(PERSON, ()))), "本人没有登记联系方式"
        of_role = self._services.get(target.audience) or self._services.get(STAFF, ())
        found = [each for address in (*of_role, *target.contacts) for each in mail.apart(address)]
        return list(dict.fromkeys(found)), f"角色「{_role_name(target.audience)}」没有配置通知渠道"

    def _own_addresses(self, contact: str) -> list[str]:
        """A colleague's own contact: mail without a log-in of its own through our relay, as merchants' is."""
        meant = mail.recipients(contact)
        if meant and (self._mail_relay or "://" not in contact):
            return [self.mail_contact(address) for address in meant]
        return [contact]

    def _merchant_addresses(self, contact: str) -> list[str]:
        """A contact as addresses to send to: mail without a log-in of its own through our relay, the rest as it is."""
        meant = mail.recipients(contact)
        if meant is not None and self._mail_relay:
            return [self.mail_contact(address) for address in meant]
        return [contact] if "://" in contact and scheme(contact) in self._merchant_schemes else []


def scheme(address: str) -> str:
    """The one part of an address that may be shown: ``mailtos``."""
    try:
        found = urlsplit(address).scheme
    except ValueError:
        found = ""
    return found if re.fullmatch(r"[a-z0-9]{1,32}", found) else "unknown"


def service_key(address: str) -> str:
    """A short stand-in for an address that can be kept beside a message without giving the address away."""
    return hashlib.sha256(address.encode(errors="surrogatepass")).hexdigest()[:16]


def _role_name(audience: str) -> str:
    return next((f"{role.label} {role.value}" for role in Role if role.value == audience), audience)


def service_of(address: str) -> NotifyBase | None:
    """What Apprise makes of an address; ``None`` when it cannot use it."""
    return Apprise.instantiate(
        address, asset=AppriseAsset(app_id="Dianwu", app_desc="Dianwu", app_url="", async_mode=False)
    )


def _send_one(address: str, rendered: Rendered) -> str:
    """Send through one service; empty when it took the message, otherwise why not, without any address."""
    with listening() as heard:
        service = service_of(address)
        if service is None:
            return "地址无法识别"
        mail.aim(service, address)
        if utf8_mail.needed(service):
            said = utf8_mail.send(service, rendered)
            return _mail_trouble(said) if said else ""
        service.optional = False  # ``?optional=yes`` would let a failure pass for a success
        if service.notify_format is not NotifyFormat.HTML:
            service.overflow_mode = OverflowMode.SPLIT  # what is too long comes in pieces, instead of being refused
        carrier = Apprise()
        carrier.add(service)
        for title, body in _parts(rendered, service, uncut=scheme(address) in MERCHANT_SCHEMES):
            taken = carrier.notify(
                body=body,
                title=title,
                body_format=service.notify_format,  # what it shows already, so that Apprise converts nothing
                attach=_text_beside(rendered) if isinstance(service, folder.FolderService) else None,
                interpret_escapes=False,
            )
            if taken is not True:
                return _why(heard)
        return ""


def _parts(rendered: Rendered, service: NotifyBase, *, uncut: bool) -> list[tuple[str, str]]:
    """Title and body of what is sent, in one unless it is markup that a chat has no room for: cut, that would be none."""
    titled = service.title_maxlen > 0
    title, body = _form(rendered, service.notify_format, titled)
    if uncut or service.notify_format is not NotifyFormat.HTML or len(title) + len(body) <= service.body_maxlen:
        return [(title, body)]
    text = rendered.text if titled else f"{rendered.subject}\n{rendered.text}"
    pieces = robots.pieces(text, service.body_maxlen * 3 // 4)  # in bytes: room for what escaping adds
    return [(title if titled else "", escape(piece).replace("\n", "<br/>")) for piece in pieces]


def _form(rendered: Rendered, shows: NotifyFormat, titled: bool) -> tuple[str, str]:
    """Title and body as a service shows them. Without titles of its own, ours goes into the body as it is."""
    match shows:
        case NotifyFormat.HTML:
            return (rendered.subject if titled else escape(rendered.subject)), rendered.html
        case NotifyFormat.MARKDOWN:
            return (rendered.subject if titled else as_markdown(rendered.subject)), as_markdown(rendered.text)
        case NotifyFormat.TEXT:
            return rendered.subject, rendered.text
        case unknown:
            assert_never(unknown)


def _text_beside(rendered: Rendered) -> AttachMemory:
    return AttachMemory(content=rendered.text, name="message.txt", mimetype="text/plain")


def _why(heard: Iterable[str]) -> str:
    """The part of Apprise's log that holds no address: an HTTP status, or the kind of trouble."""
    heard = list(heard)
    if trouble := next((line.partition(_SOCKET)[2] for line in heard if line.startswith(_SOCKET)), ""):
        return _mail_trouble(trouble)
    said = " ".join(heard)
    if status := re.search(r"\berror[=: ]+(\d{3})\b", said):
        return f"HTTP {status[1]}"
    if code := re.search(r"\bcode=(-?\d{1,9}|none)\b", said):
        return f"服务拒绝（{'没有应答码' if code[1] == 'none' else f'错误码 {code[1]}'}）"
    if re.search(r"connection error|connection", said, re.IGNORECASE):
        return "连接失败"
    return "服务没有接受"


_SOCKET = "Socket Exception: "
"""How Apprise begins what it says of a mail server's answer, for those who listen closely."""


def _mail_trouble(said: str) -> str:
    """What a mail server answered, in words; its own may name people."""
    if code := re.search(r"\(([45]\d\d),", said):
        if code[1] in {"530", "534", "535", "538"}:
            return f"邮件服务器拒绝登录({code[1]})"
        return f"邮件服务器{'暂时不收' if code[1][0] == '4' else '拒收'}({code[1]})"
    if "SMTPUTF8" in said:
        return "邮件服务器不支持中文邮箱名(SMTPUTF8),请换用字母和数字的邮箱"
    if "STARTTLS" in said:
        return "邮件服务器不支持加密(STARTTLS)"
    if "CERTIFICATE" in said:
        return "邮件服务器的证书不可信"
    if "PGP" in said:
        return "无法用 PGP 签名或加密（没有密钥或 PGPy，或收件人邮箱名是中文）"
    return "邮件服务器没有应答" if "timed out" in said else "连接失败"


_heard: ContextVar[list[str] | None] = ContextVar("heard", default=None)


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what Apprise and its HTTP client log on this thread, instead of letting it be written."""
    lines: list[str] = []
    token = _heard.set(lines)
    try:
        yield lines
    finally:
        _heard.reset(token)


class _Diversion(logging.Filter):
    """Takes records that are logged while we send out of the log: they name recipients and servers."""

    def filter(self, record: logging.LogRecord) -> bool:
        lines = _heard.get()
        if lines is None:
            return record.levelno >= logging.getLogger().getEffectiveLevel()
        lines.append(record.getMessage())
        return False


def _keep_addresses_out_of_logs() -> None:
    for name in ("apprise", "urllib3.connectionpool", "requests"):
        logger = logging.getLogger(name)
        if not any(isinstance(known, _Diversion) for known in logger.filters):
            logger.addFilter(_Diversion())
    logging.getLogger("apprise").setLevel(logging.DEBUG)  # why a mail server said no; heard by us, written nowhere
