"""What can be wrong with a server, said so that it can be mended."""


class ServiceMissing(RuntimeError):
    """A server is not there and cannot be started; the text says what to do."""
