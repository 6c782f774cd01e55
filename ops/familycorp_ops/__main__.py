"""Lets `python -m familycorp_ops` do what `familycorp` does."""

from familycorp_ops.cli import main

if __name__ == "__main__":
    main()
