"""Starts MiniStack in its own environment, with two changes; see `cloud.IsolatedMiniStack`.

The first argument is the program that functions of Python are started with.
"""

import runpy
import sys

if __name__ == "__main__":
    # MiniStack would run functions in this very interpreter, among its own packages.
    sys.executable = sys.argv.pop(1)

    from ministack.services import rds  # type: ignore[import-not-found,unused-ignore]

    # Once a cluster has an instance it would call the endpoint `localhost`. With the name that it gave first, as AWS
    # gives it, functions look up and verify a name as they do there.
    rds._sync_cluster_endpoints = lambda _: None  # noqa: SLF001 - a gap of the emulator, closed from outside.

    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
