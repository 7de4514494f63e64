"""What callers rely on, over a SQL database: the tests are those of Table Storage, unchanged."""

# ruff: noqa: F403

from tests.e2e.test_conversations import *
from tests.e2e.test_dead_instances import *
from tests.e2e.test_ending_elsewhere import *
from tests.e2e.test_turns import *
from tests.e2e.test_two_instances import *
