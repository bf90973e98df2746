"""The house stays one in which somebody new finds the room: no file grows over what one reads in one sitting."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("models", "policies", "notifications", "office", "tasks", "flows", "webhooks", "desk", "ops")
MOST = 400


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_of_the_product_is_longer_than_400_lines() -> None:
    found = {str(path.relative_to(ROOT)): lines_of(path) for floor in FLOORS for path in (ROOT / floor).rglob("*.py")}
    assert {name: lines for name, lines in found.items() if lines > MOST} == {}


def test_every_room_says_in_its_first_line_what_it_is_for() -> None:
    rooms = [room for floor in ("office", "tasks") for room in (ROOT / floor).iterdir() if list(room.glob("*.py"))]
    assert [
        str(room) for room in rooms if not (room / "__init__.py").read_text(encoding="utf-8").startswith('"""')
    ] == []


def test_no_room_is_larger_than_a_quarter_of_the_house() -> None:
    rooms = {
        str(room.relative_to(ROOT)): sum(lines_of(path) for path in room.rglob("*.py"))
        for floor in FLOORS
        for room in [*(path for path in (ROOT / floor).iterdir() if path.is_dir()), ROOT / floor]
        if room.name not in {"tasks", "office", "ops", "__pycache__"}
    }
    whole = sum(lines_of(path) for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
    assert {room: lines for room, lines in rooms.items() if lines > whole / 4} == {}


def test_no_text_still_holds_two_versions_of_a_passage() -> None:
    written = [
        path for floor in (*FLOORS, "docs", "tests", "deploy", "migrations") for path in (ROOT / floor).rglob("*")
    ]
    texts = [
        path
        for path in (*written, *ROOT.glob("*"))
        if path.suffix in {".py", ".md", ".toml", ".j2", ".json", ".yaml", ".txt", ".html", ""} and path.is_file()
    ]
    halves = ("<" * 7 + " ", ">" * 7 + " ")
    assert [
        str(path)
        for path in texts
        if any(line.startswith(halves) for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    ] == []


def test_code_is_packed_by_hand_only_where_a_reader_gains_by_it() -> None:
    """Tables of values in aligned rows, and SQL beside its arguments; whatever else there is, the formatter lays out."""
    files = [path for floor in (*FLOORS, "tests", "benchmarks") for path in (ROOT / floor).rglob("*.py")]
    packed = sum(path.read_text(encoding="utf-8").count("# fmt:" + " skip") for path in files)
    assert packed <= 105
