"""Called in a worker by the engine's tests."""


def forever():
    """A loop that never yields."""
    while True:
        pass
