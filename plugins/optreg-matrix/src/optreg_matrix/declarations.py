"""What this package offers; the entry point names this module."""

from __future__ import annotations

import optreg


@optreg.hookimpl
def optreg_optimizers() -> list[optreg.OptimizerSpec]:
    """The methods; each is imported when it is used."""
    return [
        optreg.OptimizerSpec(
            "muon",
            "optreg_matrix.muon:Muon",
            "Momentum whose singular values are all made nearly one.",
            "Jordan et al. 2024",
        ),
    ]
