"""What the shell itself can refuse."""


class NotReady(Exception):
    """The environment is not ready; the message says what to set or start. The command line exits with 3."""
