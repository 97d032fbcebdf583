"""Orders: the table of their life, and the guarded SQL that follows it."""
