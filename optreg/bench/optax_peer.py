"""optax, jitted as a whole, with the memory of parameters and states donated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np

from optreg.bench.cases import Array
from optreg.bench.contender import Job, has_own_decay

Values: TypeAlias = Mapping[str, Any]


def _betas(values: Values) -> dict[str, Any]:
    return {"b1": values["beta1"], "b2": values["beta2"]}


def _moments(values: Values) -> dict[str, Any]:
    return {**_betas(values), "eps": values["eps"]}


def _adabelief(optax: Any, values: Values) -> Any:
    return optax.chain(
        optax.scale_by_belief(values["beta1"], values["beta2"], eps=values["eps"], eps_root=values["eps"]),
        optax.add_decayed_weights(values["weight_decay"]),
        optax.scale_by_learning_rate(values["lr"]),
    )


def _ademamix(optax: Any, values: Values) -> Any:
    return optax.contrib.ademamix(
        values["lr"],
        **_moments(values),
        b3=values["beta3"],
        alpha=values["alpha"],
        weight_decay=values["weight_decay"],
    )


def _adan(optax: Any, values: Values) -> Any:
    return optax.adan(
        values["lr"],
        **_moments(values),
        b3=values["beta3"],
        eps_root=0.0,
        weight_decay=values["weight_decay"],
    )


def _adafactor(optax: Any, values: Values) -> Any:
    return optax.adafactor(
        values["lr"],
        min_dim_size_to_factor=1,
        decay_rate=-values["beta2_decay"],
        clipping_threshold=values["d"],
        weight_decay_rate=values["lr"] * values["weight_decay"] or None,
    )


def _muon(optax: Any, values: Values) -> Any:
    return optax.contrib.muon(
        values["lr"],
        ns_coeffs=values["ns_coefficients"],
        ns_steps=values["ns_steps"],
        beta=values["momentum"],
        eps=values["eps"],
        weight_decay=values["weight_decay"],
        nesterov=values["nesterov"],
        adam_b1=values["adamw_beta1"],
        adam_b2=values["adamw_beta2"],
        adam_weight_decay=values["adamw_weight_decay"],
        adam_learning_rate=values["adamw_lr"],
    )


def _lars(optax: Any, values: Values) -> Any:
    return optax.lars(
        values["lr"], values["weight_decay"], trust_coefficient=values["trust"], momentum=values["momentum"]
    )


def _rmsprop_graves(optax: Any, values: Values) -> Any:
    return optax.rmsprop(
        values["lr"], decay=values["alpha"], eps=values["eps"], centered=True, momentum=values["momentum"]
    )


OPTAX: Mapping[str, Callable[[Any, Values], Any]] = {
    "sgd": lambda optax, h: optax.sgd(h["lr"]),
    "momentum_sgd": lambda optax, h: optax.sgd(h["lr"], momentum=h["momentum"]),
    "nesterov_ag": lambda optax, h: optax.sgd(h["lr"], momentum=h["momentum"], nesterov=True),
    "adadelta": lambda optax, h: optax.adadelta(h["lr"], rho=h["rho"], eps=h["eps"]),
    "rmsprop": lambda optax, h: optax.rmsprop(h["lr"], decay=h["alpha"], eps=h["eps"], eps_in_sqrt=False),
    "rmsprop_graves": _rmsprop_graves,
    "adam": lambda optax, h: optax.adam(h["lr"], **_moments(h)),
    "adamw": lambda optax, h: optax.adamw(h["lr"], **_moments(h), weight_decay=h["weight_decay"]),
    "adamax": lambda optax, h: optax.adamax(h["lr"], **_moments(h)),
    "adabelief": _adabelief,
    "ademamix": _ademamix,
    "lion": lambda optax, h: optax.lion(h["lr"], **_betas(h), weight_decay=h["weight_decay"]),
    "lamb": lambda optax, h: optax.lamb(h["lr"], **_moments(h), weight_decay=h["weight_decay"]),
    "lars": _lars,
    "adan": _adan,
    "adafactor": _adafactor,
    "matrix/muon": _muon,
    "signsgd": lambda optax, h: optax.sign_sgd(h["lr"]),
    "signum": lambda optax, h: optax.signum(h["lr"], beta=h["momentum"]),
    "yogi": lambda optax, h: optax.yogi(h["lr"], **_moments(h)),
}
"""What optax has; its adagrad, adopt, amsgrad, nadam, radam and rprop are others, and not measured."""

DIFFERS = {
    "adan": "has 1 − β2 in the place of β2",
    "adafactor": "adds an eps to the squares",
    "matrix/muon": "corrects its average for the start, scales steps of wide matrices up rather than of tall ones, and "
    "has a Nesterov momentum in its AdamW",
}
"""In what some of these are other formulas, to follow "its adan"."""


def why_not(job: Job) -> str | None:
    """Why optax cannot do a job; None if it can."""
    if job.optimizer not in OPTAX:
        return f"has no {job.optimizer}"
    return None if _device(job.device) is not None else f"has no {job.device} in this JAX"


def remark(job: Job) -> str:
    """What has to be known of optax's method; it may be nothing."""
    return DIFFERS.get(job.optimizer, "")


def _device(name: str) -> Any:
    """JAX's own first device of that kind; None if there is none."""
    try:
        return import_module("jax").devices(name)[0]
    except RuntimeError:
        return None


def transformation(optax: Any, job: Job) -> Any:
    """Clipping, decay and the method, chained."""
    chained = []
    if job.variant.threshold is not None:
        chained.append(optax.clip_by_global_norm(job.variant.threshold))
    if job.variant.decay and not has_own_decay(job.optimizer):
        chained.append(optax.add_decayed_weights(job.variant.decay))
    return optax.chain(*chained, OPTAX[job.optimizer](optax, job.values()))


class Optax:
    """A transformation of optax, and the addition of its updates, in one jitted function."""

    name = "optax"

    def __init__(self, job: Job) -> None:
        self._job = job

    def start(self, values: Sequence[Array]) -> None:
        self._jax = jax = import_module("jax")
        optax = import_module("optax")
        made = transformation(optax, self._job)

        def step(parameters: Any, states: Any, gradients: Any) -> Any:
            updates, states = made.update(gradients, states, parameters)
            return optax.apply_updates(parameters, updates), states

        with self.at_work():
            self._step = jax.jit(step, donate_argnums=(0, 1))
            self._parameters = self._copies(values)
            self._states = jax.jit(made.init)(self._parameters)
            self._gradients: list[Any] = []

    def _copies(self, arrays: Sequence[Array]) -> list[Any]:
        copies = [self._jax.numpy.array(array, copy=True) for array in arrays]
        self._jax.block_until_ready(copies)
        return copies

    def renew_gradients(self, gradients: Sequence[Array]) -> None:
        self.drop_gradients()
        self._gradients = self._copies(gradients)

    def step(self) -> None:
        self._parameters, self._states = self._step(self._parameters, self._states, self._gradients)
        self._jax.block_until_ready((self._parameters, self._states))

    def drop_gradients(self) -> None:
        self._gradients = []

    def values(self) -> list[Array]:
        return [np.array(parameter) for parameter in self._parameters]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        with self._jax.enable_x64(self._job.dtype == "float64"), self._jax.default_device(_device(self._job.device)):
            yield
