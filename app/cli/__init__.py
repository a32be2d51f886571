"""The command line, `serval`.

| commands | talk to |
|---|---|
| up, serve, worker | this machine: they are the service |
| keys, migrate | the database |
| health, doctor | one process of this machine; all that the service needs |
| predict, audit, train, corpus | a running service, over REST |
"""

from app.cli.main import main

__all__ = ["main"]
