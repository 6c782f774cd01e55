"""Lets `python -m familycorp_ops` do what `familycorp` does, and says so where the installation is broken."""

import sys

try:
    from familycorp_ops.cli import main
except ImportError as broken:
    sys.exit(f"The installation is broken ({broken}): `make clean`, then `make up` installs everything anew.")

if __name__ == "__main__":
    main()
