"""Events about opening and reopening a shop: what the merchant's side sends, and what we tell the platform."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from models.base import Frozen
from models.event_parts import DOCUMENT_EXAMPLE, PAYEE_EXAMPLE, Documents, PayeeData, TaxpayerType
from models.opening import Profile, ThirdPartyPlatform
from models.shops import EntityType
from models.wire import (
    AnyDay,
    Categories,
    Contacts,
    Count,
    Event,
    Flag,
    Id,
    Line,
    Moment,
    OptionalLine,
    Prose,
    Sha256,
    ShortLine,
    TaxNumber,
    WebAddress,
    inbound,
)

Rating = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-5](\.\d{1,2})?$")]
"""A rating of at most 5 points as the other platform shows it: ``4.7``."""
IdentityNumber = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9A-Za-z()-]{5,32}$")]
Phone = Annotated[str, StringConstraints(strict=True, pattern=r"^\+?[0-9 -]{5,24}$")]


class AccountState(Frozen):
    """What the platform knows about the account that opens the shop (OPN-1, OPN-18)."""

    real_name: Flag
    blue_v: Flag = False
    fans: Count = 0
    active: Flag = True
    compliant: Flag = True


class OtherShop(Frozen):
    """A shop on another platform (OPN-11, OPN-14). ``diamonds`` is the level of a Taobao shop."""

    platform: ThirdPartyPlatform
    name: Line
    link: WebAddress | None = None
    ratings: Annotated[tuple[Rating, ...], Field(max_length=10)] = ()
    diamonds: Count = 0


OtherShops = Annotated[tuple[OtherShop, ...], Field(max_length=10)]

_ACCOUNT_EXAMPLE = {"real_name": True, "blue_v": True, "fans": 12000, "active": True, "compliant": True}
_OF_CASE = {"shop_id": "shop-1001", "account_id": "acct-1001", "case_id": "OPN-261122-7K3QM9"}


@inbound
class OpeningRequested(Event):
    """申请开店(OPN-1、OPN-2)

    ``shop_id`` is the number the shop will have; from now on its papers can be staged (``POST /evidence``). An account
    has one application at a time. One that has lapsed or was rejected is taken up again under the same ``shop_id``,
    without sending again what is there. ``official_account``: whether one is bound, which waives the certification fee.
    """

    type: ClassVar[str] = "opening.requested"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "account_id": "acct-1001",
        "owner_name": "林晓",
        "entity_type": "ENTERPRISE",
        "categories": ["母婴", "服饰"],
        "account": _ACCOUNT_EXAMPLE,
        "own_trademark": True,
        "profile": "STANDARD",
        "contacts": ["owner@example.com"],
    }

    shop_id: Id
    account_id: Id
    owner_name: ShortLine
    entity_type: EntityType
    categories: Categories
    account: AccountState
    own_trademark: Flag = False
    profile: Profile = Profile.STANDARD
    other_shops: OtherShops = ()
    official_account: Flag = False
    contacts: Contacts = Field(default=(), repr=False)


@inbound
class ReopeningRequested(Event):
    """申请重新开店(REO-1、REO-2、REO-3)

    Six months after it was closed, by the account that had it: nothing owed, everything settled, not closed by force.
    Today's conditions count, the newest papers are reviewed again; the shop keeps its number, books and history.
    """

    type: ClassVar[str] = "reopening.requested"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "account_id": "acct-1001",
        "entity_type": "ENTERPRISE",
        "categories": ["母婴", "服饰"],
        "account": _ACCOUNT_EXAMPLE,
    }

    shop_id: Id
    account_id: Id
    entity_type: EntityType
    categories: Categories
    account: AccountState
    own_trademark: Flag = False
    profile: Profile = Profile.STANDARD
    other_shops: OtherShops = ()
    official_account: Flag = False


class OfApplication(Event):
    """What the merchant's side sends about a running application."""

    shop_id: Id
    account_id: Id
    case_id: Id


@inbound
class OpeningBasics(OfApplication):
    """店铺名称、简介和联系方式(OPN-3)

    The name must not be that of another open shop or application. The phone number is sealed at once; ``contacts``
    replace those of the application.
    """

    type: ClassVar[str] = "opening.basics_submitted"
    EXAMPLE: ClassVar[dict[str, Any]] = _OF_CASE | {
        "name": "晨光文具旗舰店",
        "introduction": "专营学生文具和办公用品。",
        "contact_name": "林晓",
        "phone": "13800001234",
        "contacts": ["owner@example.com"],
    }

    name: Line
    introduction: Prose
    contact_name: ShortLine
    phone: Phone = Field(repr=False)
    contacts: Contacts = Field(default=(), repr=False)

    @model_validator(mode="after")
    def _introduced(self) -> Self:
        if not self.introduction:
            raise ValueError("an introduction (OPN-3)")
        return self


@inbound
class OpeningEntity(OfApplication):
    """主体和法人信息(OPN-8)

    The merchant declares that it is true. A person gives their own name and identity number; a business its licence and
    its legal person. The identity number is sealed at once. ``licence_until`` is left out for a licence without an end.
    """

    type: ClassVar[str] = "opening.entity_submitted"
    EXAMPLE: ClassVar[dict[str, Any]] = _OF_CASE | {
        "licence_name": "宁波晨光文具有限公司",
        "uscc": "91330226MA2AB1C2D8",
        "legal_person": "林晓",
        "identity_no": "330226199001011234",
        "licence_until": "2036-12-31",
        "taxpayer_type": "GENERAL",
        "declared_true": True,
    }

    licence_name: OptionalLine = ""
    uscc: TaxNumber = ""
    legal_person: ShortLine
    identity_no: IdentityNumber = Field(repr=False)
    licence_until: AnyDay | None = None
    taxpayer_type: TaxpayerType | None = None
    declared_true: Flag


@inbound
class OpeningPapers(OfApplication):
    """入驻材料(OPN-4、OPN-7、OPN-9、OPN-11)

    Files staged before or after (``POST /evidence``). What is sent of one kind stands instead of what was sent of that
    kind before. A paper counts when its file is here.
    """

    type: ClassVar[str] = "opening.papers_submitted"
    EXAMPLE: ClassVar[dict[str, Any]] = _OF_CASE | {"documents": [DOCUMENT_EXAMPLE]}

    documents: Annotated[Documents, Field(min_length=1)]


@inbound
class OpeningTraining(OfApplication):
    """店铺培训完成(OPN-5)"""

    type: ClassVar[str] = "opening.training_completed"
    EXAMPLE: ClassVar[dict[str, Any]] = _OF_CASE | {
        "course": "新商家必修课",
        "completed_at": "2026-11-22T10:00:00+08:00",
    }

    course: Line
    completed_at: Moment


@inbound
class OpeningAccount(OfApplication):
    """对公账户(OPN-10)

    The corporate account that the random transfer goes to. Required of an enterprise; an individual business that gives
    one is verified by it. Sent again it replaces the one before, until a transfer is under way, and after a return.
    """

    type: ClassVar[str] = "opening.account_submitted"
    EXAMPLE: ClassVar[dict[str, Any]] = _OF_CASE | {"payee": PAYEE_EXAMPLE}

    payee: PayeeData


@inbound
class AmountEntered(OfApplication):
    """填写打款金额(OPN-10)

    What the merchant found on the account: ``0.37``, with or without ¥ and 元. A text that is no amount, or one that
    cannot have been sent, costs no try. In time is what reaches the door by ``due_at`` of ``opening.transfer.updated``.
    """

    type: ClassVar[str] = "opening.amount_entered"
    EXAMPLE: ClassVar[dict[str, Any]] = _OF_CASE | {"amount": "0.37"}

    amount: OptionalLine = Field(repr=False)


@inbound
class OpeningLinks(OfApplication):
    """行业资质说明和第三方店铺链接(OPN-11)

    Sent with empty fields where there is nothing to tell; the logo and the qualifications themselves are papers.
    """

    type: ClassVar[str] = "opening.links_submitted"
    EXAMPLE: ClassVar[dict[str, Any]] = _OF_CASE | {
        "qualifications": "持有出版物经营许可证。",
        "other_shops": [{"platform": "TMALL", "name": "晨光文具天猫店", "link": "https://shop.example.com/chenguang"}],
    }

    qualifications: Prose = ""
    other_shops: OtherShops = ()


@inbound
class OpeningWithdrawn(OfApplication):
    """撤回入驻申请(OPN-2)

    Possible until deposit has been paid; after that the shop is closed in the ordinary way.
    """

    type: ClassVar[str] = "opening.withdrawn"
    EXAMPLE: ClassVar[dict[str, Any]] = _OF_CASE


@inbound
class ContractSigned(Event):
    """在线合同已签署(OPN-12)

    The signing service's record. ``version`` and ``sha256`` must be those of the text that was offered. Nothing is
    settled for the shop before it.
    """

    type: ClassVar[str] = "contract.signed"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "account_id": "acct-1001",
        "version": "2026-12-01",
        "sha256": "ab" * 32,
        "signed_at": "2026-11-23T10:00:00+08:00",
        "signed_sha256": "cd" * 32,
    }

    shop_id: Id
    account_id: Id
    version: Id
    sha256: Sha256
    signed_at: Moment
    signed_sha256: Sha256 | None = None
