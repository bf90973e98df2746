"""Chat robots: delivered means that the service itself said so; nothing is too long to arrive."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from models.reviews import Role
from notifications.apprise_addresses import fault_of
from notifications.channels import AppriseNotifier, ChannelMisconfigured, DeliveryFailed, Target
from notifications.plugins import robots
from notifications.rendering import Rendered

YES = {
    "wecombot": {"errcode": 0, "errmsg": "ok"},
    "dingtalk": {"errcode": 0, "errmsg": "ok"},
    "feishu": {"code": 0, "data": {}, "msg": "success"},
    "lark": {"StatusCode": 0, "StatusMessage": "success"},
    "schan": {"code": 0, "message": "", "data": {"pushid": "1"}},
}
NO = {
    "wecombot": {"errcode": 93000, "errmsg": "invalid webhook url, key-of-the-robot"},
    "dingtalk": {"errcode": 310000, "errmsg": "sign"},
    "feishu": {"code": 19001, "msg": "param invalid"},
    "lark": {"code": 9499, "msg": "Bad Request", "data": {}},
    "schan": {"code": 40001, "message": "key-of-the-robot", "data": {}},
}
ADDRESS = {
    "wecombot": "wecombot://key-of-the-robot",
    "dingtalk": "dingtalk://abcdef0123456789",
    "feishu": "feishu://token-of-the-robot",
    "lark": "lark://0123abcd-0123-0123-0123-0123456789ab",
    "schan": "schan://SCTkeyofTheRobot",
}
LIMIT = {"wecombot": 2048, "dingtalk": 20_000, "feishu": 20_480, "lark": 20_480, "schan": 32_768}
"""Bytes as each documents: WeCom and ServerChan of the text, the others of the request."""


class Service:
    """A chat service on this machine, with a memory. It answers every post with ``says`` and HTTP ``status``."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.says: bytes = b""
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.says)))
                self.end_headers()
                self.wfile.write(outer.says)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the test's output is for the test."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def texts(self) -> list[str]:
        found = []
        for _, body in self.got:
            said = json.loads(body)
            found.append(
                str(said.get("desp") or (said.get("text") or said.get("content") or said.get("markdown"))[_key(said)])
            )
        return found


def _key(said: dict[str, Any]) -> str:
    return "content" if said.get("msgtype") == "text" else "text"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """The services, all at one address of this machine."""
    found = Service()
    monkeypatch.setattr(robots.WeCom, "notify_url", found.address + "/send?key={key}")
    monkeypatch.setattr(robots.DingTalk, "notify_url", found.address + "/send?access_token={token}")
    monkeypatch.setattr(robots.Feishu, "notify_url", found.address + "/hook/{token}")
    monkeypatch.setattr(robots.Lark, "notify_url", found.address + "/hook/")
    monkeypatch.setattr(robots.ServerChan, "notify_url", found.address + "/{token}.send")
    for robot in (robots.WeCom, robots.DingTalk, robots.Feishu, robots.Lark, robots.ServerChan, robots.Bark):
        monkeypatch.setattr(robot, "request_rate_per_sec", 0)
    yield found
    found.server.shutdown()
    found.server.server_close()


def words(text: str = "请处理。", subject: str = "【店务】待审核") -> Rendered:
    return Rendered(subject=subject, text=text, html=f"<p>{text}</p>")


def send(name: str, rendered: Rendered, address: str = "") -> None:
    notifier = AppriseNotifier({"staff": [address or ADDRESS[name]]})
    assert notifier.send(Target.staff(Role.FINANCE), rendered).delivered


@pytest.mark.parametrize("name", ADDRESS)
def test_a_yes_of_the_service_is_a_delivery(service: Service, name: str) -> None:
    service.says = json.dumps(YES[name]).encode()
    send(name, words())
    assert [text.replace("\r", "") for text in service.texts()] == ["【店务】待审核\n请处理。"]


@pytest.mark.parametrize("name", ADDRESS)
def test_a_no_inside_an_http_200_is_a_failure_that_names_only_the_code(service: Service, name: str) -> None:
    service.says = json.dumps(NO[name]).encode()
    with pytest.raises(DeliveryFailed) as failed:
        send(name, words())
    code = NO[name].get("errcode", NO[name].get("code"))
    assert f"错误码 {code}" in str(failed.value)
    assert not any(part in str(failed.value) for part in ("key-of", "token-of", "abcdef", "0123abcd", "invalid"))


@pytest.mark.parametrize("name", ADDRESS)
@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"ok",
        b"{}",
        b"[]",
        b"null",
        b"0",
        b'{"errcode":"0"}',
        b'{"errcode":null}',
        b'{"errcode":false}',
        b"<html>login</html>",
        b'{"errcode":0,"code":19001}',
        b'{"code":0,"StatusCode":1}',
        b'{"code":0.0}',
        b'{"Errcode":0}',
        b'{"data":{"errcode":0}}',
        b"[" * 100_000,
        b"\xef\xbb\xbf",
        b'{"errcode":0',
        b'{"errcode":-1}',
        '{"errmsg":"成功"}'.encode("gbk"),
    ],
)
def test_an_answer_in_which_nobody_says_yes_is_no_delivery(service: Service, name: str, says: bytes) -> None:
    service.says = says
    with pytest.raises(DeliveryFailed):
        send(name, words())


@pytest.mark.parametrize("status", [301, 302, 400, 404, 429, 500])
def test_anything_but_a_200_is_a_failure_too(service: Service, status: int) -> None:
    service.says, service.status = json.dumps(YES["wecombot"]).encode(), status
    with pytest.raises(DeliveryFailed, match=str(status)):
        send("wecombot", words())


@pytest.mark.parametrize("name", ADDRESS)
@pytest.mark.parametrize("line", ["审核" * 20, "🩷" * 30, 'a"b\\c' * 10, "x" * 30_000])
def test_a_long_message_arrives_in_pieces_that_each_fit(service: Service, name: str, line: str) -> None:
    service.says = json.dumps(YES[name]).encode()
    lines = [f"{number}:{line}" for number in range(max(2, 3 * LIMIT[name] // len(line.encode())))]
    send(name, words("\n".join(lines)))
    said = service.texts()
    assert 1 < len(said) <= robots.MOST_PIECES
    for text, (_, body) in zip(said, service.got, strict=True):
        assert len(text.encode()) <= LIMIT[name] and (name in {"wecombot", "schan"} or len(body) <= LIMIT[name])
        text.encode().decode("utf-8")
    assert [text.partition("\n")[0] for text in said] == [f"({n}/{len(said)})" for n in range(1, len(said) + 1)]


@pytest.mark.parametrize(("more", "count"), [(0, 1), (1, 2)])
def test_the_limit_is_counted_in_bytes_to_the_last_one(more: int, count: int) -> None:
    assert len(robots.pieces("审" * 682 + "ab" + "c" * more, 2048)) == count


def test_what_was_split_is_all_there_and_what_is_too_much_is_left_to_the_link() -> None:
    text = "\n".join(f"第 {n} 行 https://desk.example/case/{n}" for n in range(100))
    together = "\n".join(piece.partition("\n")[2] for piece in robots.pieces(text, 2048))
    assert together == text
    long = text + "\n" + "审" * 10_000 + "\nhttps://desk.example/case/CLS-1"
    found = robots.pieces(long, 2048)
    assert len(found) == robots.MOST_PIECES and all(len(piece.encode()) <= 2048 for piece in found)
    assert found[-1].endswith("（内容过长，其余请见 https://desk.example/case/CLS-1）")
    assert robots.pieces("审" * 10_000, 2048)[-1].endswith("（内容过长，其余请在店务中查看）")


def test_serverchan_has_a_title_that_it_takes(service: Service) -> None:
    service.says = json.dumps(YES["schan"]).encode()
    send("schan", words(subject="【店务】" + "待审核" * 20))
    (path, body), *_ = service.got
    assert path == "/SCTkeyofTheRobot.send" and 0 < len(json.loads(body)["title"]) <= 32


def test_what_a_phone_has_no_room_for_comes_in_pieces_that_each_fit(service: Service) -> None:
    """Apple counts in bytes: what is longer than 4,096 of them is refused whole."""
    long = words("审核🩷" * 900)
    address = service.address.replace("http://", "bark://") + "/devicekey"
    assert AppriseNotifier({"staff": [address]}).send(Target.staff(Role.FINANCE), long).delivered
    sent = [json.loads(body) for _, body in service.got]
    assert 1 < len(sent) <= robots.MOST_PIECES
    assert all(len(json.dumps(one, ensure_ascii=False).encode()) < 4_000 for one in sent)


@pytest.mark.parametrize(
    "address", ["pushdeer://pushKey", "qq://0123456789abcdef", "spugpush://abcdefghijk", "pushme://token"]
)
def test_a_service_whose_no_nobody_reads_is_no_channel(address: str) -> None:
    with pytest.raises(ChannelMisconfigured):
        AppriseNotifier({"staff": [address]})
    assert "无法确认送达" in fault_of(address)


def test_dingtalk_signs_so_that_dingtalk_can_check_it(service: Service) -> None:
    service.says = json.dumps(YES["dingtalk"]).encode()
    send("dingtalk", words(), "dingtalk://SECabcdef0123@abcdef0123456789")
    asked = parse_qs(urlsplit(service.got[0][0]).query)
    stamp = asked["timestamp"][0]
    mac = hmac.new(b"SECabcdef0123", f"{stamp}\nSECabcdef0123".encode(), hashlib.sha256).digest()
    assert asked["sign"] == [base64.b64encode(mac).decode()] and asked["access_token"] == ["abcdef0123456789"]


def test_dingtalk_in_markdown_is_markdown(service: Service) -> None:
    service.says = json.dumps(YES["dingtalk"]).encode()
    send("dingtalk", words("**粗**"), "dingtalk://abcdef0123456789?format=markdown")
    said = json.loads(service.got[0][1])
    assert said["msgtype"] == "markdown" and said["markdown"]["title"] == "【店务】待审核"
    assert "\\*\\*粗" in said["markdown"]["text"]


@pytest.mark.parametrize("name", ADDRESS)
def test_nobody_listening_is_a_failure(service: Service, name: str) -> None:
    service.server.shutdown()
    service.server.server_close()
    with pytest.raises(DeliveryFailed, match="连接失败"):
        send(name, words())
