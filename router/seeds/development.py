"""Two shops for development: a Paybill one with a full shelf, and a Till one. Every secret here opens a simulator only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from router.branches import Branch, Hours, Weekday


@dataclass(frozen=True, kw_only=True)
class Item:
    """`price` in whole shillings; `also` is what people call it in English, Swahili and Sheng."""

    sku: str
    name: str
    short_name: str
    unit: str
    price: int
    stock: int
    also: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Shortcode:
    """Where the money goes, in the sandbox."""

    kind: str
    business_shortcode: str
    party_b: str
    secret_ref: str


@dataclass(frozen=True, kw_only=True)
class Shop:
    """One vendor with everything it needs to sell."""

    id: UUID
    name: str
    language: str
    phone_number_id: str
    display_phone: str
    token_ref: str
    shortcode: Shortcode
    items: Sequence[Item]
    branches: Sequence[Branch] = ()

    def id_of(self, sku: str) -> UUID:
        """Return the fixed id of one of its rows, so that seeding twice finds it."""
        return uuid5(self.id, sku)


def _item(sku: str, name: str, unit: str, price: int, stock: int, also: str, short_name: str | None = None) -> Item:
    words = tuple(word.strip() for word in also.split(","))
    return Item(sku=sku, name=name, short_name=short_name or name, unit=unit, price=price, stock=stock, also=words)


def _from_8_to_6(*days: Weekday) -> tuple[Hours, ...]:
    return (Hours(days=days, opens="08:00", closes="18:00"),)


def _secret(number: int) -> str:
    names = {"consumer_key": "key", "consumer_secret": "secret", "passkey": "passkey"}
    return "plain:" + json.dumps({name: f"sim-{part}-{number}" for name, part in names.items()})


_WEEKDAYS: Final = tuple(day for day in Weekday if day is not Weekday.SUNDAY)

MAMA_DUKA: Final = Shop(
    id=UUID("c7af4716-f9ab-465d-9afb-f1047bf37a40"),
    name="Mama Duka",
    language="en",
    phone_number_id="100000000000001",
    display_phone="254700100001",
    token_ref="plain:sim-token-1",  # noqa: S106 — opens the simulator
    shortcode=Shortcode(kind="paybill", business_shortcode="174379", party_b="174379", secret_ref=_secret(1)),
    items=(
        _item(
            "unga-2kg", "Unga wa mahindi 2kg", "2kg", 215, 60, "unga, unga ya ugali, maize flour, flour, jogoo, sembe", "Unga 2kg"
        ),
        _item("sukari-1kg", "Sukari 1kg", "1kg", 160, 80, "sukari, sugar, sukaa"),
        _item("maziwa-500ml", "Maziwa 500ml", "500ml", 65, 48, "maziwa, milk, maziwa fresh, maziwa ya pakiti"),
        _item("mkate-400g", "Mkate 400g", "400g", 70, 30, "mkate, bread, loaf, mkate mkubwa"),
        _item("chumvi-500g", "Chumvi 500g", "500g", 25, 100, "chumvi, salt, munyu"),
        _item("majani-100g", "Majani chai 100g", "100g", 90, 40, "majani, majani ya chai, tea leaves, chai, majani chai"),
        _item(
            "mafuta-1l", "Mafuta ya kupika 1L", "1L", 320, 36, "mafuta, cooking oil, oil, salad, mafuta ya kupika", "Mafuta 1L"
        ),
        _item("mchele-1kg", "Mchele pishori 1kg", "1kg", 220, 50, "mchele, rice, pishori, mchele wa pishori, wali, nafaka"),
        _item("maharagwe-1kg", "Maharagwe 1kg", "1kg", 180, 40, "maharagwe, beans, maharage, madondo, nafaka"),
        _item(
            "sabuni-800g",
            "Sabuni ya kufua 800g",
            "800g",
            150,
            32,
            "sabuni, bar soap, sabuni ya kufua, laundry soap",
            "Sabuni 800g",
        ),
        _item("mayai-tray", "Mayai trei 30", "trei", 450, 15, "mayai, eggs, tray ya mayai, trei ya mayai, egg tray"),
        _item(
            "unga-ngano-2kg",
            "Unga wa ngano 2kg",
            "2kg",
            205,
            45,
            "unga ngano, wheat flour, exe, ngano, unga wa chapati",
            "Unga ngano 2kg",
        ),
        _item("ndengu-1kg", "Ndengu 1kg", "1kg", 190, 28, "ndengu, green grams, pojo, dengu"),
        _item("nyanya-1kg", "Nyanya 1kg", "1kg", 120, 25, "nyanya, tomatoes, tomato, tungule"),
        _item("vitunguu-1kg", "Vitunguu 1kg", "1kg", 130, 30, "vitunguu, kitunguu, onions, onion"),
        _item("viazi-2kg", "Viazi 2kg", "2kg", 140, 35, "viazi, waru, potatoes, potato, mbatata"),
        _item("sukuma", "Sukuma wiki fungu", "fungu", 20, 60, "sukuma, sukuma wiki, kale, kales"),
        _item("royco-75g", "Royco mchuzi mix 75g", "75g", 60, 44, "royco, mchuzi mix, seasoning, spice"),
        _item("blueband-250g", "Blue Band 250g", "250g", 175, 26, "blue band, blueband, margarine, siagi, bluebandi"),
        _item("tissue-4", "Tissue roll 4", "pakiti 4", 130, 40, "tissue, toilet paper, tishu, tissue ya choo, toilet roll"),
        _item("colgate-70g", "Dawa ya meno 70g", "70g", 110, 33, "colgate, toothpaste, dawa ya meno, kolgeti"),
        _item("omo-500g", "Omo 500g", "500g", 185, 29, "omo, washing powder, sabuni ya unga, detergent"),
        _item("soda-500ml", "Soda 500ml", "500ml", 70, 72, "soda, coke, fanta, sprite, coka"),
        _item("maji-1l", "Maji ya kunywa 1L", "1L", 60, 90, "maji, water, maji ya chupa, mineral water, majo"),
        _item("kiberiti", "Kiberiti", "kasha", 10, 200, "kiberiti, matches, matchbox, njiti"),
        _item("gas-6kg", "Gesi kujaza 6kg", "6kg", 1150, 8, "gas, gesi, gas refill, gas ya kupika, k-gas"),
    ),
    branches=(
        Branch(id="town", name="Town", about="Tom Mboya Street", hours=_from_8_to_6(*Weekday)),
        Branch(id="westlands", name="Westlands", about="Ring Road", hours=_from_8_to_6(*_WEEKDAYS)),
        Branch(id="rongai", name="Rongai", about="Magadi Road", hours=_from_8_to_6(*_WEEKDAYS)),
    ),
)

DUKA_LA_PILI: Final = Shop(
    id=UUID("5b6f0c1e-8d24-4f7a-9c3b-2e1d7a604b02"),
    name="Duka la Pili",
    language="sw",
    phone_number_id="100000000000002",
    display_phone="254700100002",
    token_ref="plain:sim-token-2",  # noqa: S106 — opens the simulator
    shortcode=Shortcode(kind="till", business_shortcode="600980", party_b="5001234", secret_ref=_secret(2)),
    items=(
        _item("chapati", "Chapati", "moja", 20, 100, "chapati, chapo, chapatti"),
        _item("maharagwe-sahani", "Maharagwe sahani", "sahani", 80, 40, "maharagwe, beans, madondo", "Maharagwe"),
        _item("ugali-sukuma", "Ugali na sukuma", "sahani", 120, 30, "ugali, ugali sukuma, ugali mboga"),
        _item("pilau", "Pilau ya nyama", "sahani", 200, 25, "pilau, pilau beef, wali wa pilau"),
        _item("chai-maziwa", "Chai ya maziwa", "kikombe", 30, 80, "chai, tea, chai maziwa"),
        _item("mandazi", "Mandazi", "moja", 10, 150, "mandazi, mahamri, ndazi, doughnut"),
    ),
)

SHOPS: Final = (MAMA_DUKA, DUKA_LA_PILI)
CAPABILITIES: Final = ("commerce.catalog", "commerce.orders", "payments.mpesa_stk")
INTERNAL_KEY: Final = "dev-internal-secret"
INTERNAL_KEY_NAME: Final = "development"
