"""The doctor: one sentence and one remedy for each thing that is not as it should be."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from alembic import command
from prefect.settings import PREFECT_API_URL
from sqlalchemy import delete, update
from sqlmodel import col

from models.cases import Case
from models.messages import InboxMessage, InboxState, OutboxMessage, OutboxState
from models.passkeys import Passkey
from office.base import db
from office.base import settings as settings_module
from office.base.db import in_transaction
from office.cases import reviews
from office.record import audit
from ops import migrate
from ops.commands import doctor, doctor_engine
from ops.commands.doctor_engine import deployments
from ops.commands.health import Check, Health
from ops.deploy import DEPLOYMENTS
from ops.environment import environment, prefect_settings
from tasks import delivery
from tests.play import Office

Done = Callable[..., str]


def _in(ahead: timedelta) -> str:
    return (datetime.now(UTC) + ahead).isoformat()


class PrefectDouble:
    """A Prefect server as far as the doctor looks: answers by path, and remembers what it was asked."""

    def __init__(self) -> None:
        pool = "/api/work_pools/dianwu"
        self.answers: dict[str, tuple[int, Any]] = {
            "/api/admin/version": (200, "3.8.8"),
            pool: (200, {"name": "dianwu", "type": "dianwu", "is_paused": False}),
            f"{pool}/workers/filter": (
                200,
                [{"name": "one", "status": "ONLINE"}, {"name": "two", "status": "OFFLINE"}],
            ),
            "/api/events": (204, None),
            "/api/flow_runs/filter": (200, [{"expected_start_time": _in(timedelta(minutes=60))}]),
            **{f"/api/deployments/name/{name}/{name}": (200, {"paused": False}) for name in deployments()},
        }
        self.asked: list[tuple[str, str | None]] = []
        self.silent = ""
        """The path under which nothing is answered until ``released``."""
        self.released = threading.Event()
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                double.asked.append((self.path, self.headers.get("authorization")))
                if self.path == double.silent:
                    double.released.wait()
                status, body = double.answers.get(self.path, (404, {"detail": "not found"}))
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> Iterator[PrefectDouble]:
    double = PrefectDouble()
    monkeypatch.setenv("DIANWU_PREFECT_API_URL", double.url)
    settings_module.settings.cache_clear()
    yield double
    double.released.set()
    double.server.shutdown()
    double.server.server_close()


@pytest.fixture
def installed(office: Office, prefect: PrefectDouble) -> Office:
    """An office that lacks nothing: migrated, staffed, with a Prefect that has everything."""
    with db.engine().connect() as connection:
        made = migrate.config()
        made.attributes["connection"] = connection
        command.stamp(made, "head")
        connection.commit()
    if file := settings_module.settings().database_file:
        file.chmod(0o600)  # as `dianwu migrate` makes it; the tests copy theirs
    settings_module.settings().home.chmod(0o700)
    office.clock.at = datetime(2026, 6, 1, 2, 0, tzinfo=UTC)
    return office


def found(name: str) -> list[Check]:
    """What the doctor says under that name."""
    delivery.configured.cache_clear()
    return [check for check in doctor.examine() if check.name == name]


def ailing(name: str) -> Check:
    """The one thing wrong under that name; it comes with a remedy."""
    ill = [check for check in found(name) if check.health is not Health.GOOD]
    assert len(ill) == 1, ill
    assert ill[0].remedy
    return ill[0]


def settle_in(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"DIANWU_{name.upper()}", value)
    settings_module.settings.cache_clear()


def test_a_sound_installation_passes_with_a_tick_each(installed: Office, done: Done, told: Any) -> None:
    shown = done("doctor")
    assert "✗" not in shown and "⚠" not in shown
    checks = told("doctor")
    assert {check["health"] for check in checks} == {"good"}
    assert len({check["name"] for check in checks}) >= 13


def test_an_empty_machine_is_told_what_to_do_first(_home: None, refused: Done) -> None:
    shown = refused("doctor")
    assert "dianwu migrate" in shown and "dianwu up" in shown


def test_an_address_that_douyin_cannot_open_is_a_warning_and_in_production_a_fault(
    _home: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found("公网地址") == [], "nobody fetches anything"
    settle_in(monkeypatch, doudian_apps='{"app": "secret"}')
    assert ailing("公网地址").health is Health.WARNING
    settle_in(monkeypatch, profile="production", sandbox_bank="false", prefect_auth="a:b")
    assert ailing("公网地址").health is Health.BAD
    settle_in(monkeypatch, public_url="https://door.example.com/")
    assert [check.health for check in found("公网地址")] == [Health.GOOD]


def test_settings_that_contradict_each_other_are_named_without_their_values(
    refused: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_in(monkeypatch, platform_secrets='["whsec_geheim"]', host="0.0.0.0")
    shown = refused("doctor")
    assert "prefect_auth" in shown and "geheim" not in shown
    settle_in(monkeypatch, host="127.0.0.1", door_port="viele")
    assert "door_port" in refused("doctor")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encryption_keys", "[]"),
        ("audit_key", ""),
        ("platform_secrets", "[]"),
        ("api_tokens", "[]"),
        ("encryption_keys", '["kurz"]'),
        ("platform_secrets", '["whsec_%%%"]'),
    ],
)
def test_a_missing_or_malformed_secret_is_named(
    installed: Office, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    settle_in(monkeypatch, **{name: value})
    assert name in ailing("密钥").sentence


def test_a_file_of_secrets_that_others_can_read_is_closed_by_the_remedy(installed: Office) -> None:
    file = settings_module.settings().home / "secrets.toml"
    file.write_text("", encoding="utf-8")
    file.chmod(0o644)
    assert ailing("密钥与数据文件").remedy == f"chmod 600 {file}"
    file.chmod(0o600)
    assert found("密钥与数据文件")[0].health is Health.GOOD


def test_a_home_that_everybody_can_walk_into_is_closed_by_the_remedy(installed: Office) -> None:
    home = settings_module.settings().home
    home.chmod(0o750)
    assert found("数据目录") == [], "a group of ours may read the logs"
    home.chmod(0o755)
    assert ailing("数据目录").remedy == f"chmod o-rwx {home}"


def test_a_key_that_opens_nothing_is_found(installed: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.fernet import Fernet

    settle_in(monkeypatch, encryption_keys=json.dumps([Fernet.generate_key().decode()]))
    assert "打不开" in ailing("加密数据").sentence


def test_a_database_out_of_reach_is_found_and_the_rest_is_still_looked_at(
    installed: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_in(monkeypatch, database_url="sqlite:////nowhere/at/all.db")
    assert ailing("数据库").health is Health.BAD
    assert found("Prefect")[0].health is Health.GOOD


@pytest.mark.both
def test_a_database_that_can_only_be_read_is_no_sound_one(installed: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file or disk that went read-only, a standby: whoever only looks sees nothing wrong, and no case goes on."""
    with db.reading() as tx:
        assert not db.read_only(tx)
        if settings_module.settings().database_file is None:
            tx.connection().exec_driver_sql("SET LOCAL default_transaction_read_only = on")
        monkeypatch.setattr("office.base.db.os", SimpleNamespace(W_OK=0, access=lambda *_: False))
        assert db.read_only(tx)
    monkeypatch.setattr("ops.commands.doctor.read_only", lambda tx: True)
    assert ailing("数据库").health is Health.BAD and "只能读" in ailing("数据库").sentence


def test_a_database_behind_the_program_is_found(installed: Office) -> None:
    with db.engine().begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    assert ailing("数据库版本").remedy == "dianwu migrate"


@pytest.mark.parametrize(("path", "answer", "name", "word"), [
    ("/api/admin/version", (200, "3.9.1"), "Prefect", "3.9.1"),
    ("/api/admin/version", (401, {}), "Prefect", "凭据"),
    ("/api/admin/version", (500, {}), "Prefect", "没有正常应答"),
    ("/api/work_pools/dianwu", (404, {}), "工作池", "没有名为 dianwu"),
    ("/api/work_pools/dianwu", (200, {"type": "dianwu", "is_paused": True}), "工作池", "已暂停"),
    ("/api/work_pools/dianwu", (200, {"type": "process", "is_paused": False}), "工作池", "process"),
    ("/api/work_pools/dianwu/workers/filter", (200, [{"name": "one", "status": "OFFLINE"}]), "执行进程", "没有在线"),
    ("/api/deployments/name/refund/refund", (404, {}), "部署", "refund"),
    ("/api/deployments/name/deadlines/deadlines", (200, {"paused": True}), "部署", "deadlines"),
])  # fmt: skip
def test_what_is_wrong_in_prefect_is_named(
    installed: Office, prefect: PrefectDouble, path: str, answer: tuple[int, Any], name: str, word: str
) -> None:
    prefect.answers[path] = answer
    assert word in ailing(name).sentence


def test_prefect_is_asked_with_our_own_credentials(
    installed: Office, prefect: PrefectDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_in(monkeypatch, prefect_auth="dianwu:geheim")
    assert found("Prefect")[0].health is Health.GOOD
    assert all(header and header.startswith("Basic ") for _, header in prefect.asked)


def test_a_prefect_that_is_down_is_found(installed: Office, prefect: PrefectDouble) -> None:
    prefect.server.shutdown()
    prefect.server.server_close()
    assert "ConnectError" in ailing("Prefect").sentence


def test_whatever_is_deployed_must_be_there(installed: Office, prefect: PrefectDouble) -> None:
    for deployed in DEPLOYMENTS:
        name = deployed.flow.name
        answer = prefect.answers.pop(f"/api/deployments/name/{name}/{name}")
        assert name in ailing("部署").sentence
        prefect.answers[f"/api/deployments/name/{name}/{name}"] = answer


def test_a_channel_nobody_can_use_is_found(installed: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    settle_in(monkeypatch, staff_channels='{"finance": ["nonsense://x"]}')
    assert ailing("地址").health is Health.BAD and "staff_channels.finance" in ailing("地址").sentence


def test_in_production_every_role_needs_a_channel_and_every_subscriber_an_address(
    installed: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_in(
        monkeypatch,
        profile="production",
        sandbox_bank="false",
        prefect_auth="ops:secret",
        staff_channels='{"finance": ["json://h/x"]}',
    )
    assert "关店审核员" in ailing("通知渠道").sentence and "财务" not in ailing("通知渠道").sentence
    assert "bank" in ailing("事件订阅方").sentence
    settle_in(
        monkeypatch,
        staff_channels='{"staff": ["json://h/x"], "merchant": ["json://h/y"]}',
        subscribers='{"bank": "https://bank.example/hook", "platform": "https://shop.example/hook"}',
        subscriber_secrets=json.dumps(
            dict.fromkeys(["bank", "platform"], "whsec_" + base64.b64encode(b"." * 24).decode())
        ),
    )
    assert found("通知渠道")[0].health is found("事件订阅方")[0].health is Health.GOOD


def test_a_disk_that_is_almost_full_is_found_and_nothing_is_started_on_it(
    installed: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found("磁盘")[0].health is Health.GOOD
    settle_in(monkeypatch, min_free_mb=str(10**9))
    assert "只剩" in ailing("磁盘").sentence and ailing("磁盘").health is Health.BAD
    assert not doctor.before_start(settings_module.settings())


def test_a_production_that_goes_by_the_demonstrations_name_is_pointed_out(
    installed: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = {"profile": "production", "sandbox_bank": "false", "prefect_auth": "ops:secret"}
    settle_in(monkeypatch, **real, platform_name="示例平台")
    assert "platform_tax_no 未设置" in ailing("开票抬头").sentence
    settle_in(monkeypatch, **real, platform_name="示例平台", platform_tax_no="91110000600037341L")
    assert found("开票抬头") == []


def test_a_calendar_that_ends_this_year_is_pointed_out_in_november(installed: Office) -> None:
    assert found("工作日历")[0].health is Health.GOOD
    installed.clock.at = datetime(2026, 11, 2, 2, 0, tzinfo=UTC)
    assert "2027" in ailing("工作日历").sentence
    installed.clock.at = datetime(2027, 2, 1, 2, 0, tzinfo=UTC)
    assert "暂定" in ailing("工作日历").sentence


def test_deadlines_that_could_be_settled_now_are_pointed_out(installed: Office) -> None:
    installed.closed_shop()
    installed.clock.at = datetime(2026, 12, 25, 2, 0, tzinfo=UTC)
    installed.request_refund()
    assert found("暂定期限") == []
    file = settings_module.settings().home / "calendar.toml"
    file.write_text("[2027]\nholidays = [2027-01-01]\nmakeup_days = []\n", encoding="utf-8")
    assert ailing("暂定期限").remedy == "dianwu calendar recount"


def test_a_moved_clock_is_pointed_out(installed: Office, done: Done) -> None:
    done("clock", "advance", "7d")
    assert "快 7 天" in ailing("时钟").sentence


def test_dead_letters_failed_messages_and_a_standstill_are_counted(installed: Office) -> None:
    installed.open_shop()
    installed.request_closure()
    rows = installed.outbox()

    def spoil(tx: Any) -> None:
        keys = col(OutboxMessage.key)
        tx.execute(update(OutboxMessage).where(keys == rows[0].key).values(state=OutboxState.DEAD))
        tx.execute(update(OutboxMessage).where(keys == rows[1].key).values(state=OutboxState.NEW, next_at=tx.now))
        tx.execute(update(InboxMessage).values(state=InboxState.FAILED))

    in_transaction(spoil)
    assert "1 条" in ailing("发件箱").sentence and ailing("发件箱").health is Health.WARNING
    assert ailing("收件箱").health is Health.WARNING
    assert found("投递") == []
    installed.clock.advance(timedelta(minutes=11))
    assert ailing("投递").health is Health.BAD


def test_a_halted_case_is_named(installed: Office) -> None:
    installed.open_shop()
    case = installed.request_closure()
    in_transaction(lambda tx: tx.execute(update(Case).where(col(Case.id) == case.id).values(halted="磁盘已满")))
    assert case.id in ailing("案件").sentence


def test_a_role_nobody_holds_is_named(installed: Office) -> None:
    from models.reviews import Staff

    in_transaction(lambda tx: tx.execute(delete(Staff).where(col(Staff.id).in_(["he-qiang", "gao-yuan"]))))
    assert ailing("员工").sentence == "没有在岗的主管"


def test_passkeys_that_another_host_name_lost_are_counted_and_a_number_is_no_name_for_them(
    installed: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found("通行密钥") == []
    settle_in(monkeypatch, desk_url="http://192.0.2.7:8788")
    assert ailing("通行密钥").health is Health.WARNING

    def enrolled(tx: db.Tx) -> None:
        tx.add(
            Passkey(
                id="1" * 64,
                staff_id="li-na",
                credential_id="c",
                public_key="p",
                name="n",
                device_bound=True,
                seal="s",
                enrolled_at=installed.clock.at,
            )
        )
        audit.record(
            tx,
            "staff/li-na",
            "passkey.enrolled",
            actor="staff/li-na",
            text="登记",
            credential="c",
            rp_id="desk.example.com",
        )

    in_transaction(enrolled)
    assert ailing("通行密钥").health is Health.BAD
    settle_in(monkeypatch, desk_url="https://desk.example.com")
    assert found("通行密钥") == []


@pytest.mark.parametrize("status", [422, 500, 503])
def test_a_prefect_that_cannot_pass_messages_on_is_a_fault_and_redis_is_named(
    installed: Office, prefect: PrefectDouble, status: int
) -> None:
    prefect.answers["/api/events"] = (status, {"detail": "away"})
    check = ailing("消息通道")
    assert check.health is Health.BAD and "Redis" in check.remedy


def test_a_prefect_that_waits_for_redis_without_an_answer_is_the_same_fault_and_no_other(
    installed: Office, prefect: PrefectDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefect.silent = "/api/events"
    monkeypatch.setattr(doctor_engine, "PATIENCE", 0.2)
    assert ailing("消息通道").health is Health.BAD
    assert [check.health for check in found("Prefect")] == [Health.GOOD]
    assert [check.health for check in found("后台服务")] == [Health.GOOD]


@pytest.mark.parametrize("minutes", [None, 5, 49])
def test_services_that_have_stopped_planning_are_a_fault(
    installed: Office, prefect: PrefectDouble, minutes: int | None
) -> None:
    planned = [] if minutes is None else [{"expected_start_time": _in(timedelta(minutes=minutes))}]
    prefect.answers["/api/flow_runs/filter"] = (200, planned)
    check = ailing("后台服务")
    assert check.health is Health.BAD and "services start" in check.remedy


def test_the_process_asks_prefect_at_its_own_address_and_links_lead_to_the_peoples(
    installed: Office, prefect: PrefectDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_in(monkeypatch, prefect_api_url="https://prefect.example.com/api")
    monkeypatch.setenv("PREFECT_API_URL", prefect.url)
    assert [check.health for check in found("Prefect")] == [Health.GOOD]
    given = settings_module.settings()
    assert environment(given)["PREFECT_API_URL"] == prefect.url
    assert prefect_settings(given)[PREFECT_API_URL] == prefect.url
    case = Case(id="CLS-1", run_id="11111111-1111-1111-1111-111111111111")  # type: ignore[call-arg]
    assert reviews.link_to(case).startswith("https://prefect.example.com/v2/runs/flow-run/")


def test_an_address_left_over_in_the_shell_does_not_lead_the_stack_elsewhere(
    installed: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_in(monkeypatch, prefect_api_url="", prefect_port="4299")
    monkeypatch.setenv("PREFECT_API_URL", "https://elsewhere.example.com/api")
    assert environment(settings_module.settings())["PREFECT_API_URL"] == "http://127.0.0.1:4299/api"
