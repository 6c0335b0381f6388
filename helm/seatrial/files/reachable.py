"""Asks each address on the command line until it answers 200, or ends with what it said last."""

import sys
import time
import urllib.request

DEADLINE = time.monotonic() + 240


def ask(url):
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return f"{url}: {answer.status}"
        except OSError as error:
            if time.monotonic() > DEADLINE:
                sys.exit(f"{url}: {error}")
        time.sleep(1)


for url in sys.argv[1:]:
    print(ask(url), flush=True)
