"""A process added as docs/architecture.md says: files of its own and four entries, and everything knows it.

The code is copied, the process of samples (样品借用) is put beside the others, and a test of its own is run there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "models", "policies", "notifications", "office", "tasks", "flows", "webhooks", "desk", "ops", "migrations", "tests",
)  # fmt: skip

ENTRIES = {
    "models/cases.py": [
        ('    CLOSURE = "closure", "关店", "CLS"\n', '    SAMPLE = "sample-loan", "样品借用", "SMP"\n'),
    ],
    "policies/policy.py": [
        ("    decisions: DecisionPolicy = DecisionPolicy()\n", "    sample: SamplePolicy = SamplePolicy()\n"),
        ("from models.base import Frozen\n", "from policies.sample import SamplePolicy\n"),
    ],
    "tasks/processes.py": [
        ("    closure.PROCESS,\n", "    sample.PROCESS,\n"),
        ("from tasks.appeal import process as appeal\n", "from tasks import sample\n"),
    ],
    "flows/stories.py": [
        ("        Story(closure.close_shop),\n", "        Story(sample.lend_sample),\n"),
        ("from prefect import Flow\n", "from flows import sample\n"),
    ],
}
"""The four entries outside its own files: after which line what is added. Where a name comes from is imported beside it."""

OWN = {
    "models/sample.py": '''
"""Samples lent to merchants."""

from typing import Any, ClassVar

from pydantic import Field

from models.base import Labelled
from models.wire import Event, Id, inbound
from models.requests import Asked


class SampleAsked(Asked):
    account_id: str = Field(title="申请账号")


class SampleVerdict(Labelled):
    LEND = "LEND", "同意借用"
    REFUSE = "REFUSE", "不予借用"


@inbound
class SampleRequested(Event):
    """申请借用样品(SMP-1)"""

    type: ClassVar[str] = "sample.requested"
    EXAMPLE: ClassVar[dict[str, Any]] = {"shop_id": "shop-1001", "account_id": "acct-1001"}

    shop_id: Id
    account_id: Id
''',
    "policies/sample.py": '''
"""Samples: how soon somebody answers (SMP-1)."""

from typing import ClassVar

from models.windows import NaturalDays
from policies.sections import Section


class SamplePolicy(Section):
    """SMP: when a request is answered."""

    since: ClassVar[str] = "2027-01-01"

    answer_within: NaturalDays = NaturalDays(n=3)
''',
    "notifications/sample.py": '''
"""What a merchant reads about samples."""

from typing import ClassVar

from notifications.message import MerchantCaseMessage


class SampleAnswered(MerchantCaseMessage):
    """How the request was answered."""

    name: ClassVar[str] = "sample_answered"
    clause: ClassVar[str] = "SMP-1"
''',
    "notifications/messages/sample_answered/subject.txt.j2": "【{{ product }}】样品借用已答复（{{ case_id }}）\n",
    "notifications/messages/sample_answered/body.txt.j2": (
        '{% extends "_layout/merchant.txt.j2" %}\n{% block body %}\n已答复。\n\n案件编号：{{ case_id }}\n{% endblock %}\n'
    ),
    "notifications/messages/sample_answered/body.html.j2": (
        '{% extends "_layout/merchant.html.j2" %}\n{% block headline %}已答复{% endblock %}\n'
        "{% block body %}<p>{{ case_id }}</p>{% endblock %}\n"
    ),
    "notifications/messages/sample_answered/example.json": '{"case_id": "SMP-261122-7K3QM9", "shop_name": "晨光文具"}\n',
    "tasks/sample/__init__.py": '''
"""样品借用: lending samples to merchants."""

from models.cases import Case, CaseKind, CaseState
from models.dossier import Rows
from models.messages import InboxMessage
from models.reviews import Review, Role
from models.sample import SampleAsked, SampleRequested, SampleVerdict
from notifications.sample import SampleAnswered
from office.base.db import Tx
from office.cases import cases, dossier, merchants
from office.cases.effects import effects_of
from office.cases.gates import Dossier, Gate
from office.process import Process
from tasks.shops import shops

effect = effects_of("sample")
swept: list[int] = []


def request(tx: Tx, event: SampleRequested, message: InboxMessage) -> None:
    shop = shops.find_shop(tx, event.shop_id)
    cases.open_case(
        tx, CaseKind.SAMPLE, origin=message.origin, received_at=message.received_at, shop=shop,
        request={"account_id": event.account_id}, text="商家申请借用样品", clause="SMP-1",
    )


@effect("受理样品借用")
def admit(tx: Tx, case: Case) -> None:
    cases.move(tx, case, CaseState.UNDER_REVIEW, "等待审核", clause="SMP-1")


@effect("答复样品借用")
def answer(tx: Tx, case: Case, verdict: SampleVerdict) -> None:
    told = SampleAnswered(shop_name=merchants.shop_of(tx, case).name, case_id=case.id)
    merchants.tell(tx, told, f"{case.id}/answered", case=case)
    ended = CaseState.ACCEPTED if verdict is SampleVerdict.LEND else CaseState.REJECTED
    cases.conclude(tx, case, ended, verdict.label, clause="SMP-1")


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    return dossier.of("样品借用", ("申请", Rows.of({"申请人": SampleAsked.of(case).account_id})), facts={})


REVIEW = Gate(
    name="sample-review", title="样品借用审核", roles=(Role.MERCHANT_SERVICE,), verdicts=SampleVerdict, dossier=_dossier,
    window=lambda case: cases.rules(case).sample.answer_within, clause="SMP-1",
)

PROCESS = Process(
    name="sample", kind=CaseKind.SAMPLE, request=SampleAsked, clause="SMP-1", hears={SampleRequested: request}, asks=(REVIEW,),
    states=(CaseState.UNDER_REVIEW, CaseState.ACCEPTED, CaseState.REJECTED),
    may_send=lambda tx, case: ["sample.requested"] if case.concluded_at else [],
    every_minute={"samples": lambda: swept.append(1)}, proves=lambda tx: ["样品账实不符"] if len(swept) > 1 else [],
)
''',
    "flows/sample.py": '''
"""Lending a sample (样品借用)."""

from flows.story import story
from flows.waiting import ask
from models.cases import CaseKind
from models.sample import SampleVerdict
from tasks import sample


@story(CaseKind.SAMPLE, "样品借用：商家申请，商服审核(SMP-1)。")
def lend_sample(case_id: str) -> None:
    """Take one request to an answer."""
    sample.admit(case_id)
    verdict = ask(case_id, sample.REVIEW).read(SampleVerdict)
    if verdict is not None:
        sample.answer(case_id, verdict)
''',
    "tests/sample/__init__.py": "",
    "tests/sample/test_sample.py": """
from office.base.db import reading
from office.cases.forms import form_schema
from office.cases.reviews import gate_of
from office.process import office as opened
from ops.commands.doctor_engine import deployments
from ops.deploy import DEPLOYMENTS
from tasks import sample
from tasks.sight import proof, queue
from tasks.sight import merchant as merchant_sight
from tasks.sight import views
from webhooks import catalogue


def test_it_is_known_everywhere(office):
    office.open_shop()
    office.send("sample.requested", {"shop_id": "shop-1", "account_id": "acct-shop-1"})
    case = office.latest()
    assert case.id.startswith("SMP-") and case.kind.label == "样品借用"
    review = office.question(case)
    assert "同意借用" in str(form_schema(review, gate_of(review)))  # the forms
    with reading() as tx:
        assert [row.case_id for row in queue.waiting(tx, kind=case.kind)] == [case.id]  # what demonstration and desk list
    assert views.case_dossier(case.id).request == (("申请账号", "acct-shop-1"),)
    office.decide(case, "wu-tao", "LEND")
    assert office.case(case.id).outcome == "ACCEPTED" and "sample_answered" in office.told()
    assert merchant_sight.merchant_view(case.id).allowed_actions == ("sample.requested",)
    assert "samples" in opened().every_minute  # the sweep
    for _ in range(2):
        opened().every_minute["samples"]()
    with reading() as tx:
        assert list(proof.check(tx)) == ["样品账实不符"]
    sample.swept.clear()
    assert "sample.requested" in catalogue.render()  # the catalogue of events
    assert "sample-loan" in deployments()  # the doctor
    assert {d.entrypoint for d in DEPLOYMENTS if d.flow.name == "sample-loan"} == {"flows/sample.py:lend_sample"}
""",
}


def test_four_entries_and_its_own_files_are_all_it_takes(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, content in OWN.items():
        file = tmp_path / name
        assert not file.exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content.lstrip("\n"), encoding="utf-8")
    for name, lines in ENTRIES.items():
        file = tmp_path / name
        text = file.read_text(encoding="utf-8")
        for after, added in lines:
            assert text.count(after) == 1, (name, after)
            text = text.replace(after, after + added)
        file.write_text(text, encoding="utf-8")
    there = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "DIANWU"))}
    played = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-o",
            "addopts=",
            "tests/sample",
            "tests/core/test_processes.py",
        ],
        cwd=tmp_path,
        env={**there, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout[-4000:] + played.stderr[-2000:]
