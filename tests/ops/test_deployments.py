"""What operators meet in Prefect: every flow deployed under its name, explained in Chinese, its runs named and tagged."""

from __future__ import annotations

import importlib
import re

import pytest

from flows.stories import STORIES
from models.cases import Case, CaseKind
from office.runs.engine import run_name, run_tags
from ops.deploy import DEPLOYMENTS, EVERY_MINUTE, MONTHLY, TWICE_A_MONTH, Deployed
from tests.play import Office

CHINESE = re.compile(r"[\u4e00-\u9fff]")
BY_NAME = {deployed.flow.name: deployed for deployed in DEPLOYMENTS}
ALL = pytest.mark.parametrize("deployed", DEPLOYMENTS, ids=list(BY_NAME))


def test_every_kind_of_case_is_deployed_under_its_kind_and_so_is_what_runs_by_itself() -> None:
    assert set(STORIES) == set(CaseKind)
    assert set(BY_NAME) == {kind.value for kind in CaseKind} | {
        "deadlines",
        "delivery",
        "open-invoicing-month",
        "open-settlement-half",
    }
    assert len(BY_NAME) == len(DEPLOYMENTS)


def test_time_and_post_are_kept_every_minute_and_months_opened_monthly_never_twice_at_once() -> None:
    scheduled = {name: (deployed.schedule, deployed.alone) for name, deployed in BY_NAME.items() if deployed.schedule}
    assert scheduled == {
        "deadlines": (EVERY_MINUTE, True),
        "delivery": (EVERY_MINUTE, True),
        "open-invoicing-month": (MONTHLY, True),
        "open-settlement-half": (TWICE_A_MONTH, True),
    }
    assert (EVERY_MINUTE.cron, MONTHLY.cron, MONTHLY.timezone) == ("* * * * *", "0 2 1 * *", "Asia/Shanghai")


def test_only_a_months_run_has_a_queue_of_its_own_and_takes_nobodys_place() -> None:
    queues = {name: deployed.queue for name, deployed in BY_NAME.items() if deployed.queue}
    assert queues == {CaseKind.INVOICING: "month-end", CaseKind.SETTLEMENT: "month-end"}


@ALL
def test_a_deployment_is_found_where_it_says(deployed: Deployed) -> None:
    file, _, function = deployed.entrypoint.partition(":")
    assert getattr(importlib.import_module(file.removesuffix(".py").replace("/", ".")), function) is deployed.flow


@ALL
def test_operators_read_chinese(deployed: Deployed) -> None:
    assert CHINESE.search(deployed.flow.description or "")
    assert deployed.tags and all(CHINESE.search(tag) for tag in deployed.tags)
    for name, shown in deployed.flow.parameters.properties.items():
        assert CHINESE.search(shown["title"]), name
        assert CHINESE.search(shown["description"]), name


def test_a_run_is_named_by_what_it_is_for_and_tagged_by_what_people_filter_by(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    assert run_name(case) == f"关店 · 晨光文具 · {case.id}"
    assert run_tags(case) == ["关店", case.id, "店铺:晨光文具", "shop-1"]


def test_a_long_name_is_cut_and_a_case_without_a_shop_has_no_tags_of_one() -> None:
    case = Case(id="INV-261201-7K3QM9", kind=CaseKind.INVOICING, subject="")  # type: ignore[call-arg]
    assert (run_name(case), run_tags(case)) == (f"{CaseKind.INVOICING.label} · {case.id}", [case.kind.label, case.id])
    long = Case(id="CLS-261122-7K3QM9", kind=CaseKind.CLOSURE, subject="店" * 60, shop_id="shop-1")  # type: ignore[call-arg]
    assert run_name(long) == f"关店 · {'店' * 39}… · {long.id}"
    assert run_tags(long)[2] == f"店铺:{'店' * 39}…"
