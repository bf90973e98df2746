"""Papers as pictures: drawn in a process that may use little, without what the original carries, and never the original."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest
from PIL import Image

from desk import ahead, render
from office.base.settings import settings
from office.files import evidence
from tests.desk.seat import Seats
from tests.play import PAPERS, Office, paper

HIDDEN = b"GPS-of-the-photographer"


def photo(width: int = 2400, height: int = 1200) -> bytes:
    """A photo that was taken on its side and says where."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    exif[0x010E] = HIDDEN.decode()
    made = io.BytesIO()
    Image.new("RGB", (width, height), "green").save(made, "JPEG", exif=exif)
    return made.getvalue()


def pdf(pages: int) -> bytes:
    import pypdfium2

    document = pypdfium2.PdfDocument.new()
    for _ in range(pages):
        document.new_page(595, 842)
    made = io.BytesIO()
    document.save(made)
    return made.getvalue()


def stage(name: str, content: bytes) -> str:
    return evidence.stage("shop-1", name, io.BytesIO(content)).id


def test_a_photo_is_turned_made_smaller_and_says_nothing_more(office: Office, seat: Seats) -> None:
    office.open_shop()
    who, item = seat("wang-fang"), stage("执照.jpg", photo())
    for width in (320, 1600):
        answer = who.client.get(f"/p/{item}/1.webp?w={width}")
        assert answer.headers["content-type"] == "image/webp" and HIDDEN not in answer.content
        with Image.open(io.BytesIO(answer.content)) as seen:
            assert seen.width <= width and seen.height == 2 * seen.width and not seen.getexif()
    assert "执照.jpg" in who.see(f"/p/{item}").text


def test_every_page_of_a_document_is_shown(office: Office, seat: Seats) -> None:
    office.open_shop()
    who, item = seat("wang-fang"), stage("合同.pdf", pdf(3))
    page = who.see(f"/p/{item}")
    assert "共 3 页" in page.text and page.html.count('class="sheet"') == 3
    assert who.client.get(f"/p/{item}/3.webp").status_code == 200
    assert who.client.get(f"/p/{item}/4.webp").status_code == 404


def test_what_cannot_be_drawn_is_said_to_be_so_and_breaks_nothing(office: Office, seat: Seats) -> None:
    office.open_shop()
    who, item = seat("wang-fang"), stage("坏.pdf", b"%PDF-1.7 nothing")
    assert "无法显示为图片" in who.see(f"/p/{item}").text
    assert who.client.get(f"/p/{item}/1.webp").status_code == 404
    for address in (f"/p/{item}/0.webp", f"/p/{item}/1.webp?w=5000", "/p/none", "/p/none/1.webp"):
        assert who.client.get(address).status_code == 404


def test_a_picture_of_too_many_pixels_is_not_unpacked(office: Office, seat: Seats) -> None:
    office.open_shop()
    made = io.BytesIO()
    Image.new("1", (40_000, 40_000)).save(made, "PNG")
    assert len(made.getvalue()) < 1_000_000
    assert seat("wang-fang").client.get(f"/p/{stage('bomb.png', made.getvalue())}/1.webp").status_code == 404


def test_the_papers_of_a_question_are_seen_beside_its_text(office: Office, seat: Seats) -> None:
    office.closed_shop()
    own = [paper("营业执照.jpg", "BUSINESS_LICENCE", photo(800, 400)), PAPERS[1]]
    case = office.request_refund(documents=own)
    page = seat("wang-fang").see(f"/r/{office.question(case).id}")
    assert page.html.count("/1.webp?w=320") == 2 and "营业执照.jpg" in page.text


def test_a_file_that_cannot_be_drawn_is_tried_once_and_leaves_no_broken_picture(
    office: Office, seat: Seats, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.closed_shop()
    case = office.request_refund(documents=[paper("营业执照.pdf", "BUSINESS_LICENCE"), PAPERS[1]])
    who, address = seat("wang-fang"), f"/r/{office.question(case).id}"
    asked = re.findall(r"/p/[^/]+/1\.webp\?w=320", who.see(address).html)
    assert {who.client.get(one).status_code for one in asked} == {404}
    monkeypatch.setattr("desk.pictures.subprocess.run", None)
    assert {who.client.get(one).status_code for one in asked} == {404}
    page = who.see(address)
    assert "/1.webp" not in page.html and "下载原件" in page.text


def test_nobody_outside_sees_one(office: Office, seat: Seats) -> None:
    office.open_shop()
    item, who = stage("执照.jpg", photo()), seat("wang-fang")
    who.client.cookies.clear()
    assert who.see(f"/p/{item}/1.webp").address.startswith("/login")


@pytest.mark.parametrize("limit", ["RLIMIT_CPU", "RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_NPROC"])
def test_whoever_draws_may_use_little(limit: str) -> None:
    import subprocess
    import sys

    asked = f"import resource; from desk import render; render.limit(); print(resource.getrlimit(resource.{limit})[1])"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert 0 <= int(said) <= render.MEMORY


# ── made when the file arrives ───────────────────────────────────────────────


def kept(office: Office) -> dict[str, int]:
    """The pictures that are there, each with when it was made."""
    return {one.name: one.stat().st_mtime_ns for one in (settings().home / "pictures").rglob("*.webp")}


def test_pictures_are_there_before_anybody_looks(office: Office, seat: Seats) -> None:
    office.open_shop()
    item = stage("合同.pdf", pdf(3))
    came = ahead.draw_new(office.clock.at - ahead.BEFORE)
    before = kept(office)
    assert sorted(name.partition("-")[2] for name in before) == [
        "1-1600.webp",
        "1-320.webp",
        "2-1600.webp",
        "3-1600.webp",
    ]
    who = seat("wang-fang")
    who.see(f"/p/{item}")
    assert who.client.get(f"/p/{item}/3.webp").status_code == 200 and kept(office) == before, (
        "none was made for the look"
    )
    assert ahead.draw_new(came) == came, "and none is made twice"


def test_a_file_that_cannot_be_drawn_keeps_no_other_waiting(office: Office) -> None:
    office.open_shop()
    stage("坏的.pdf", b"%PDF-1.7 broken")
    stage("执照.jpg", photo())
    ahead.draw_new(office.clock.at - ahead.BEFORE)
    assert len(kept(office)) == 2


def test_what_came_while_the_desk_was_down_is_drawn_up_to_a_day_later(office: Office) -> None:
    office.open_shop()
    stage("执照.jpg", photo())
    office.clock.advance(ahead.BEFORE)
    assert ahead.draw_new(office.clock.at - ahead.BEFORE) == office.clock.at - ahead.BEFORE and kept(office) == {}
    ahead.draw_new(office.clock.at - ahead.BEFORE - timedelta(seconds=1))
    assert len(kept(office)) == 2
