"""SQLModel classes of both databases; imported by router alone."""
