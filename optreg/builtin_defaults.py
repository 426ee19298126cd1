"""What other libraries and the papers have for the hyperparameters of the built-ins.

Only where the formula is the same, or where ``differs`` says exactly what is not. Of methods that another library
means something else by (an eps inside the root, another correction of bias), its defaults would mean something else.
"""

from __future__ import annotations

from typing import Any

from optreg.named_defaults import NamedDefaults


def _torch(call: str, **values: Any) -> dict[str, NamedDefaults]:
    return {"torch": NamedDefaults(values, f"torch.optim.{call}, PyTorch 2.13")}


def _optax(call: str, **values: Any) -> dict[str, NamedDefaults]:
    return {"optax": NamedDefaults(values, f"optax.{call}, optax 0.2.8")}


def _keras(call: str, *, differs: str = "", **values: Any) -> dict[str, NamedDefaults]:
    return {"keras": NamedDefaults(values, f"keras.optimizers.{call}, Keras 3.15", differs)}


def _chainer(call: str, *, differs: str = "", **values: Any) -> dict[str, NamedDefaults]:
    return {"chainer": NamedDefaults(values, f"chainer.optimizers.{call}, Chainer 1.24", differs)}


def _paper(source: str, *, differs: str = "", **values: Any) -> dict[str, NamedDefaults]:
    return {"paper": NamedDefaults(values, source, differs)}


_BETAS: dict[str, Any] = {"beta1": 0.9, "beta2": 0.999}
_SUMS_STEPS = "it sums lr·g, not g, so a new lr acts on later gradients only; the same while lr is constant"
_EPS_FIRST = "eps is added to √v before v is corrected; the same with eps / √(1 − beta2ᵗ) here"

NAMED_DEFAULTS: dict[str, dict[str, NamedDefaults]] = {
    "sgd": _torch("SGD", lr=1e-3) | _optax("sgd") | _keras("SGD", lr=1e-2) | _chainer("SGD", lr=1e-2),
    "momentum_sgd": (
        _torch("SGD(momentum=…)", lr=1e-3)
        | _optax("sgd(momentum=…)")
        | _keras("SGD(momentum=…)", lr=1e-2, differs=_SUMS_STEPS)
        | _chainer("MomentumSGD", lr=1e-2, momentum=0.9, differs=_SUMS_STEPS)
    ),
    "nesterov_ag": (
        _torch("SGD(momentum=…, nesterov=True)", lr=1e-3)
        | _optax("sgd(momentum=…, nesterov=True)")
        | _keras("SGD(momentum=…, nesterov=True)", lr=1e-2, differs=_SUMS_STEPS)
    ),
    "adagrad": _torch("Adagrad", lr=1e-2, eps=1e-10) | _chainer("AdaGrad", lr=1e-3, eps=1e-8),
    "adadelta": (
        _torch("Adadelta", lr=1.0, rho=0.9, eps=1e-6)
        | _optax("adadelta", rho=0.9, eps=1e-6)
        | _keras("Adadelta", lr=1e-3, rho=0.95, eps=1e-7)
        | _chainer("AdaDelta", lr=1.0, rho=0.95, eps=1e-6)
        | _paper("Zeiler 2012, arXiv:1212.5701, section 4.1; lr is ours", lr=1.0, rho=0.95, eps=1e-6)
    ),
    "rmsprop": (
        _torch("RMSprop", lr=1e-2, alpha=0.99, eps=1e-8, momentum=None, centered=False)
        | _chainer("RMSprop", lr=1e-2, alpha=0.99, eps=1e-8, momentum=None, centered=False)
    ),
    "rmsprop_graves": (
        _optax("rmsprop(centered=True, momentum=…)", alpha=0.9, eps=1e-8)
        | _keras("RMSprop(centered=True, momentum=…)", lr=1e-3, alpha=0.9, eps=1e-7)
        | _chainer("RMSpropGraves", lr=1e-4, alpha=0.95, momentum=0.9, eps=1e-4)
        | _paper("Graves 2013, arXiv:1308.0850, equations 42 to 45", lr=1e-4, alpha=0.95, momentum=0.9, eps=1e-4)
    ),
    "smorms3": _chainer("SMORMS3", lr=1e-3, eps=1e-16),
    "adam": (
        _torch("Adam", lr=1e-3, **_BETAS, eps=1e-8)
        | _optax("adam", **_BETAS, eps=1e-8)
        | _keras("Adam", lr=1e-3, **_BETAS, eps=1e-7, differs=_EPS_FIRST)
        | _chainer("Adam", lr=1e-3, **_BETAS, eps=1e-8, differs=_EPS_FIRST)
        | _paper("Kingma & Ba 2015, arXiv:1412.6980, algorithm 1", lr=1e-3, **_BETAS, eps=1e-8)
    ),
    "adamw": (
        _torch("AdamW", lr=1e-3, **_BETAS, eps=1e-8, weight_decay=1e-2)
        | _optax("adamw", **_BETAS, eps=1e-8, weight_decay=1e-4)
        | _keras("AdamW", lr=1e-3, **_BETAS, eps=1e-7, weight_decay=4e-3, differs=_EPS_FIRST)
        | _paper(
            "Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2",
            lr=1e-3,
            **_BETAS,
            eps=1e-8,
            differs="its decay λ is not multiplied by lr: give weight_decay=λ/lr",
        )
    ),
    "amsgrad": (
        _torch("Adam(amsgrad=True)", lr=1e-3, **_BETAS, eps=1e-8)
        | _keras("Adam(amsgrad=True)", lr=1e-3, **_BETAS, eps=1e-7, differs=_EPS_FIRST)
    ),
    "adamax": (
        _torch("Adamax", lr=2e-3, **_BETAS, eps=1e-8)
        | _optax("adamax", **_BETAS, eps=1e-8)
        | _paper("Kingma & Ba 2015, arXiv:1412.6980, algorithm 2", lr=2e-3, **_BETAS, differs="it has no eps")
    ),
    "nadam": (
        _torch("NAdam", lr=2e-3, **_BETAS, eps=1e-8, momentum_decay=4e-3)
        | _keras("Nadam", lr=1e-3, **_BETAS, eps=1e-7, momentum_decay=1.0)
    ),
    "radam": _torch("RAdam", lr=1e-3, **_BETAS, eps=1e-8),
    "adabelief": _optax("adabelief", **_BETAS, eps=1e-16, weight_decay=0.0),
    "yogi": _optax("yogi", **_BETAS, eps=1e-3),
    "lion": (
        _optax("lion", beta1=0.9, beta2=0.99, weight_decay=1e-3)
        | _keras("Lion", lr=1e-3, beta1=0.9, beta2=0.99, weight_decay=0.0)
        | _paper("Chen et al. 2023, arXiv:2302.06675, program 1", beta1=0.9, beta2=0.99)
    ),
    "signsgd": _optax("sign_sgd"),
    "signum": _optax("signum", momentum=0.9),
    "rprop": (_torch("Rprop", lr=1e-2, eta_minus=0.5, eta_plus=1.2, min_step=1e-6, max_step=50.0)),
    "asgd": _torch("ASGD", lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6),
    "ademamix": _optax("contrib.ademamix", **_BETAS, beta3=0.9999, alpha=5.0, eps=1e-8, weight_decay=0.0),
    "adopt": _optax("contrib.adopt", beta1=0.9, beta2=0.9999, eps=1e-6, weight_decay=0.0, clip=True),
    "lars": _optax("lars", momentum=0.9, trust=1e-3, weight_decay=0.0),
    "lamb": (
        _optax("lamb", **_BETAS, eps=1e-6, weight_decay=0.0)
        | _keras(
            "Lamb",
            lr=1e-3,
            **_BETAS,
            eps=1e-7,
            weight_decay=0.0,
            differs="a weight_decay, which is None there, would not be part of what the norm is taken of",
        )
    ),
    "adafactor": _torch("Adafactor", lr=1e-2, beta2_decay=-0.8, eps1=None, eps2=1e-3, d=1.0, weight_decay=0.0),
    "schedule_free_sgd": _optax(
        "contrib.schedule_free_sgd",
        lr=1.0,
        momentum=0.9,
        weight_decay=0.0,
        warmup_steps=0,
        r=0.0,
        weight_lr_power=2.0,
    ),
    "schedule_free_adamw": (
        _optax(
            "contrib.schedule_free_adamw",
            lr=2.5e-3,
            **_BETAS,
            eps=1e-8,
            weight_decay=0.0,
            warmup_steps=0,
            r=0.0,
            weight_lr_power=2.0,
        )
        | _keras(
            "ScheduleFreeAdamW",
            lr=2.5e-3,
            **_BETAS,
            eps=1e-8,
            weight_decay=0.0,
            warmup_steps=0,
            r=0.0,
            weight_lr_power=0.0,
        )
    ),
}
"""By the optimizer's name, and by the name of the library, or "paper"."""
