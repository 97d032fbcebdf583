from conversation.authoring.matching import Choice, Reply, Spoken, compare, show_chat, to_reply
from conversation.authoring.read_transcripts import parse_transcripts
from conversation.authoring.transcripts import Said
from conversation.engine.values import JSON

HEAD = """\
test: t
flow: shop
given: {now: 2026-03-02 09:15, customer: {phone: "+254700000001"}, vendor: mama-duka}
chat:
- customer: Habari
"""

HELLO = Reply(place="shop.greet.say", text="Karibu *Mama Duka*, Mteja!")
PAY = Reply(
    place="shop.pay.ask",
    text="Order *S0001*: *KES 430*.\nReply *PAY*",
    buttons=(Choice(id="shop.pay:3:pay", title="PAY"), Choice(id="shop.pay:3:edit", title="Change order")),
)
SHELF = Reply(
    place="shop.browse.ask",
    text="Pick one",
    menu_button="See products",
    menu_rows=(Choice(id="a", title="Unga 2kg"), Choice(id="b", title="Sukari 1kg")),
)


def expected(*lines: str) -> list[Said]:
    (transcript,) = parse_transcripts(HEAD + "".join(f"- bot: {line}\n" for line in lines), file="t.test.yaml")
    return [step for step in transcript.chat if isinstance(step, Said)]


def differs(lines: list[str], replies: list[Reply]) -> tuple[int, int | None, str] | None:
    found = compare(expected(*lines), replies, flow="shop", after_line=5)
    return None if found is None else (found.line, found.reply, "\n".join(found.reasons))


def test_white_space_does_not_count() -> None:
    assert differs(['"Karibu  *Mama Duka*, Mteja! "', '"Order *S0001*: *KES 430*. Reply *PAY*"'], [HELLO, PAY]) is None


def test_one_letter_does_count_and_is_pointed_at() -> None:
    assert differs(["Karibu *Mama Duka*, Mtoto!"], [HELLO]) == (
        6,
        0,
        "expected: Karibu *Mama Duka*, Mtoto!\nwas said: Karibu *Mama Duka*, Mteja!\n" + " " * 32 + "^ here",
    )


def test_all_parts_of_a_list_must_be_in_the_text() -> None:
    assert differs(["[~KES 430, ~Reply *PAY*]"], [PAY]) is None
    assert differs(["[~KES 430, ~Reply *PESA*]"], [PAY]) == (6, 0, "this is not in it: Reply *PESA*")


def test_a_pattern_looks_anywhere_in_the_text() -> None:
    assert differs([r"/S\d{4}/"], [PAY]) is None
    assert differs([r"/S\d{5}/"], [PAY]) == (6, 0, r"nothing in it matches /S\d{5}/")


def test_a_place_may_leave_out_the_transcripts_own_flow() -> None:
    assert differs(["{at: pay.ask}"], [PAY]) is None
    assert differs(["{at: shop.pay.ask}"], [PAY]) is None
    assert differs(["{at: cart.ask}"], [PAY]) == (6, 0, "it should come from cart.ask, and comes from shop.pay.ask")


def test_buttons_are_compared_in_order_and_dots_allow_more() -> None:
    assert differs(["{buttons: [PAY, Change order]}"], [PAY]) is None
    assert differs(["{buttons: [PAY, ...]}"], [PAY]) is None
    assert differs(["{buttons: [PAY]}"], [PAY]) == (6, 0, "its buttons should be [PAY], and are [PAY, Change order]")


def test_a_list_is_compared_by_its_button_and_its_first_rows() -> None:
    assert differs(["{list: {button: See products, rows: [Unga 2kg, ...]}}"], [SHELF]) is None
    assert differs(["{list: {button: Products, rows: [Sukari 1kg, ...]}}"], [SHELF]) == (
        6,
        0,
        "its list should be called 'Products', and is called 'See products'\n"
        "its rows should be [Sukari 1kg, ...], and are [Unga 2kg, Sukari 1kg]",
    )


def test_every_reply_must_be_accounted_for() -> None:
    assert differs(["~Karibu"], [HELLO, SHELF]) == (6, 1, "the transcript does not have this reply")
    assert differs([], [HELLO]) == (5, 0, "the transcript does not have this reply")
    assert differs(["~Karibu", "~Pick"], [HELLO]) == (7, None, "the shop says nothing more, but should: ~Pick")


def test_nothing_means_nothing() -> None:
    assert differs(["nothing"], []) is None
    assert differs(["nothing"], [HELLO]) == (6, 0, "the transcript says that the shop says nothing here")


def test_dots_take_any_number_of_replies() -> None:
    assert differs(["..."], []) is None
    assert differs(["...", "{at: pay.ask}"], [HELLO, SHELF, PAY]) is None
    assert differs(["...", "{at: pay.ask}"], [PAY]) is None
    assert differs(["~Karibu", "..."], [HELLO, PAY]) is None
    assert differs(["...", "{at: pay.ask}"], [HELLO, PAY, SHELF]) == (7, 2, "the transcript does not have this reply")


def test_a_difference_is_shown_in_the_chat() -> None:
    shown = show_chat([Spoken(who="customer", text="pay"), PAY], marked=1, reasons=["this is not in it: KES 590"])

    assert shown.splitlines() == [
        "  customer pay",
        "✗ shop     Order *S0001*: *KES 430*.",
        "           Reply *PAY*",
        "           [PAY] [Change order]",
        "           >> this is not in it: KES 590",
    ]


def test_a_missing_reply_is_shown_at_the_end_of_the_chat() -> None:
    assert show_chat([SHELF], reasons=["the shop says nothing more"]).splitlines() == [
        "  shop     Pick one",
        "           [See products: Unga 2kg | Sukari 1kg]",
        "✗          >> the shop says nothing more",
    ]


def test_a_reply_is_read_from_the_outbox() -> None:
    message: dict[str, JSON] = {
        "text": "Pick",
        "list": {"button": "See", "rows": [{"id": "1", "title": "Unga", "about": "KES 215"}]},
    }

    assert to_reply("shop.browse.ask", message) == Reply(
        place="shop.browse.ask", text="Pick", menu_button="See", menu_rows=(Choice(id="1", title="Unga", about="KES 215"),)
    )
