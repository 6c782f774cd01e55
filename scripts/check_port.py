"""Fails where a port on loopback is in use: `python scripts/check_port.py PORT`, before anything is installed."""

import socket
import sys

with socket.socket() as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", int(sys.argv[1])))
    except (OSError, ValueError, OverflowError) as error:
        sys.exit(f"Port {sys.argv[1]} can't be used ({error}): try another, or `make up` without PORT.")
