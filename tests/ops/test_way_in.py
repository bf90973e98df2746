"""The way in: what a newcomer meets at the terminal, before there is any data and when standing in the wrong place."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from office.base import settings as settings_module
from office.base.settings import SettingsError
from ops import migrate, secrets, stack
from ops.cli import ROWS_ONLY
from ops.commands import doctor
from ops.commands.terminal import WIDTH, database_sentence
from tests.play import Office

Done = Callable[..., str]
ROOT = Path(__file__).parents[2]

LOOKING = [
    ("cases", "list"), ("cases", "show", "CLS-1"), ("review", "list"), ("books", "check"), ("audit", "verify"),
    ("audit", "show", "CLS-1"), ("books", "show"), ("outbox", "list"), ("inbox", "list"), ("staff", "list"),
    ("clock", "show"), ("calendar", "show", "2026"), ("settlement", "halves"), ("invoicing", "months"),
]  # fmt: skip


def home() -> Path:
    return settings_module.settings().home


@pytest.mark.parametrize("arguments", LOOKING)
def test_looking_makes_nothing_and_says_where_it_looked(_home: None, refused: Done, arguments: tuple[str, ...]) -> None:
    home().rmdir()
    assert "DIANWU_HOME" in refused(*arguments)
    assert not home().exists()


def test_the_doctor_makes_nothing_either(_home: None, refused: Done) -> None:
    assert "dianwu migrate" in refused("doctor")
    assert list(home().iterdir()) == []


def test_whoever_forgot_where_the_demonstration_keeps_its_data_is_told(
    _home: None, refused: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dianwu" / "demo").mkdir(parents=True)
    (tmp_path / ".dianwu" / "demo" / "dianwu.db").touch()
    assert "export DIANWU_HOME=.dianwu/demo" in refused("cases", "list")
    found = refused("doctor")
    assert "DIANWU_HOME=.dianwu/demo" in found.replace("\n", "") and "dianwu migrate" not in found


def test_an_empty_home_is_no_folder_that_somebody_happens_to_stand_in(
    _home: None, refused: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIANWU_HOME", "")
    for command in (("cases", "list"), ("migrate",), ("up",)):
        settings_module.settings.cache_clear()
        assert "home（是空的" in refused(*command), command
    assert list(tmp_path.glob("*.*")) == []


def test_help_is_there_without_any_data(_home: None, done: Done) -> None:
    assert "审核" in done("review", "--help") and "案件" in done("--help")


@pytest.mark.parametrize(
    ("start", "spared"),
    [
        ("import ops.cli", ["prefect", "sqlalchemy", "pydantic", "rich", "apprise", "pyarrow"]),
        ("import ops.commands.cases, tasks.processes, tasks.sight.views", ["prefect", "apprise", "pyarrow", "fastapi"]),
        ("import tasks.processes", ["httpx", "fsspec", "pygments", "segno"]),
        ("import ops.commands.review, tasks.sight.queue", ["prefect", "apprise", "pyarrow", "fastapi"]),
        ("import webhooks.app", ["prefect", "apprise", "pyarrow"]),
    ],
)
def test_nobody_waits_for_the_import_of_what_is_not_used(start: str, spared: list[str]) -> None:
    look = f"import sys; {start}; print(*[name for name in {spared!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == []


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_a_command_that_reads_imports_neither_prefect_nor_what_makes_and_sends_words(
    office: Office, command: tuple[str, ...]
) -> None:
    """A case as a whole shows the words that were sent, so its command makes them."""
    office.open_shop()
    case = office.request_closure()
    arguments = ["dianwu", *(word.replace("CLS-1", case.id) for word in command)]
    spared = [
        "prefect",
        "apprise",
        "pyarrow",
        "fastapi",
        "httpx",
        "fsspec",
        "segno",
        *(["jinja2"] if command[:2] != ("cases", "show") else []),
    ]
    spared += ["tasks.processes"] if command[:2] in ROWS_ONLY else []
    look = f"""
import atexit, gc, sys
atexit.register(lambda: print("IMPORTED", *[name for name in {spared!r} if name in sys.modules],
                              *["rubbish"] * gc.get_stats()[2]["collections"]))
from ops.cli import main
sys.argv = {arguments!r}
main()
"""
    shown = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=False)
    assert shown.stdout.splitlines()[-1] == "IMPORTED", shown.stdout + shown.stderr
    assert "Traceback" not in shown.stderr, shown.stderr


def test_roles_kinds_and_states_are_known_by_their_chinese_words(office: Office, told: Any, dianwu: Any) -> None:
    office.open_shop()
    case = office.request_closure()
    for arguments in (
        ("review", "list", "--role", "关店审核员"),
        ("review", "list", "--role", "Closure-Reviewer"),
        ("review", "list", "--kind", "关店"),
        ("review", "list", "--kind", "closure"),
    ):
        assert [row["case_id"] for row in told(*arguments)] == [case.id], arguments
    assert [row["id"] for row in told("cases", "list", "--state", case.state.label)] == [case.id]
    wrong = dianwu("review", "list", "--role", "老板")
    assert wrong.exit_code == 2 and "财务" in wrong.output


def test_no_table_is_wider_than_a_hundred_columns_and_no_id_is_broken(office: Office, done: Done) -> None:
    office.open_shop(name="很长很长的店铺名称" * 4)
    case = office.request_closure()
    task = office.question(case).id
    for arguments in (
        ("review", "list"),
        ("review", "show", task),
        ("cases", "list"),
        ("cases", "show", case.id),
        ("outbox", "list"),
        ("inbox", "list"),
        ("staff", "list"),
        ("books", "show", "--shop", "shop-1"),
        ("audit", "show", case.id),
    ):
        shown = done(*arguments)
        assert [line for line in shown.splitlines() if wide(line) > WIDTH and "http" not in line] == [], arguments
        if arguments[0] in {"review", "cases"}:
            assert case.id in shown, arguments


def wide(line: str) -> int:
    from rich.cells import cell_len

    return cell_len(line.rstrip())


def spoken(readme: str) -> tuple[set[str], set[str], list[str]]:
    """What a README names in code, where it leads, and what it has one type; comments and placeholders apart."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    blocks = [
        re.sub(r" *#.*", "", block) for block in re.findall(r"^```(?:sh|toml|python)\n(.*?)^```", text, re.M | re.S)
    ]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    codes = {re.sub(r"(ID|工号|user:password|用户:密码)", "…", code) for code in re.findall(r"`([^`]+)`", prose)}
    links = set(re.findall(r"\]\(([^)]+)\)", prose)) - {"README.md", "README.zh.md"}
    return codes, links, blocks


def test_both_readmes_name_the_same_settings_commands_and_pages_and_every_page_is_there() -> None:
    english, chinese = spoken("README.md"), spoken("README.zh.md")
    assert english == chinese
    assert [link for link in english[1] if "://" not in link and not (ROOT / link.partition("#")[0]).exists()] == []


def test_what_a_named_file_cannot_do_is_told_and_nothing_that_cannot_be_passes_for_done(
    office: Office, refused: Done, done: Done, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for out, why in (
        ("none/x.csv", "目录不存在"),
        ("file/x.csv", "不是目录"),
        ("", "是目录"),
        ("长" * 300, "文件名过长"),
    ):
        assert why in refused("invoicing", "anomalies", "2026-11", "--out", str(tmp_path / out)), out
    assert "2026-13" in refused("invoicing", "anomalies", "2026-13", "--out", str(tmp_path / "x.csv"))
    (bare := tmp_path / "bare.csv").write_text("item_id,shop_id,category,amount_yuan,settled_at\n")
    assert "只有表头" in done("import", "billables", str(bare))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("database or disk is full", "磁盘已满"),
        ("disk I/O error", "磁盘是否已满"),
        ("attempt to write a readonly database", "只读"),
        ("unable to open database file", "打不开"),
        ("file is not a database", "不是 SQLite"),
        ("database disk image is malformed", "已损坏"),
        ("database is locked", "占用"),
        ('FATAL:  password authentication failed for user "dianwu"', "拒绝登录"),
        ("fe_sendauth: no password supplied", "拒绝登录"),
        ("permission denied for table case", "权限"),
        ("no such table: case", "dianwu migrate"),
        ("connection refused", "是否在运行"),
    ],
)
def test_what_a_database_says_is_told_with_what_to_do_and_without_its_address(said: str, sentence: str) -> None:
    told = database_sentence(OperationalError("SELECT 1", {}, Exception(said)))
    assert sentence in told and '"' not in told


# ── keys and files ───────────────────────────────────────────────────────────


def test_all_keys_of_a_production_are_made_at_once_shown_to_nobody_and_never_overwritten(
    _home: None, done: Done, refused: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIANWU_PROFILE", "production")
    monkeypatch.setenv("DIANWU_SANDBOX_BANK", "false")
    for name in ("ENCRYPTION_KEYS", "AUDIT_KEY", "PLATFORM_SECRETS", "API_TOKENS"):
        monkeypatch.delenv(f"DIANWU_{name}")
    shown = done("keys", "init")
    file = Path(os.environ["DIANWU_HOME"]) / "secrets.toml"
    made = tomllib.loads(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any(str(value) in shown for value in [made["audit_key"], made["prefect_auth"], *made["encryption_keys"]])
    settings_module.settings.cache_clear()
    given = secrets.prepare()  # everything a production needs of secrets is there
    assert given.production and set(given.subscriber_secrets) == {"bank", "platform"}
    refused("keys", "init")
    assert tomllib.loads(file.read_text()) == made


def test_a_new_database_is_its_owners_alone(_home: None) -> None:
    migrate.upgrade()
    assert {stat.S_IMODE(file.stat().st_mode) for file in home().glob("dianwu.db*")} == {0o600}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_production_does_not_start_while_others_may_read_its_secrets(
    _home: None, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    file = home() / "secrets.toml"
    file.write_text('service_contact = "客服"\n')
    file.chmod(mode)
    secrets.prepare()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600, "a demonstration closes it"
    file.chmod(mode)
    for name, value in (("PROFILE", "production"), ("SANDBOX_BANK", "false"), ("PREFECT_AUTH", "a:b")):
        monkeypatch.setenv(f"DIANWU_{name}", value)
    settings_module.settings.cache_clear()
    with pytest.raises(SettingsError, match="chmod 600"):
        secrets.prepare()


def test_nothing_is_started_while_a_setting_will_not_do(
    _home: None, refused: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nothing:
        def __init__(self, *_: object, **__: object) -> None:
            raise AssertionError("something was started")

    monkeypatch.setattr(stack, "Stack", Nothing)
    for name, value in (("PROFILE", "production"), ("SANDBOX_BANK", "false"), ("PREFECT_AUTH", "a:b")):
        monkeypatch.setenv(f"DIANWU_{name}", value)
    settings_module.settings.cache_clear()
    shown = refused("up")
    assert "✗" in shown and "事件订阅方" in shown and "尚未启动" in shown


def test_nothing_is_started_beside_somebody_who_has_its_port(
    _home: None, refused: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked the other one's Prefect whether it is up would deploy our flows there."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("DIANWU_PREFECT_PORT", str(other.getsockname()[1]))
        shown = refused("up")
    assert "prefect_port" in shown and "占用" in shown and "尚未启动" in shown


def test_a_desk_that_nobody_could_log_in_to_is_said_before_anything_starts(
    _home: None, refused: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIANWU_HOST", "0.0.0.0")
    monkeypatch.setenv("DIANWU_PREFECT_AUTH", "user:password")
    shown = refused("up")
    assert "desk_url" in shown and "尚未启动" in shown


def test_a_part_that_does_not_come_up_is_told_with_its_log(
    _home: None, refused: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise stack.StackError("door 启动后随即退出（代码 1），详见 logs/door.log")

    monkeypatch.setattr(stack, "Stack", fail)
    monkeypatch.setattr(stack, "PORTS", ())
    assert "door.log" in refused("up")


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_the_whole_settings_file_that_the_readmes_print_starts_a_production_with_the_keys_that_are_made(
    _home: None, done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readme: str
) -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```$", (ROOT / readme).read_text(encoding="utf-8"), re.M | re.S)
    file = tmp_path / "dianwu.toml"
    file.write_text(block.replace('home = "/var/lib/dianwu"', f'home = "{home()}"'), encoding="utf-8")
    file.chmod(0o600)
    for name in [name for name in os.environ if name.startswith("DIANWU_") and not name.startswith("DIANWU_TEST")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DIANWU_CONFIG", str(file))
    settings_module.settings.cache_clear()
    done("keys", "init")
    settings_module.settings.cache_clear()
    given = secrets.prepare()
    assert given.production and given.database.startswith("postgresql")
    assert doctor.before_start(given)
