"""What this package offers; the entry point names this module."""

from __future__ import annotations

import optreg


@optreg.hookimpl
def optreg_optimizers() -> list[optreg.OptimizerSpec]:
    """The methods; each is imported when it is used."""
    return [
        _method("muon", "muon:Muon", "Momentum whose singular values are all made nearly one.", "Jordan et al. 2024"),
        _method("normuon", "muon:NorMuon", "Muon with rows of like size.", "Li et al. 2025, arXiv:2510.05491"),
        _method(
            "scion",
            "scion:Scion",
            "Steps in a norm that suits the layer.",
            "Pethick et al. 2025, arXiv:2502.07529",
        ),
    ]


def _method(name: str, target: str, summary: str, paper: str) -> optreg.OptimizerSpec:
    return optreg.OptimizerSpec(name, f"optreg_matrix.{target}", summary, paper)
