"""The suite keeps its own rules: who starts a stack says why, and what differs between databases is tried on both."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STARTS = re.compile(r"\brunning_stack\(|\brestless\(|\bStack\(|\bDIANWU\b|\bstanding_stack\(|\brunning_pair\(")
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


TRIED_ON_BOTH = {
    "tasks/arbitration/arbitration.py": "core/test_worker_deaths.py",
    "office/record/audit.py": "core/test_audit_chain.py",
    "tasks/invoicing/billables.py": "invoicing/test_month.py",
    "office/base/bulk.py": "invoicing/test_files.py",
    "office/cases/bundles.py": "stories/test_bundles.py",
    "office/base/db.py": "core/test_effects.py",
    "office/cases/locks.py": "core/test_effects.py",
    "tasks/invoicing/exit_invoices.py": "invoicing/test_state_machine.py",
    "tasks/invoicing/freezes.py": "invoicing/test_state_machine.py",
    "office/staff/guard.py": "stories/test_wrong_codes.py",
    "office/record/inbox.py": "core/test_inbox_outbox.py",
    "tasks/invoicing/invoices.py": "invoicing/test_state_machine.py",
    "office/money/ledger.py": "core/test_ledger.py",
    "office/record/outbox.py": "core/test_inbox_outbox.py",
    "tasks/shops/shops.py": "core/test_worker_deaths.py",
    "office/staff/staff.py": "core/test_worker_deaths.py",
    "tasks/invoicing/statements.py": "invoicing/test_month.py",
    "tasks/invoicing/tax_report.py": "ops/test_invoicing_commands.py",
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
    for name in set(TRIED_ON_BOTH.values()):
        file = ROOT / "tests" / name
        assert file.parent.name == "core" or "pytest.mark.both" in file.read_text(encoding="utf-8"), name
