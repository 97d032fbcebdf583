"""The fault and abuse cases of payments, and the tests that show each; `python -m tests.payments.cases` writes the page."""

from collections.abc import Mapping
from typing import Final

from tests.numbered import ROOT, Numbered

CASES: Final[Mapping[int, tuple[str, str]]] = {
    1: ("PAY twice, as two messages", "one prompt; the second PAY is told of the first"),
    2: ("one WhatsApp message delivered again", "one inbox entry, so one prompt"),
    3: ("“pay now”, “PAYE”, a sticker", "no prompt"),
    4: ("the PAY of another customer", "refused, by the code and by the database"),
    5: ("a PAY older than what it would pay for", "refused"),
    6: ("a PAY after the order expired, or that nobody acted on for five minutes", "no prompt, and the customer is told"),
    7: ("one PAY for two orders", "one of them only"),
    8: ("twenty workers take the same attempt", "one POST"),
    9: ("one job queued again and again", "one claim wins, one POST"),
    10: ("a worker killed before the claim is committed", "still prepared; later one POST"),
    11: ("a worker killed after the claim, before the POST", "ambiguous, no POST, a person looks"),
    12: ("a worker killed after the POST", "the callback and its query pay it"),
    13: ("no answer in time, and the prompt was taken", "ambiguous, then paid by the callback"),
    14: ("no answer in time, and the prompt was not taken", "reviewed after 15 minutes, no second prompt"),
    15: ("connection refused", "not sent; the customer may pay again"),
    16: ("HTTP 500 after the prompt was taken", "ambiguous, then paid"),
    17: ("HTML with 503 or 200", "ambiguous, no second prompt"),
    18: ("the token is refused", "it is purged, the push is rejected and not repeated"),
    19: ("“Wrong credentials”", "rejected; the vendor's event says why"),
    20: ("“Unable to lock subscriber”", "rejected, with words to wait a minute; a new PAY may try again"),
    21: ("spike arrest", "rejected; the next push waits a minute"),
    22: ("no token to be had", "still prepared until the PAY is too old, then expired"),
    23: ("two processes need a token", "one OAuth call"),
    24: ("a success that agrees in everything", "paid once, one event"),
    25: ("the same callback many times at once", "paid once, and counted"),
    26: ("the callback overtakes the answer to the push", "paid when the ids are there"),
    27: ("no callback, the query says paid", "paid; a report of money or a later callback brings the receipt"),
    28: ("no callback, the query never knows", "a person looks; never failed"),
    29: ("failed, then a success", "paid late, and told"),
    30: ("a failed query, then a success", "asked again: paid late, or a person looks"),
    31: ("a success, then a failure", "stays paid, and the operator is told"),
    32: (
        "a late success while a second prompt is prepared",
        "the second is withdrawn, and the customer hears of the money at once",
    ),
    33: ("both intents of an order are paid", "payment_duplicate_paid; no shilling lost"),
    34: ("each result code Safaricom documents", "its own outcome"),
    35: ("an unknown or odd result code", "never paid, never told as failed"),
    36: ("items without value, in any order, a masked phone", "read"),
    37: ("the amount written otherwise; another amount", "equal; a person looks"),
    38: ("a forged token", "404, no row"),
    39: ("the ids of another intent", "nothing moves"),
    40: ("a forged success with the right token", "not paid: the query says otherwise"),
    41: ("a receipt that stands for another payment", "a person looks"),
    42: ("a forged failure with the right token", "repaired by the query"),
    43: ("an address that is not listed; X-Forwarded-For made up", "403, told in the trail, nothing moves"),
    44: ("a body too large, too deep, no JSON, said to be no JSON; GET", "4xx"),
    45: ("the database is away", "on disk, 200, replayed"),
    46: ("Redis is away", "no prompt is sent until it is back; callbacks are stored"),
    47: ("thirty PAYs at once with two vendors", "three intents"),
    48: ("either side of midnight in Nairobi; midnight UTC", "two days; one day"),
    49: ("amounts M-Pesa does not move", "refused"),
    50: ("phones that are no Kenyan mobile number", "refused"),
    51: ("the shortcode is changed in place", "refused with a reason; the terms are frozen"),
    52: ("another vendor's shortcode", "the database refuses"),
    53: ("a till", "asked by its store number, paid at the till"),
    54: ("a secret missing, unreadable or plain in production", "nothing sent"),
    55: ("marked secrets through a whole day", "written nowhere"),
    56: ("every channel tells of one receipt", "one payment"),
    57: ("paid by hand before the prompt leaves", "paid, nothing is sent; a later PAY is refused"),
    58: ("an account by hand that names no order", "listed, told to the vendor, assigned by a person"),
    59: ("too little or too much by hand", "never paid by it; a person looks"),
    60: ("a host in another time zone; a clock that is minutes off", "Daraja reads Nairobi time; the operator is told"),
    61: ("the same amount to one phone within two minutes", "the second waits, prepared"),
    62: ("somebody moves a paid intent back", "the database refuses"),
    63: ("a callback address with a banned word", "the start is refused"),
    64: ("a simulator's address in production", "the start is refused"),
}

HEAD: Final = """# What payments withstand

Each case has its number in a test. This page is written by `python -m tests.payments.cases`, and a test compares it.
"""
LIST: Final = Numbered(marker="case", page=ROOT / "docs" / "payment-cases.md", head=HEAD, entries=CASES)

if __name__ == "__main__":
    LIST.page.write_text(LIST.render())
