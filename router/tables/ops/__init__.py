"""Tables of every ops database, one a file."""
