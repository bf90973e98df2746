"""Forms: a review as the Resume dialog of the Prefect UI shows it, and the answer as it comes back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from models.dossier import Sheet
from models.reviews import Review, Role
from models.text import MOST_REASON, whole
from notifications.text import full_width
from office.cases.gates import Answer, Gate
from office.cases.markdown import markdown
from office.staff.guard import Place
from policies.policy import SHANGHAI

CONSEQUENCES = "各结论的后果"


def task_token(review: Review) -> str:
    """Names the question and the revision shown; a stale form carries another one and is turned away."""
    return f"{review.id}#{review.revision}"


def form_schema(review: Review, gate: Gate) -> dict[str, Any]:
    """The JSON Schema of the form: titles and hints in Chinese, limits where Prefect can check them."""
    token = task_token(review)
    choices = [gate.verdict(verdict).label for verdict in review.verdicts]
    properties: dict[str, Any] = {
        "staff_id": {"title": "工号", "type": "string", "pattern": r"^\s*[a-z][a-z0-9-]{1,31}\s*$"},
        # An empty code is left to the judge, who says so in a sentence; Prefect would say it in English.
        "code": {
            "title": "动态口令",
            "type": "string",
            "pattern": r"^\s*([0-9０-９]{3}\s*[0-9０-９]{3})?\s*$",
            "default": "",
            "description": "验证器应用中当前显示的 6 位数字，只能使用一次",
        },
        "verdict": {"title": "结论", "type": "string", "enum": choices},
        "reason": {
            "title": "理由",
            "type": "string",
            "maxLength": MOST_REASON,
            "description": _reason_hint(review, gate),
            **({"minLength": 2} if reason_needed(review, gate) else {"default": ""}),
        },
        **{on_form(name): _shown(schema) for name, schema in gate.fields.items()},
        # An enum of one word, not a `const`: under that, one of the two dialogs prints a sentence in English.
        "task": {"title": "审核任务（自动填写，无需修改）", "type": "string", "enum": [token], "default": token},
    }
    _bring_back(review, gate, properties)
    return {
        "title": gate.title,
        "type": "object",
        "additionalProperties": False,
        "properties": {name: {**schema, "position": n} for n, (name, schema) in enumerate(properties.items())},
        "required": [name for name, schema in properties.items() if name in _ALWAYS or _needed(schema)],
    }


def _shown(field: dict[str, Any]) -> dict[str, Any]:
    return field | {said: full_width(field[said]) for said in ("title", "description") if said in field}


def on_form(name: str) -> str:
    """What a gate's own field is called in the form. Prefect's page has its server check every answer as if it were the schema,
    and sends none in which a word of JSON Schema's stands for a text."""
    return f"{name}_" if name == "items" else name


_ALWAYS = frozenset({"staff_id", "code", "verdict", "task"})


def _needed(schema: dict[str, Any]) -> bool:
    """What some verdict asks for is required with nothing in it, and the judge says for which: Prefect calls the rest (Optional)."""
    return bool(re.search("必填|必选", schema.get("description", "")))


def reason_needed(review: Review, gate: Gate) -> bool:
    """Whether a reason is required whatever is chosen: something blocks, or every verdict asks for one."""
    blocked = bool(review.seen and review.seen.get("blocking"))
    return blocked or gate.reason_required.issuperset(review.verdicts)


def _bring_back(review: Review, gate: Gate, properties: dict[str, Any]) -> None:
    """Fill in what was answered last and not taken, saying whose it was; never the code.

    Anybody can write a colleague's id: what came without proof brings no verdict back and nothing that is chosen or ticked, and
    says what it is.
    """
    last = review.unaccepted
    if not last:
        return
    labels = {code: gate.verdict(code).label for code in review.verdicts}
    proved = last.get("proved", False)
    own = {on_form(name): value for name, value in last["answer"].items()}
    given = {"verdict": labels.get(last["verdict"]), "reason": last["reason"], **own}
    whose = f"{last['staff_id']} 上次未采纳的填写" if proved else f"未证明身份者以 {last['staff_id']} 名义所填的内容"
    for name, value in given.items():
        chosen = isinstance(value, bool) or "enum" in properties.get(name, {})
        if value in (None, "") or name not in properties or (chosen and not proved):
            continue
        said = properties[name].get("description", "")
        note = f"已带入{whose}，请核对"
        properties[name] = {**properties[name], "default": value, "description": f"{said}；{note}" if said else note}


def _reason_hint(review: Review, gate: Gate) -> str:
    if reason_needed(review, gate):
        return "必填，商家可能看到"
    needed = [gate.verdict(code).label for code in review.verdicts if code in gate.reason_required]
    return f"选择「{'」「'.join(needed)}」时必填，商家可能看到" if needed else "可不填"


def form_description(review: Review, gate: Gate, follows: str = "") -> str:
    """The dialog's text: why the last answer was not taken, until when and by whom, the dossier, what each verdict does,
    and what ``follows`` before the answer counts.

    Consequences stand here and not beside the choices, because only here both dialogs render Markdown.
    """
    due = f"{review.due_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}（北京时间）" if review.due_at else "无"
    head = [f"处理时限 **{due}**", "、".join(Role(role).label for role in review.roles)]
    head += [f"第 {review.round} 轮审核"] if review.round > 1 else []
    head += [f"第 {review.seat} 位审核人（须与前一位不同）"] if review.seat > 1 else []
    notice = f"**⚠️ {full_width(review.notice)}**\n\n" if review.notice else ""
    verdicts = [
        f"- **{gate.verdict(code).label}**：{full_width(text)}"
        for code, text in gate.consequences.items()
        if code in review.verdicts
    ]
    told = not verdicts or CONSEQUENCES in Sheet.read(
        review.dossier
    )  # a dossier that knows the amounts tells them itself
    after = "" if told else "\n".join(["", f"#### {CONSEQUENCES}", "", *verdicts, ""])
    before_it_counts = f"\n\n**{full_width(follows)}**\n" if follows else ""
    return f"{notice}{' · '.join(head)}\n\n{markdown(review.dossier)}{after}{before_it_counts}"


def read_fields(gate: Gate, given: Mapping[str, str], prefix: str) -> dict[str, Any]:
    """A gate's own fields from a page's form, where a ticked box is there and everything else is text; what is empty or was
    not offered is left out. What is longer than its field takes is left to the judge, who gives it back with the count."""
    found: dict[str, Any] = {}
    for name, schema in gate.fields.items():
        value = given.get(f"{prefix}{name}", "").replace("\r\n", "\n")
        if schema.get("type") == "boolean":
            found |= {name: True} if value else {}
        elif value and value in schema.get("enum", (value,)):
            found[name] = value
    return found


def read_answer(review: Review, gate: Gate, raw: dict[str, Any] | None, given_at: datetime | None = None) -> Answer:
    """The form's values as an answer, a form of an earlier version's, too. Labels become codes; anything odd is left to the judge
    to refuse."""
    raw = raw or {}
    own = {name: raw.get(on_form(name), raw.get(name)) for name in gate.fields}
    token = str(raw.get("task", ""))
    revision = token.rpartition("#")[2]
    by_label = {gate.verdict(code).label: code for code in review.verdicts}
    label = str(raw.get("verdict", ""))
    return Answer(
        review_id=review.id,
        revision=(whole(revision) or 0) if token.startswith(f"{review.id}#") else 0,
        staff_id=str(raw.get("staff_id", "")).strip(),
        code=str(raw.get("code", "")),
        verdict=by_label.get(label, label),
        reason=str(raw.get("reason") or ""),
        extra={name: value for name, value in own.items() if value not in (None, "")},
        given_at=given_at,
        through=Place.FORM,
    )
