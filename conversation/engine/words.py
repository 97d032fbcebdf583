"""The words around products: what asks for them, what takes them out, what joins them, and what means nothing here."""

import re
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


AND: Final = _words("na and plus then halafu kisha pia also alafu with pamoja") | {"+", "&"}
BREAK: Final = frozenset({",", ";", "/", "?", ".", "!", "|", "\n"})
STOP: Final = frozenset({";", "?", ".", "!", "|", "\n"})  # after these nothing is being taken out any more
OR: Final = _words("or ama au")
OF: Final = _words("ya za wa la cha vya kwa of worth at @")
ALL: Final = _words("all everything zote yote vyote wote kila every entire")
EACH: Final = _words("each")
MONEY: Final = _words("bob ksh kes kshs sh shs shilling shillings shilingi silingi")
SLANG: Final = {  # sums of money in Sheng
    "kobole": "tano", "ashu": "kumi", "mbao": "ishirini", "finje": "hamsini", "chwani": "hamsini", "soo": "mia", "thao": "elfu",
    "ngiri": "elfu",
}  # fmt: skip
BULK: Final = _words(
    """
    carton cartons katoni crate crates kreti bale bales sack sacks gunia magunia debe madebe box boxes jerrican mtungi
    """
)

# What is asked, told or complained about is no order.
ASKS: Final = _words(
    """
    bei price prices priced pricing cost costs inacost gharama ngapi how much una mna mko uko mnauza unauza iko ziko kuna ipo
    zipo do does did are was were available where wapi when lini why mbona which gani what nini jana yesterday niliagiza
    nilinunua haijafika hamjaleta imefika mmeleta umeleta delivered arrived broken spoiled expired rotten thank
    """
)
THANKS_FOR: Final = _words("asante thanks thank shukran ahsante")

NO: Final = _words("no hapana not nope")
DONT: Final = _words("dont don't never")
INSTEAD: Final = _words("instead badala")
SWAPS: Final = _words("change swap replace exchange badilisha badili")
SETS: Final = SWAPS | _words("iwe ziwe viwe yawe make hadi")

REMOVE: Final = _words(
    "remove removed delete drop minus cancel without bila exclude less reduce tupa clear empty undo leave skip safisha toka"
    " scrap chomoa"
)
ONE_LESS: Final = re.compile(r"less|reduce|(?:ni|u|tu|m)?(?:ni|tu)?punguz(?:a|e|ia|ie|iwe)")
CLEARS: Final = _words("clear empty futa safisha")
OUT: Final = _words("out off away")
TAKE: Final = _words("take")
ADD: Final = _words(
    """
    add adds include want wanna need get give gimme bring send put buy pack deliver fetch prefer nipee nipea
    """
)
_SUBJECT: Final = r"(?:ku)?(?:ni|u|tu|m|a|wa|ha)?(?:na|ta|nge|me|ki)?(?:ni|tu|m)?"
ADD_VERB: Final = re.compile(
    _SUBJECT
    + r"(?:ongez(?:e?a|ee|e|ewe)|wek(?:a|ea|ee|e|ewe)|ek(?:ea|ee?)|pe|pee|pea|patie|pat[ae]|let(?:a|ea|ee|e|ewe)|tak[ae]|"
    r"hitaji|itaji|omb[ae]|nunu[ae]|chuku[ae]|tum(?:a|ia|ie|e|iwe)|dai|agiz[ae]|pend[ae]|beb[ae])(?:ni|eni)?"
)
REMOVE_VERB: Final = re.compile(
    _SUBJECT + r"(?:to(?:a|e|lee|lea|lewe|leeni)|ondo(?:a|e|lea|lee|lewe)|punguz(?:a|e|ia|ie|iwe)|fut(?:a|e|ia|ie)|tup[ae]|"
    r"w?achan[ae]|w?ach[ae])(?:ni)?"
)
# Any other word of a Swahili verb: said of oneself it means nothing here, of the past it tells and does not order.
OWN_VERB: Final = re.compile(r"(?:nime|nina|nita|tume|tuna|tuta)[^\W\d_]{3,}|(?:ni|tu)[^\W\d_]{2,}(?:ie|ee)")
PAST_VERB: Final = re.compile(r"(?:nili|tuli|uli|mli)(?!p[aei])[^\W\d_]{4,}")
REFUSE_VERB: Final = re.compile(
    r"(?:si|ha|hatu|usi|msi|tusi)(?:ni|tu)?(?:ta)?(?:taki|hitaji|itaji|wek[ei]e?|lete|letee|tume|tumie|ongez[ei]e?|pe|pendi)"
)

COURTESY: Final = _words(
    """
    please plz pls plis tafadhali tafathali kindly hi hello hey hallo habari sasa mambo vipi niaje poa fiti salama shikamoo
    hujambo jambo asante thanks shukran ahsante welcome karibu sawa ok okay good morning afternoon evening asubuhi mchana jioni
    boss bos bana bro buda sis mama mzee msee manze maze jo yo dear sir madam mkuu customer rafiki buddy fam wee aisee duka
    """
)
GRAMMAR: Final = _words(
    """
    i im i'm id i'd ill i'll i've me my mine us we we'd we'll our you your u yours he she they them their his her it it's its
    is be been being am s t d ll ve re a an the this that that's these those there here some any such to for from in on into
    onto by up down over again once too so um uh if then than as very really actually maybe perhaps probably still even
    already anymore usual usually also would could can could will may might must should shall let lets let's just only try
    today now asap quickly yes yeah yap yep yup order orders delivery basket cart list shopping more have has had having like
    got instead items item things stuff someone enough fresh cold out off away no nope x
    na ya za wa la cha vya kwa ni si hii hiyo iyo hizo izo huyo hio hizi ile zile yangu zangu langu wangu yetu ndio ndiyo nje
    hapa hapo naweza naeza tunaweza kama pale ndani hebu ebu tu oda kikapu orodha aki yaani hivi hapana kwanza leo haraka badala
    sana kidogo kwenye inatosha yatosha chap fasta mi hizi hizo
    vitu kitu bidhaa nzuri mzuri safi baridi zaidi tena nimeishiwa imeisha zimeisha tumeishiwa nimeisha sina hatuna ati eti
    hata ka ivi mimi sisi wewe yake yako lakini bado basi haya hapo vile ile huku
    """
)
CONTAINERS: Final = _words(
    """
    pcs pc piece pieces vipande kipande pkt pkts packet packets pakiti paketi packo bottle bottles chupa bar bars mche miche
    kopo tin tins can cans bag bags mfuko mifuko roll rolls rolo unit units loaves
    """
)
FILLERS: Final = COURTESY | GRAMMAR | CONTAINERS

_JOINS: Final = AND | BREAK | OR | OF
_AMOUNTS: Final = ALL | EACH | MONEY | BULK | SLANG.keys()
_VERBS: Final = NO | DONT | INSTEAD | SETS | REMOVE | CLEARS | OUT | TAKE | ADD
KNOWN: Final = _JOINS | _AMOUNTS | _VERBS | ASKS | THANKS_FOR | FILLERS


def is_add(word: str) -> bool:
    """Whether a word asks for something: "nipe", "niongezee", "want"."""
    return word in ADD or ADD_VERB.fullmatch(word) is not None


def is_refusal(word: str) -> bool:
    """Whether a word alone says that something is not wanted: "sitaki", "usiweke"."""
    return REFUSE_VERB.fullmatch(word) is not None


def is_remove(word: str) -> bool:
    """Whether a word takes something out: "toa", "remove", "nitolee", "sitaki"."""
    return word in REMOVE or REMOVE_VERB.fullmatch(word) is not None or is_refusal(word)


def is_known(word: str) -> bool:
    """Whether a word has a meaning of its own here and so is never a misspelt product."""
    return word in KNOWN or is_remove(word) or is_add(word)
