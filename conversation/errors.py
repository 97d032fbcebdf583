"""What can go wrong in a conversation, sorted by what the caller does next."""


class Broken(Exception):
    """Our bug, or data that should not exist: roll the turn back, keep the message, tell the customer the trouble text."""


class ContractBroken(Broken):
    """A flow asked for something the services catalogue forbids, such as money without a fresh PAY. Nothing was done."""


class LimitCrossed(Broken):
    """A turn ran past its budget of states, messages, frames or expression cost."""
