"""Synthetic residents and taxpayers: invented, seeded, with bad records planted on purpose. Start at `generate`."""
