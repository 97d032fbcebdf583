import json

import pytest

from router.seeds.development import SHOPS, Shop
from soko.simulators.daraja import VENDORS
from soko.simulators.whatsapp import NUMBERS


@pytest.mark.parametrize("shop", SHOPS, ids=lambda shop: shop.name)
def test_the_seeded_shops_can_talk_to_the_simulators_as_they_are(shop: Shop) -> None:
    number = next(each for each in NUMBERS if each.phone_number_id == shop.phone_number_id)
    assert (number.display_phone, f"plain:{number.token}") == (shop.display_phone, shop.token_ref)
    vendor = next(each for each in VENDORS if each.short_code == shop.shortcode.business_shortcode)
    assert (vendor.kind, vendor.party_b) == (shop.shortcode.kind, shop.shortcode.party_b)
    secrets = {"consumer_key": vendor.consumer_key, "consumer_secret": vendor.consumer_secret, "passkey": vendor.passkey}
    assert json.loads(shop.shortcode.secret_ref.removeprefix("plain:")) == secrets
