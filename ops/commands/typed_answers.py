"""What people type as a verdict, and the fields of a question."""

from __future__ import annotations

import os
from typing import Any

from ops.commands.terminal import misuse, refuse, typed

SESSION = "DIANWU_SESSION"
"""Where a terminal keeps the word of its session: in its own environment, and nowhere on disk."""


def session_word() -> str:
    return os.environ.get(SESSION, "")


def label_of(given: str, labels: dict[str, str]) -> str:
    """The verdict as the form says it."""
    return labels[verdict_of(given, labels)]


def verdict_of(given: str, labels: dict[str, str]) -> str:
    """The verdict's code, from the code (any case) or its Chinese word."""
    for code, label in labels.items():
        if given.strip() == label or typed(given).upper() == code:
            return code
    misuse(f"没有结论「{given}」，可选：" + "、".join(f"{code}（{label}）" for code, label in labels.items()))


_YES = {"true": True, "yes": True, "1": True, "是": True, "false": False, "no": False, "0": False, "否": False}


def extras_of(values: list[str], fields: Any) -> dict[str, Any]:
    """``name=value`` pairs as the form would deliver them, typed by the gate's own fields; a name may be the form's word for it."""
    given: dict[str, Any] = {}
    names = {schema.get("title", name): name for name, schema in fields.items()} | {name: name for name in fields}
    for pair in values:
        said, sign, text = pair.replace("＝", "=", 1).partition("=")
        if not sign or said.strip() not in names:
            misuse(f"--set {pair!r}：请写成 名称=值，名称可选：{'、'.join(names) or '(此任务没有填写项)'}")
        name = names[said.strip()]
        given[name] = _typed(name, text, fields[name].get("type", "string"))
    return given


def _typed(name: str, text: str, kind: str) -> Any:
    try:
        match kind:
            case "boolean":
                return _YES[text.strip().lower()]
            case "integer":
                return int(text)
            case "number":
                return float(text)
            case _:
                return text
    except (KeyError, ValueError):
        misuse(f"--set {name}={text}：值的类型应为 {kind}")


def check_fields(given: dict[str, Any], schema: dict[str, Any]) -> None:
    """Hold the answer against the form's limits as Prefect's server would. What was shown is left to the judge."""
    from prefect.utilities.schema_tools.validation import validate

    properties = {name: limits for name, limits in schema["properties"].items() if name != "task"}
    wrong = validate(
        {name: value for name, value in given.items() if name != "task"},
        {**schema, "properties": properties, "required": ["staff_id", "code", "verdict"]},
    )
    if wrong:
        fields = {str(error.absolute_path[0]) for error in wrong if error.absolute_path}
        told = [f"{properties[name]['title']}（{properties[name].get('description', '')}）" for name in sorted(fields)]
        refuse("填写内容不符合要求：" + ("；".join(told) or "请核对各项内容"))
