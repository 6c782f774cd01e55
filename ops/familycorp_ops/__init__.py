"""The operator's tools behind the `familycorp` command: never deployed, and never imported by `app`."""
