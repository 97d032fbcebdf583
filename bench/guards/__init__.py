"""The guards of payments, taken out one by one: docs/payment-guards.md."""
