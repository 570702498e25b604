"""`make docs`: where Data Docs open in a browser. What the pages say: eventlake.data_docs."""

from __future__ import annotations

import os
from urllib.error import URLError
from urllib.request import urlopen

from eventlake.data_docs import INDEX_PATH
from laptop import entry
from laptop.home import Home
from laptop.programs import adopt
from send import require_up

PATIENCE_SECONDS = 10


def main() -> int:
    home = Home.from_env(os.environ)
    require_up(home)
    adopt(home.read_env())
    print(told(f"{os.environ['LAKE_DATA_DOCS_URL']}{INDEX_PATH}"))
    return 0


def told(url: str) -> str:
    return url if opens(url) else f"no load has been judged yet; after the first one: {url}"


def opens(url: str) -> bool:
    try:
        with urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            return bool(answer.read())
    except URLError:
        return False


if __name__ == "__main__":
    entry.run(main)
