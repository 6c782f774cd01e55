"""What keeps an environment from being created or destroyed."""


class LifecycleError(Exception):
    """A step can't be taken; the message says what is wrong and what to do."""


class StoppedError(KeyboardInterrupt):
    """Another process ended this one; a program that it runs heard nothing of that."""
