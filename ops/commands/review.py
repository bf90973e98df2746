"""``dianwu review``: what waits for people, and an answer given through the same judge as the form's."""

from __future__ import annotations

from typing import Any

import typer

from models.cases import CaseKind
from models.reviews import Role, Staff
from models.windows import duration
from office.base.db import in_transaction, reading
from office.cases.reviews import gate_of
from office.process import office
from ops.commands.review_sheet import exact, find_review, print_review
from ops.commands.terminal import (
    CODE_OPTION as CODE,
)
from ops.commands.terminal import (
    JSON_OPTION,
    ask_code,
    cell,
    countdown,
    first,
    misuse,
    number,
    parse_span,
    person,
    print_json,
    read,
    refuse,
    say,
    staff_no,
    table,
    when,
    word_of,
)
from ops.commands.typed_answers import SESSION, check_fields, extras_of, label_of, session_word, verdict_of

app = typer.Typer(no_args_is_help=True)

ID = typer.Argument(..., metavar="任务编号", parser=number, help="审核任务编号，或只有一个待处理任务的案件编号")
REVIEW = typer.Argument(..., metavar="任务编号", parser=number, help="审核任务编号，例如 RV-261122-7K3QM9")
AS = typer.Option(..., "--as", metavar="工号", parser=staff_no, help="以谁的身份")


@app.command("list")
def list_reviews(
    role: Role | None = typer.Option(None, parser=word_of(Role), help="只看某岗位", metavar="岗位"),
    case: str = typer.Option("", parser=number, metavar="案件", help="只看某案件"),
    kind: CaseKind | None = typer.Option(None, parser=word_of(CaseKind), help="只看某类案件", metavar="类别"),
    mine: str = typer.Option("", metavar="工号", parser=staff_no, help="只看某人已认领的"),
    late: bool = typer.Option(False, "--late", help="只看已超时的"),
    unclaimed: bool = typer.Option(False, "--unclaimed", help="只看无人认领的"),
    as_json: bool = JSON_OPTION,
) -> None:
    """按到期先后列出待处理的审核任务。"""
    from tasks.sight import queue

    with reading() as tx:
        if mine:
            person(tx, mine)
        rows = queue.waiting(tx, role, case or None, mine or None, kind=kind, late=late, unclaimed=unclaimed)
        now = tx.now
    if as_json:
        print_json(
            [
                {
                    "id": row.review_id,
                    "case_id": row.case_id,
                    "subject": row.subject,
                    "gate": row.gate,
                    "title": row.title,
                    "roles": row.roles,
                    "state": row.state,
                    "opened_at": row.opened_at,
                    "due_at": row.due_at,
                    "claimed_by": row.claimed_by or None,
                    "held_by": row.held_by or None,
                    "escalations": row.escalations,
                    "revision": row.revision,
                    "verdicts": row.verdicts,
                    "link": row.link,
                }
                for row in rows
            ]
        )
        return
    table(
        "待处理审核",
        ["截止时间", "倒计时", "等待时长", "岗位", "任务", "编号", "店铺", "案件", "已认领", "逾期升级", "链接"],
        [
            [
                when(row.due_at),
                countdown(now, row.due_at),
                duration(now - row.opened_at),
                queue.roles_of(row),
                row.title,
                row.review_id,
                cell(row.subject, limit=40),
                row.case_id,
                queue.taken_by(row),
                cell(queue.escalated(row), "bold red"),
                cell(row.link, "blue"),
            ]
            for row in rows
        ],
        empty="没有待处理的审核任务",
    )


@app.command("show")
def show(review_id: str = ID, as_json: bool = JSON_OPTION) -> None:
    """显示审核任务的全部材料。"""
    with reading() as tx:
        case_id = find_review(tx, review_id).case_id
    read(case_id, "查看")
    with reading() as tx:
        review = find_review(tx, review_id)
        if as_json:
            print_json(review.model_dump(mode="json", exclude={"pause_key"}))
            return
        print_review(tx, review)


@app.command("claim")
def claim(review_id: str = ID, staff_id: str = AS, code: str = CODE) -> None:
    """凭动态口令认领任务，避免两人同时处理；认领后他人不能作答。"""
    from office.cases import hands

    with reading() as tx:
        task, who = find_review(tx, review_id).id, person(tx, staff_id).id
    proof = code or ask_code()
    _done(in_transaction(lambda tx: hands.claim(tx, task, who, proof)))


@app.command("release")
def release(review_id: str = ID, staff_id: str = AS, code: str = CODE) -> None:
    """释放已认领的任务（认领人本人或主管，凭动态口令）。"""
    from office.cases import hands

    with reading() as tx:
        task, somebody = find_review(tx, review_id), person(tx, staff_id)
        proof = (code or ask_code()) if task.claimed_by == staff_id else _code_of(somebody, code)
    _done(in_transaction(lambda tx: hands.release(tx, task.id, staff_id, proof)))


@app.command("later")
def later_on(
    review_id: str = ID,
    staff_id: str = AS,
    span: str = typer.Option("1h", "--for", metavar="时长", help="推后多久，例如 1h、3d"),
    code: str = CODE,
) -> None:
    """稍后再看：本人的待办中暂不列出，到时（最迟到期前 2 小时）自动回来；期限照常计算。"""
    from office.cases import later

    with reading() as tx:
        task, who = find_review(tx, review_id).id, person(tx, staff_id).id
    proof, wait = code or ask_code(), parse_span(span)
    _done(in_transaction(lambda tx: later.put_off(tx, task, who, tx.now + wait, proof)))


@app.command("reassign")
def reassign(
    review_id: str = ID,
    to: str = typer.Option(..., "--to", metavar="工号", parser=staff_no, help="改派给谁"),
    by: str = typer.Option(..., "--by", metavar="工号", parser=staff_no, help="由哪位主管改派"),
    code: str = CODE,
) -> None:
    """由主管凭动态口令改派任务。"""
    from office.cases import hands

    with reading() as tx:
        task, proof = find_review(tx, review_id).id, _code_of(person(tx, by), code)
    _done(in_transaction(lambda tx: hands.reassign(tx, task, person(tx, to).id, by, proof)))


@app.command("appoint")
def appoint(
    review_id: str = ID,
    to: str = typer.Option(..., "--to", metavar="工号", parser=staff_no, help="任命谁处理这一任务"),
    by: str = typer.Option(..., "--by", metavar="工号", parser=staff_no, help="由哪位主管任命"),
    code: str = CODE,
) -> None:
    """无人可处理时，由主管凭动态口令任命一位未参与本案的同事，只对这一任务有效。"""
    from office.cases import appointing

    with reading() as tx:
        task, proof = find_review(tx, review_id).id, _code_of(person(tx, by), code)
    _done(in_transaction(lambda tx: appointing.appoint(tx, task, person(tx, to).id, by, proof)))


def _code_of(somebody: Staff, given: str) -> str:
    """A supervisor's one-time code, asked for if it was not given; nobody else has use for one here."""
    return given or (ask_code() if Role.SUPERVISOR in somebody.roles else "")


def _done(outcome: Any) -> None:
    if not outcome.accepted:
        refuse(outcome.sentence)
    say(f"✓ {outcome.sentence}", "green")


@app.command("decide")
def decide(
    *,
    review_ids: list[str] = typer.Argument(
        ..., metavar="任务编号", parser=number, help="审核任务编号或案件编号；日常任务可一次给出多个"
    ),
    staff_id: str = AS,
    verdict: str = typer.Option(..., "--verdict", help="结论代码或中文，例如 APPROVE 或 同意关店"),
    reason: str = typer.Option("", "--reason", help="理由"),
    code: str = CODE,
    values: list[str] = typer.Option([], "--set", metavar="名称=值", help="该任务自有的填写项，可重复"),
    revision: int = typer.Option(0, "--revision", min=0, help="已看过第几版材料；不给则先显示材料"),
) -> None:
    """对审核任务作出决定，与表单走同一道关；多个日常任务可一个口令处理，逐个检查、逐个决定。"""
    if len(review_ids) > 1:
        if values or revision:
            misuse("一次处理多个任务时不能使用 --set 与 --revision")
        with reading() as tx:
            found = [find_review(tx, review_id).id for review_id in review_ids]
        _together(found, staff_id, verdict, reason, code)
        return
    from office.cases import decisions
    from office.cases.forms import form_schema, on_form, read_answer

    with reading() as tx:
        review = find_review(tx, review_ids[0])
        person(tx, staff_id)
        gate = gate_of(review)
        if not revision:
            print_review(tx, review)
        given: dict[str, Any] = {
            "task": f"{review.id}#{revision or review.revision}", "staff_id": staff_id,
            "verdict": label_of(verdict, {word: gate.verdict(word).label for word in review.verdicts}),
            "reason": reason, **{on_form(name): value for name, value in extras_of(values, gate.fields).items()},
        }  # fmt: skip
        schema = form_schema(review, gate)
        tx.expunge_all()
    if not code and not values and session_word():
        _together([review.id], staff_id, verdict, reason, "", session_word())
        return
    given["code"] = code or ask_code()
    check_fields(given, schema)
    _done(in_transaction(lambda tx: decisions.decide(tx, read_answer(review, gate, given))))


@app.command("decide-all")
def decide_all(
    *,
    gate: str = typer.Option(..., "--gate", metavar="任务", help="任务名称，例如 关店审核"),
    staff_id: str = AS,
    verdict: str = typer.Option(..., "--verdict", help="结论代码或中文"),
    reason: str = typer.Option("", "--reason", help="理由"),
    late: bool = typer.Option(False, "--late", help="只处理已超时的"),
    mine: bool = typer.Option(False, "--mine", help="只处理本人已认领的"),
    limit: int = typer.Option(20, min=1, max=50, help="最多处理多少个，最急的在前"),
    code: str = CODE,
) -> None:
    """按条件列出同一种日常任务（无阻断事项），逐个显示后以一个口令一并决定。"""
    from tasks.sight import queue

    gates = office().gates
    names = {one.title: one.name for one in gates.values()} | {name: name for name in gates}
    if gate not in names:
        misuse(f"没有任务「{gate}」，可选：{'、'.join(sorted({one.title for one in gates.values()}))}")
    with reading() as tx:
        person(tx, staff_id)
        rows = queue.waiting(tx, claimed_by=staff_id if mine else None, gate=names[gate], late=late)
        clean = [row for row in rows if not row.blocked and row.claimed_by in ("", staff_id)]
    if not clean:
        refuse(f"没有符合条件且无阻断事项的「{gate}」任务")
    if left := len(rows) - len(clean[:limit]):
        say(f"另有 {left} 个不在本次之内（有阻断事项、已由他人认领或超出 --limit），请逐个处理", "yellow")
    _together([row.review_id for row in clean[:limit]], staff_id, verdict, reason, code)


def _together(review_ids: list[str], staff_id: str, verdict: str, reason: str, code: str, session: str = "") -> None:
    """Show each question, prove the person once, decide each by itself, and say what became of each."""
    from office.cases import together

    with reading() as tx:
        asked = together.shown(tx, review_ids)
        gate = gate_of(find_review(tx, review_ids[0]))
        word = verdict_of(verdict, {one.value: one.label for one in gate.verdicts})
        if sentence := together.why_not(tx, asked, word):
            refuse(sentence)
        for review_id in review_ids:
            print_review(tx, find_review(tx, review_id))
        table(
            "将以一个凭据决定",
            ["任务", "案件", "材料摘要（SHA-256）"],
            [[one.review_id, find_review(tx, one.review_id).case_id, one.shown_sha256[:16]] for one in asked],
        )
    proof = {"session": session} if session else {"code": code or ask_code()}
    try:
        results = together.decide(asked, staff_id, word, reason, **proof)
    except together.NotTogether as error:
        refuse(str(error))
    table(
        "结果",
        ["任务", "案件", "结果"],
        [[one.review_id, one.case_id, f"✓ {one.sentence}" if one.accepted else f"✗ {one.sentence}"] for one in results],
    )
    if not all(one.accepted for one in results):
        raise typer.Exit(1)


@app.command("mine")
def mine(
    staff_id: str = AS,
    since: str = typer.Option("1d", "--since", metavar="时长", help="多久以来，例如 1d、36h、90d"),
    limit: int = typer.Option(100, min=1, max=10_000, help="最多列出多少个，新的在前"),
    as_json: bool = JSON_OPTION,
) -> None:
    """列出本人作出的决定：何时、什么结论、什么理由。"""
    from tasks.sight import queue

    span = parse_span(since)
    with reading() as tx:
        person(tx, staff_id)
        rows = first(queue.decided(tx, by=staff_id, since=tx.now - span, limit=limit + 1), limit)
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
        return
    table(
        "我的决定",
        ["时间", "任务", "案件", "店铺", "结论", "理由"],
        [
            [when(row.decided_at), row.title, row.case_id, cell(row.subject, limit=30), row.verdict, row.reason]
            for row in rows
        ],
        empty=f"最近 {duration(span)}没有作出决定，更久的用 --since 查看，例如 --since 90d",
    )


@app.command("session")
def session(
    staff_id: str = AS, code: str = CODE, end: bool = typer.Option(False, "--end", help="结束本人的全部会话")
) -> None:
    """凭一个口令打开数分钟的终端会话（须规则允许，仅限日常任务）；输出的一行由 eval 写入本终端。"""
    from office.cases import sessions

    if end:
        ended = in_transaction(lambda tx: sessions.close(tx, person(tx, staff_id).id))
        say(f"✓ 已结束 {ended} 个会话", "green")
        return
    with reading() as tx:
        person(tx, staff_id)
        if sentence := sessions.none_allowed(tx):
            refuse(sentence)
    given = code or ask_code()
    word, sentence = in_transaction(lambda tx: sessions.open_session(tx, staff_id, given))
    if sentence:
        refuse(sentence)
    typer.echo(f"export {SESSION}={word}")


@app.command("confirm")
def confirm(review_id: str = REVIEW, staff_id: str = AS, code: str = CODE) -> None:
    """确认以自己名义记录的重要决定，使其立即生效。"""
    from office.cases import confirmations

    proof = code or ask_code()
    _done(in_transaction(lambda tx: confirmations.confirm(tx, exact(tx, review_id), person(tx, staff_id).id, proof)))


@app.command("object")
def object_(
    review_id: str = REVIEW,
    staff_id: str = AS,
    code: str = CODE,
    reason: str = typer.Option("", "--reason", help="说明，例如：我选的是驳回"),
) -> None:
    """对以自己名义记录的决定提出异议：尚未生效的作废并重新提问，已生效的停止案件；主管会收到通知。"""
    from office.cases import objections

    proof = code or ask_code()
    _done(
        in_transaction(lambda tx: objections.dispute(tx, exact(tx, review_id), person(tx, staff_id).id, proof, reason))
    )
