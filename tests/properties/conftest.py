"""Hypothesis settings: few examples, or many of which every CI run has the same, or very many."""

import os

from hypothesis import settings

settings.register_profile("few", max_examples=40, deadline=None)
settings.register_profile("ci", max_examples=200, derandomize=True, deadline=None)
settings.register_profile("nightly", max_examples=2000, deadline=None)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "few")
)
