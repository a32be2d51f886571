"""A supervisor as a process of its own, with parts that start at once and do nothing.

    python stand_in.py                   an API that is ready, two workers, a reconciler
    python stand_in.py api=closed        an API that wants a key
    python stand_in.py PART=broken       a part that dies of its start
    python stand_in.py PART=stubborn     a part that does not end when asked
    python stand_in.py PART=late         a part that takes its time to start

Each part writes a line when it starts and another when it is asked to end, all into one file. A
worker counts as living from its line on.
"""

import sys
from collections.abc import Mapping
from typing import Final

from app.server.listening import CannotListen
from app.settings import load_settings
from app.supervisor.supervisor import CannotStart, Part, Supervisor

PART: Final = """
import http.server, json, os, signal, sys, time
name, kind = sys.argv[1:]
path = os.path.join(os.environ["SERVAL_DATA_DIR"], "told")

def tell(what):
    with open(path, "a") as file:
        file.write(f"{name} {what} {os.environ['REDIS_URL']}\\n")

def end(*_):
    tell("ended")
    if kind != "stubborn":
        sys.exit(0)

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        closed = kind == "closed" and self.path != "/readyz"
        self.send_response(401 if closed else 200)
        self.end_headers()
        with open(path) as file:
            told = file.read()
        queues = ("audits", "trainings")
        workers = {queue: told.count(f"{queue} started") for queue in queues}
        self.wfile.write(json.dumps({"workers": workers}).encode())

    def log_message(self, *_):
        pass

signal.signal(signal.SIGTERM, end)
if kind == "late":
    time.sleep(1)
tell("started")
if kind == "broken":
    sys.exit("the disk is made of cheese")
if name == "api":
    address = "127.0.0.1", int(os.environ["SERVAL_PORT"])
    http.server.HTTPServer(address, Ready).serve_forever()
while True:
    time.sleep(60)
"""


STOP_SECONDS: Final = {"stubborn": 1.0}
"""How long a part of that kind may take to end; all others end by themselves."""


def main(*given: str) -> int:
    kinds: Mapping[str, str] = dict(one.split("=") for one in given)
    names = ("api", "audits", "trainings", "reconciler")
    parts = [_part(name, kinds.get(name, "")) for name in names]
    try:
        return Supervisor(load_settings(), parts).run()
    except (CannotStart, CannotListen) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _part(name: str, kind: str) -> Part:
    command = (sys.executable, "-c", PART, name, kind)
    return Part(name, command, STOP_SECONDS.get(kind, 30.0))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
