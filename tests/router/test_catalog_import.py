from typing import Any

import pytest

from router import catalog
from router.catalog_import import Outcome, Report, import_file, list_wrong
from router.databases import Databases
from router.errors import Refused
from router.ids import VendorId
from router.seeding import DUKA_LA_PILI

HEAD = "sku,name,short_name,unit,price,stock,category,aliases,active\n"
TEA = "chai-50,Chai ya asubuhi,,50g,45,12,Vinywaji,chai;tea leaves;  majani  ,yes\n"


def take_in(databases: Databases, vendor_id: VendorId, text: str, **how: Any) -> Report:
    return import_file(databases, vendor_id, text.encode(), **how)


def on_sale(databases: Databases, vendor_id: VendorId) -> dict[str, catalog.CatalogItem]:
    databases.cache.forget()
    return {item.sku: item for item in catalog.list_items(databases, vendor_id)}


def test_a_new_item_a_changed_one_and_one_that_is_the_same(databases: Databases, vendor_id: VendorId) -> None:
    before = on_sale(databases, vendor_id)
    text = HEAD + TEA + "gas-6kg,Gesi kujaza 6kg,,6kg,1200,,,,\n"
    assert [(line.line, line.outcome) for line in take_in(databases, vendor_id, text).lines] == [(2, "added"), (3, "changed")]
    after = on_sale(databases, vendor_id)
    tea = after["chai-50"]
    assert (tea.name, tea.short_name, tea.price, tea.stock) == ("Chai ya asubuhi", "Chai ya asubuhi", 45, 12)
    assert (tea.category, tea.aliases) == ("Vinywaji", ("chai", "tea leaves", "majani"))
    assert (after["gas-6kg"].price, after["gas-6kg"].stock) == (1200, 8)
    assert list(after) == [*before, "chai-50"]
    again = take_in(databases, vendor_id, text)
    assert [line.outcome for line in again.lines] == ["changed", "same"]  # a number in stock is a new count
    assert again.written


def test_stock_is_counted_left_alone_or_not_counted_any_more(databases: Databases, vendor_id: VendorId) -> None:
    line = "gas-6kg,Gesi kujaza 6kg,,6kg,1150,{},,,\n"
    counts = []
    for stock in ("", "8", "8", "-"):
        take_in(databases, vendor_id, HEAD + line.format(stock))
        item = on_sale(databases, vendor_id)["gas-6kg"]
        counts.append((item.stock, item.count_no))
    assert counts == [(8, 1), (8, 2), (8, 3), (None, 4)]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("x,Mkate,,,0,,,,", "line 3, price: Input should be greater than or equal to 1"),
        ("x,Mkate,,,12.50,,,,", "line 3, price: Input should be a valid integer"),
        ("x,Mkate,,,,,,,", "line 3, price: Field required"),
        (",Mkate,,,10,,,,", "line 3, sku: Field required"),
        ("x,Mkate,,,10,-3,,,", "line 3, stock: Input should be greater"),
        ("x,Mkate,,,10,,,,maybe", "line 3, active: Input should be a valid boolean"),
        ("x,Mkate wa ngano nzima gramu 400,,,10,,,,", "line 3: the name has more than 24 characters: give a short_name"),
        ("x,Mkate,,,10,,,,yes,more", "line 3: more cells than columns"),
        ("chai-50,Mkate,,,10,,,,", "line 3, sku: line 2 has this item already"),
        ('x,"Mkate\nmweupe",,,10,,,,', "line 4, name: no line breaks"),
    ],
)
def test_one_wrong_line_keeps_the_whole_file_out(databases: Databases, vendor_id: VendorId, line: str, told: str) -> None:
    before = on_sale(databases, vendor_id)
    report = take_in(databases, vendor_id, HEAD + TEA + line + "\n")
    assert not report.written
    assert list_wrong(report)[0].startswith(told), list_wrong(report)
    assert on_sale(databases, vendor_id) == before


def test_a_dry_run_reports_and_writes_nothing(databases: Databases, vendor_id: VendorId) -> None:
    before = on_sale(databases, vendor_id)
    report = take_in(databases, vendor_id, HEAD + TEA, dry_run=True)
    assert (report.written, report.count(Outcome.ADDED)) == (False, 1)
    assert on_sale(databases, vendor_id) == before


def test_semicolons_and_a_mark_of_a_spreadsheet_are_understood(databases: Databases, vendor_id: VendorId) -> None:
    take_in(databases, vendor_id, "\ufeffSKU; name ;price\r\nchai-1;Chai;30\r\n")
    assert on_sale(databases, vendor_id)["chai-1"].price == 30


def test_an_item_that_is_not_active_leaves_the_shelf(databases: Databases, vendor_id: VendorId) -> None:
    take_in(databases, vendor_id, "sku,name,price,active\ngas-6kg,Gesi kujaza 6kg,1150,no\n")
    assert "gas-6kg" not in on_sale(databases, vendor_id)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "names no column sku and no name and no price"),
        (b"sku,name\n", "names no column price"),
        (b"sku,name,price,colour\n", "nobody knows the column 'colour'"),
        (b"sku,name,price,sku\n", "names a column twice"),
        (b"sku,name,price\nx,\xff,3\n", "line 2 is not UTF-8"),
        (b'sku,name,price\nx,"open,3\n', "is not CSV"),
        (b"sku,name,price\n" + b"x,y,1\n" * 5001, "at most 5000"),
        (b"x" * 2_000_001, "more than 2 MB"),
    ],
)
def test_what_is_no_catalogue_is_refused(databases: Databases, vendor_id: VendorId, content: bytes, told: str) -> None:
    with pytest.raises(Refused, match=told):
        import_file(databases, vendor_id, content)


def test_one_vendor_writes_only_its_own_items(databases: Databases, vendor_id: VendorId) -> None:
    before = on_sale(databases, VendorId(DUKA_LA_PILI))
    take_in(databases, vendor_id, "sku,name,price\nchapati,Chapati yetu,99\n")
    assert on_sale(databases, VendorId(DUKA_LA_PILI)) == before
