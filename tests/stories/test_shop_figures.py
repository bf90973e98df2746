"""What shops did by day: replaced by day and as-of, and what is not known is no zero (ambiguities 39, 50, 51)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from models.figures import ShopDay
from office.base.db import reading
from tasks.shops import figures
from tests.accounts import SHANGHAI, today
from tests.play import Office


def report(office: Office, *days: dict[str, Any], as_of: datetime | None = None) -> None:
    office.send("shop.figures", {"as_of": (as_of or office.clock.at).isoformat(), "days": list(days)})


def of_day(office: Office, ago: int = 1, **figures_: Any) -> dict[str, Any]:
    return {"shop_id": "shop-1", "day": (today(office) - timedelta(days=ago)).isoformat()} | figures_


def known(office: Office, ago: int = 1) -> ShopDay | None:
    day = today(office) - timedelta(days=ago)
    with reading() as tx:
        return figures.days(tx, "shop-1", day, day).get(day)


@pytest.mark.both
def test_a_later_report_of_a_day_replaces_all_of_it_and_an_older_one_nothing(office: Office) -> None:
    now = office.clock.at
    report(office, of_day(office, gmv_fen=100, ratings=4, positive=3), as_of=now)
    report(office, of_day(office, gmv_fen=50), as_of=now - timedelta(seconds=1))
    first = known(office)
    assert first is not None and (first.gmv_fen, first.ratings, first.positive) == (100, 4, 3)
    report(office, of_day(office, gmv_fen=70), as_of=now)
    same = known(office)
    assert same is not None and (same.gmv_fen, same.ratings) == (70, None), "of two as of one moment the later counts"
    report(office, of_day(office, gmv_fen=0), as_of=now + timedelta(seconds=1))
    last = known(office)
    assert last is not None and last.gmv_fen == 0


def test_what_is_left_out_is_not_known_and_a_day_that_was_not_sent_is_not_there(office: Office) -> None:
    report(office, of_day(office, orders={"spot": 0}))
    row = known(office)
    assert row is not None and (row.spot_orders, row.presale_orders, row.gmv_fen, row.score_scale) == (0, 0, None, None)
    assert known(office, 2) is None


def test_scores_carry_their_scale(office: Office) -> None:
    report(office, of_day(office, score={"value": "4.85"}, dsr={"value": "97.5", "scale": 100}))
    row = known(office)
    assert row is not None
    assert (row.score_hundredths, row.score_scale, row.dsr_hundredths, row.dsr_scale) == (485, 5, 9750, 100)


@pytest.mark.parametrize(("seconds", "whole"), [(-1, False), (0, True), (1, True)])
def test_a_report_from_before_the_days_end_is_not_the_whole_day(office: Office, seconds: int, whole: bool) -> None:
    midnight = datetime.combine(today(office), datetime.min.time(), tzinfo=SHANGHAI)
    report(office, of_day(office, gmv_fen=1), as_of=midnight + timedelta(seconds=seconds))
    row = known(office)
    assert row is not None and row.whole is whole


def test_figures_of_what_has_not_been_are_not_kept(office: Office) -> None:
    report(office, of_day(office, gmv_fen=1), as_of=office.clock.at + timedelta(minutes=6))
    assert len(office.refusals()) == 1 and known(office) is None
    report(office, of_day(office, gmv_fen=1), of_day(office, -1, gmv_fen=1))
    (told,) = office.events("figures.rejected")
    assert known(office) is not None and known(office, -1) is None
    assert [(line["position"], line["reason"]) for line in told["rejected"]] == [(2, "日期晚于数据的截止时间")]


def test_the_same_message_twice_is_one_and_a_batch_of_many_shops_is_kept_whole(office: Office) -> None:
    days = [of_day(office, gmv_fen=n) | {"shop_id": f"shop-{n}"} for n in range(1, 301)]
    for _ in range(2):
        office.send("shop.figures", {"as_of": office.clock.at.isoformat(), "days": days}, "figures-1")
    day = today(office) - timedelta(days=1)
    with reading() as tx:
        assert [figures.days(tx, f"shop-{n}", day, day)[day].gmv_fen for n in (1, 150, 300)] == [1, 150, 300]


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": {"value": "5.01"}},
        {"score": {"value": 4.5}},
        {"score": {"value": "4.555"}},
        {"positive": 3},
        {"orders": {"presale": 1}},
        {"gmv_fen": -1},
    ],
)
def test_what_cannot_be_a_figure_comes_back_with_its_field_and_the_others_are_kept(
    office: Office, wrong: dict[str, Any]
) -> None:
    report(office, of_day(office, gmv_fen=1), of_day(office, 2) | wrong)
    (told,) = office.events("figures.rejected")
    assert known(office) is not None and known(office, 2) is None
    (line,) = told["rejected"]
    assert (
        (line["position"], line["item_id"]) == (2, "shop-1") and line["field"] in {*wrong, "ratings"} and line["reason"]
    )
