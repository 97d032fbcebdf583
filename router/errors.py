"""The three kinds of trouble, sorted by what the caller does next."""


class Refused(Exception):
    """A rule said no: a 4xx for the caller, no stack trace. `code` is stable, the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Throttled(Refused):
    """Too often: the same call is welcome in some seconds."""

    def __init__(self, message: str, *, seconds: int) -> None:
        super().__init__("too_many_requests", message)
        self.seconds = seconds


class Unavailable(Exception):
    """What we need is down or too slow: try again later."""


class Broken(Exception):
    """Our bug or bad data: stop and alert."""
