"""Tables of the platform database, one a file."""
