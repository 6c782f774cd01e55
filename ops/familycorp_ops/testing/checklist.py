"""Pytest plugin: after `pytest -m security`, which numbered lines of the security checklist were proved.

A test names the lines that it proves: `@pytest.mark.security(11)`.
"""

from collections import defaultdict

import pytest

PROVED = tuple(range(1, 42))
"""The lines that have tests."""

_results: dict[int, list[str]] = defaultdict(list)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note a test's numbers where its report carries them from a worker to the process that sums up."""
    for mark in item.iter_markers("security"):
        item.user_properties.append(("security", mark.args[0]))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count a test's outcome for each of its numbers."""
    if report.when == "call" or (report.when == "setup" and not report.passed):
        for name, number in report.user_properties:
            if name == "security":
                _results[int(str(number))].append(report.outcome)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the checklist where it was asked for."""
    if config.option.markexpr != "security":
        return
    terminalreporter.section("security checklist")
    for number in sorted({*PROVED, *_results}):
        found = _results.get(number, [])
        proved = bool(found) and all(outcome == "passed" for outcome in found)
        said = ", ".join(f"{found.count(o)} {o}" for o in ("passed", "failed", "skipped") if o in found)
        terminalreporter.write_line(f"{number:3} {said or 'no test'}", green=proved, red=not proved)
