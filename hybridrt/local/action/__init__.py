"""Requests that become one action: what the factory language model serves. See `docs/actions.md`."""
