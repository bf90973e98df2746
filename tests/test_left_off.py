"""Every place that takes only the beginning of something is in this list with why nothing is lost by it.

A new one fails here. What a person wrote or reads is given back when it is too long (``models.text.too_long``) or says
how much was left off (``models.text.shortened``, "另有 …"); a cut without either is for what is no text of anybody.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ("models", "policies", "notifications", "office", "tasks", "flows", "webhooks", "desk", "ops")

PARSED = {
    "following[:4]", "head[:12]", "head[:2]", "head[:3]", "head[:4]", "head[:6]", "half.id[:4]", "half[:4]", "half[:7]",
    "period.id[:4]", "period[:4]", "sent.number[:2]",
    "text[:run.start()]", "folded[:1]", "value[:1]", "zone[:3]", "uscc[:2]", "found[:len(keys)]",
}  # fmt: skip
"""The first characters say what a thing is; the whole is used beside them."""

NAMES = {
    "sha256[:16]",
    "sha256[:2]",
    "item.sha256[:2]",
    "one.sha256[:16]",
    "one.shown_sha256[:12]",
    "one.shown_sha256[:16]",
    "line.hash[:12]",
    "said[:16]",
}
"""The beginning of a hash, which names it; other hashes are cut where they are made."""

COUNTED = {
    "policies/shares.py": {"days[:MOST_DAYS_NAMED]"},
    "tasks/bindings/watch.py": {"accounts[:NAMED]"},
    "desk/batch.py": {"found[:MOST]"},
    "desk/looking.py": {"done[:DONE]", "found[:lookup.MOST]"},
    "desk/queue.py": {"found[:ROWS]"},
    "desk/lead.py": {"rows[:ROWS]", "[name.removeprefix(TAKE) for name in form if name.startswith(TAKE)][:ROWS]"},
    "tasks/sight/board.py": {"done[:DECIDED]"},
    "office/cases/bundles.py": {"entries[:MOST]"},
    "office/cases/calendar_watch.py": {"cases[:NAMED]"},
    "tasks/arbitration/doudian.py": {"every[:most]"},
    "office/record/alerts.py": {"lines[:-NEWEST]"},
    "office/record/unsent.py": {"found[:5]", "keys[:5]"},
    "tasks/sight/examination.py": {"(*so_far.found, *found, *rows)[:KEPT]"},
    "tasks/payouts/inquiry_review.py": {"rows[:LISTED]"},
    "tasks/invoicing/exit_invoices.py": {"named[:MOST_NAMED - 1]"},
    "tasks/invoicing/invoices.py": {"grounds[:MOST_GROUNDS - 1]"},
    "tasks/invoicing/invoice_review.py": {"sent['lines'][:LINES_SHOWN]"},
    "office/staff/people.py": {"hindered[:MOST_NAMED]"},
    "tasks/invoicing/releases.py": {"held[:HELD_SHOWN]"},
    "webhooks/problems.py": {"found[:MAX_ERRORS]"},
    "ops/commands/doctor_engine.py": {"online[:5]"},
    "ops/commands/doctor_office.py": {"halted[:5]", "mute[:5]"},
    "ops/commands/review.py": {"clean[:limit]"},
    "ops/commands/terminal.py": {"rows[:limit]"},
    "notifications/plugins/robots.py": {"found[:MOST_PIECES]", "text.encode()[:most]", "text[:end]"},
    "models/text.py": {"text[:most - 1]", "text[:most - len(mark)]"},
}
"""The rest is counted or said where it is left off."""

NOBODYS = {
    "desk/html.py": {"[f'{count} {unit}' for count, unit in units if count][:2]"},  # "3 天 2 小时" of a span
    "desk/batch.py": {  # no page of ours has more rows
        "request.query_params.getlist('pick')[:ROWS]",
        "[one for one in (given or {}).get('picked', '').split(',') if one][:ROWS]",
    },
    "desk/looking.py": {"q[:100]"},  # no field of ours takes more
    "desk/question.py": {
        "given[:500]",
        "before[:500]",  # hashes
        "form.get('from', '')[:500]",  # where to go back to
        "value.replace('\\r\\n', '\\n')[:review_gates.MOST_KEPT]",  # a draft longer than any form takes
    },
    "desk/lead.py": {"given.get('holder', '')[:32]", "query[:500]"},  # a filter
    "desk/queue.py": {"found[:at]", "given.get('shop', '')[:64]", "query[:500]"},  # a filter
    "tasks/sight/lookup.py": {"given.strip()[:64]"},  # a number, never longer
    "office/staff/desk_sessions.py": {"agent[:80]"},  # how a browser calls itself
    "models/windows.py": {"[f'{number} {unit}' for number, unit in parts if number][:2]"},  # "3 天 2 小时" of a span
    "notifications/plugins/folder.py": {"re.sub('[^\\\\w]+', '-', one_line(title)).strip('-')[:40]"},  # name of a file
    "policies/evidence.py": {
        "re.sub('[^\\\\w\\\\U00020000-\\\\U0003FFFF.\\\\- ()·]', '_', stem).strip(' .-_')[:_NAME_LIMIT]"  # name of a file
    },
    "tasks/invoicing/periods.py": {"missing(tx)[:MOST_AT_ONCE]"},  # the next sweep takes the next ones
    "office/cases/refusals.py": {"answer.staff_id[:32]"},  # an id from an unproved form: a longer one is nobody's
    "office/runs/strays.py": {
        "str(values.get('staff_id', '')).strip()[:32]",
        "str(values.get('code', ''))[:32]",
        "str(run.parameters.get('case_id', ''))[:64]",
        "str(values.get('task', '')).partition('#')[0][:64]",
    },
}


def beginnings(text: str) -> list[str]:
    """Every ``x[:n]`` in a piece of source whose ``x`` is not a hash made there and then."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Slice)
        and node.slice.lower is None
        and node.slice.upper is not None
        and not _hashed(node.value)
    ]


def _hashed(value: ast.expr) -> bool:
    made = ast.unparse(value)
    return made.endswith(".hexdigest()") or made.startswith("keyed_hash(")


SOURCES = sorted(path.relative_to(ROOT) for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_nothing_is_cut_that_is_not_in_the_list(path: Path) -> None:
    known = PARSED | NAMES | COUNTED.get(str(path), set()) | NOBODYS.get(str(path), set())
    assert sorted(set(beginnings((ROOT / path).read_text())) - known) == []


def test_the_list_names_only_what_is_there() -> None:
    for path, pieces in (*COUNTED.items(), *NOBODYS.items()):
        assert pieces <= set(beginnings((ROOT / path).read_text())), path


def test_the_walk_sees_a_cut() -> None:
    assert beginnings("kept = reason.strip()[:1000]\nname = sha256(b'').hexdigest()[:8]") == ["reason.strip()[:1000]"]
