"""Shared by tests of several modules: AWS's own rules about requests and about permissions."""
