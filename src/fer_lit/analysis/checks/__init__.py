"""Checks of the attention maps, each of which can fail: one topic a module."""
