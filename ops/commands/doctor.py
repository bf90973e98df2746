"""``dianwu doctor``: is everything in place, a sentence for each thing and a remedy for each that is not."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import typer
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlmodel import col, func, select

from models.audit import ClockOffset
from models.base import Frozen, Labelled
from models.cases import Case, CaseDeadline, DeadlineState
from models.messages import InboxMessage, InboxState, OutboxMessage, OutboxState
from models.reviews import Role, Staff
from models.windows import duration
from office.base import secret_forms
from office.base.calendar import standing
from office.base.db import Tx, reading
from office.base.settings import Settings, settings
from office.base.vault import CannotUnseal, opened
from office.cases import deadlines
from ops.commands.place import missing
from ops.commands.terminal import (
    JSON_OPTION,
    cell,
    database_sentence,
    print_json,
    say,
    settings_sentence,
    table,
)
from ops.secrets import open_to_others, private_files
from policies.policy import SHANGHAI
from tasks.payouts import contradictions

PREFECT_VERSION = "3.8."
"""What this version was measured on; the engine facts it relies on hold for these releases."""
STALE = timedelta(minutes=10)
"""A message that should have left so long ago says that nobody delivers."""
SKEW = timedelta(seconds=30)
"""Machines further apart than a one-time code lasts refuse each other's codes and signatures."""


class Health(Labelled):
    GOOD = "good", "✓"
    WARNING = "warning", "⚠"
    BAD = "bad", "✗"


class Check(Frozen):
    """One thing looked at: how it is in a sentence, and what to do about it where something is to be done."""

    name: str
    health: Health
    sentence: str
    remedy: str = ""


def good(name: str, sentence: str) -> Check:
    return Check(name=name, health=Health.GOOD, sentence=sentence)


def warn(name: str, sentence: str, remedy: str) -> Check:
    return Check(name=name, health=Health.WARNING, sentence=sentence, remedy=remedy)


def bad(name: str, sentence: str, remedy: str) -> Check:
    return Check(name=name, health=Health.BAD, sentence=sentence, remedy=remedy)


def doctor(as_json: bool = JSON_OPTION) -> None:
    """体检:逐项检查设置、数据库、Prefect、通知、日历、时钟与积压,并给出处理办法。"""
    checks = list(examine())
    if as_json:
        print_json([check.model_dump(mode="json") for check in checks])
    elif _show(checks):
        say("有必须处理的问题(✗)。", "bold red")
    if any(check.health is Health.BAD for check in checks):
        raise typer.Exit(1)


def before_start(given: Settings) -> bool:
    """What can be looked at before anything runs; prints it when it will not do, and says whether it will."""
    checks = [*secrets_of(given), *files_of(given), *outside(given), *channels(given), *subscribers(given)]
    return not any(check.health is Health.BAD for check in checks) or not _show(checks)


def after_start() -> None:
    """The whole examination of what has just been started, line by line."""
    _show(list(examine()))


def _show(checks: list[Check]) -> bool:
    """Print the lines; whether one of them is bad."""
    colours = {Health.GOOD: "green", Health.WARNING: "yellow", Health.BAD: "bold red"}
    table("", ["", "项目", "情况", "处理办法"], [
        [cell(check.health.label, colours[check.health]), check.name, check.sentence, check.remedy] for check in checks
    ])  # fmt: skip
    return any(check.health is Health.BAD for check in checks)


def examine() -> Iterator[Check]:
    """Look at everything, in the order in which one thing rests on another."""
    try:
        given = settings()
    except ValidationError as error:
        yield bad("设置", settings_sentence(error), "修改 dianwu.toml 或环境变量 DIANWU_*(docs/operations.md)")
        return
    yield good("设置", f"{'生产' if given.production else '演示'}环境,数据目录 {given.home}")
    yield from secrets_of(given)
    yield from _worker_of(given)
    yield from files_of(given)
    yield from outside(given)
    yield from database(given)
    yield from prefect(given)
    yield from channels(given)
    yield from subscribers(given)


# ── settings and secrets ─────────────────────────────────────────────────────


def secrets_of(given: Settings) -> Iterator[Check]:
    """Present and usable; the values are never shown."""
    needed = {
        "encryption_keys": given.encryption_keys, "audit_key": given.audit_key.get_secret_value(),
        "platform_secrets": given.platform_secrets, "api_tokens": given.api_tokens or given.access_tokens,
        **({"bank_secrets": given.bank_secrets} if given.production else {}),
    }  # fmt: skip
    remedy = "演示环境由 dianwu up 自动生成;生产环境请在设置中填写(加密密钥用 dianwu keys new 生成)"
    missing = [name for name, value in needed.items() if not value]
    broken = [str(fault) for fault in secret_forms.faults(given)]
    if missing:
        yield bad("密钥", f"缺少 {'、'.join(missing)}", remedy)
    if broken:
        yield bad("密钥", f"格式不对:{';'.join(broken)}", remedy)
    if not missing and not broken:
        yield good("密钥", "加密、审计、签名与访问密钥齐备")


def outside(given: Settings) -> Iterator[Check]:
    """Douyin fetches evidence from us, so the address in the links must be one that the world can open."""
    if not given.doudian_apps:
        return
    if given.public.startswith("https://"):
        yield good("公网地址", f"凭证链接指向 {given.public}")
    else:
        yield (bad if given.production else warn)(
            "公网地址", f"凭证链接指向 {given.public},抖店无法打开", "设置 public_url 为接入端的公网 https 地址"
        )


def files_of(given: Settings) -> Iterator[Check]:
    """Files that hold secrets or people's data are for their owner's eyes."""
    if exposed := open_to_others(given):
        names = " ".join(str(file) for file in exposed)
        yield bad("密钥与数据文件", f"他人可以读取 {names}", f"chmod 600 {names}")
    elif private_files(given):
        yield good("密钥与数据文件", "只有本用户可以读取")


# ── the database and what it says ────────────────────────────────────────────


def database(given: Settings) -> Iterator[Check]:
    """Reachable and up to date; then what is stuck in it."""
    kind = "PostgreSQL" if given.database.startswith("postgresql") else "SQLite"
    if sentence := missing(given):
        yield bad("数据库", sentence, "dianwu migrate")
        return
    try:
        with reading() as tx:
            tx.exec(select(1)).one()
            yield good("数据库", f"{kind} 可用")
            yield from migrations()
            yield from content(tx, given)
    except DBAPIError as error:
        yield bad("数据库", database_sentence(error), "dianwu migrate;或检查 database_url")
    except SQLAlchemyError as error:
        yield bad("数据库", f"无法使用 {kind}({type(error).__name__})", "检查 database_url 的写法")


def migrations() -> Iterator[Check]:
    if importlib.util.find_spec("ops.migrate") is None:
        yield warn("数据库版本", "未检查", "安装不完整,请重新安装")
        return
    from ops.migrate import pending

    if pending():
        yield bad("数据库版本", "数据库结构落后于程序", "dianwu migrate")
    else:
        yield good("数据库版本", "与程序一致")


def content(tx: Tx, given: Settings) -> Iterator[Check]:
    """What the rows say: keys that fit, people, halted cases, messages that did not leave, time."""
    yield from _keys_fit(tx)
    yield from _people(tx)
    yield from _reached(tx, given)
    yield from _halted(tx)
    yield from _contradictions(tx)
    yield from _undelivered(tx)
    yield from _calendar(tx)
    yield from _clock(tx, given)


def _keys_fit(tx: Tx) -> Iterator[Check]:
    someone = tx.exec(select(Staff).limit(1)).first()
    if someone is None:
        return
    try:
        opened(someone, "totp_sealed")
    except (CannotUnseal, ValueError):  # no key, no proper key, or another one
        yield bad("加密数据", "现有密钥打不开已存数据", "把原来的密钥补回 encryption_keys")


def _people(tx: Tx) -> Iterator[Check]:
    active = list(tx.exec(select(Staff).where(col(Staff.active).is_(True))))
    vacant = [role.label for role in Role if not any(role in one.roles for one in active)]
    if vacant:
        yield warn("员工", f"没有在岗的{'、'.join(vacant)}", "dianwu staff enrol 工号 --name 姓名 --role 岗位")
    else:
        yield good("员工", f"{len(active)} 人在岗,每个岗位都有人")


def _reached(tx: Tx, given: Settings) -> Iterator[Check]:
    """In production, who decides weighty things must hear what is recorded in their name, and our own worker must run them."""
    if not given.production:
        return
    mute = [one.id for one in tx.exec(select(Staff).where(col(Staff.active).is_(True))) if not one.contact_sealed]
    if mute:
        sentence = f"{len(mute)} 名在岗员工没有本人联系方式:{'、'.join(mute[:5])}{' 等' if len(mute) > 5 else ''};其重要决定不会因异议期届满而生效"
        yield warn("本人通知", sentence, "由本人执行 dianwu staff contact 工号 地址")
    else:
        yield good("本人通知", "在岗员工都登记了本人联系方式")


def _worker_of(given: Settings) -> Iterator[Check]:
    if given.worker_type != "dianwu":
        sentence = "Prefect 自带的执行器会执行接口里写的任何步骤:能使用 Prefect 接口的人就能读到本机的全部密钥"
        yield (bad if given.production else warn)(
            "执行器", sentence, "worker_type 改为 dianwu(docs/engine-authority.md)"
        )


def _count(tx: Tx, table_: Any, *where: Any) -> int:
    return tx.exec(select(func.count()).select_from(table_).where(*where)).one()


def _contradictions(tx: Tx) -> Iterator[Check]:
    """What the bank said that cannot be, and nobody has ended yet (ambiguity 38)."""
    for line in contradictions.lines(tx):
        yield bad("银行回执", f"有矛盾,尚未核清:{line}", "向银行取得证明后,在该案件中核对并由主管复核")


def _halted(tx: Tx) -> Iterator[Check]:
    halted = list(tx.exec(select(Case.id).where(col(Case.halted).is_not(None), col(Case.concluded_at).is_(None))))
    if halted:
        shown = "、".join(halted[:5]) + (" 等" if len(halted) > 5 else "")
        yield bad("案件", f"{len(halted)} 个案件已停止:{shown}", "dianwu cases show 查看原因,排除后 dianwu cases retry")
    else:
        yield good("案件", f"{_count(tx, Case, col(Case.concluded_at).is_(None))} 个未办结,没有停止的案件")


def _undelivered(tx: Tx) -> Iterator[Check]:
    dead = _count(tx, OutboxMessage, OutboxMessage.state == OutboxState.DEAD)
    failed = _count(tx, InboxMessage, InboxMessage.state == InboxState.FAILED)
    waiting = _count(
        tx, OutboxMessage, OutboxMessage.state == OutboxState.NEW, col(OutboxMessage.next_at) < tx.now - STALE
    ) + _count(tx, InboxMessage, InboxMessage.state == InboxState.NEW, col(InboxMessage.next_at) < tx.now - STALE)
    twice = tx.exec(select(func.sum(OutboxMessage.twice))).one() or 0
    if twice:
        sentence = f"{twice} 次投递的结果没有记下(进程被杀,或一次发送超过一分钟),已重发,对方可能收到两次"
        yield warn("重复投递", sentence, "检查邮件服务器的快慢和各进程是否被强行结束")
    if dead:
        yield warn("发件箱", f"{dead} 条消息投递失败", "dianwu outbox list --state DEAD,再 dianwu outbox resend")
    if failed:
        yield warn("收件箱", f"{failed} 条消息处理失败", "dianwu inbox list --state FAILED,再 dianwu inbox retry")
    if waiting:
        yield bad("投递", f"{waiting} 条消息到点 10 分钟仍未处理", "确认 dianwu up 在运行,Prefect 中 delivery 未暂停")
    if not dead and not failed and not waiting:
        yield good("收发消息", "没有积压和失败")


def _calendar(tx: Tx) -> Iterator[Check]:
    today, covered = tx.now.astimezone(SHANGHAI).date(), standing().calendar.coverage()
    remedy = "国务院公布后写入数据目录的 calendar.toml,再执行 dianwu calendar recount"
    if fault := standing().fault:
        yield bad("工作日历文件", fault, "改正 calendar.toml 后保存;确要去掉某一年,请执行 dianwu calendar adopt")
    if moved := deadlines.corrected(tx):
        yield warn(
            "更正的放假安排", f"{len(moved)} 个已确定的期限会变动", "dianwu calendar recount 查看,确认后加 --corrected"
        )
    november = 11
    if covered < today.year:
        yield warn("工作日历", f"只到 {covered} 年,今年的期限都是暂定", remedy)
    elif today.month >= november and covered == today.year:
        yield warn("工作日历", f"{today.year + 1} 年放假安排尚未录入,跨年的期限是暂定", remedy)
    else:
        yield good("工作日历", f"已覆盖到 {covered} 年")
    rows = tx.exec(
        select(CaseDeadline.due_at).where(
            CaseDeadline.state == DeadlineState.OPEN, col(CaseDeadline.provisional).is_(True)
        )
    )
    ready = sum(due.astimezone(SHANGHAI).year <= covered for due in rows)
    if ready:
        yield warn("暂定期限", f"{ready} 个暂定期限所需的年份已录入", "dianwu calendar recount")


def _clock(tx: Tx, given: Settings) -> Iterator[Check]:
    row = tx.get(ClockOffset, 1)
    ahead = timedelta(seconds=row.seconds if row else 0)
    if not ahead:
        yield good("时钟", "与实际时间一致")
    elif given.production:
        yield warn("时钟", f"库中留有演示时钟(快 {duration(ahead)}),生产环境不采用", "确认没有误用演示数据库")
    else:
        yield warn("时钟", f"演示时钟比实际快 {duration(ahead)}", "演示结束后换用新的数据目录即可复原")


# ── Prefect ──────────────────────────────────────────────────────────────────


def deployments() -> list[str]:
    """Flows that must be deployed: all that ``dianwu deploy`` deploys."""
    from ops.deploy import DEPLOYMENTS

    return [deployed.flow.name for deployed in DEPLOYMENTS]


def prefect(given: Settings) -> Iterator[Check]:
    """Reachable, of the right release, with our pool, a live worker and every deployment."""
    user, _, password = given.prefect_auth.get_secret_value().partition(":")
    here: dict[str, None] = dict.fromkeys(("all://127.0.0.1", "all://localhost", "all://[::1]"))  # never by a proxy
    start = "dianwu up(或检查 prefect_api_url、prefect_auth)"
    try:
        auth = (user, password) if user else None
        with httpx.Client(base_url=given.prefect_api, timeout=5, auth=auth, mounts=here) as client:
            answer = client.get("/admin/version")
            if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
                yield bad("Prefect", "拒绝了我们的访问凭据", "核对 prefect_auth 与服务器的设置")
                return
            answer.raise_for_status()
            yield _version(str(answer.json()))
            yield from _skew(answer)
            yield from _pool(client, given)
            yield from _deployed(client, deployments())
            yield from _carried(client)
            yield from _kept_ahead(client)
    except (httpx.HTTPError, ValueError) as error:
        yield bad("Prefect", f"{given.prefect_api} 没有正常应答({type(error).__name__})", start)


def _version(version: str) -> Check:
    if version.startswith(PREFECT_VERSION):
        return good("Prefect", f"可用,版本 {version}")
    return bad("Prefect", f"版本是 {version},本程序只在 {PREFECT_VERSION}x 上验证过", "按 constraints.txt 安装 Prefect")


def _skew(answer: httpx.Response) -> Iterator[Check]:
    stamp = answer.headers.get("date")
    apart = abs(datetime.now(UTC) - parsedate_to_datetime(stamp)) if stamp else timedelta(0)
    if apart > SKEW:
        yield warn("机器时间", f"与 Prefect 服务器相差 {duration(apart)}", "在每台机器上启用时间同步(NTP)")


def _pool(client: httpx.Client, given: Settings) -> Iterator[Check]:
    answer = client.get(f"/work_pools/{given.work_pool}")
    if answer.status_code == httpx.codes.NOT_FOUND:
        yield bad("工作池", f"没有名为 {given.work_pool} 的工作池", "dianwu deploy")
        return
    pool = answer.raise_for_status().json()
    if pool.get("is_paused"):
        yield bad("工作池", f"工作池 {given.work_pool} 已暂停,案件不会前进", "在 Prefect 界面恢复该工作池")
    elif pool["type"] != given.worker_type:
        sentence = f"类型是 {pool['type']},设置为 {given.worker_type}"
        yield warn("工作池", sentence, "改设置中的 worker_type,或换一个 work_pool")
    else:
        yield good("工作池", f"{given.work_pool}({pool['type']})")
    workers = client.post(f"/work_pools/{given.work_pool}/workers/filter", json={}).raise_for_status().json()
    online = [worker["name"] for worker in workers if worker.get("status") == "ONLINE"]
    if online:
        yield good("执行进程", f"{len(online)} 个在线:{'、'.join(online[:5])}{' 等' if len(online) > 5 else ''}")
    else:
        yield bad("执行进程", "没有在线的执行进程,案件不会前进", "dianwu up,或另行启动执行进程")


def _deployed(client: httpx.Client, names: Iterable[str]) -> Iterator[Check]:
    missing, paused = [], []
    for name in names:
        answer = client.get(f"/deployments/name/{name}/{name}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            missing.append(name)
        elif answer.raise_for_status().json().get("paused"):
            paused.append(name)
    if missing:
        yield bad("部署", f"缺少 {'、'.join(missing)}", "dianwu deploy")
    if paused:
        yield bad("部署", f"{'、'.join(paused)} 已暂停", "在 Prefect 界面恢复")
    if not missing and not paused:
        yield good("部署", "全部流程都已部署")


PATIENCE = 30.0
"""Seconds for Prefect to say whether it reached Redis: it tries for some eight before it says no."""


def _carried(client: httpx.Client) -> Iterator[Check]:
    """Whether Prefect can pass messages on, which with several servers takes Redis: one that nobody keeps."""
    word = {
        "event": "dianwu.doctor.looked",
        "occurred": datetime.now(UTC).isoformat(),
        "resource": {"prefect.resource.id": "dianwu.doctor"},
    }
    try:
        said = client.post("/events", json=[word], timeout=PATIENCE).status_code
    except httpx.TimeoutException:
        said = httpx.codes.GATEWAY_TIMEOUT
    if httpx.codes.is_server_error(said):
        sentence = f"Prefect 不能传递消息(应答 {said:d}),案件不会前进"
        yield bad("消息通道", sentence, "检查 Redis 是否在运行(PREFECT_REDIS_MESSAGING_HOST),恢复后案件自动继续")
    else:
        yield good("消息通道", "Prefect 能传递消息")


AHEAD = timedelta(minutes=50)
"""Prefect's services plan an hour ahead and look each minute: less than this is left when they have been away for ten."""


def _kept_ahead(client: httpx.Client) -> Iterator[Check]:
    """Whether Prefect's background services plan the runs that keep time; with several servers they are apart."""
    asked = {
        "deployments": {"name": {"any_": ["deadlines"]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        "sort": "EXPECTED_START_TIME_DESC",
        "limit": 1,
    }
    planned = client.post("/flow_runs/filter", json=asked).raise_for_status().json()
    until = datetime.fromisoformat(planned[0]["expected_start_time"]) if planned else None
    if until is not None and until - datetime.now(UTC) >= AHEAD:
        yield good("后台服务", "Prefect 的后台服务在排定巡检")
    else:
        yield bad(
            "后台服务", "Prefect 没有排定后续的巡检,期限与补投将停摆",
            "确认后台服务在运行(prefect server services start;单机即 dianwu up);刚启动的请稍后再查",
        )  # fmt: skip


# ── who hears from us ────────────────────────────────────────────────────────


def channels(given: Settings) -> Iterator[Check]:
    """Every role and every merchant can be told."""
    from notifications.channels import ChannelMisconfigured
    from tasks.delivery import configured

    try:
        configured()
    except ChannelMisconfigured as error:
        yield bad("通知渠道", str(error), "修改设置 staff_channels 中的地址")
        return
    unknown = sorted(given.staff_channels.keys() - {*(role.value for role in Role), "staff", "merchant"})
    if unknown:
        yield warn("通知渠道", f"staff_channels 中没有这些岗位:{'、'.join(unknown)}", "改成岗位代码、staff 或 merchant")
    if not given.production and not given.staff_channels.get("staff"):
        yield good("通知渠道", f"未配置的渠道写入 {given.home / 'notifications'}")
        return
    served = bool(given.staff_channels.get("staff"))
    silent = [role.label for role in Role if not served and not given.staff_channels.get(role.value)]
    if silent:
        yield bad("通知渠道", f"{'、'.join(silent)}收不到通知", "在 staff_channels 中为其配置地址,或配置通用的 staff")
    elif given.production and not given.staff_channels.get("merchant") and not given.mail_relay.get_secret_value():
        sentence = "商家没有自留渠道时收不到通知(平台站内信除外)"
        yield warn("通知渠道", sentence, "配置 mail_relay 或 staff_channels 的 merchant")
    else:
        yield good("通知渠道", "每个岗位都有渠道")


def subscribers(given: Settings) -> Iterator[Check]:
    """Everybody our events are addressed to has an address and a secret."""
    from models.events import OUTBOUND
    from tasks.processes import open_office

    open_office()  # its processes declare the events

    if given.sandbox_bank and not given.production and not given.subscribers:
        yield good("事件订阅方", "演示环境使用本机的沙箱银行与沙箱平台")
        return
    needed = sorted({event.subscriber for event in OUTBOUND.values()})
    missing = [name for name in needed if name not in given.subscribers or name not in given.subscriber_secrets]
    odd = [name for name, url in given.subscribers.items() if not re.match(r"https?://", url)]
    if missing:
        yield bad("事件订阅方", f"{'、'.join(missing)} 没有地址或密钥", "填写 subscribers 与 subscriber_secrets")
    if odd:
        yield bad("事件订阅方", f"{'、'.join(odd)} 的地址不是 http(s)", "修改 subscribers")
    if not missing and not odd:
        yield good("事件订阅方", "、".join(needed))
