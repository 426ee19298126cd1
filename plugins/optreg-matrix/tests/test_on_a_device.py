"""The rules run on arrays that are not NumPy's, by NumPy's functions, as they do on CuPy's."""

from __future__ import annotations

import numpy as np
import pytest
from on_device import DeviceArray

import optreg

CASES = [
    ("muon", {}),
    ("muon", {"nesterov": False, "scale": "match_rms_adamw", "weight_decay": 0.1}),
    ("normuon", {}),
    *(("scion", {"norm": norm}) for norm in ("spectral", "spectral_max", "sign", "column", "row")),
    ("scion", {"norm": "column", "transposed": True, "constrained": True}),
    ("shampoo", {"precondition_frequency": 2, "block_size": 2}),
    ("soap", {"precondition_frequency": 2, "merge_dims": True, "normalize_grads": True}),
    ("psgd_kron", {"seed": 0}),
    ("psgd_kron", {"seed": 0, "memory_save_mode": "one_diag", "momentum_into_precond_update": False}),
    ("galore", {"rank": 2, "update_proj_gap": 2}),
    ("apollo_mini", {"update_proj_gap": 2}),
]


@pytest.mark.parametrize(("name", "hyperparameters"), CASES, ids=str)
@pytest.mark.parametrize("shape", [(4, 4), (3, 9), (9, 3), (2, 3, 2), (5,)], ids=str)
def test_a_rule_gives_the_same_bits_on_arrays_that_are_not_numpys(name, hyperparameters, shape):
    rng = np.random.default_rng(0)
    array, *gradients = rng.normal(size=(4, *shape)).astype(np.float32)
    optimizer, other = (optreg.create(f"matrix/{name}", lr=0.1, **hyperparameters) for _ in "12")
    optimizer.setup({"w": array})
    rule = getattr(other, optimizer.rule_for(optimizer.target["w"]))
    on_device = DeviceArray(array.copy())
    slots = {slot: DeviceArray(value.copy()) for slot, value in optimizer._states["/w"].items()}
    with optreg.use_backend("numpy"):
        for gradient in gradients:
            optimizer.apply_gradients({"w": gradient})
            other.t = optimizer.t
            rule(on_device, DeviceArray(gradient.copy()), **slots)
    np.testing.assert_array_equal(on_device.host, array)
