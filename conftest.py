"""Every test, also a transcript below flows/, can have the real servers."""

pytest_plugins = ["tests.servers"]
