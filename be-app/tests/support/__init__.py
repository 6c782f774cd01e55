"""Helpers of the tests: stacks of real servers, people at browsers, hostile peers."""
