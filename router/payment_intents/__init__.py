"""Payment intents and their one attempt: the table of statuses, and the guarded rows."""
