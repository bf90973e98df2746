"""The suite keeps its own rules: who starts a stack says why, and what differs between databases is tried on both."""

from __future__ import annotations

import re
from pathlib import Path

from tests.sharing import group
from tests.statements import Heard, enough, shape

ROOT = Path(__file__).resolve().parents[2]
STARTS = re.compile(
    r"\brunning_stack\(|\brestless\(|\bStack\(|\bDIANWU\b|\bstanding_stack\(|\brunning_pair\(|\buntil_interrupted\("
)
DIFFERS = re.compile(r"on_conflict_|with_for_update|skip_locked|\.postgres\b|\bdialect\b|\bbulk\.")
"""What SQLite and PostgreSQL are told, or do, differently."""


def test_a_file_that_starts_a_stack_of_its_own_says_why() -> None:
    silent = []
    for file in [*(ROOT / "tests/stack").glob("test_*.py"), *(ROOT / "tests/browser").glob("test_*.py")]:
        text = file.read_text(encoding="utf-8")
        why = re.search(r'^OWN_STACK = "(.{20,})"$', text, re.M)
        if bool(STARTS.search(text)) != bool(why):
            silent.append(file.name)
    assert silent == [], "use the fixture `stage`, the stack that stands, or say in OWN_STACK why that does not do"


def test_tests_that_share_real_processes_are_played_by_one_process_of_xdist() -> None:
    shared = {"tests/browser/test_operators_day.py", "tests/stack/test_waiting.py", "tests/stack/test_queue_board.py"}
    assert {group(file) for file in shared} == {"standing"}
    assert group("tests/worker/test_dying.py") == group("tests/worker/test_running.py") != "standing"
    assert group("tests/stack/test_demo.py") != group("tests/stack/test_killing.py") != "standing"


REAL = re.compile(r"mark\.(engine|browser|scale|nightly)\b")
"""What takes real processes."""


def test_what_takes_real_processes_is_in_the_folders_where_make_looks_for_it() -> None:
    (folders,) = re.findall(r"^REAL_ONES := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    tests = (file for file in (ROOT / "tests").rglob("test_*.py") if REAL.search(file.read_text(encoding="utf-8")))
    assert {str(file.parent.relative_to(ROOT)) for file in tests} == set(folders.split())


TRIED_ON_BOTH = {
    "office/base/bulk.py": "invoicing/test_files.py",
    "office/base/db.py": "core/test_effects.py",
    "office/cases/bundles.py": "stories/test_bundles.py",
    "office/cases/locks.py": "core/test_effects.py",
    "office/cases/routing.py": "core/test_inbox_outbox.py",
    "office/money/ledger.py": "core/test_ledger.py",
    "office/money/tallying.py": "core/test_books_authority.py",
    "office/record/audit.py": "core/test_audit_chain.py",
    "office/record/outbox.py": "core/test_inbox_outbox.py",
    "office/record/sending.py": "core/test_inbox_outbox.py",
    "office/record/unsent.py": "core/test_planted_messages.py",
    "office/staff/guard.py": "stories/test_wrong_codes.py",
    "office/staff/staff.py": "core/test_worker_deaths.py",
    "tasks/arbitration/rulings.py": "core/test_worker_deaths.py",
    "tasks/bindings/sales.py": "stories/test_self_operated_accounts.py",
    "tasks/bindings/watch.py": "stories/test_self_operated_accounts.py",
    "tasks/invoicing/billables.py": "invoicing/test_month.py",
    "tasks/invoicing/drafts.py": "invoicing/test_month.py",
    "tasks/invoicing/exit_invoices.py": "invoicing/test_state_machine.py",
    "tasks/invoicing/freeze_proof.py": "invoicing/test_state_machine.py",
    "tasks/invoicing/freeze_rows.py": "invoicing/test_state_machine.py",
    "tasks/invoicing/freezes.py": "invoicing/test_state_machine.py",
    "tasks/invoicing/invoice_intake.py": "invoicing/test_state_machine.py",
    "tasks/invoicing/invoice_review.py": "invoicing/test_state_machine.py",
    "tasks/invoicing/invoices.py": "invoicing/test_state_machine.py",
    "tasks/invoicing/statements.py": "invoicing/test_month.py",
    "tasks/invoicing/tax_report.py": "ops/test_invoicing_commands.py",
    "office/items/batches.py": "settlement/test_half.py",
    "tasks/releasing.py": "settlement/test_half.py",
    "tasks/settlement/drafts.py": "settlement/test_half.py",
    "tasks/settlement/halves.py": "settlement/test_half.py",
    "tasks/settlement/payments.py": "settlement/test_half.py",
    "tasks/settlement/posting.py": "settlement/test_half.py",
    "tasks/settlement/proof.py": "settlement/test_half.py",
    "tasks/settlement/steps.py": "settlement/test_half.py",
    "tasks/shops/settling.py": "settlement/test_half.py",
    "tasks/shops/figures.py": "stories/test_shop_figures.py",
    "tasks/opening/tries.py": "core/test_worker_deaths.py",
    "tasks/shops/demands.py": "stories/test_demands.py",
    "tasks/shops/shops.py": "core/test_worker_deaths.py",
}
"""Which test on both databases meets what a module does differently there."""


def test_what_differs_between_databases_is_tried_on_both_with_every_change() -> None:
    differs = {
        str(file.relative_to(ROOT))
        for folder in ("office", "tasks", "webhooks")
        for file in (ROOT / folder).rglob("*.py")
        if DIFFERS.search(file.read_text(encoding="utf-8"))
    }
    assert differs == set(TRIED_ON_BOTH), "name a test in TRIED_ON_BOTH, marked `both`"
    (there,) = re.findall(r"^ON_POSTGRES := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    for name in set(TRIED_ON_BOTH.values()):
        file = ROOT / "tests" / name
        assert {f"tests/{name}", f"tests/{file.parent.name}"} & set(there.split()), f"{name} is not among ON_POSTGRES"
        assert re.search(r"pytest.mark.both|^@rounds", file.read_text(encoding="utf-8"), re.M), f"{name} marks nothing"


def test_statements_that_differ_only_in_how_many_values_they_have_are_one() -> None:
    assert shape("SELECT a FROM b WHERE c IN (?)") == shape("SELECT a\nFROM b WHERE c IN (?, ?, ?)")
    assert shape("INSERT INTO b (c, d) VALUES (?, ?)") == shape("INSERT INTO b (c, d) VALUES (?, ?), (?, ?)")
    assert shape("UPDATE b SET c=?, d=? WHERE e = ?") == shape("UPDATE b SET d=? WHERE e = ?")
    different = ("SELECT a FROM b WHERE c = ?", "SELECT a FROM b WHERE c > ?", "UPDATE b SET d=d + ? WHERE e = ?")
    assert len({shape(statement) for statement in different}) == 3


def test_what_any_story_says_to_the_database_is_said_to_postgresql_too_by_few_of_them() -> None:
    heard = {
        "long": Heard(9, ["a", "b", "c"]),
        "short": Heard(1, ["a", "b"]),
        "alone": Heard(5, ["c", "d"]),
        "needless": Heard(1, ["b"]),
    }
    assert enough(heard, said=["d"]) == ["short", "alone"]
    assert enough(heard, said=["a", "b", "c", "d"]) == []


def test_whoever_puts_something_of_the_products_aside_does_it_where_an_office_notices() -> None:
    """What offices begin with is copied, unless the test's own ``monkeypatch`` has something played otherwise."""
    unnoticed = re.compile(r"monkeypatch\.context|MonkeyPatch\(|\bmock\.patch|unittest\.mock")
    found = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "tests").rglob("test_*.py")
        if unnoticed.search(file.read_text(encoding="utf-8")) and file.name != Path(__file__).name
    }
    assert found == set()
