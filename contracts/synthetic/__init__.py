"""Synthetic residents and taxpayers: invented, seeded, with bad records planted on purpose. Start at `generate` (in `files`)."""

from contracts.synthetic.files import GENERATED_CONTRACTS, Manifest, generate

__all__ = ["GENERATED_CONTRACTS", "Manifest", "generate"]
