"""Rules and data: vendor routing, capabilities, metering, events, every read and write of a database."""
