"""What is compared with the references: a name, the method, the shape of its one parameter, hyperparameters of ours."""

from __future__ import annotations

from typing import Any

CASES: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    # Where the eigenvectors are compared, the products of gradients have full rank: else, some are anybody's choice.
    "soap": ("soap", (5, 5), {}),
    "soap, three axes": ("soap", (3, 2, 4), {"lr": 0.05}),
    "soap, changed": (
        "soap",
        (4, 4),
        {
            "lr": 0.1,
            "beta1": 0.8,
            "beta2": 0.9,
            "shampoo_beta": 0.7,
            "eps": 1e-4,
            "weight_decay": 0.1,
            "precondition_frequency": 3,
        },
    ),
    "soap, one side": ("soap", (4, 6), {"lr": 0.05, "max_precond_dim": 5, "correct_bias": False}),
    "soap, merged": (
        "soap",
        (2, 2, 4),
        {"lr": 0.05, "merge_dims": True, "max_precond_dim": 4, "normalize_grads": True, "precondition_frequency": 1},
    ),
    "shampoo": ("shampoo", (4, 6), {}),
    "shampoo, three axes": (
        "shampoo",
        (2, 3, 4),
        {"lr": 0.1, "precondition_frequency": 1, "graft": "none", "nesterov": False},
    ),
    "shampoo, changed": (
        "shampoo",
        (6, 6),
        {
            "lr": 0.05,
            "momentum": 0.5,
            "beta2": 0.9,
            "matrix_eps": 1e-12,
            "weight_decay": 0.1,
            "exponent": 3,
            "precondition_frequency": 2,
            "block_size": 3,
            "graft": "rmsprop",
            "graft_eps": 1e-3,
        },
    ),
    "shampoo, merged": (
        "shampoo",
        (2, 2, 6),
        {"precondition_frequency": 3, "merge_dims": True, "block_size": 4, "graft": "sgd", "matrix_eps": 1e-2},
    ),
    "psgd_kron": ("psgd_kron", (5, 3), {"seed": 0}),
    "psgd_kron, changed": (
        "psgd_kron",
        (4, 6),
        {
            "lr": 0.05,
            "b1": 0.5,
            "weight_decay": 0.1,
            "update_probability": 0.4,
            "memory_save_mode": "one_diag",
            "momentum_into_precond_update": False,
            "precond_lr": 0.5,
            "precond_init_scale": 2.0,
            "seed": 1,
        },
    ),
    "psgd_kron, merged": ("psgd_kron", (2, 3, 3), {"lr": 0.02, "memory_save_mode": "smart_one_diag", "seed": 2}),
    "psgd_kron, three axes": (
        "psgd_kron",
        (2, 1, 4),
        {"lr": 0.02, "merge_dims": False, "max_size_triangular": 3, "seed": 3},
    ),
    "psgd_kron, diagonal": ("psgd_kron", (3, 3), {"lr": 0.02, "memory_save_mode": "all_diag", "seed": 4}),
    "galore": ("galore", (6, 4), {"rank": 2}),
    "galore, changed": (
        "galore",
        (4, 6),
        {
            "lr": 0.1,
            "beta1": 0.7,
            "beta2": 0.95,
            "eps": 1e-3,
            "weight_decay": 0.1,
            "rank": 2,
            "update_proj_gap": 7,
            "scale": 1.5,
        },
    ),
    "galore, from the left": ("galore", (5, 4), {"lr": 0.1, "rank": 3, "proj_type": "left", "update_proj_gap": 9}),
    "galore, the longer side": ("galore", (3, 5), {"lr": 0.1, "rank": 1, "proj_type": "reverse_std"}),
    "galore, full rank": ("galore", (4, 3), {"lr": 0.1, "update_proj_gap": 5}),
    "apollo_mini": ("apollo_mini", (6, 4), {}),
    "apollo_mini, changed": (
        "apollo_mini",
        (4, 6),
        {
            "lr": 0.1,
            "beta1": 0.7,
            "beta2": 0.95,
            "eps": 1e-3,
            "weight_decay": 0.1,
            "rank": 2,
            "update_proj_gap": 7,
            "scale": 2.0,
            "scale_type": "channel",
            "seed": 5,
        },
    ),
    "apollo_mini, scaled first": ("apollo_mini", (4, 3), {"lr": 0.05, "scale_front": True, "update_proj_gap": 30}),
}
