"""Tests of the model simulator."""
