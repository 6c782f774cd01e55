"""Starts `familycorp`, also as `python -m familycorp_ops`; a broken installation is one sentence."""

import sys

try:
    from familycorp_ops.cli import main
except ImportError as broken:
    sys.exit(
        f"The installation is broken ({broken}): `make clean`, then `make up` installs everything again."
    )

if __name__ == "__main__":
    main()
