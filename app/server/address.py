"""The address by which this machine reaches the API."""


def base_url(host: str, port: int) -> str:
    """The URL by which this machine reaches a server on ``host`` and ``port``."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    bracketed = f"[{reached}]" if ":" in reached else reached
    return f"http://{bracketed}:{port}"
