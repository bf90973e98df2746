"""Messages arrive: mail at an SMTP server, HTTP at a receiver, files in a folder. Failure is loud."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from apprise import NotifyBase
from apprise.manager_plugins import NotificationManager
from pydantic import ValidationError

from models.reviews import Role
from models.shop_events import ShopRegistered
from notifications.apprise_addresses import fault_of
from notifications.channels import (
    MERCHANT,
    AppriseNotifier,
    ChannelMisconfigured,
    DeliveryFailed,
    Notifier,
    Target,
    scheme,
    service_key,
)
from notifications.closure import ClosureReceived
from notifications.plugins.folder import folder_url
from notifications.rendering import Context, Rendered, render
from notifications.scripted import ScriptedNotifier

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
ANY_SCHEME = frozenset({"mailto", "json", "dianwufolder"})


def message(shop_name: str = "晨光文具", reason_text: str = "不再经营") -> Rendered:
    received = ClosureReceived(
        case_id="CLS-261122-7K3QM9",
        shop_name=shop_name,
        reason="其他原因",
        reason_text=reason_text,
        received_at=AT,
        exit_invoice_due=AT,
    )
    return render(received, Context(service_contact="400-000-0000"))


class PostOffice:
    """A mail server with a memory: (recipients, message) of all it accepted; ``closed_to`` is refused."""

    def __init__(self) -> None:
        self.letters: list[tuple[list[str], EmailMessage]] = []
        self.closed_to: set[str] = set()
        self.says = ("550 no such user", "250 accepted")
        """What is answered to a recipient it is closed to, and to a letter."""
        self.names_beyond_ascii = False
        """Whether it offers SMTPUTF8."""
        self._loop = asyncio.new_event_loop()
        listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = listening.getsockname()[1]
        self._server = self._loop.run_until_complete(self._loop.create_server(self.smtp, sock=listening))
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def smtp(self) -> SMTP:
        return SMTP(self, loop=self._loop, enable_SMTPUTF8=self.names_beyond_ascii)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.closed_to:
            return self.says[0]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        letter = message_from_bytes(envelope.content, _class=EmailMessage, policy=policy.default)
        if self.says[1].startswith("250"):
            self.letters.append((list(envelope.rcpt_tos), letter))
        return self.says[1]

    def address(self, to: str) -> str:
        return f"mailto://127.0.0.1:{self.port}?from=dianwu@example.cn&to={to}"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Receiver:
    """An HTTP server with a memory: the JSON it was sent. It answers with ``status``."""

    def __init__(self) -> None:
        self.got: list[dict[str, object]] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.status == 200:
                    outer.got.append(json.loads(body))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the test's output is for the test."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def address(self, path: str = "hook") -> str:
        return f"json://127.0.0.1:{self.port}/{path}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def post_office() -> Iterator[PostOffice]:
    office = PostOffice()
    yield office
    office.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiving = Receiver()
    yield receiving
    receiving.stop()


@pytest.fixture
def nobody_listens() -> Iterator[int]:
    """A port that is taken but never answers a connection."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    yield taken.getsockname()[1]
    taken.close()


def notifier(services: Mapping[str, list[str]]) -> AppriseNotifier:
    return AppriseNotifier(services, merchant_schemes=ANY_SCHEME)


def content(letter: EmailMessage, kind: str) -> str:
    part = letter.get_body((kind,))
    assert part is not None
    return str(part.get_content())


# Mail


def test_a_merchant_gets_a_mail_with_chinese_subject_text_and_html(post_office: PostOffice) -> None:
    delivery = notifier({}).send(Target.merchant([post_office.address("zhang@example.cn")]), message())
    assert (delivery.delivered, delivery.reason) == (True, "已送达：mailto")
    [(recipients, letter)] = post_office.letters
    assert recipients == ["zhang@example.cn"]
    assert letter["Subject"] == "【店务】关店申请已收到：晨光文具（CLS-261122-7K3QM9）"
    assert letter.get_content_type() == "multipart/alternative"
    assert "关店需要人工审核" in content(letter, "plain")
    assert "2026年11月22日 10:00:00" in content(letter, "plain")
    assert "<" not in content(letter, "plain")
    assert content(letter, "html").replace("\r\n", "\n").strip() == message().html.strip()


@pytest.mark.parametrize(
    "name",
    ["晨光\r\nBcc: thief@example.cn", "晨光\nSubject: 中奖\n\n点击领取", "x\r\n.\r\nMAIL FROM:<a@b.cn>"],
)
def test_a_name_with_line_breaks_adds_no_header_and_no_recipient(post_office: PostOffice, name: str) -> None:
    notifier({}).send(Target.merchant([post_office.address("zhang@example.cn")]), message(name, name))
    [(recipients, letter)] = post_office.letters
    assert recipients == ["zhang@example.cn"]
    assert letter["Bcc"] is None
    assert len(letter.get_all("Subject", [])) == 1
    assert str(letter["Subject"]).startswith("【店务】关店申请已收到：")
    assert str(letter["Subject"]).endswith("（CLS-261122-7K3QM9）")


def test_a_script_in_a_name_arrives_as_text_in_both_parts(post_office: PostOffice) -> None:
    notifier({}).send(Target.merchant([post_office.address("zhang@example.cn")]), message("<script>alert(1)</script>"))
    [(_, letter)] = post_office.letters
    assert "<script" not in content(letter, "html")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;，您好" in content(letter, "html")
    assert "<script>alert(1)</script>，您好" in content(letter, "plain")


def test_a_bare_mail_address_goes_through_our_own_relay(post_office: PostOffice) -> None:
    ours = AppriseNotifier({}, mail_relay=f"mailto://127.0.0.1:{post_office.port}?from=dianwu@example.cn")
    assert ours.send(Target.merchant(["zhang@example.cn"]), message()).delivered
    assert [recipients for recipients, _ in post_office.letters] == [["zhang@example.cn"]]


@pytest.mark.parametrize(
    ("contact", "reached"),
    [
        (name, name)
        for name in ("o'brien@example.cn", "zhang@192.168.1.1", "zhang@xn--fsqu00a.xn--fiqs8s", "a%b!c@example.cn")
    ]
    + [("zhang@例子.中国", "zhang@xn--fsqu00a.xn--fiqs8s")],
)
def test_a_letter_goes_to_whom_the_address_names_and_to_nobody_of_a_similar_name(
    post_office: PostOffice, contact: str, reached: str
) -> None:
    relay_of_ours = f"mailto://127.0.0.1:{post_office.port}?from=dianwu@example.cn"
    ours = AppriseNotifier({"finance": [f"{relay_of_ours}&to={contact}"]}, mail_relay=relay_of_ours)
    assert ours.send(Target.merchant([contact]), message()).delivered
    if "%" not in contact:
        assert ours.send(Target.staff(Role.FINANCE), message()).delivered
    assert {recipient for recipients, _ in post_office.letters for recipient in recipients} == {reached}


@pytest.mark.parametrize(
    ("contact", "reached"),
    [
        ("张三@example.cn", "张三@example.cn"),
        ("mailto:张三@例子.中国", "张三@xn--fsqu00a.xn--fiqs8s"),
        ("josé@example.cn", "josé@example.cn"),
    ],
)
def test_a_letter_to_a_name_in_chinese_arrives_where_the_mail_server_takes_such_names(
    post_office: PostOffice, contact: str, reached: str
) -> None:
    post_office.names_beyond_ascii = True
    ours = AppriseNotifier({}, mail_relay=f"mailto://127.0.0.1:{post_office.port}?from=店务<dianwu@example.cn>")
    assert ours.send(Target.merchant([contact]), message()).delivered
    staff = post_office.address(contact.removeprefix("mailto:"))
    assert AppriseNotifier({"finance": [staff]}).send(Target.staff(Role.FINANCE), message("**晨光**")).delivered
    assert [recipients for recipients, _ in post_office.letters] == [[reached]] * 2
    letter = post_office.letters[0][1]
    assert (
        letter["Subject"] == message().subject
        and "dianwu@example.cn" in letter["From"]
        and reached.partition("@")[0] in str(letter["To"])
    )
    assert content(letter, "plain").replace("\r\n", "\n").strip() == message().text.strip()
    assert content(letter, "html").replace("\r\n", "\n").strip() == message().html.strip()


def test_a_mail_server_that_takes_no_names_in_chinese_is_told_of_as_that(post_office: PostOffice) -> None:
    ours = AppriseNotifier({}, mail_relay=f"mailto://127.0.0.1:{post_office.port}?from=dianwu@example.cn")
    with pytest.raises(DeliveryFailed, match=r"不支持中文邮箱名\(SMTPUTF8\),请换用字母和数字的邮箱"):
        ours.send(Target.merchant(["张三@example.cn"]), message())
    assert post_office.letters == []


@pytest.mark.parametrize(
    ("named", "reached"),
    [
        ("&to=张三@example.cn&cc=b@example.cn", ["张三@example.cn", "b@example.cn"]),
        ("&to=张三@example.cn&bcc=王五<b@example.cn>", ["张三@example.cn", "b@example.cn"]),
        ("&to=a@example.cn&cc=张三@example.cn", ["a@example.cn", "张三@example.cn"]),
        ("&to=a@example.cn&bcc=张三@例子.中国", ["a@example.cn", "张三@xn--fsqu00a.xn--fiqs8s"]),
    ],
)
def test_a_copy_to_or_beside_a_name_in_chinese_arrives_and_a_blind_one_stays_blind(
    post_office: PostOffice, named: str, reached: list[str]
) -> None:
    """Apprise leaves such a name out and calls the letter delivered."""
    post_office.names_beyond_ascii = True
    address = post_office.address("x").replace("&to=x", named)
    assert fault_of(address) == ""
    assert AppriseNotifier({"finance": [address]}).send(Target.staff(Role.FINANCE), message()).delivered
    [(recipients, letter)] = post_office.letters
    assert recipients == reached
    assert (reached[1] in str(letter["Cc"])) == ("&cc" in named) and letter["Bcc"] is None


@pytest.mark.parametrize("whom", ["张三@example.cn", "a@example.cn"])
def test_a_letter_that_cannot_be_encrypted_is_told_of_as_that(post_office: PostOffice, whom: str) -> None:
    """PGPy is not among what we install."""
    address = post_office.address(f"{whom}&pgp=encrypt")
    assert fault_of(address) == "pgp 须先安装 PGPy"
    with pytest.raises(DeliveryFailed, match="无法用 PGP 签名或加密"):
        AppriseNotifier({"finance": [address]}).send(Target.staff(Role.FINANCE), message())
    assert post_office.letters == []


def test_an_address_that_no_mail_server_takes_is_not_somebody_elses(post_office: PostOffice) -> None:
    ours = AppriseNotifier({}, mail_relay=f"mailto://127.0.0.1:{post_office.port}?from=dianwu@example.cn")
    assert not ours.send(Target.merchant(["zhang;x@example.cn"]), message()).delivered
    assert post_office.letters == []


def test_a_contact_that_would_smuggle_options_into_the_relay_is_not_used(post_office: PostOffice) -> None:
    ours = AppriseNotifier({}, mail_relay=f"mailto://127.0.0.1:{post_office.port}?from=dianwu@example.cn")
    for contact in ("zhang@example.cn&bcc=thief@example.cn", "zhang@example.cn,thief@example.cn", "zhang"):
        delivery = ours.send(Target.merchant([contact]), message())
        assert not delivery.delivered
        assert "thief" not in delivery.reason
    assert post_office.letters == []


def test_a_mail_server_that_refuses_the_recipient_is_an_error(post_office: PostOffice) -> None:
    post_office.closed_to = {"zhang@example.cn"}
    with pytest.raises(DeliveryFailed) as failed:
        notifier({}).send(Target.merchant([post_office.address("zhang@example.cn")]), message())
    assert [failure[0] for failure in failed.value.failures] == ["mailto"]


@pytest.mark.parametrize(
    ("recipient", "letter", "why"),
    [
        ("451 4.7.1 greylisted, zhang@example.cn", "250 ok", "暂时不收(451)"),
        ("550 5.1.1 zhang@example.cn unknown", "250 ok", "拒收(550)"),
        ("", "554 5.7.1 spam from dianwu@example.cn", "拒收(554)"),
        ("", "452 4.3.1 disk full", "暂时不收(452)"),
    ],
)
def test_why_a_mail_server_did_not_take_a_letter_is_told_without_naming_anybody(
    post_office: PostOffice, recipient: str, letter: str, why: str
) -> None:
    post_office.says = (recipient, letter)
    post_office.closed_to = {"zhang@example.cn"} if recipient else set()
    with pytest.raises(DeliveryFailed, match=re.escape(why)) as failed:
        notifier({}).send(Target.merchant([post_office.address("zhang@example.cn")]), message())
    assert "example" not in str(failed.value) and post_office.letters == []


def test_a_mail_server_without_encryption_gets_neither_password_nor_letter_and_that_is_said(
    guarded: GuardedPostOffice,
) -> None:
    ours = AppriseNotifier({}, mail_relay=relay(guarded).replace("mailto://", "mailtos://"))
    with pytest.raises(DeliveryFailed, match="不支持加密"):
        ours.send(Target.merchant(["owner@example.com"]), message())
    with pytest.raises(DeliveryFailed, match=r"拒绝登录\(535\)"):
        AppriseNotifier({}, mail_relay=relay(guarded).replace("password", "wrong")).send(
            Target.merchant(["owner@example.com"]), message()
        )
    assert guarded.letters == [] and set(guarded.logins) == {"user"}


@pytest.mark.parametrize("named", ["&to=a@example.cn,b@example.cn", "&to=a@example.cn&to=b@example.cn"])
def test_who_has_got_a_letter_does_not_get_it_again_because_a_colleagues_server_refused_it(
    post_office: PostOffice, named: str
) -> None:
    post_office.closed_to = {"b@example.cn"}
    address = f"mailto://127.0.0.1:{post_office.port}?from=dianwu@example.cn{named}"
    ours = AppriseNotifier({"finance": [address]})
    with pytest.raises(DeliveryFailed) as failed:
        ours.send(Target.staff(Role.FINANCE), message())
    post_office.closed_to = set()
    assert ours.send(Target.staff(Role.FINANCE, already=failed.value.reached), message()).delivered
    assert [recipients for recipients, _ in post_office.letters] == [["a@example.cn"], ["b@example.cn"]]


def test_the_relay_writes_to_nobody_but_the_merchant(post_office: PostOffice) -> None:
    ours = AppriseNotifier(
        {}, mail_relay=f"mailto://127.0.0.1:{post_office.port}/boss@example.cn?from=dianwu@example.cn"
    )
    ours.send(Target.merchant(["owner@example.com"]), message())
    assert [recipients for recipients, _ in post_office.letters] == [["owner@example.com"]]


# HTTP


def test_staff_are_reached_by_their_role_over_http_in_plain_text(receiver: Receiver) -> None:
    notifier({"finance": [receiver.address()]}).send(Target.staff(Role.FINANCE), message("**晨光** {{ 7*7 }}"))
    [got] = receiver.got
    assert got["title"] == "【店务】关店申请已收到：**晨光** {{ 7*7 }}（CLS-261122-7K3QM9）"
    assert str(got["message"]).strip() == message("**晨光** {{ 7*7 }}").text.strip()


def test_a_role_without_services_of_its_own_uses_those_for_all_staff(receiver: Receiver) -> None:
    ours = notifier({"staff": [receiver.address("all")], "finance": [receiver.address("finance")]})
    assert ours.send(Target.staff(Role.SUPERVISOR), message()).delivered
    assert len(receiver.got) == 1


def test_a_role_without_any_channel_is_skipped_with_the_reason() -> None:
    delivery = notifier({}).send(Target.staff(Role.FINANCE), message())
    assert not delivery.delivered
    assert delivery.reason == "已跳过：角色「财务 finance」没有配置通知渠道"


def test_a_merchant_without_contacts_gets_the_default_channel_or_is_skipped_with_the_reason(
    receiver: Receiver,
) -> None:
    assert notifier({MERCHANT: [receiver.address()]}).send(Target.merchant([]), message()).delivered
    assert len(receiver.got) == 1
    skipped = notifier({}).send(Target.merchant([]), message())
    assert not skipped.delivered
    assert "商家没有登记联系方式" in skipped.reason


def test_a_merchants_contact_cannot_make_us_call_inside_our_own_network(receiver: Receiver) -> None:
    delivery = AppriseNotifier({}).send(Target.merchant([receiver.address()]), message())
    assert not delivery.delivered
    assert "不是允许的渠道" in delivery.reason
    assert receiver.got == []


@pytest.mark.parametrize("extra", ["", "?optional=yes"])
def test_a_service_that_says_no_is_an_error_even_when_it_calls_itself_optional(receiver: Receiver, extra: str) -> None:
    receiver.status = 503
    with pytest.raises(DeliveryFailed, match=r"json\(HTTP 503\)"):
        notifier({"finance": [receiver.address() + extra]}).send(Target.staff(Role.FINANCE), message())


def test_nobody_listening_is_an_error(nobody_listens: int) -> None:
    for address in (
        f"json://127.0.0.1:{nobody_listens}",
        f"mailto://127.0.0.1:{nobody_listens}?to=a@b.cn&from=c@d.cn",
    ):
        with pytest.raises(DeliveryFailed, match="连接失败"):
            notifier({"finance": [address]}).send(Target.staff(Role.FINANCE), message())


def test_an_address_apprise_cannot_use_is_an_error_for_a_merchant_and_for_the_settings() -> None:
    with pytest.raises(DeliveryFailed, match="地址无法识别"):
        AppriseNotifier({}).send(Target.merchant(["mailto://secret-user:secret-word@"]), message())
    with pytest.raises(ChannelMisconfigured) as refused:
        notifier({"finance": ["nosuch://secret-token@example.cn"]})
    assert "nosuch" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_retry_leaves_out_the_services_that_were_reached(receiver: Receiver, nobody_listens: int) -> None:
    ours = notifier({"finance": [receiver.address(), f"json://127.0.0.1:{nobody_listens}"]})
    with pytest.raises(DeliveryFailed) as failed:
        ours.send(Target.staff(Role.FINANCE), message())
    assert failed.value.reached == (service_key(receiver.address()),)
    with pytest.raises(DeliveryFailed):
        ours.send(Target.staff(Role.FINANCE, already=failed.value.reached), message())
    assert len(receiver.got) == 1


def test_the_same_address_twice_gets_one_message(receiver: Receiver) -> None:
    ours = notifier({"finance": [receiver.address(), receiver.address()]})
    ours.send(Target.staff(Role.FINANCE, contacts=[receiver.address()]), message())
    assert len(receiver.got) == 1


class ChatWithoutTitles(NotifyBase):
    """Like many chat services: no title of its own, its form chosen by ``?format=``. Keeps what it shows."""

    service_name = "Chat"  # type: ignore[assignment]
    protocol = "chatwithouttitles"  # type: ignore[assignment]
    title_maxlen = 0
    request_rate_per_sec = 0
    shown: ClassVar[list[str]] = []

    def send(self, body: str, title: str = "", **kwargs: object) -> bool:  # type: ignore[override]
        self.shown.append(body)
        return True

    def url(self, privacy: bool = False, *args: object, **kwargs: object) -> str:
        return f"{self.protocol}://"

    @staticmethod
    def parse_url(url: str) -> dict[str, object] | None:  # type: ignore[override]
        return NotifyBase.parse_url(url, verify_host=False)


@pytest.fixture
def chat() -> Iterator[list[str]]:
    NotificationManager()[ChatWithoutTitles.protocol] = ChatWithoutTitles
    yield ChatWithoutTitles.shown
    ChatWithoutTitles.shown.clear()
    NotificationManager().remove(ChatWithoutTitles.protocol)


def test_markup_that_a_chat_has_no_room_for_comes_as_text_in_pieces(
    chat: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut in the middle, markup is refused or shown as it is written."""
    monkeypatch.setattr(ChatWithoutTitles, "body_maxlen", 600)
    ours = notifier({"finance": ["chatwithouttitles://room?format=html"]})
    assert ours.send(Target.staff(Role.FINANCE), message("<b>晨光</b>", "🩷" * 150)).delivered
    assert len(chat) > 1 and all(len(body) <= 600 for body in chat)
    assert "&lt;b&gt;晨光&lt;/b&gt;" in "".join(chat) and "<b>" not in "".join(chat) and "<p" not in "".join(chat)


@pytest.mark.parametrize(
    ("form", "shown", "never"),
    [
        ("html", "&lt;b&gt;**晨光**&lt;/b&gt;", "<b>**晨光"),
        ("markdown", r"\<b\>\*\*晨光\*\*\</b\>", "**晨光**"),
        ("text", "<b>**晨光**</b>", "&lt;"),
    ],
)
def test_a_name_stays_text_even_where_the_subject_is_put_into_the_body(
    chat: list[str], form: str, shown: str, never: str
) -> None:
    ours = notifier({"finance": [f"chatwithouttitles://room?format={form}"]})
    assert ours.send(Target.staff(Role.FINANCE), message("<b>**晨光**</b>")).delivered
    [body] = chat
    assert f"关店申请已收到：{shown}（CLS-261122-7K3QM9）" in body
    assert f"{shown}，您好" in body
    assert "如有疑问，请联系平台客服：400-000-0000" in body
    assert never not in body


# Addresses stay out of sight


def test_no_address_appears_in_a_repr_an_error_or_a_log(
    post_office: PostOffice, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("apprise", "urllib3.connectionpool"):
        caplog.set_level(logging.DEBUG, logger=name)
    mail = post_office.address("zhang.secret@example.cn")
    hook = receiver.address("secret-token")
    ours = notifier({"finance": [mail, hook, "json://secret-user:secret-word@127.0.0.1:1/secret-path"]})
    target = Target.staff(Role.FINANCE, contacts=[mail])
    with pytest.raises(DeliveryFailed) as failed:
        ours.send(target, message())
    receiver.status = 500
    with pytest.raises(DeliveryFailed) as again:
        ours.send(target, message())
    # ``mail.log`` is the mail server of this test writing down what it was sent.
    logged = [record.getMessage() for record in caplog.records if record.name != "mail.log"]
    seen = " ".join([repr(ours), repr(target), str(target), repr(failed.value), str(again.value), *logged])
    assert "secret" not in seen
    assert "127.0.0.1" not in seen
    assert len(post_office.letters) == 2


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("mailtos://user:word@example.cn", "mailtos"),
        ("zhang@example.cn", "unknown"),
        ("13800138000", "unknown"),
        ("http://[::1", "unknown"),
        ("", "unknown"),
    ],
)
def test_only_the_scheme_of_an_address_is_ever_shown(address: str, shown: str) -> None:
    assert scheme(address) == shown


# Folder


def test_the_embedded_default_writes_html_and_text_and_a_line_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box = tmp_path / "发件 箱 100%"
    ours = notifier({"staff": [folder_url(box)]})
    assert ours.send(Target.staff(Role.FINANCE), message()).reason == "已送达：dianwufolder"
    assert ours.send(Target.staff(Role.FINANCE), message()).delivered
    pages, texts = sorted(box.glob("*.html")), sorted(box.glob("*.txt"))
    assert [page.stem for page in pages] == [text.stem for text in texts]
    assert len(pages) == 2
    assert len(list(box.iterdir())) == 4
    assert pages[0].read_text().strip() == message().html.strip()
    assert texts[0].read_text() == f"{message().subject}\n\n{message().text.strip()}\n"
    assert pages[0].stat().st_mode & 0o077 == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"[消息] {message().subject} → ")


def test_a_quiet_folder_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notifier({"staff": [folder_url(tmp_path / "quiet", quiet=True)]}).send(Target.staff(Role.FINANCE), message())
    assert capsys.readouterr().out == ""
    assert len(list((tmp_path / "quiet").glob("*.html"))) == 1


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DeliveryFailed, match="dianwufolder"):
        notifier({"staff": [folder_url(tmp_path / "file")]}).send(Target.staff(Role.FINANCE), message())


def test_a_name_with_slashes_writes_nowhere_else(tmp_path: Path) -> None:
    box = tmp_path / "box"
    notifier({"staff": [folder_url(box, quiet=True)]}).send(Target.staff(Role.FINANCE), message("../../etc/x\x00"))
    assert {path.parent for path in tmp_path.rglob("*.html")} == {box}


# The port: what holds for the real channel and for the scripted one


def apprise_port(tmp_path: Path) -> tuple[Notifier, Notifier, Notifier]:
    (tmp_path / "file").write_text("in the way")
    works = notifier({"finance": [folder_url(tmp_path / "box", quiet=True)]})
    return works, notifier({}), notifier({"finance": [folder_url(tmp_path / "file", quiet=True)]})


def scripted_port(tmp_path: Path) -> tuple[Notifier, Notifier, Notifier]:
    failing = ScriptedNotifier()
    failing.fail_next()
    return ScriptedNotifier(), ScriptedNotifier(without=["finance"]), failing


Ports = Callable[[Path], tuple[Notifier, Notifier, Notifier]]
"""One that works, one that has no channel for finance, one that fails."""


@pytest.mark.parametrize("port", [apprise_port, scripted_port])
class TestEveryNotifier:
    def test_says_that_it_delivered(self, port: Ports, tmp_path: Path) -> None:
        works, _, _ = port(tmp_path)
        assert works.send(Target.staff(Role.FINANCE), message()).delivered

    def test_says_why_it_skipped(self, port: Ports, tmp_path: Path) -> None:
        _, nobody, _ = port(tmp_path)
        delivery = nobody.send(Target.staff(Role.FINANCE), message())
        assert not delivery.delivered
        assert delivery.reason.startswith("已跳过：")

    def test_raises_when_it_failed(self, port: Ports, tmp_path: Path) -> None:
        _, _, fails = port(tmp_path)
        with pytest.raises(DeliveryFailed):
            fails.send(Target.staff(Role.FINANCE), message())


def test_the_scripted_channel_remembers_what_it_was_given() -> None:
    scripted = ScriptedNotifier()
    scripted.fail_next()
    with pytest.raises(DeliveryFailed):
        scripted.send(Target.merchant([]), message())
    scripted.send(Target.merchant([]), message())
    scripted.send(Target.staff(Role.FINANCE), message("新店"))
    assert scripted.subjects(MERCHANT) == [message().subject]
    assert len(scripted.subjects()) == 2


# ── a merchant's mail, the documented way ────────────────────────────────────


class GuardedPostOffice(PostOffice):
    """A mail server that takes letters only from who has logged in, as ours would."""

    def __init__(self) -> None:
        self.logins: list[str] = []
        super().__init__()

    def smtp(self) -> SMTP:
        return SMTP(self, loop=self._loop, authenticator=self._let_in, auth_required=True, auth_require_tls=False)

    def _let_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        login = getattr(data, "login", b"").decode()
        self.logins.append(login)
        known = (login, getattr(data, "password", b"")) == ("user", b"password")
        return AuthResult(success=known, handled=known)


@pytest.fixture
def guarded() -> Iterator[GuardedPostOffice]:
    office = GuardedPostOffice()
    yield office
    office.stop()


def relay(office: PostOffice) -> str:
    """The documented address of ``mail_relay``, with the test's own server in the place of the example's."""
    documented = re.search(r'mail_relay = "([^"]+)"', Path("deploy/README.md").read_text(encoding="utf-8"))
    assert documented is not None
    return documented[1].replace("mailtos://", "mailto://").replace("mail.example.com", f"127.0.0.1:{office.port}")


def test_the_documented_contact_is_reached_through_the_documented_relay(guarded: GuardedPostOffice) -> None:
    contacts = ShopRegistered.model_validate(ShopRegistered.EXAMPLE).contacts
    ours = AppriseNotifier({}, mail_relay=relay(guarded))
    assert ours.send(Target.merchant(contacts), message()).delivered
    [(recipients, letter)] = guarded.letters
    assert recipients == ["owner@example.com"] and "noreply@example.com" in str(letter["From"])
    assert guarded.logins == ["user"]


@pytest.mark.parametrize(
    ("contact", "reached"),
    [
        ("owner@example.com", ["owner@example.com"]), ("mailto:owner@example.com", ["owner@example.com"]),
        ("mailto://owner@example.com", ["owner@example.com"]), ("mailtos://owner@example.com/", ["owner@example.com"]),
        ("mailtos://merchant.example.com/?to=owner@example.com", ["owner@example.com"]),
        ("mailto://merchant.example.com?to=owner%2Bshop@example.com&from=boss@bank.example", ["owner+shop@example.com"]),
        ("mailto://127.0.0.1:1/a@example.com/b@example.com", ["a@example.com", "b@example.com"]),
        ("mailtos://127.0.0.1:1?to=a@example.com,b@example.com&cc=thief@example.com", ["a@example.com", "b@example.com"]),
    ],
)  # fmt: skip
def test_a_contact_without_a_log_in_goes_through_our_relay_to_whom_it_names(
    guarded: GuardedPostOffice, contact: str, reached: list[str]
) -> None:
    ours = AppriseNotifier({}, mail_relay=relay(guarded) + "&to=somebody-else@example.com")
    assert ours.send(Target.merchant([contact]), message()).delivered
    assert ours.send(Target.person([contact]), message()).delivered  # a colleague's own address is no other
    assert sorted(one for recipients, _ in guarded.letters for one in recipients) == sorted(reached * 2)
    assert {str(letter["From"]).split("<")[-1].rstrip(">") for _, letter in guarded.letters} == {"noreply@example.com"}


def test_a_merchants_own_server_with_its_log_in_is_used_as_it_is(
    guarded: GuardedPostOffice, post_office: PostOffice
) -> None:
    own = f"mailto://user:password@127.0.0.1:{guarded.port}?from=shop@example.com&to=owner@example.com"
    ours = AppriseNotifier({}, mail_relay=f"mailto://127.0.0.1:{post_office.port}?from=dianwu@example.cn")
    assert ours.send(Target.merchant([own]), message()).delivered
    assert [recipients for recipients, _ in guarded.letters] == [["owner@example.com"]] and post_office.letters == []


def test_a_contact_in_which_nobody_is_named_is_skipped_and_said(guarded: GuardedPostOffice) -> None:
    ours = AppriseNotifier({}, mail_relay=relay(guarded))
    for contact in ("mailto://merchant.example.com", "mailto://h.example?to=nobody", "mailto:"):
        assert not ours.send(Target.merchant([contact]), message()).delivered
    assert guarded.letters == []


@pytest.mark.parametrize(
    "contact", ["owner@example.com", "mailto:owner@example.com", "mailtos://h.example/?to=a@example.com"]
)
def test_the_door_takes_a_contact_as_people_write_it(contact: str) -> None:
    assert ShopRegistered.model_validate(ShopRegistered.EXAMPLE | {"contacts": [contact]}).contacts == (contact,)


@pytest.mark.parametrize("contact", ["owner", "owner@", "@example.com", "owner@host", "a b@example.com", "a@example.com,b@example.com",
                                     "a@example.com?bcc=b@example.com", "javascript:x@example.com", ""])  # fmt: skip
def test_the_door_refuses_what_is_no_address(contact: str) -> None:
    with pytest.raises(ValidationError):
        ShopRegistered.model_validate(ShopRegistered.EXAMPLE | {"contacts": [contact]})
