"""Two of everything, as deploy/ says, with one of each killed the hard way while cases are under way: none is lost."""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from prefect.settings import temporary_settings

from models.reviews import Role
from office.base.settings import Settings
from office.record import chain_proof
from ops import secrets
from ops.commands import doctor, health
from ops.environment import prefect_settings
from ops.rehearsal import Rehearsal
from ops.scenes.stage import register
from tasks.sight import proof
from tests.stack.conftest import settings_of
from tests.stack.pair import Pair, running_pair

pytestmark = [pytest.mark.engine, pytest.mark.scale]

OWN_STACK = "two of everything on PostgreSQL and Redis, each killed once"

KILLED = ("worker-a", "door-b", "api-a", "services", "redis", "worker-b", "door-a", "api-b")


class Subscriber(BaseHTTPRequestHandler):
    """Platform and bank as far as this test needs them: they take what they are sent."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def subscriber() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Subscriber)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture
def pair(tmp_path: Path, subscriber: str) -> Iterator[Pair]:
    """Everything running, with the settings file of a production and all its keys made at once."""
    (tmp_path / "dianwu").mkdir(mode=0o700)
    secrets.ensure(tmp_path / "dianwu", subscribers=True)
    file = tmp_path / "dianwu.toml"
    folder = json.dumps([f"json://{subscriber.removeprefix('http://')}"])
    file.write_text(f"""
profile = "production"
sandbox_bank = false
sandbox_facts = false
[subscribers]
platform = "{subscriber}"
bank = "{subscriber}"
[staff_channels]
staff = {folder}
merchant = {folder}
""")
    file.chmod(0o600)
    with running_pair(tmp_path, file) as running:
        yield running


def seen_from(pair: Pair, side: str) -> dict[str, str]:
    """The environment of an administrator beside that side's API server."""
    return {
        **pair.ours,
        "PREFECT_API_URL": f"http://127.0.0.1:{pair.ports[f'api-{side}']}/api",
        "DIANWU_DOOR_PORT": str(pair.ports[f"door-{side}"]),
    }


def test_one_of_each_is_killed_and_every_case_ends(pair: Pair, tmp_path: Path, patient: None) -> None:
    with settings_of(tmp_path / "dianwu", **seen_from(pair, "b")) as given:
        os.environ["PREFECT_API_URL"] = seen_from(pair, "b")["PREFECT_API_URL"]
        with temporary_settings(updates=prefect_settings(given)):
            stage = Rehearsal(given)
            reviewers = [f"reviewer-{name}" for name in KILLED]  # one for each: nobody waits for their next code
            for reviewer in reviewers:
                stage.enrol(reviewer, "李娜", [Role.CLOSURE_REVIEWER])
            stage.enrol_everybody()
            doors = itertools.cycle([pair.ports["door-a"], pair.ports["door-b"]])
            cases = {}
            for name in KILLED:
                stage.settings = with_door(given, next(doors))
                shop = f"shop-{name}"
                register(stage, shop, "晨光文具", "ENTERPRISE", 400_000, "BANK", "3301040160000121234")
                stage.send(
                    "closure.requested",
                    {
                        "shop_id": shop,
                        "account_id": f"acct-{shop}",
                        "reason": "STRATEGY_CHANGE",
                        "reason_text": "转做线下门店",
                    },
                )
                pair.kill(name)
                cases[shop] = stage.case_of(shop, "closure")
            for name in KILLED:
                pair.wait(name)
            for case_id, reviewer in zip(cases.values(), reviewers, strict=True):
                stage.decide(case_id, "closure-review", reviewer, "驳回申请", "材料不全")
            for case_id in cases.values():
                assert stage.state(case_id, "REJECTED").outcome == "REJECTED"
            assert (
                stage.read(lambda tx: list(proof.check(tx)))
                == []
                == stage.read(lambda tx: list(chain_proof.verify(tx)))
            )
            ill = {check.name: check.sentence for check in doctor.examine() if check.health is health.Health.BAD}
            assert not ill, ill
            pair.started["redis"].kill()
            pair.started["redis"].wait()
            ill = {check.name: check.sentence for check in doctor.examine() if check.health is health.Health.BAD}
            assert "消息通道" in ill, ill
            pair.start("redis")


def with_door(given: Settings, port: int) -> Settings:
    return given.model_copy(update={"door_port": port})
