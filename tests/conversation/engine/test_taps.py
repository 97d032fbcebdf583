"""WhatsApp keeps old menus for ever: a tap counts only on the question that is open now."""

from tests.conversation.engine.shop import Shop


def test_a_tap_on_an_older_question_asks_the_open_one_again() -> None:
    shop = Shop().say("2 unga").say("1 mkate")
    before = shop.snapshot.waiting_turn
    shop.tap("Confirm", menu=0)
    assert (shop.state, shop.places, shop.status) == ("cart", ["shop.cart.ask"], "DRAFT")
    assert shop.snapshot.waiting_turn == before
    assert shop.trace[0]["what"] == "stale tap"


def test_both_copies_of_a_repeated_question_may_be_tapped() -> None:
    shop = Shop().say("2 unga").say("help")
    assert shop.shown[0] == shop.shown[1]
    assert shop.tap("Confirm", menu=0).state == "pay"


def test_a_stale_pay_is_never_a_consent() -> None:
    shop = Shop().to_pay().say("pay").result("no_funds")
    assert shop.state == "pay"
    shop.tap("PAY", menu=1)
    assert (len(shop.pushes), shop.state, shop.places) == (1, "pay", ["shop.pay.ask"])
    shop.tap("PAY")
    assert len(shop.pushes) == 2


def test_a_choice_that_was_never_shown_is_stale() -> None:
    shop = Shop().to_pay()
    turn = shop.snapshot.waiting_turn
    for choice in ("confirm", "picked:0", "~more", "pay:pay", ""):
        shop.tap_id(f"shop.pay:{turn}:{choice}", "PAY")
        assert (shop.pushes, shop.state) == ([], "pay"), choice


def test_a_stale_tap_uses_up_no_try() -> None:
    shop = Shop().say("2 unga").say("1 mkate")
    for _ in range(9):
        shop.tap("Confirm", menu=0)
    assert shop.state == "cart"


def test_choice_ids_fit_whatsapp() -> None:
    shop = Shop().say("hi").say("2 unga").say("ok")
    assert max(len(choice) for menu in shop.shown for choice in menu.values()) <= 200
    assert shop.shown[-1]["PAY"] == f"shop.pay:{shop.snapshot.waiting_turn}:pay"
