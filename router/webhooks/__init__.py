"""Vendors' webhooks: what is delivered where, how it stands, and how it is signed. The sending is worker.webhooks."""
