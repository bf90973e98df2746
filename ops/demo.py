"""The demonstration: the whole stack with example shops, merchants and staff, played through its real doors.

``make demo`` stays up with questions waiting for a person. ``make demo AUTO=1`` plays the people too, compares every
end with what it should be, prints timelines and books, and fails when anything differs.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from prefect.settings import temporary_settings
from rich.console import Console
from rich.table import Table
from sqlmodel import col, select

from models.money import yuan
from office.base.db import Tx, reading
from office.base.settings import Settings, settings
from office.cases.links import board_key
from office.money import ledger
from office.record import audit, chain_proof
from ops.commands.terminal import say, table
from ops.environment import prefect_settings
from ops.rehearsal import PEOPLE, NotAsExpected, Rehearsal
from ops.scenes import Scene, play, scenes, set_up
from ops.secrets import prepare
from ops.stack import Stack
from policies.policy import SHANGHAI
from tasks.invoicing import freeze_proof
from tasks.processes import open_office
from tasks.sight import proof

console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def demo(auto: bool) -> int:
    """Start, set the scenes, and wait for people or play them; returns the exit code."""
    began = time.monotonic()
    given = _own_place()
    open_office()
    try:
        with (
            temporary_settings(updates=prefect_settings(given)),
            Stack(given, say=lambda text: console.print(f"[dim]{text}[/dim]")) as stack,
        ):
            started = time.monotonic()
            rehearsal = Rehearsal(given)
            rehearsal.enrol_everybody()
            played = scenes(rehearsal)
            console.print(
                f"[dim]布置 {len(played)} 个示例（发送签名事件，等案件走到等人处理的地方），通常不到一分钟 …[/dim]"
            )
            set_up(played)
            console.print(f"[dim]启动 {started - began:.1f} 秒，布置示例 {time.monotonic() - started:.1f} 秒[/dim]")
            if not auto:
                rehearsal.send_stand_ins_home()
                stack.run_until_stopped(lambda: _guide(given, played, "按 Ctrl-C 停止全部进程。"))
                console.print("正在停止 …")
                return 0
            _guide(given, played, "现在自动演完，演完后停止全部进程。")
            at = time.monotonic()
            play(played)
            for scene in played:
                console.rule(scene.title)
                _timelines(scene)
            console.print(f"[dim]演完 {time.monotonic() - at:.1f} 秒[/dim]")
            return _verdict()
    except NotAsExpected as difference:
        console.print(f"[red]与预期不符：{difference}[/red]")
        return 1


def _own_place() -> Settings:
    """A folder of its own, emptied, and ports that are free."""
    home = Path(os.environ.get("DIANWU_HOME", ".dianwu/demo")).resolve()
    if home.exists() and not (home / "demo").exists() and any(home.iterdir()):
        raise SystemExit(f"{home} 不是演示用的目录，演示会清空它；请换一个 DIANWU_HOME")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / "demo").write_text("This folder is emptied by every `make demo`.\n", encoding="utf-8")
    os.environ["DIANWU_HOME"] = str(home)
    os.environ["DIANWU_PROFILE"] = "demo"
    for name, port in (("DIANWU_PREFECT_PORT", 4200), ("DIANWU_DOOR_PORT", 8787), ("DIANWU_DESK_PORT", 8788)):
        os.environ.setdefault(name, str(_free(port)))
    settings.cache_clear()
    return prepare()


def _free(port: int) -> int:
    """The port, or the next one that nobody listens on."""
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                port += 1
            else:
                return port


def _guide(given: Settings, played: list[Scene], then: str) -> None:
    """Where to look, who the staff are, how to get their codes, what to try, and what happens then."""
    say()
    say("── 店务演示已就绪 ──", "bold")
    say(f"工作台：{given.desk}    （工号与动态口令登录，见下）")
    say(f"操作界面（Prefect）：{given.prefect_ui}/v2/runs    接入地址：{given.door_url}")
    say(f"消息（邮件）写入：{given.home / 'notifications'}")
    say()
    table(
        "等待人工处理的案件",
        ["案件", "等待", "可由谁处理", "链接"],
        [row for scene in played for row in scene.waiting()],
    )
    say()
    page = f"{given.prefect_ui}/v2/artifacts/key/"
    table(
        "示例员工",
        ["工号", "姓名", "岗位", "待办页"],
        [
            (staff_id, name, "、".join(role.label for role in roles), page + board_key(roles[0]))
            for staff_id, (name, roles) in PEOPLE.items()
        ],
    )
    say()
    say(f"取得动态口令：DIANWU_HOME={given.home} .venv/bin/dianwu staff code wang-fang")
    say("接下来可以：打开工作台，登录后逐件决定；")
    say("或打开案件的链接 → 右上角 ⋮ 菜单 → Resume → 填写工号、动态口令与结论；")
    say("或 dianwu review list；或 dianwu clock advance 7d（先执行 export DIANWU_HOME，同上）")
    console.print(then)


def _timelines(scene: Scene) -> None:
    with reading() as tx:
        for case_id in scene.cases():
            table = Table(title=case_id, title_justify="left")
            for column in ("时间（北京）", "谁", "事项", "条款"):
                table.add_column(column)
            for line in audit.timeline(tx, case_id):
                table.add_row(f"{line.at.astimezone(SHANGHAI):%m-%d %H:%M:%S}", line.actor, line.text, line.clause)
            console.print(table)


def _verdict() -> int:
    """Print the books, prove them and the audit; the exit code."""
    with reading() as tx:
        books = Table(title="账簿", title_justify="left")
        for column in ("账户", "余额"):
            books.add_column(column)
        for account in _accounts(tx):
            books.add_row(account.id, yuan(account.balance_fen))
        console.print(books)
        checks: dict[str, Callable[[], list[str]]] = {
            "账簿核对": lambda: [str(line) for line in proof.check(tx)],
            "账单核对": lambda: freeze_proof.check(tx),
            "审计链校验": lambda: list(chain_proof.verify(tx)),
        }
        failures = 0
        for name, check in checks.items():
            wrong = check()
            console.print(f"{name}:{'通过' if not wrong else ''.join(wrong)}")
            failures += len(wrong)
    console.print("[green]全部符合预期[/green]" if not failures else "[red]核对失败[/red]")
    return 1 if failures else 0


def _accounts(tx: Tx) -> list[ledger.Account]:
    return list(tx.exec(select(ledger.Account).order_by(col(ledger.Account.id))))
