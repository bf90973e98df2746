"""Staff: enrolled with a TOTP secret, proved by a code that is valid once; wrong ones are the guard's."""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import datetime, timedelta

import pyotp
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, delete, func, select

from models.accounts import bare
from models.audit import Installation
from models.base import Frozen
from models.reviews import Role, SpentCode, Staff
from models.text import unfit_reason, without_odd
from office.base.clock import clock
from office.base.db import Tx
from office.base.settings import settings
from office.base.vault import opened, opened_json, place_in, seal, seal_json
from office.record import standing
from office.staff import guard
from office.staff.guard import Place
from policies.policy import SHANGHAI, policy_at

ISSUER = "店务 Dianwu"
FORM_FLOOR = "form_codes_after"
STEP = 30
"""Seconds a code lasts; one step before and after is accepted for clocks that differ."""


USED_CODE = "该动态口令已使用过,请等待验证器显示下一个口令"
UNKNOWN = "工号不存在或已停用,请核对工号"
NEXT_CODES = "近期有人在 Prefect 中提交的答复来路不明或被删改,为防口令被冒用,表单只认之后新显示的口令:请等约一分钟再提交,或到工作台、终端处理"
WRONG_CODE = "动态口令不正确,请输入验证器当前显示的 6 位数字"


class StaffError(ValueError):
    """What is wrong with an enrolment, in a sentence."""


class Enrolment(Frozen):
    """What a new staff member scans. Shown once, in the terminal, and never stored in the clear."""

    staff_id: str
    uri: str
    secret: str


def enrol(
    tx: Tx,
    staff_id: str,
    name: str,
    roles: list[Role],
    *,
    secret: str | None = None,
    actor: str = "system",
    rests: bool = True,
) -> Enrolment:
    """Add a person, or give an existing one a new secret and roles; whose word it takes: :mod:`office.staff.vouching`.

    ``rests``: whether codes of the secret prove nothing weighty for a while.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,31}", staff_id):
        raise StaffError(f"工号 {staff_id!r} 须为 2 至 32 位小写字母、数字或连字符,并以字母开头")
    if not roles:
        raise StaffError("须给出至少一个岗位")
    secret = secret or pyotp.random_base32()
    person = tx.get(Staff, staff_id) or Staff(id=staff_id, name=name, totp_sealed="", enrolled_at=tx.now)
    person.name, person.roles, person.totp_sealed = (
        name,
        [role.value for role in roles],
        seal(secret, place_in(person, "totp_sealed")),
    )
    person.active = True
    tx.add(person)
    tx.flush()
    guard.unlock(tx, person, "system")
    standing.note(
        tx,
        person,
        "staff.enrolled",
        f"{name} 登记为 {'、'.join(r.label for r in roles)}",
        actor=actor,
        roles=person.roles,
        rests=rests,
    )
    _changed(tx, staff_id)
    uri = pyotp.TOTP(secret, interval=STEP).provisioning_uri(name=staff_id, issuer_name=ISSUER)
    return Enrolment(staff_id=staff_id, uri=uri, secret=secret)


def set_active(tx: Tx, staff_id: str, active: bool, *, actor: str = "system") -> None:
    """Dismiss somebody, or take them back; somebody whose row was tampered with comes back by a new enrolment only."""
    person = find(tx, staff_id)
    if standing.refusal(tx, person) is not None:
        if active:
            raise StaffError(f"{staff_id} 的登记信息已作废,请用 dianwu staff enrol 重新登记")
        person.roles, person.totp_sealed = [], ""
    if active and not person.totp_sealed:
        raise StaffError(f"{staff_id} 已没有验证器密钥,请用 dianwu staff enrol 重新登记")
    person.active = active
    tx.add(person)
    standing.note(tx, person, "staff.active", "恢复在岗" if active else "停用", actor=actor, active=active)
    _changed(tx, staff_id)


def set_substitute(tx: Tx, staff_id: str, substitute_id: str, until: datetime, *, actor: str = "system") -> None:
    """Let a colleague answer what is claimed by somebody who is away until then. Roles still have to fit."""
    person, substitute = find(tx, staff_id), find(tx, substitute_id)
    if person.id == substitute.id:
        raise StaffError("不能由本人给自己代班")
    if any(standing.refusal(tx, one) for one in (person, substitute)):
        raise StaffError(standing.REFUSAL)
    person.substitute_id, person.away_until = substitute.id, until
    tx.add(person)
    text = f"由 {substitute.name} 代班"
    standing.note(tx, person, "staff.substitute", text, actor=actor, until=until.isoformat())
    _changed(tx, staff_id)


def _changed(tx: Tx, staff_id: str) -> None:
    """Look after the open questions at once: whoever was to answer may be gone (ambiguity 37), or what they said may count
    no longer."""
    from office.cases import reviews

    reviews.keep_out_newcomer(tx, staff_id)
    reviews.look_after(tx)
    reviews.wake_decided_by(tx, staff_id)


def set_contact(tx: Tx, staff_id: str, contacts: list[str]) -> None:
    """Where this person alone is told what was recorded in their name: Apprise addresses, or bare mail addresses."""
    person = find(tx, staff_id)
    person.contact_sealed = seal_json(contacts, place_in(person, "contact_sealed")) if contacts else ""
    tx.add(person)
    text = f"登记 {len(contacts)} 个本人联系方式" if contacts else "清除本人联系方式"
    standing.note(tx, person, "staff.contact", text, contacts=len(contacts))


def contacts(tx: Tx, staff_id: str) -> list[str]:
    """The addresses that are this person's alone."""
    found: list[str] = opened_json(find(tx, staff_id), "contact_sealed") or []
    return found


def find(tx: Tx, staff_id: str) -> Staff:
    person = tx.get(Staff, staff_id)
    if person is None:
        raise StaffError(f"没有工号为 {staff_id} 的员工,可用 dianwu staff list 查看")
    return person


def normalise_code(code: str) -> str:
    """Full-width digits and blanks as people type them: ``１２３ 456`` is ``123456``."""
    return str(bare(unicodedata.normalize("NFKC", without_odd(code, ""))))


class Proof(Frozen):
    """Whether somebody proved who they are; ``sentence`` says why not, ``locked_now`` that this was one too many."""

    ok: bool
    sentence: str = ""
    locked_now: bool = False


def prove(
    tx: Tx,
    staff_id: str,
    code: str,
    given_at: datetime | None = None,
    place: Place = Place.TERMINAL,
    *,
    weighty: bool = True,
) -> Proof:
    """Check a one-time code and spend it. Wrong codes count where they were typed, also while everything else about the
    answer is wrong. What is ``weighty`` is not proved by a secret that was enrolled lately.

    Real time is used, not a demonstration's moved clock: the code comes from a device that knows nothing of it.
    The code is the one of the moment ``given_at`` (now, if not said), which a server has stamped: that we were slow to
    read an answer is not the person's fault, for some minutes. In the future it is not believed. A code that was passed
    over, because a later one of the same person has been used, is spent with it.
    """
    moment = clock().real()
    rules = policy_at(tx.now).staff
    if given_at is None or given_at > moment:
        given_at = moment
    if moment - given_at > timedelta(minutes=rules.kept_minutes):
        return Proof(ok=False, sentence="答复送达过晚,当时的动态口令已作废,请用验证器当前显示的口令重新提交")
    query = select(Staff).where(Staff.id == staff_id)
    person = tx.exec(query.with_for_update() if tx.postgres else query).first()
    if person is not None and (sentence := standing.refusal(tx, person)):
        return Proof(ok=False, sentence=sentence)
    if person is None or not person.active:
        return Proof(ok=False, sentence=UNKNOWN)
    locked = guard.locked_until(tx, person, place, moment)
    totp = pyotp.TOTP(opened(person, "totp_sealed"), interval=STEP)
    given = normalise_code(code)
    now_step = int(given_at.timestamp()) // STEP
    matched = [s for s in (now_step - 1, now_step, now_step + 1) if pyotp.utils.strings_equal(totp.at(s * STEP), given)]
    if not matched:
        now_locked = guard.wrong(tx, person, place, moment)
        sentence = WRONG_CODE
        if now_locked:
            sentence += f";错误次数过多,该工号在{place.label}已暂时锁定"
        return Proof(ok=False, sentence=_locked_sentence(locked, moment) if locked else sentence, locked_now=now_locked)
    floor = _form_floor(tx) if place is Place.FORM else 0
    last = max(last_spent(tx, staff_id), floor)
    for step in matched:
        if step > last:
            try:
                with tx.begin_nested():
                    tx.add(SpentCode(staff_id=staff_id, step=step, at=tx.now))
            except IntegrityError:
                continue  # the same code at the same moment from two places: the other one had it
            if not guard.right(tx, person, place, step, STEP, moment):
                return Proof(ok=False, sentence=_locked_sentence(locked or moment, moment))
            tx.proved[f"staff/{staff_id}"] = step
            resting = _resting(tx, staff_id) if weighty else ""
            return Proof(ok=not resting, sentence=resting)
    return Proof(ok=False, sentence=NEXT_CODES if max(matched) <= floor else USED_CODE)


def unauthorised(tx: Tx, staff_id: str, code: str, role: Role, act: str, reason: str) -> str | None:
    """Why they may not do this now: it takes their own code, the role and a reason. Said and not raised: the code is spent, and
    a wrong one counted, whatever follows."""
    proof = prove(tx, staff_id, code)
    if not proof.ok:
        return proof.sentence
    if role not in find(tx, staff_id).roles:
        return f"只有{role.label}可以{act}"
    return unfit_reason(reason, f"{act}必须填写理由")


def rested_at(tx: Tx, staff_id: str) -> datetime | None:
    """From when codes of the secret that somebody has prove what is weighty, if that is still ahead: whoever got it enrolled
    in their name is found out first. In a demonstration they do at once."""
    hours = policy_at(tx.now).staff.key_rest_hours if settings().production else 0
    since = standing.key_since(tx, staff_id) if hours else None
    until = since + timedelta(hours=hours) if since else None
    return until if until and tx.now < until else None


def _resting(tx: Tx, staff_id: str) -> str:
    until = rested_at(tx, staff_id)
    return rests_until(until) if until else ""


def rests_until(until: datetime, key: str = "动态口令") -> str:
    """What somebody hears whose key is too new for what they want to do."""
    return f"您的{key}登记(或换发、恢复)不久,自 {until.astimezone(SHANGHAI):%Y-%m-%d %H:%M}(北京时间)起方可办理此事项"


def _locked_sentence(until: datetime, moment: datetime) -> str:
    """The same for a wrong code and for the first right one."""
    minutes = max(1, math.ceil((until - moment) / timedelta(minutes=1)))
    return (
        f"口令连续错误,此处已锁定,请约 {minutes} 分钟后再试;本人可接着输入验证器显示的下一个口令"
        "(连续两个正确即可立即解锁),或请主管解锁"
    )


def unlock(tx: Tx, staff_id: str, by_staff_id: str, code: str) -> Proof:
    """A supervisor, who proves it with their own code, opens what wrong codes have locked for a colleague."""
    proof = prove(tx, by_staff_id, code, weighty=False)
    if not proof.ok:
        return proof
    if Role.SUPERVISOR not in find(tx, by_staff_id).roles:
        return Proof(ok=False, sentence="只有主管可以解锁")
    if not guard.unlock(tx, find(tx, staff_id), f"staff/{by_staff_id}"):
        return Proof(ok=False, sentence=f"{staff_id} 当前未被锁定")
    return Proof(ok=True, sentence=f"{staff_id} 已解锁")


def last_spent(tx: Tx, staff_id: str) -> int:
    """The latest step of which a code of this person was used: it and every older one opens nothing any more. A step that
    is still to come nobody has used: who writes one into the table keeps nobody out."""
    used = select(func.max(SpentCode.step)).where(SpentCode.staff_id == staff_id, col(SpentCode.step) <= _latest())
    return tx.exec(used).one() or 0


def _latest() -> int:
    """The step of the next code of a device whose clock is fast: none was shown that is later."""
    return int(clock().real().timestamp()) // STEP + 1


def spend(tx: Tx, staff_id: str, code: str, given_at: datetime) -> bool:
    """Make a code that lay about useless to everybody, without counting a wrong one; whether it was the person's."""
    person = tx.get(Staff, staff_id)
    if person is None or standing.doubt(tx, person) is not None or not person.totp_sealed:
        return False
    totp, given = pyotp.TOTP(opened(person, "totp_sealed"), interval=STEP), normalise_code(code)
    steps = {int(at.timestamp()) // STEP + n for at in (given_at, clock().real()) for n in (-1, 0, 1)}
    right = [step for step in steps if pyotp.utils.strings_equal(totp.at(step * STEP), given)]
    if right and max(right) > last_spent(tx, staff_id):
        tx.add(SpentCode(staff_id=staff_id, step=max(right), at=tx.now))
        tx.flush()
    return bool(right)


def pass_over_form_codes(tx: Tx) -> None:
    """Let no code that anybody's device has shown by now count in a form any more: somebody may have taken one out of
    Prefect, and nothing says whose. At the desk and at the terminal, where Prefect's API does not reach, codes count on."""
    row = tx.get(Installation, FORM_FLOOR) or Installation(key=FORM_FLOOR, value="")
    row.value = str(_latest())
    tx.add(row)


def _form_floor(tx: Tx) -> int:
    row = tx.get(Installation, FORM_FLOOR)
    floor = int(row.value) if row and row.value.isdecimal() else 0
    return floor if floor <= _latest() else 0  # another one is not ours


def forget_spent_codes(tx: Tx) -> None:
    """Drop codes that could not be accepted any more anyway."""
    horizon = int((clock().real() - timedelta(days=1)).timestamp()) // STEP
    tx.exec(delete(SpentCode).where(col(SpentCode.step) < horizon))


def with_role(tx: Tx, role: Role) -> list[Staff]:
    """Active staff who hold the role, by their row and by what was recorded when they got it."""
    held = [person for person in tx.exec(select(Staff).where(col(Staff.active).is_(True))) if role in person.roles]
    doubts = standing.doubts(tx, held)
    return [person for person in held if doubts[person.id] is None]
