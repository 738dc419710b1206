"""Fixtures for applications that test with hybridrt; see `docs/testing.md`."""
