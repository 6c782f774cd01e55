"""Runs Python with the words of the variable ARGS after this program's own: `python scripts/with_args.py -m pytest`.

make can't do it safely: whether make or the shell puts ARGS into a command, one of them runs what is in it.
"""

import os
import shlex
import sys

try:
    words = shlex.split(os.environ.get("ARGS", ""))
except ValueError as error:
    sys.exit(f"ARGS can't be read ({error}).")
os.execv(sys.executable, [sys.executable, *sys.argv[1:], *words])  # noqa: S606 - no shell is the point.
