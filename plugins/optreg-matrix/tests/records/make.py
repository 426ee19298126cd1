"""Record what the authors' code makes of the cases; run by hand, where PyTorch and the authors' repositories are.

    python make.py SOAP kron_torch GaLore APOLLO

The arguments are checkouts of nikhilvyas/SOAP (a1e5535), evanatyourservice/kron_torch (884427c), jiaweizzhao/GaLore
(2cc66f8) and zhuhanqing/APOLLO (76b3472). Shampoo is pytorch_optimizer 4.1's ``ScalableShampoo``.

All of them are run as they are, in float64, but for:

- ``Tensor.float()`` leaves float64, to which SOAP and GaLore would return after a decomposition in float32.
- random numbers come from NumPy: PSGD's from one generator, APOLLO's projections as ours are made.
- the columns of ``torch.linalg.svd`` get the signs that ours have.
- PSGD learns from a copy of the average gradient: it would add its damping noise to what it then makes the step of.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

import numpy as np
import torch
from cases import CASES
from problem import start, walk

BETAS = {"soap": (0.95, 0.95), "galore": (0.9, 0.999), "apollo_mini": (0.9, 0.999)}


def stand_in(name: str, **attributes: Any) -> None:
    """Put a module in place of one that is not needed."""
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module


def soap(params: list[Any], ours: dict[str, Any]) -> Any:
    import soap

    return soap.SOAP(params, **with_betas("soap", ours))


def shampoo(params: list[Any], ours: dict[str, Any]) -> Any:
    from pytorch_optimizer import ScalableShampoo
    from pytorch_optimizer.optimizer.utils.graft import LayerWiseGrafting

    theirs = {
        "momentum": 0.9,
        "beta2": 1.0,
        "lr": 1e-2,
        "precondition_frequency": 10,
        "block_size": 1024,
        "graft": "adagrad",
    } | ours
    betas = theirs.pop("momentum"), theirs.pop("beta2")
    optimizer = ScalableShampoo(
        params,
        preconditioning_compute_steps=theirs.pop("precondition_frequency"),
        start_preconditioning_step=1,
        decoupled_weight_decay=True,
        shape_interpretation=theirs.pop("merge_dims", False),
        inverse_exponent_override=theirs.pop("exponent", 0),
        graft_type=LayerWiseGrafting[theirs.pop("graft").upper()],
        diagonal_eps=theirs.pop("graft_eps", 1e-10),
        use_svd=True,
        **theirs,
    )
    optimizer.param_groups[0]["betas"] = betas  # the constructor refuses 1
    return optimizer


def psgd_kron(params: list[Any], ours: dict[str, Any]) -> Any:
    from kron_torch import kron

    theirs = {"lr": 1e-3} | ours
    generator = np.random.default_rng(theirs.pop("seed"))
    theirs["preconditioner_update_probability"] = theirs.pop("update_probability", None)
    optimizer = kron.Kron(params, precond_dtype=torch.float64, **theirs)
    optimizer.rng = random.Random()
    optimizer.rng.random = generator.random
    kron.torch.randn_like = lambda tensor: torch.tensor(generator.standard_normal(tensor.shape))
    kron._update_precond = lambda qs, exprs, gradient, *rest: update_precond(qs, exprs, gradient.clone(), *rest)
    return optimizer


def galore(params: list[Any], ours: dict[str, Any]) -> Any:
    from galore_torch.adamw import AdamW

    theirs = with_betas("galore", ours)
    names = ("rank", "update_proj_gap", "scale", "proj_type")
    group = {"rank": 128, "update_proj_gap": 200, "scale": 0.25, "proj_type": "std"}
    group |= {name: theirs.pop(name) for name in names if name in theirs}
    return AdamW([{"params": params, **group}], no_deprecation_warning=True, **theirs)


def apollo_mini(params: list[Any], ours: dict[str, Any]) -> Any:
    from apollo_torch import apollo, random_projector

    theirs = {"lr": 1e-2} | with_betas("apollo_mini", ours)
    names = ("rank", "update_proj_gap", "scale", "proj_type", "scale_type")
    group = {"rank": 1, "proj": "random", "update_proj_gap": 200, "scale": 128, "proj_type": "std"}
    group |= {"scale_type": "tensor"} | {name: theirs.pop(name) for name in names if name in theirs}
    seed, intervals = theirs.pop("seed", 0), iter(range(1000))

    def as_ours(shape: tuple[int, int], **_: Any) -> Any:
        numbers = np.random.default_rng((seed, crc32(b"/W"), next(intervals)))
        side, rank = sorted(shape, reverse=True)
        normal = numbers.standard_normal((side, rank))
        return torch.tensor(normal if shape == (side, rank) else normal.T)

    random_projector.stable_randn = as_ours
    return apollo.AdamW([{"params": params, **group}], **theirs)


def with_betas(method: str, ours: dict[str, Any]) -> dict[str, Any]:
    """Ours, with one pair for both betas."""
    theirs = dict(ours)
    beta1, beta2 = BETAS[method]
    theirs["betas"] = theirs.pop("beta1", beta1), theirs.pop("beta2", beta2)
    return theirs


def svd_with_our_signs(matrix: Any, **arguments: Any) -> Any:
    """The decomposition with the signs of U and V by which the largest number of each of their columns is positive.

    Not a decomposition any more, but GaLore takes the one or the other.
    """
    u, s, vh = plain_svd(matrix, **arguments)
    for vectors in (u, vh.T):
        largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
        vectors.mul_(torch.where(largest < 0, -1.0, 1.0))
    return u, s, vh


def record() -> dict[str, Any]:
    """The parameter after the steps of AT, by case."""
    recorded = {}
    for name, (method, shape, ours) in CASES.items():
        tensor = torch.tensor(start(shape), requires_grad=True)
        optimizer = globals()[method]([tensor], dict(ours))
        torch.linalg.svd = svd_with_our_signs if method == "galore" else plain_svd

        def step(gradient: Any, tensor: Any = tensor, optimizer: Any = optimizer) -> None:
            tensor.grad = torch.tensor(gradient)
            optimizer.step()

        recorded[name] = np.stack(walk(tensor.detach().numpy(), step))
    return recorded


if __name__ == "__main__":
    soap_at, kron_at, galore_at, apollo_at = sys.argv[1:]
    sys.path[:0] = [soap_at, kron_at]
    torch.set_default_dtype(torch.float64)
    torch.compile = lambda function: function
    torch.Tensor.float = lambda tensor: tensor
    plain_svd = torch.linalg.svd
    stand_in("transformers.utils.versions", require_version=lambda _: None)
    stand_in("galore_torch", __path__=[f"{galore_at}/galore_torch"])
    stand_in("galore_torch.galore_projector_tensor", GaLoreProjectorTensor=None)
    stand_in("apollo_torch", __path__=[f"{apollo_at}/apollo_torch"])
    from kron_torch.kron import _update_precond as update_precond

    np.savez_compressed(Path(__file__).with_name("records.npz"), **record())
