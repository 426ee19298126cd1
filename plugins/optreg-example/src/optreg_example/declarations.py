"""What this package offers. The entry point in pyproject.toml names this module."""

from __future__ import annotations

import optreg


@optreg.hookimpl
def optreg_optimizers() -> list[optreg.OptimizerSpec]:
    """The optimizers; each is imported when it is used."""
    return [
        optreg.OptimizerSpec(
            name="addsign",
            target="optreg_example.addsign:AddSign",
            summary="Longer steps where the gradient agrees with its average.",
            paper="Bello et al. 2017, arXiv:1709.07417",
        )
    ]


@optreg.hookimpl
def optreg_hooks() -> list[optreg.HookSpec]:
    """The hooks."""
    return [
        optreg.HookSpec(
            name="sparsify",
            target="optreg_example.sparsify:Sparsify",
            summary="Let small gradients wait until they have added up.",
            paper="Strom 2015",
        )
    ]
