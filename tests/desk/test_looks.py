"""Who looks at what: papers that were handed out go on record and into the signed statement; colleagues are told of each other."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
from limits import parse

from desk import queue as desk_queue
from desk import reads
from models.cases import Case
from models.reviews import ReviewState
from office.base.db import in_transaction, reading
from office.cases import hands, looks, signatures
from office.files import evidence
from office.record import audit
from policies.policy import policy, use_policies
from tests.core.sql import write
from tests.desk.seat import Seat, Seats
from tests.desk.test_pictures import pdf, photo
from tests.desk.test_signing import asked, enrolled
from tests.play import FILES, Office, paper

LICENCE = paper("营业执照.jpg", "BUSINESS_LICENCE", photo(300, 200))
PERMIT = paper("开户许可.pdf", "ACCOUNT_PERMIT", pdf(2))


@pytest.fixture
def case(office: Office) -> Case:
    """A refund with a photo and a document of two pages."""
    office.closed_shop()
    return office.request_refund(documents=[LICENCE, PERMIT])


def ids(office: Office, case: Case) -> list[str]:
    review = office.question(case)
    with reading() as tx:
        return [one.id for one in looks.papers_seen(tx, review, "wang-fang")]


def seen(office: Office, case: Case, staff_id: str = "wang-fang") -> list[bool]:
    review = office.question(case)
    with reading() as tx:
        return [one.seen for one in looks.papers_seen(tx, review, staff_id)]


def read_by(office: Office) -> list[str]:
    with reading() as tx:
        return [line.actor for line in audit.timeline(tx, "shop/shop-1") if line.action == "evidence.read"]


# ── papers ───────────────────────────────────────────────────────────────────


def test_a_paper_is_seen_when_every_page_of_it_was_handed_out_at_full_size(
    office: Office, seat: Seats, case: Case
) -> None:
    who, (licence, permit) = seat("wang-fang"), ids(office, case)
    who.see(f"/r/{office.question(case).id}")
    who.client.get(f"/p/{licence}/1.webp?w=320")
    assert seen(office, case) == [False, False], "neither a list of them nor a small picture shows a paper"
    who.client.get(f"/p/{licence}/1.webp")
    who.client.get(f"/p/{permit}/1.webp")
    assert seen(office, case) == [True, False]
    assert "材料已看 1/2" in who.see(f"/r/{office.question(case).id}").text
    who.client.get(f"/p/{permit}/2.webp")
    assert seen(office, case) == [True, True] and seen(office, case, "chen-jie") == [False, False]


def test_a_look_that_sql_wrote_or_made_a_colleagues_is_nobodys(office: Office, seat: Seats, case: Case) -> None:
    who, (licence, permit) = seat("wang-fang"), ids(office, case)
    who.client.get(f"/p/{licence}/1.webp")
    write("UPDATE paper_look SET staff_id = 'chen-jie'")
    review = office.question(case)
    with reading() as tx:
        [one] = [item for item in looks.papers_seen(tx, review, "wang-fang") if item.id == permit]
    write(
        "INSERT INTO paper_look (staff_id, sha256, page, pages, at) VALUES ('wang-fang', :sha, 0, 2, '2026-11-19 02:00:00')",
        sha=one.sha256,
    )
    assert seen(office, case) == [False, False] == seen(office, case, "chen-jie")
    for address in (f"/p/{licence}/1.webp", f"/p/{permit}/1.webp", f"/p/{permit}/2.webp"):
        who.client.get(address)
    assert seen(office, case) == [True, True]


def test_the_original_shows_all_of_it_and_is_kept_by_the_browser_never_opened(
    office: Office, seat: Seats, case: Case
) -> None:
    who, (_, permit) = seat("wang-fang"), ids(office, case)
    answer = who.client.get(f"/p/{permit}/file")
    assert answer.content == FILES[PERMIT["sha256"]]
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert seen(office, case) == [False, True]


def test_the_same_content_in_another_case_has_been_seen_and_another_content_has_not(
    office: Office, seat: Seats, case: Case
) -> None:
    who = seat("wang-fang")
    who.client.get(f"/p/{ids(office, case)[0]}/1.webp")
    again = evidence.stage("shop-1", "换了名字.jpg", io.BytesIO(FILES[LICENCE["sha256"]])).id
    assert again == ids(office, case)[0]
    office.decide(case, "wang-fang", "ASK", "请补充营业执照")
    newer = paper("营业执照.jpg", "BUSINESS_LICENCE", photo(310, 200))
    office.merchant_answers(case, "已补充", newer)
    assert seen(office, case) == [True, False, False]


def test_whoever_reads_what_they_are_not_asked_stands_in_the_shops_chain_once_in_a_session(
    office: Office, seat: Seats, case: Case
) -> None:
    def readers() -> list[str]:
        with reading() as tx:
            return [line.actor for line in audit.timeline(tx, "shop/shop-1") if line.action == "dossier.read"]

    review = office.question(case)
    asked_too, other, boss = seat("chen-jie"), seat("li-na"), seat("he-qiang")
    asked_too.see(f"/r/{review.id}")
    asked_too.see(f"/c/{case.id}")
    assert readers() == [], "whoever may answer reads it to answer it"
    for _ in range(2):
        other.see(f"/r/{review.id}")
        boss.see(f"/c/{case.id}")
    assert readers() == ["staff/li-na", "staff/he-qiang"]
    in_transaction(lambda tx: hands.claim(tx, review.id, "wang-fang", office.code("wang-fang")))
    asked_too.see(f"/r/{review.id}")
    assert readers()[2:] == ["staff/chen-jie"], "and a colleague's, once that one holds it"
    other.log_in()
    other.see(f"/c/{case.id}")
    assert readers()[3:] == ["staff/li-na"], "another session says so again"


def test_nobody_reads_through_everybodys_dossiers(
    office: Office, seat: Seats, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "_most", parse("2/hour"))
    who, review = seat("li-na"), office.question(case)
    monkeypatch.setattr(reads, "_noted", set())
    assert who.see(f"/r/{review.id}").status == 200
    reads._noted.clear()
    assert who.see(f"/c/{case.id}").status == 200
    reads._noted.clear()
    assert who.see(f"/c/{case.id}").status == 429
    assert [who.see("/find?q=a").status for _ in range(3)] == [200, 200, 429]
    assert [who.see("/s/shop-1").status for _ in range(3)] == [200, 200, 429]
    again = seat("li-na")
    assert [again.see(one).status for one in (f"/c/{case.id}", "/s/shop-1")] == [429, 429], "logged in anew or not"
    assert who.see("/q").status == 200, "their own work goes on"


def test_nobody_is_handed_everybodys_papers(
    office: Office, seat: Seats, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    licence, permit = ids(office, case)
    monkeypatch.setattr(reads, "_most_papers", parse("1/hour"))
    who = seat("wang-fang")
    assert [who.see(f"/p/{licence}").status for _ in range(3)] == [200] * 3, "one paper, however often it is looked at"
    assert who.client.get(f"/p/{licence}/1.webp").status_code == 200
    for one in (f"/p/{permit}", f"/p/{permit}/1.webp", f"/p/{permit}/file"):
        refused = who.client.get(one)
        assert refused.status_code == 429 and "查阅的材料过多" in refused.text
    assert seat("wang-fang").see(f"/p/{permit}").status == 429, "logged in anew or not"
    assert len(read_by(office)) == 1


def test_whoever_reads_a_shops_page_stands_in_its_chain_once_in_a_session(
    office: Office, seat: Seats, case: Case
) -> None:
    def readers() -> list[str]:
        with reading() as tx:
            return [line.actor for line in audit.timeline(tx, "shop/shop-1") if line.action == "shop.read"]

    clerk, boss = seat("li-na"), seat("he-qiang")
    clerk.see("/s/none-such")
    for _ in range(2):
        clerk.see("/s/shop-1")
        boss.see("/s/shop-1")
    assert readers() == ["staff/li-na", "staff/he-qiang"]
    clerk.log_in()
    clerk.see("/s/shop-1")
    assert readers()[2:] == ["staff/li-na"] and office.chains() == []


def test_a_row_says_the_amount_and_how_many_papers_were_seen(office: Office, seat: Seats, case: Case) -> None:
    who, (licence, permit) = seat("wang-fang"), ids(office, case)
    row = who.see("/q").text
    assert "¥4,000.00" in row and "0/2" in row
    who.client.get(f"/p/{licence}/1.webp")
    assert "1/2" in who.see("/q").text and "0/2" in seat("chen-jie").see("/q").text
    who.client.get(f"/p/{permit}/file")
    assert "2/2" in who.see("/q").text
    assert "¥4,000.00" in who.see(f"/r/{office.question(case).id}").text


def test_whoever_reads_a_paper_stands_in_the_shops_chain_once_in_a_session(
    office: Office, seat: Seats, case: Case
) -> None:
    who, (licence, permit) = seat("wang-fang"), ids(office, case)
    before = read_by(office)
    for _ in range(2):
        who.client.get(f"/p/{licence}/1.webp?w=320")
        who.client.get(f"/p/{licence}/1.webp")
    assert read_by(office) == [*before, "staff/wang-fang"]
    seat("chen-jie").client.get(f"/p/{permit}/file")
    assert read_by(office) == [*before, "staff/wang-fang", "staff/chen-jie"]
    assert office.chains() == []


def test_nobody_reads_a_paper_unrecorded_because_sql_says_that_it_was_recorded(
    office: Office, seat: Seats, case: Case
) -> None:
    who, (licence, _) = seat("wang-fang"), ids(office, case)
    write(
        "INSERT INTO paper_read (session_id, evidence_id, at) SELECT id, :one, '2026-11-19 02:00:00' FROM desk_session",
        one=licence,
    )
    for _ in range(3):
        who.client.get(f"/p/{licence}/1.webp")
    assert read_by(office) == ["staff/wang-fang"]


def test_nobody_reads_the_original_without_a_session(office: Office, case: Case) -> None:
    [one, _] = ids(office, case)
    assert Seat(office, "wang-fang").client.get(f"/p/{one}/file", follow_redirects=False).status_code == 303
    assert read_by(office) == []


def test_the_statement_that_is_signed_says_which_papers_were_seen(office: Office, seat: Seats, case: Case) -> None:
    who = seat("wang-fang")
    key = enrolled(office, who)
    licence, permit = ids(office, case)
    who.client.get(f"/p/{licence}/1.webp")
    page = who.see(f"/r/{office.question(case).id}")
    values, options = asked(who, page, "APPROVE")
    who.client.get(f"/p/{permit}/file")  # looked at after signing: the signature says what was so when it was made
    who.send(page.form("/decide").action, values | {"signature": key.sign(options)})
    with reading() as tx:
        [line] = [
            one
            for one in audit.timeline(tx, case.id)
            if one.action == "review.decided" and one.detail["proof"] == "signature"
        ]
        statement = json.loads(line.detail["signed"]["statement"])
        wanted = [[licence, LICENCE["sha256"], True], [permit, PERMIT["sha256"], False]]
        assert statement["papers"] == line.detail["papers"] == wanted and statement["v"] == 2
        assert list(signatures.check(tx)) == []


def test_a_record_that_says_more_was_seen_than_was_signed_is_named(office: Office, seat: Seats, case: Case) -> None:
    who = seat("wang-fang")
    key = enrolled(office, who)
    page = who.see(f"/r/{office.question(case).id}")
    values, options = asked(who, page, "APPROVE")
    who.send(page.form("/decide").action, values | {"signature": key.sign(options)})

    def meddle(tx) -> None:  # type: ignore[no-untyped-def]
        [line] = [one for one in audit.timeline(tx, case.id) if "signed" in one.detail]
        line.detail = line.detail | {"papers": [[one[0], one[1], True] for one in line.detail["papers"]]}
        tx.add(line)

    in_transaction(meddle)
    with reading() as tx:
        assert any("not what was signed" in sentence for sentence in signatures.check(tx))


def test_a_decision_by_code_at_the_desk_says_so_too(office: Office, seat: Seats, case: Case) -> None:
    who = seat("wang-fang")
    who.client.get(f"/p/{ids(office, case)[0]}/1.webp")
    page = who.see(f"/r/{office.question(case).id}")
    who.answer(page, "APPROVE")
    with reading() as tx:
        [line] = [one for one in audit.timeline(tx, case.id) if one.action == "review.decided"]
    assert [one[2] for one in line.detail["papers"]] == [True, False]


# ── presence ─────────────────────────────────────────────────────────────────


@pytest.fixture(autouse=True)
def nobody_looks() -> None:
    desk_queue._noted.clear()
    desk_queue._seen.clear()


def beat(who: Seat, review_id: str, version: str = "") -> dict[str, object] | None:
    desk_queue._seen.clear()
    answer = who.client.get(f"/pulse?v={version}&r={review_id}&here=1")
    return answer.json() if answer.status_code == 200 else None


def test_colleagues_read_who_has_a_question_before_them(office: Office, seat: Seats, case: Case) -> None:
    one, other, review = seat("wang-fang"), seat("chen-jie"), office.question(case)
    first = beat(one, review.id)
    assert first is not None and first["here"] == []
    told = beat(other, review.id, str(first["version"]))
    assert told is not None and told["here"] == ["王芳"]
    assert "王芳 正在看" in other.see("/q").text
    assert "王芳 正在看" not in one.see("/q").text, "nobody is told of themselves"
    assert "陈杰 正在看" in one.see(f"/r/{review.id}").text.replace("  ", " ")


def test_a_page_that_is_not_before_anybodys_eyes_says_nothing(office: Office, seat: Seats, case: Case) -> None:
    one, other, review = seat("wang-fang"), seat("chen-jie"), office.question(case)
    one.client.get(f"/pulse?v=&r={review.id}")
    assert "正在看" not in other.see("/q").text


@pytest.mark.parametrize(("seconds", "there"), [(89, True), (90, False), (91, False)])
def test_who_has_gone_is_not_there_a_minute_and_a_half_later(
    office: Office, seat: Seats, case: Case, seconds: int, there: bool
) -> None:
    from datetime import timedelta

    one, other, review = seat("wang-fang"), seat("chen-jie"), office.question(case)
    beat(one, review.id)
    office.clock.advance(timedelta(seconds=seconds))
    assert ("王芳 正在看" in other.see("/q").text) is there


def test_looking_keeps_nobody_out_and_decides_nothing(office: Office, seat: Seats, case: Case) -> None:
    one, other, review = seat("wang-fang"), seat("chen-jie"), office.question(case)
    trail = office.trail(case.id)
    beat(one, review.id)
    assert office.trail(case.id) == trail
    page = other.see(f"/r/{review.id}")
    other.answer(page, "APPROVE")
    assert office.trail(case.id).count("review.decided") == 1


def test_a_question_that_is_none_is_looked_at_by_nobody(office: Office, seat: Seats) -> None:
    office.open_shop()
    assert beat(seat("wang-fang"), "RV-000000-AAAAAA") is not None


# ── policy: nobody decides before having seen the papers ─────────────────────


@pytest.fixture
def papers_first() -> Iterator[None]:
    published = policy("2026-01-01")
    decisions = published.decisions.model_copy(update={"papers_first": ("refund-review",)})
    use_policies(published.model_copy(update={"decisions": decisions}))
    yield
    use_policies()


@pytest.mark.both
def test_where_policy_wants_papers_seen_first_nobody_decides_without_and_hears_which_are_left(
    office: Office, seat: Seats, case: Case, papers_first: None
) -> None:
    who, (licence, permit) = seat("wang-fang"), ids(office, case)
    review = office.question(case)
    with reading() as tx:
        first, second = (one.label for one in looks.papers_seen(tx, review, "wang-fang"))
    told = f"还没有看完材料{first}({licence})、{second}({permit}):请在工作台看过每一页,或下载原件,再作决定"
    assert office.fill_in(review, "wang-fang", "APPROVE").sentence == told
    assert office.answer(review, "wang-fang", "APPROVE").sentence == told
    assert told in who.answer(who.see(f"/r/{review.id}"), "APPROVE").text
    who.client.get(f"/p/{licence}/1.webp")
    who.client.get(f"/p/{permit}/1.webp")
    refused = who.answer(who.see(f"/r/{review.id}"), "REJECT", "材料不全")
    cause = refused.html.partition('id="refused"')[2].partition("</p>")[0]
    assert f"看完材料{second}({permit})" in cause and licence not in cause
    assert office.question(case).state is ReviewState.PENDING
    who.client.get(f"/p/{permit}/2.webp")
    assert office.answer(office.question(case), "chen-jie", "APPROVE").sentence == told, (
        "a colleague's eyes are no proof"
    )
    assert "未采纳" not in who.answer(who.see(f"/r/{review.id}"), "APPROVE").text
    assert "review.decided" in office.trail(case.id)
