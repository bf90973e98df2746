"""``dianwu doctor``: is everything in place, a sentence for each thing and a remedy for each that is not."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator

import typer
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlmodel import select

from models.reviews import Role
from office.base import secret_forms
from office.base.db import read_only, reading
from office.base.settings import Settings, SettingsError, settings
from ops import setting_forms
from ops.commands.doctor_engine import prefect
from ops.commands.doctor_office import content, worker_of
from ops.commands.health import Check, Health, bad, good, warn
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
from ops.secrets import home_open_to_others, open_to_others, private_files


def doctor(as_json: bool = JSON_OPTION) -> None:
    """体检：逐项检查设置、数据库、Prefect、通知、日历、时钟与积压，并给出处理办法。"""
    checks = list(examine())
    if as_json:
        print_json([check.model_dump(mode="json") for check in checks])
    elif _show(checks):
        say("有必须处理的问题（✗）。", "bold red")
    if any(check.health is Health.BAD for check in checks):
        raise typer.Exit(1)


def before_start(given: Settings) -> bool:
    """What can be looked at before anything runs; prints it when it will not do, and says whether it will."""
    checks = [
        *secrets_of(given),
        *addresses_of(given),
        *files_of(given),
        *disk_of(given),
        *outside(given),
        *channels(given),
        *subscribers(given),
    ]
    return not any(check.health is Health.BAD for check in checks) or not _show(checks)


MEND = "修改 dianwu.toml 或环境变量 DIANWU_*(docs/operations.md)"


def after_start() -> None:
    """The whole examination of what has just been started, line by line."""
    _show(list(examine()))


def _show(checks: list[Check]) -> bool:
    """Print the lines; whether one of them is bad."""
    colours = {Health.GOOD: "green", Health.WARNING: "yellow", Health.BAD: "bold red"}
    table(
        "",
        ["", "项目", "情况", "处理办法"],
        [
            [cell(check.health.label, colours[check.health]), check.name, check.sentence, check.remedy]
            for check in checks
        ],
    )
    return any(check.health is Health.BAD for check in checks)


def examine() -> Iterator[Check]:
    """Look at everything, in the order in which one thing rests on another."""
    try:
        given = settings()
    except ValidationError as error:
        yield bad("设置", settings_sentence(error), MEND)
        return
    except SettingsError as error:
        yield bad("设置", str(error), MEND)
        return
    yield good("设置", f"{'生产' if given.production else '演示'}环境，数据目录 {given.home}")
    yield from secrets_of(given)
    yield from addresses_of(given)
    yield from worker_of(given)
    yield from files_of(given)
    yield from disk_of(given)
    yield from outside(given)
    yield from named(given)
    yield from database(given)
    yield from prefect(given)
    yield from channels(given)
    yield from subscribers(given)


# ── settings and secrets ─────────────────────────────────────────────────────


def secrets_of(given: Settings) -> Iterator[Check]:
    """Present and usable; the values are never shown."""
    needed = {
        "encryption_keys": given.encryption_keys,
        "audit_key": given.audit_key.get_secret_value(),
        "platform_secrets": given.platform_secrets,
        "api_tokens": given.api_tokens or given.access_tokens,
        **({"bank_secrets": given.bank_secrets} if given.production else {}),
    }
    remedy = "演示环境由 dianwu up 自动生成；生产环境请在设置中填写（加密密钥用 dianwu keys new 生成）"
    missing = [name for name, value in needed.items() if not value]
    broken = [str(fault) for fault in secret_forms.faults(given)]
    if missing:
        yield bad("密钥", f"缺少 {'、'.join(missing)}", remedy)
    if broken:
        yield bad("密钥", f"格式不对：{';'.join(broken)}", remedy)
    if not missing and not broken:
        yield good("密钥", "加密、审计、签名与访问密钥齐备")


def addresses_of(given: Settings) -> Iterator[Check]:
    """Where something is sent, kept or found: each could be an address, whether or not anybody answers there now."""
    if broken := [str(fault) for fault in setting_forms.faults(given)]:
        yield bad("地址", f"格式不对：{';'.join(broken)}", MEND)
    else:
        yield good("地址", "通知、锚点、订阅方与网页地址的写法都正确")


def outside(given: Settings) -> Iterator[Check]:
    """Douyin fetches evidence from us, so the address in the links must be one that the world can open."""
    if not given.doudian_apps:
        return
    if given.public.startswith("https://"):
        yield good("公网地址", f"凭证链接指向 {given.public}")
    else:
        yield (bad if given.production else warn)(
            "公网地址", f"凭证链接指向 {given.public}，抖店无法打开", "设置 public_url 为接入端的公网 https 地址"
        )


def named(given: Settings) -> Iterator[Check]:
    """Merchants make their invoices out to us under this name and number: the demonstration's are nobody's."""
    still = [name for name in ("platform_name", "platform_tax_no") if name not in given.model_fields_set]
    if given.production and still:
        yield warn("开票抬头", f"{'、'.join(still)} 未设置，商家会按演示用的抬头开票", MEND)


def files_of(given: Settings) -> Iterator[Check]:
    """Files that hold secrets or people's data are for their owner's eyes."""
    if home_open_to_others(given):
        yield bad(
            "数据目录", f"本机任何人都能进入 {given.home}，其中有商家材料、账单与日志", f"chmod o-rwx {given.home}"
        )
    if exposed := open_to_others(given):
        names = " ".join(str(file) for file in exposed)
        yield bad("密钥与数据文件", f"他人可以读取 {names}", f"chmod 600 {names}")
    elif private_files(given):
        yield good("密钥与数据文件", "只有本用户可以读取")


def disk_of(given: Settings) -> Iterator[Check]:
    """Room for what comes in: with less the door calls itself not ready."""
    there = next(folder for folder in (given.home, *given.home.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free // 1024**2
    if free < given.min_free_mb:
        sentence = f"{there} 所在的磁盘只剩 {free:,} MB（至少要 {given.min_free_mb:,} MB），消息和凭证会收不进来"
        yield bad("磁盘", sentence, "腾出空间；已在库中的不会丢失，对方会重发，有空间后自动继续")
    else:
        yield good("磁盘", f"剩余 {free:,} MB")


# ── the database and what it says ────────────────────────────────────────────


def database(given: Settings) -> Iterator[Check]:
    """Reachable and up to date; then what is stuck in it."""
    kind = "PostgreSQL" if given.database.startswith("postgresql") else "SQLite"
    if sentence := missing(given):
        said, _, remedy = sentence.partition("，请先执行：")
        yield bad("数据库", said, remedy or "dianwu migrate")
        return
    try:
        with reading() as tx:
            tx.exec(select(1)).one()
            if read_only(tx):
                yield bad(
                    "数据库",
                    f"{kind} 只能读、不能写，案件不会前进",
                    "检查文件、目录与磁盘是否只读；PostgreSQL 是否连到了备库",
                )
            else:
                yield good("数据库", f"{kind} 可用")
            yield from migrations()
            yield from content(tx, given)
    except DBAPIError as error:
        yield bad("数据库", database_sentence(error), "dianwu migrate；或检查 database_url")
    except SQLAlchemyError as error:
        yield bad("数据库", f"无法使用 {kind}（{type(error).__name__}）", "检查 database_url 的写法")


def migrations() -> Iterator[Check]:
    if importlib.util.find_spec("ops.migrate") is None:
        yield warn("数据库版本", "未检查", "安装不完整，请重新安装")
        return
    from ops.migrate import pending

    if pending():
        yield bad("数据库版本", "数据库结构落后于程序", "dianwu migrate")
    else:
        yield good("数据库版本", "与程序一致")


# ── who hears from us ────────────────────────────────────────────────────────


def channels(given: Settings) -> Iterator[Check]:
    """Every role and every merchant can be told."""
    if not given.production and not given.staff_channels.get("staff"):
        yield good("通知渠道", f"未配置的渠道写入 {given.home / 'notifications'}")
        return
    served = bool(given.staff_channels.get("staff"))
    silent = [role.label for role in Role if not served and not given.staff_channels.get(role.value)]
    if silent:
        yield bad("通知渠道", f"{'、'.join(silent)}收不到通知", "在 staff_channels 中为其配置地址，或配置通用的 staff")
    elif given.production and not given.staff_channels.get("merchant") and not given.mail_relay.get_secret_value():
        sentence = "商家没有自留渠道时收不到通知（平台站内信除外）"
        yield warn("通知渠道", sentence, "配置 mail_relay 或 staff_channels 的 merchant")
    else:
        yield good("通知渠道", "每个岗位都有渠道")


def subscribers(given: Settings) -> Iterator[Check]:
    """Everybody our events are addressed to has an address and a secret."""
    from models.wire import OUTBOUND
    from tasks.processes import open_office

    open_office()  # its processes declare the events

    if given.sandbox_bank and not given.production and not given.subscribers:
        yield good("事件订阅方", "演示环境使用本机的沙箱银行与沙箱平台")
        return
    needed = sorted({event.subscriber for event in OUTBOUND.values()})
    missing = [name for name in needed if name not in given.subscribers or name not in given.subscriber_secrets]
    if missing:
        yield bad("事件订阅方", f"{'、'.join(missing)} 没有地址或密钥", "填写 subscribers 与 subscriber_secrets")
    else:
        yield good("事件订阅方", "、".join(needed))
