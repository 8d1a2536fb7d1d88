"""Hypothesis settings for every machine: no deadline, and the same examples in every CI run."""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")
