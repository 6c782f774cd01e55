"""Editors' work on posts beside their revisions: lists, working copies, sharing, conflicts, removal."""
