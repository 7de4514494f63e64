"""Unit tests of the history's pure parts."""
