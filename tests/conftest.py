"""Property tests try the same examples at every run, however slow the machine is.

`PROPERTY_EXAMPLES=5000` in the environment makes so many random ones instead.
"""

from hypothesis import settings

from tests.fuzz.examples import EXAMPLES

settings.register_profile(
    "the same", deadline=None, derandomize=not EXAMPLES, max_examples=EXAMPLES or 100
)
settings.load_profile("the same")
