"""Names for the ids that travel between modules, so that mypy refuses a swapped pair."""

from typing import NewType
from uuid import UUID

VendorId = NewType("VendorId", UUID)
CustomerId = NewType("CustomerId", UUID)
ConversationId = NewType("ConversationId", UUID)
OrderId = NewType("OrderId", UUID)
IntentId = NewType("IntentId", UUID)
ShortcodeId = NewType("ShortcodeId", UUID)
CatalogItemId = NewType("CatalogItemId", UUID)
