"""Numbers as commands tell them."""


def count(number: int, one: str, many: str | None = None) -> str:
    """Say how many: "1 turn", "2 turns"; `many` where it is no `s` that makes the plural."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
