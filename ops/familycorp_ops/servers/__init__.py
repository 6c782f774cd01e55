"""Real servers on loopback: the one way to start them, for `familycorp up`, the tests and the benchmarks.

Each is a context manager with `port`, `url`, `start`, `stop`, `kill`, `suspend` and `resume`:

    with Valkey() as valkey:
        client = Redis.from_url(valkey.url)
"""
