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
        _method(
            "shampoo",
            "shampoo:Shampoo",
            "Gradients multiplied, along each axis, by a root of the sum of their products.",
            "Gupta et al. 2018, arXiv:1802.09568; Anil et al. 2020, arXiv:2002.09018",
        ),
        _method(
            "soap",
            "soap:SOAP",
            "Adam in the eigenbasis of Shampoo's preconditioner.",
            "Vyas et al. 2024, arXiv:2409.11321",
        ),
        _method(
            "psgd_kron",
            "psgd_kron:PSGDKron",
            "Momentum with a preconditioner for each axis that is learned by steps of its own.",
            "Li 2015, arXiv:1512.04202; Pooladzandi & Li 2024, arXiv:2402.11858",
        ),
        _method(
            "galore",
            "galore:GaLore",
            "AdamW on gradients that are projected onto their leading singular directions.",
            "Zhao et al. 2024, arXiv:2403.03507",
        ),
        _method(
            "apollo_mini",
            "apollo_mini:APOLLOMini",
            "Gradients scaled as AdamW would scale their random projection onto one dimension.",
            "Zhu et al. 2024, arXiv:2412.05270",
        ),
    ]


def _method(name: str, target: str, summary: str, paper: str) -> optreg.OptimizerSpec:
    return optreg.OptimizerSpec(name, f"optreg_matrix.{target}", summary, paper)
