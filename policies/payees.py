"""Payees: how a refund is shared out among the accounts it must go to, and what is unusual about each (REF-3, REF-5, REF-8).

Ambiguities 6 and 25: what came in through Alipay or WeChat goes back at most to that amount, to the very account that
paid; what is left goes to the corporate account in the licence's name or the owner's bank card. Anything else is a
deviating payee, which needs a second person. Sentences never show an account number beyond its last four digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.accounts import bank_number
from models.base import Frozen
from models.cases import Finding
from models.money import Fen, yuan
from models.payouts import Order, Payee, PayeeMethod
from models.shops import EntityType
from policies.text import normalise_name, same_name

SAME_CHANNEL = frozenset({PayeeMethod.ALIPAY, PayeeMethod.WECHAT})
"""Deposits paid through these go back through them (REF-8)."""


class PaidIn(Frozen):
    """A deposit payment that came through a channel of REF-8: from which account, in whose name, how much."""

    method: PayeeMethod
    account_no: str = ""
    name: str = ""
    fen: Fen

    def __repr__(self) -> str:
        return f"PaidIn({self.method}, {self.fen})"


class PayeeJudgement(Frozen):
    """What is unusual about the payees, one finding each: none blocks, but any one calls for a second person."""

    findings: tuple[Finding, ...] = ()

    @property
    def deviates(self) -> bool:
        return bool(self.findings)

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(finding.sentence for finding in self.findings)


class Share(Order):
    """What one account gets, one instruction to the bank, and what is unusual about it."""

    findings: tuple[Finding, ...] = ()


class Holder(Frozen):
    """Whose deposit it is, as the shop is registered."""

    entity: EntityType
    licence_name: str
    owner_name: str

    @property
    def company(self) -> bool:
        return self.entity is EntityType.ENTERPRISE

    @property
    def usual(self) -> PayeeMethod:
        return PayeeMethod.CORPORATE_ACCOUNT if self.company else PayeeMethod.BANK_CARD

    @property
    def clause(self) -> str:
        return "REF-5" if self.company else "REF-3"

    @property
    def name(self) -> str:
        return self.licence_name if self.company else self.owner_name

    @property
    def whose(self) -> str:
        return "营业执照名称" if self.company else "店主姓名"


def account_key(number: str) -> str:
    """An account number without the width, the grouping and the case people type it with, for comparing."""
    return str(bank_number(number)).casefold()


Account = tuple[PayeeMethod, str]
"""A method with :func:`account_key` of the number: the same number with another method is another account."""


def account_of(payee: Payee) -> Account:
    return payee.method, account_key(payee.account_no)


def judgement(shares: Sequence[Share]) -> PayeeJudgement:
    """What is unusual about all of them, each thing once."""
    found = {(finding.code, finding.sentence): finding for share in shares for finding in share.findings}
    return PayeeJudgement(findings=tuple(found.values()))


def share_out(
    fen: int,
    holder: Holder,
    named: Sequence[Payee],
    *,
    paid_in: Sequence[PaidIn],
    paid_back: Mapping[Account, int],
    balance_fen: int,
    otherwise: bool,
) -> tuple[Share, ...]:
    """Who gets how much of ``fen``, one share for each account.

    ``named`` are the payees the merchant asked for, first first; ``paid_in`` the deposit payments through a channel,
    oldest first; ``paid_back`` what each account has got back already, or is about to; ``otherwise`` says whether some
    of the deposit came in otherwise. A payee named gets what the rule has for it; what it has for other accounts that
    paid goes there though nobody named them; the rest is the usual payee's. When the rule knows none of the payees
    named, the merchant wants the money elsewhere: all of it goes to the first, and deviates.
    """
    if fen <= 0 or not named:
        return ()
    rooms, names = _rooms(paid_in, paid_back)
    unrecorded = sum(paid.fen for paid in paid_in if not account_key(paid.account_no))
    free = max(0, balance_fen - sum(rooms.values()) - unrecorded)
    known = [one for one in named if account_of(one) in names or (one.method is holder.usual and (otherwise or free))]
    if not known:
        return (Share(payee=named[0], fen=fen, findings=_elsewhere(holder, named[0], paid_in, otherwise)),)
    shares: dict[Account, Share] = {}
    left = fen
    for payee in known:
        account, payer = account_of(payee), names.get(account_of(payee), "")
        room = rooms.pop(account, 0) if account in names else free
        if account not in shares and (part := min(left, room)):
            shares[account] = Share(payee=payee, fen=part, findings=_name(holder, payee, payer))
            free, left = free - (part if account not in names else 0), left - part
    for account, room in rooms.items():
        if part := min(left, room):
            shares[account], left = _unnamed(holder, account, part, paid_in), left - part
    return tuple(_with_rest(holder, known, list(shares.values()), left)) if left else tuple(shares.values())


def _rooms(
    paid_in: Sequence[PaidIn], paid_back: Mapping[Account, int]
) -> tuple[dict[Account, int], dict[Account, str]]:
    """What each account that paid may still get back, and the payer's name where it is recorded."""
    rooms: dict[Account, int] = {}
    names: dict[Account, str] = {}
    for paid in paid_in:
        account = (paid.method, account_key(paid.account_no))
        if account[1]:
            rooms[account] = rooms.get(account, 0) + paid.fen
            names[account] = names.get(account) or paid.name
    left = {account: max(0, fen - paid_back.get(account, 0)) for account, fen in rooms.items()}
    return {account: fen for account, fen in left.items() if fen}, names


def _unnamed(holder: Holder, account: Account, fen: int, paid_in: Sequence[PaidIn]) -> Share:
    """Back to an account that paid, though the merchant did not name it; a name nobody recorded is looked at by two."""
    paid = next(paid for paid in paid_in if (paid.method, account_key(paid.account_no)) == account)
    name = next((one.name for one in paid_in if (one.method, account_key(one.account_no)) == account and one.name), "")
    payee = Payee(method=paid.method, name=name or holder.name, account_no=paid.account_no)
    unsure = "" if name else f"缴纳保证金的{payee.masked}没有登记付款人姓名,暂按{holder.whose}填写收款户名。"
    return Share(
        payee=payee, fen=fen, findings=(_finding("payer_name_unknown", "REF-8", unsure, payee),) if unsure else ()
    )


def _with_rest(holder: Holder, known: Sequence[Payee], shares: list[Share], left: int) -> list[Share]:
    """What no rule brings to one of the accounts goes to the usual payee if one is named, else to the first: it deviates."""
    payee = next((one for one in known if one.method is holder.usual), known[0])
    if payee.method is holder.usual:
        text = f"其中 {yuan(left)} 是通过第三方支付缴纳的保证金,付款账户没有记录,无法原路退回。"
        finding = _finding("payee_origin_unknown", "REF-8", text, payee)
    else:
        text = (
            f"其中 {yuan(left)} 不是由{payee.masked}缴纳的保证金,{holder.entity.label}主体应退至{holder.usual.label}。"
        )
        finding = _finding("payee_share", holder.clause, text, payee)
    for number, share in enumerate(shares):
        if account_of(share.payee) == account_of(payee):
            shares[number] = Share(payee=share.payee, fen=share.fen + left, findings=(*share.findings, finding))
            return shares
    return [*shares, Share(payee=payee, fen=left, findings=(*_name(holder, payee, ""), finding))]


def _elsewhere(holder: Holder, payee: Payee, paid_in: Sequence[PaidIn], otherwise: bool) -> tuple[Finding, ...]:
    """Why the rule would not pay this payee: another method than it expects, or another account than paid."""
    found = []
    through = [method for method in PayeeMethod if any(paid.method is method for paid in paid_in)]
    expected = [*through, *([holder.usual] if otherwise or not through else [])]
    if payee.method not in expected:
        words = "或".join(method.label for method in expected)
        if payee.method in SAME_CHANNEL or through:
            found.append(("payee_method", "REF-8", f"收款方式为{payee.method.label},按保证金的缴纳渠道应退至{words}。"))
        else:
            text = f"收款方式为{payee.method.label},{holder.entity.label}主体应退至{words}。"
            found.append(("payee_method", holder.clause, text))
    elif payee.method in SAME_CHANNEL:
        recorded = [paid for paid in paid_in if paid.method is payee.method and account_key(paid.account_no)]
        if recorded:
            text = f"收款的{payee.method.label}账户不是缴纳保证金的原账户,或该账户缴纳的部分已全部退回。"
            found.append(("payee_origin", "REF-8", text))
        else:
            text = f"保证金缴纳时的{payee.method.label}账户没有记录,无法核对是否原路退回。"
            found.append(("payee_origin_unknown", "REF-8", text))
    return (*(_finding(*one, payee) for one in found), *_name(holder, payee, ""))


def _name(holder: Holder, payee: Payee, payer: str) -> tuple[Finding, ...]:
    """Whether the payee's name is the one it must be: the payer's where it is recorded, else the registered one."""
    if payer:
        if same_name(payee.name, payer):
            return ()
        return (_finding("payee_name", "REF-8", "收款户名与缴纳保证金的付款人姓名不一致。", payee),)
    if not normalise_name(holder.name):
        text = f"店铺没有登记{holder.whose},无法核对收款户名。"
        return (_finding("payee_name_unknown", holder.clause, text, payee),)
    if same_name(payee.name, holder.name):
        return ()
    return (_finding("payee_name", holder.clause, f"收款户名与{holder.whose}“{holder.name}”不一致。", payee),)


def _finding(code: str, clause: str, sentence: str, payee: Payee) -> Finding:
    return Finding(code=code, clause=clause, blocking=False, sentence=sentence, value=payee.masked)
