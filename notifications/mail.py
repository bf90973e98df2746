"""Mail addresses of merchants: which contacts are mail without a log-in of its own, and go through our relay."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from apprise import NotifyBase

_MAIL = re.compile(r"[^\s@:/?#&,;<>\"]+@[^\s@:/?#&,;<>\"]+\.[^\s@:/?#&,;<>\".]+")


def recipients(contact: str) -> tuple[str, ...] | None:
    """Whom a contact means that brings no mail server to log in to: a bare address, ``mailto:`` and ``mailto(s)://``.

    ``None`` for any other contact; empty where none of what is named can be an address. Options of the contact
    (another sender, a server) are left behind: through our relay nobody chooses those.
    """
    if "://" not in contact:
        named = [contact.removeprefix("mailto:")]
    else:
        parts = urlsplit(contact)
        if parts.scheme not in {"mailto", "mailtos"} or parts.password:
            return None
        asked = [value for name, value in parse_qsl(parts.query) if name == "to"]
        folders = [unquote(part) for part in parts.path.split("/") if part]
        own = f"{unquote(parts.username)}@{parts.hostname}" if parts.username and parts.hostname else ""
        named = [one for value in (asked or folders or [own]) for one in re.split(r"[,;\s]+", value) if one]
    return tuple(dict.fromkeys(one for one in named if _MAIL.fullmatch(one)))


def through(relay: str, address: str) -> str:
    """The Apprise address that sends to a mail address through our relay, whomever the relay's own address names."""
    head, _, query = relay.partition("?")
    kind, sign, server = head.partition("://")
    options = [part for part in query.split("&") if part and part.partition("=")[0].lower() not in {"to", "cc", "bcc"}]
    return f"{kind}{sign}{server.partition('/')[0]}?{'&'.join([*options, f'to={quote(address)}'])}"


def apart(address: str) -> tuple[str, ...]:
    """A mail address that names several people, once for each: who has got a letter does not get it again because somebody
    else's mail server refused it. Any other address, and one with copies, as it is."""
    copied = any(name in _COPIES for name, _ in parse_qsl(urlsplit(address).query))
    return (not copied and tuple(through(address, one) for one in named(address))) or (address,)


_COPIES = ("cc", "bcc")


def named(address: str, option: str = "to") -> tuple[str, ...]:
    """Whom an address of Apprise's names as its recipients; nobody, where one of them is written in another way."""
    parts = urlsplit(address)
    if parts.scheme not in {"mailto", "mailtos"}:
        return ()
    written = [value for name, value in parse_qsl(parts.query) if name == option]
    if option == "to":
        written += [unquote(part) for part in parts.path.split("/") if part]
    whom = tuple(one for value in written for one in re.split(r"[,;\s]+", value) if one)
    return whom if all(map(_MAIL.fullmatch, whom)) else ()


def aim(service: NotifyBase, address: str) -> None:
    """Have a mail service write, and send copies, to exactly whom its address names.

    Apprise looks for what it takes for an address inside each: it would write to ``brien@…`` for ``o'brien@…``, and to
    another domain for one in letters of another script, and drops a name in Chinese.
    """
    if to := named(address):
        service.targets = [(False, _in_ascii(one)) for one in to]  # type: ignore[attr-defined]
    for copies in _COPIES:
        if who := named(address, copies):
            setattr(service, copies, set(map(_in_ascii, who)))


def _in_ascii(address: str) -> str:
    """With the domain as mail servers know it, ``xn--…``, where it is in another script."""
    name, _, domain = address.rpartition("@")
    try:
        return f"{name}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return address
