"""What the customer hears of M-Pesa's results, in each language of the shop."""

import pytest

from payments.conclusions import Progress
from payments.result_codes import MEANINGS, Meaning, Outcome, Why, meaning_of
from tests.conversation.engine.shop import Shop

# Each code of facts with what must be told; a code is not in here twice, and none is missing.
TOLD = {
    "0": ("Paid KES 420, M-Pesa ref SBC1234XYZ", "Umelipa KES 420, M-Pesa SBC1234XYZ"),
    "1": ("balance was not enough", "Salio lako la M-Pesa halikutosha"),
    "2": ("does not allow this amount", "hairuhusu kiasi hiki"),
    "3": ("does not allow this amount", "hairuhusu kiasi hiki"),
    "4": ("your M-Pesa limit for today", "kikomo chako cha M-Pesa cha leo"),
    "8": ("cannot receive this payment now", "haliwezi kupokea malipo haya"),
    "17": ("Please wait 2 minutes", "Tafadhali subiri dakika 2"),
    "26": ("M-Pesa is busy", "M-Pesa ina shughuli nyingi"),
    "1001": ("Another M-Pesa request is open on your phone", "Kuna ombi lingine la M-Pesa kwenye simu yako"),
    "1019": ("The M-Pesa request expired", "Muda wa ombi la M-Pesa umeisha"),
    "1025": ("We could not send the M-Pesa request", "Hatukuweza kutuma ombi la M-Pesa"),
    "1032": ("You cancelled the M-Pesa request", "Umeghairi ombi la M-Pesa"),
    "1037": ("dial *234# to update", "piga *234# kuisasisha"),
    "2001": ("PIN was wrong", "PIN ya M-Pesa haikuwa sahihi"),
    "2002": ("The shop's M-Pesa set-up has a problem", "Mipangilio ya M-Pesa ya duka ina tatizo"),
    "2028": ("The shop's M-Pesa set-up has a problem", "Mipangilio ya M-Pesa ya duka ina tatizo"),
    "SFC_IC0003": ("The shop's M-Pesa set-up has a problem", "Mipangilio ya M-Pesa ya duka ina tatizo"),
    "8006": ("Your M-Pesa PIN is locked", "PIN yako ya M-Pesa imefungwa"),
    "9999": ("We are checking with M-Pesa", "Tunathibitisha na M-Pesa"),
    "E3008": ("We are checking with M-Pesa", "Tunathibitisha na M-Pesa"),
    "a code nobody knows": ("We are checking with M-Pesa", "Tunathibitisha na M-Pesa"),
}
NO_MONEY = ("No money was taken", "Hakuna pesa zilizotolewa")


def waiting(language: str) -> Shop:
    shop = Shop(language=language).say("2 unga").say("ok" if language == "en" else "sawa").say("PAY")
    assert shop.state == "waiting"
    return shop


def hear(shop: Shop, meaning: Meaning) -> str:
    if meaning.outcome is Outcome.REVIEW:
        shop.progress(Progress.REVIEW, why=meaning.why)
    else:
        shop.result(meaning.outcome, receipt="SBC1234XYZ" if meaning.outcome is Outcome.PAID else None, why=meaning.why)
    return " ".join(shop.texts)


@pytest.mark.parametrize(("number", "language"), [(0, "en"), (1, "sw")])
def test_every_result_code_reaches_the_customer_in_words(number: int, language: str) -> None:
    assert set(MEANINGS) - set(TOLD) == {"4999"}  # still under way: nothing to tell
    for code, words in TOLD.items():
        meaning = meaning_of(code)
        heard = hear(waiting(language), meaning)
        assert words[number] in heard, code
        ended = meaning.outcome not in (Outcome.REVIEW, Outcome.PAID)
        assert (NO_MONEY[number] in heard) is ended, f"{code}: only an end without money may be told as one"


@pytest.mark.parametrize("language", ["en", "sw"])
def test_every_end_and_every_wait_has_its_own_words(language: str) -> None:
    ends = [waiting(language).result("failed", why=why).texts[0] for why in Why if why not in ("paid", "busy", "unknown")]
    waits = [waiting(language).progress(progress).texts for progress in Progress]
    assert len(set(ends)) == len(ends)
    assert [len(texts) for texts in waits] == [1] * len(Progress)
    assert len({texts[0] for texts in waits}) == len(Progress)


def test_news_of_a_waiting_prompt_leaves_the_wait_as_it_is() -> None:
    shop = waiting("en")
    due, number = shop.timers, shop.snapshot.waiting_turn
    shop.progress("phone_busy")
    assert (shop.state, shop.timers, shop.snapshot.waiting_turn) == ("waiting", due, number)
    shop.result("paid", receipt="SBC1234XYZ")
    assert shop.ended == ["paid"]


def test_a_payment_that_a_person_looks_at_is_not_asked_for_again() -> None:
    shop = waiting("en").result("timed_out")
    assert shop.state == "pay"
    shop.unclear = True
    shop.progress("review")
    assert (shop.state, len(shop.texts)) == ("waiting", 1)
    shop.unclear = False
    shop.result("timed_out")
    assert shop.state == "pay"
