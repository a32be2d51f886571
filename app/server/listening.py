"""Where the API listens: a socket on a host and port, if they are free and safe."""

import errno
import os
import socket

from app.access.loopback import is_loopback
from app.processes import serval_command
from app.settings import Settings


class CannotListen(Exception):
    """Why nothing can listen on an address, and what to do."""


def bind(host: str, port: int) -> socket.socket:
    """A socket on the address, which does not listen yet: clients are refused until it does.

    Raises:
        CannotListen: the port is used, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((host, port))
    except OSError as error:
        server.close()
        raise CannotListen(_why(host, port, error)) from error
    return server


def refuse_a_used_port(host: str, port: int) -> None:
    """Return if a server could listen there now.

    Raises:
        CannotListen: as `bind`.
    """
    bind(host, port).close()


def require_key_beyond_loopback(settings: Settings) -> None:
    """Return if the service may listen on its host, for pages of other origins: until a key exists,
    on loopback alone, and for none.

    Raises:
        CannotListen: with what to do.
        BadSetting: the database does not open.
    """
    if is_loopback(settings.host) and not settings.cors_origins:
        return
    # Not above: who starts on loopback does not wait for them.
    from app.access.keys.service import any_key
    from app.migrations import open_database
    from app.persistence.database import sessions

    engine = open_database(settings)
    try:
        with sessions(engine)() as session:
            locked = any_key(session)
    finally:
        engine.dispose()
    if not locked and is_loopback(settings.host):
        raise CannotListen(
            f"SERVAL_CORS_ORIGINS is {settings.cors_origins!r}, and there is no API key:"
            " pages from there could use the service without one. Make one first:"
            f" {serval_command('keys create --name NAME --scope admin')}"
        )
    if not locked:
        raise CannotListen(
            f"Serval does not listen on {settings.host} while there is no API key: anybody who"
            " reaches that address could use it. Make one first:"
            f" {serval_command('keys create --name NAME --scope admin')}"
        )


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is in use by another program. Stop that one, or choose another"
            f" port: SERVAL_PORT={port + 1 if port < 65535 else 8000}"
        )
    if error.errno == errno.EACCES:
        return (
            f"Port {port} needs the rights of an administrator. Choose one above 1023:"
            " SERVAL_PORT=8000"
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"Serval cannot listen on {host}, port {port}: {reason}. Choose another: SERVAL_HOST=…"
