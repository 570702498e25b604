"""Prints, as lines for a shell, how somebody at the host's keyboard reaches the composed lake; its passwords too."""

from __future__ import annotations

import os
import sys

from composed import environment
from laptop.home import exports

if __name__ == "__main__":
    sys.stdout.write(exports(environment.of_person(os.environ)))
