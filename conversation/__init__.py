"""The orchestrator: WhatsApp in, the flows of `flows/` stepped, router and payments called in-process."""
