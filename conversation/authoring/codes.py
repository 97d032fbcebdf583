"""Every code a message can carry, with what it is about in one line. Its page is docs/checks/<CODE>.md."""

from collections.abc import Mapping
from typing import Final

CODES: Final[Mapping[str, str]] = {
    "Y1": "the file is not YAML, or uses YAML that is a trap",
    "Y2": "a key, a shape or a value that the language does not have",
    "T1": "a state, a flow or a file that does not exist",
    "T2": "a state or a flow that nobody can reach",
    "T3": "a state that stops without a way on, or has two; two splits in one state",
    "T4": "a circle that never waits, or a flow within itself",
    "T5": "a wait that no customer can leave",
    "C1": "a call, an event, an entity or a consent that the catalogue does not have",
    "C2": "an argument that is missing or unknown",
    "C3": "a value of the wrong type",
    "C4": "a word that is none of the allowed ones",
    "C5": "an argument of a money call that is not exactly what it must be",
    "C6": "an outcome that is not handled, handled twice, or never comes",
    "C7": "an event that has no home when nobody waits for it",
    "X1": "an expression that cannot be read, or does more than expressions may",
    "X2": "a name or a field that does not exist",
    "X3": "a value used as what it is not",
    "X4": "a value that may not be there yet",
    "X5": "a condition that is always the same, or something after it that is never reached",
    "R1": "a reply to a choice that is not shown, or handled before",
    "R2": "one word that means two things",
    "R3": "a choice that leads nowhere",
    "R4": "a product whose name is a command, a consent, or nearly another product",
    "W1": "more than WhatsApp shows",
    "W2": "a list that may have more rows than WhatsApp shows",
    "W3": "a title that is too long in another language, or can become too long",
    "W4": "a message that may come when WhatsApp takes none",
    "W5": "more messages, or more questions, than one turn may have",
    "L1": "a translation that is missing, out of date, or says something else",
    "L2": "a word or a figure of a consent or a command that one language lacks",
    "P1": "money could be asked for without a PAY in the same turn",
    "P2": "a call in an order state that forbids it",
    "P3": "a PAY question that does not show what it is for",
    "P4": "walking away from money that may be moving",
    "P5": "an unknown outcome told before anybody asked about it",
    "S1": "a phone number, a secret or a customer's own words where they do not belong",
    "H1": "a slot that nothing reads",
    "H2": "a word that is written twice",
    "H3": "two tests of one name",
    "H4": "a test that asserts nothing",
    "H5": "a file of more than 400 lines",
}
ELSEWHERE: Final[Mapping[str, str]] = {
    "V1": "customers who would be stranded by a publish: reported by `soko flow publish --plan`"
}
