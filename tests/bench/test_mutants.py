"""The mutants are many and of every kind, and the auditor who watches them sees a wrong push."""

from collections import Counter

from bench.mutants.edits import mutants
from bench.mutants.play import Watched, play
from conversation.engine.effects import Call
from conversation.engine.events import Said
from conversation.engine.values import Record
from tests.conversation.engine.shop import FLOWS, START, shop_bundle

KINDS = {
    "retargeted edge",
    "removed guard",
    "changed guard",
    "changed argument",
    "misplaced consent",
    "removed call",
    "changed call",
    "added push",
    "removed fence",
    "changed question",
}


def test_there_are_mutants_of_every_kind_and_each_is_one_edit() -> None:
    made = list(mutants((FLOWS / "shop.yaml").read_text()))
    kinds = Counter(mutant.kind for mutant in made)
    assert set(kinds) == KINDS
    assert len(made) >= 200
    assert len({mutant.text for mutant in made}) == len(made)


def test_the_auditor_sees_what_is_wrong_with_a_push() -> None:
    shop = Watched(bundle=shop_bundle())
    shop.to_pay()
    args: Record = {"order": "order-1", "amount": 420, "phone": "254700000001"}
    shop.event = Said(id="9", at=START, text="PAY")
    shop.audit(Call(name="payments.stk_push", args=args))
    assert shop.wrong == []
    shop.event = Said(id="9", at=START, text="hmm")
    shop.audit(Call(name="payments.stk_push", args={**args, "amount": 421}))
    assert shop.wrong == ["no PAY", "wrong terms"]
    shop.status, shop.last_question = "DRAFT", "Pay KES 4,200"
    shop.event = Said(id="9", at=START, text="pay!")
    shop.audit(Call(name="payments.stk_push", args=args))
    assert shop.wrong[2:] == ["order DRAFT", "not shown"]


def test_the_shop_itself_pushes_and_never_wrongly() -> None:
    played = play(shop_bundle(), "the shop")
    assert played.pushes > 0
    assert (played.wrong, played.stopped, played.errors) == (frozenset(), 0, 0)
