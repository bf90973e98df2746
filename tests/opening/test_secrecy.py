"""The random amount is nowhere in the clear before it was entered: tables, logs, files, forms, views, messages (OPN-10)."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select as sql_select
from sqlmodel import SQLModel, select

from models.messages import Channel, OutboxMessage
from models.reviews import Review
from notifications.channels import AppriseNotifier
from notifications.plugins.folder import folder_url
from office.base.db import reading
from office.base.settings import settings
from office.cases.forms import form_description, form_schema
from office.cases.reviews import gate_of
from ops.commands.keys import sealed_columns
from tasks import delivery
from tasks.opening import transfer
from tasks.sight import disputes, views
from tasks.sight import merchant as merchant_sight
from tests.opening.bench import Applicant, amount, bank, enter, enterprise, wrong
from tests.play import Office

FIRST, SECOND = 83, 71
"""Amounts in fen that no story has otherwise."""
SAID = re.compile(rf"(?<![\d.])0?\.(?:{FIRST}|{SECOND})(?!\d)")


@pytest.fixture(autouse=True)
def _drawn() -> Iterator[None]:
    """The first transfer is of 0.83, the second of 0.71."""
    drawn = iter([FIRST - 1, SECOND - 1])
    transfer.use_chance(lambda _: next(drawn))
    yield
    transfer.use_chance(None)


@pytest.fixture
def story(office: Office, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Applicant:
    """A transfer whose three tries are used up, and a second one that has arrived, is contradicted, and entered wrongly."""
    caplog.set_level(logging.DEBUG)
    folder = folder_url(tmp_path / "told", quiet=True)
    delivery.use_notifier(AppriseNotifier({"staff": [folder], "merchant": [folder]}))
    applicant = enterprise(office, contacts=["dianwufolder:///owner@example.com"])
    bank(applicant)
    for by in (1, 2, 3):
        enter(applicant, wrong(applicant, by=by))
    bank(applicant, 2)
    enter(applicant, wrong(applicant, 2))
    assert (amount(applicant), amount(applicant, 2)) == (FIRST, SECOND)
    bank(applicant, 2, what="failed", reason="户名不符")  # a contradiction, which people are told of
    office.sweep()
    return applicant


def amounts(value: Any) -> Iterator[Any]:
    """What in a value says one of the amounts: a number, or words."""
    match value:
        case bool():
            return
        case int() | float():
            if value in {FIRST, SECOND}:
                yield value
        case str():
            if SAID.search(value):
                yield value
            elif value.startswith(("{", "[")):
                try:
                    yield from amounts(json.loads(value))
                except ValueError:
                    return
        case dict():
            for item in value.values():
                yield from amounts(item)
        case list() | tuple():
            for item in value:
                yield from amounts(item)


COUNTED = {"id", "seq", "position", "attempt", "revision", "step", "number", "run_attempt"}
"""Columns of whole numbers that count rows; an amount is in none of them."""


def test_no_column_of_any_table_says_an_amount(story: Applicant) -> None:
    columns, found = 0, []
    with reading() as tx:
        for table in SQLModel.metadata.sorted_tables:
            for row in tx.execute(sql_select(table)).mappings():
                for name, value in row.items():
                    columns += 1
                    if not (name in COUNTED and isinstance(value, int)):
                        found += [f"{table.name}.{name}: {one}" for one in amounts(value)]
    assert columns > 1000 and found == []


def test_no_form_view_or_page_says_an_amount(story: Applicant) -> None:
    found: list[Any] = []
    with reading() as tx:
        for review in tx.exec(select(Review)):
            gate = gate_of(review)
            found += amounts(form_description(review, gate) + json.dumps(form_schema(review, gate), ensure_ascii=False))
            found += amounts(json.loads(review.dossier) if review.dossier.startswith("{") else review.dossier)
    found += amounts(merchant_sight.merchant_view(story.case.id).model_dump(mode="json"))
    dossier = views.case_dossier(story.case.id)
    found += [one for one in amounts(dossier.model_dump(mode="json", exclude={"chain", "timeline"}))]
    found += SAID.findall(disputes.dispute_file(dossier))
    assert found == []


def test_no_message_and_no_event_but_the_banks_says_an_amount(story: Applicant, tmp_path: Path) -> None:
    files = [file for file in (tmp_path / "told").rglob("*") if file.is_file()]
    assert len(files) > 5
    assert [file.name for file in files if SAID.search(file.read_text(encoding="utf-8"))] == []
    rows: list[OutboxMessage] = story.office.outbox(Channel.EVENT)
    for type_ in {row.topic for row in rows} - {"opening.transfer.requested"}:
        for event in story.office.events(type_):
            assert list(amounts(event)) == [], type_
    assert [event["amount_fen"] for event in story.office.events("opening.transfer.requested")] == [FIRST, SECOND]


def test_no_log_line_and_no_file_of_ours_says_an_amount(story: Applicant, caplog: pytest.LogCaptureFixture) -> None:
    assert [record.name for record in caplog.records if SAID.search(record.getMessage())] == []
    kept = [file for file in settings().home.rglob("*") if file.is_file()]
    said = re.compile(rb'(?<![\d.])0\.(?:%d|%d)(?!\d)|"amount_fen": ?(?:%d|%d)[,}]' % (FIRST, SECOND, FIRST, SECOND))
    assert [file.name for file in kept if said.search(file.read_bytes())] == []


def test_what_identifies_people_and_accounts_is_sealed_where_keys_are_changed(story: Applicant) -> None:
    """OPN-8: sealed columns are found by their name, also this one; nothing of it is in the clear anywhere."""
    assert "opening_part.fields_sealed" in {f"{column.table.name}.{column.name}" for column in sealed_columns()}
    secrets_ = ["330226199001011234", "13800001234", "3301040160000121234"]
    with reading() as tx:
        for table in SQLModel.metadata.sorted_tables:
            for row in tx.execute(sql_select(table)).mappings():
                told = json.dumps(dict(row), ensure_ascii=False, default=str)
                assert [one for one in secrets_ if one in told] == [], table.name
