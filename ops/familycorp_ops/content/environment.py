"""Which environment a command works on: that of FAMILYCORP_* variables, else the one on this machine."""

import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from familycorp_ops import up
from familycorp_ops.servers.ministack import CREDENTIALS

PREFIX = "FAMILYCORP_"
