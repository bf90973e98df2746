"""Events of every type, as the schema allows them, about shops with open cases: acted on, refused or kept, never a fault."""

from __future__ import annotations

from collections import Counter
from typing import Any

import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from schemathesis.generation import GenerationMode
from sqlmodel import col, select

from models.messages import InboxMessage, InboxState
from models.wire import INBOUND
from office.base.db import reading
from office.base.settings import settings as installation
from office.cases import routing
from tests.play import Office
from webhooks.app import create_app

SHOPS = st.sampled_from(["shop-1", "shop-2", "nowhere"])


def test_no_event_that_the_schema_allows_is_a_fault_whatever_cases_are_open(office: Office) -> None:
    office.open_shop("shop-1")
    office.closed_shop("shop-2")
    cases = [office.request_closure("shop-1").id, office.request_refund("shop-2").id, "CLS-000000-XXXXXX"]
    operation = schemathesis.openapi.from_dict(create_app(installation()).openapi())["/webhooks/platform"]["POST"]
    seen: Counter[tuple[str, InboxState]] = Counter()
    sent: set[str] = set()

    @settings(max_examples=100)
    @given(
        generated=operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        shop=SHOPS,
        case=st.sampled_from(cases),
    )
    def exercise(generated: Any, shop: str, case: str) -> None:
        body = generated.body
        if not isinstance(body, dict) or body.get("type") not in INBOUND:
            return
        about = {"shop_id": shop, "case_id": case, "account_id": f"acct-{shop}"}
        data = body["data"] | {name: value for name, value in about.items() if name in body["data"]}
        try:
            INBOUND[body["type"]].model_validate(data)
        except ValidationError:  # the door asks for more than a schema can say
            return
        message_id = f"generated-{len(sent)}"
        sent.add(message_id)
        office.receive(body["type"], data, message_id)
        routing.route_due()
        with reading() as tx:
            row = tx.exec(select(InboxMessage).where(col(InboxMessage.message_id) == message_id)).one()
        assert row.attempts == 0 or row.state not in {InboxState.NEW, InboxState.FAILED}, (row.note, body)
        seen[row.type, row.state] += 1

    exercise()
    office.settle()
    office.pass_time(days=1)
    assert len({type_ for type_, _ in seen}) >= 4, seen  # which types come up is up to the generator
    assert office.books() == [] == office.chains()
