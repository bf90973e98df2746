"""Events of every type, as the schema allows them, about shops with open cases: acted on, refused or kept, never a fault."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
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
ODD: tuple[Any, ...] = (
    [],
    {},
    [[]],
    None,
    True,
    -1,
    0,
    10**30,
    1.5,
    float("nan"),
    "\x00",
    "a\ud800",
    "\u202e",
    "",
    "9" * 5000,
)
NO_DAY = (0, 20_000, "0", "20000", "1793491200", 1793491200, "2026-11-2", "２０２６-11-22", "2026-11-22T00:00:00")


def places(value: Any, *above: Any) -> Iterator[tuple[Any, ...]]:
    """Every place in an event's data, down to its last field."""
    yield above
    for name in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[name], *above, name)


def put(value: Any, place: tuple[Any, ...], there: Any) -> Any:
    if not place:
        return there
    inner = put(value[place[0]], place[1:], there)
    return (
        {**value, place[0]: inner} if isinstance(value, dict) else [*value[: place[0]], inner, *value[place[0] + 1 :]]
    )


@pytest.mark.parametrize("kind", sorted(INBOUND))
def test_whatever_stands_in_a_field_is_taken_or_refused_by_its_name(kind: str) -> None:
    """Any other exception would be an error of ours, in place of a sentence to the sender."""
    data = json.loads(json.dumps(INBOUND[kind].EXAMPLE))
    for place in places(data):
        for odd in ODD:
            try:
                taken = INBOUND[kind].model_validate(put(data, place, odd))
            except ValidationError:
                continue
            taken.model_dump(mode="json")


DAYS = [
    (kind, place)
    for kind, model in INBOUND.items()
    for place in places(json.loads(json.dumps(model.EXAMPLE)))
    if place
    and place[-1] in {"day", "issued_on", "licence_until"}
    and kind
    not in {"shop.figures", "talent.sales"}  # their lines are judged by themselves: stories/test_batches_of_lines
]


@pytest.mark.parametrize(("kind", "place"), DAYS, ids=str)
def test_a_number_is_no_date_and_never_counted_from_1970(kind: str, place: tuple[Any, ...]) -> None:
    data = json.loads(json.dumps(INBOUND[kind].EXAMPLE))
    for number in NO_DAY:
        with pytest.raises(ValidationError):
            INBOUND[kind].model_validate(put(data, place, number))


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
