"""The demonstration as a newcomer runs it, and what it leaves on disk: every ending right, no secret in the clear."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from models.messages import OutboxMessage
from models.reviews import Staff
from office.base.db import reading
from office.base.vault import opened
from office.record import outbox
from ops.cli import app
from tests.stack.conftest import settings_of
from tests.stack.typed import DIANWU, environment, until_interrupted

pytestmark = pytest.mark.engine
OWN_STACK = "it is the command that starts and stops one, as a newcomer types it"

ACCOUNTS = (
    "3301040160000121234",
    "owner-0003",
    "owner-5678",
    "wx-owner-9",
    "3301040160000125566",
    "3301040160000130003",
    "3301040160000133333",
)
"""Whose money it is in the scenes: only the bank may read them, and it keeps nothing."""


GUIDE = (
    "等待人工处理的案件",
    "li-na",
    "dianwu staff code",
    "半月货款放行",
    "达人同意成为自营账号",
    "入驻主体审核",
    "商家填写打款金额",
)
"""What tells a newcomer where to go on."""


@dataclass(frozen=True)
class Demo:
    """What one demonstration said and left behind."""

    home: Path
    code: int
    said: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The whole demonstration, played to its end once."""
    home = tmp_path_factory.mktemp("demo") / "home"
    done = subprocess.run(
        [DIANWU, "demo", "--auto"],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=900,
    )
    yield Demo(home, done.returncode, done.stdout)


def test_it_plays_every_story_to_the_end_it_should_have(demo: Demo) -> None:
    assert demo.code == 0, demo.said[-3000:]
    for printed in (
        "时间（北京）",
        "账簿",
        "账簿核对:通过",
        "审计链校验:通过",
        "全部符合预期",
        "退票",
        "强制关店",
        "已付至",
        "重新开店",
        *GUIDE,
    ):
        assert printed in demo.said


def test_accounts_and_code_secrets_are_nowhere_on_disk(demo: Demo) -> None:
    with settings_of(demo.home), reading() as tx:
        secrets = [*ACCOUNTS, *(opened(person, "totp_sealed") for person in tx.exec(select(Staff)))]
        tickets = tx.exec(select(OutboxMessage).where(OutboxMessage.topic == "account.ticket.issued"))
        secrets += [outbox.body(row)["data"]["ticket"] for row in tickets]
    assert len(secrets) > 10
    searched: dict[str, int] = {}
    found = []
    for file in (file for file in demo.home.rglob("*") if file.is_file()):
        part = file.relative_to(demo.home).parts[0]
        content = file.read_bytes()
        searched[part] = searched.get(part, 0) + len(content)
        found += [f"{file}: {secret[:4]}…" for secret in secrets if secret.encode() in content]
    assert found == []
    for part in ("logs", "notifications", "platform-events.jsonl", "prefect", "dianwu.db"):
        assert searched[part] > 100, part
    assert not [secret for secret in secrets if secret in demo.said]


def test_no_dispute_file_shows_an_account(demo: Demo, tmp_path: Path) -> None:
    env = environment(demo.home)
    listed = subprocess.run([DIANWU, "cases", "list"], env=env, capture_output=True, text=True, check=True).stdout
    refunds = {word for word in listed.replace("│", " ").split() if word.startswith("REF-")}
    assert refunds
    for case_id in refunds:
        file = tmp_path / f"{case_id}.html"
        with settings_of(demo.home):
            exported = CliRunner().invoke(app, ["cases", "export", case_id, "--out", str(file)])
        assert exported.exit_code == 0, exported.output
        page = file.read_text(encoding="utf-8")
        assert case_id in page
        assert not [account for account in ACCOUNTS if account in page]


@pytest.mark.nightly
def test_the_demonstration_stays_up_until_interrupted_and_stops_everything_it_started(tmp_path: Path) -> None:
    with until_interrupted("demo", environment(tmp_path / "home"), when="Ctrl-C") as said:
        for wanted in GUIDE:
            assert wanted in "".join(said)
    assert "正在停止" in "".join(said)
