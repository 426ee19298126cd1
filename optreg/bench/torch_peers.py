"""PyTorch's optimizers, one tensor after another, with lists of tensors, and fused; and those of pytorch_optimizer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeAlias

from optreg.bench.cases import Array
from optreg.bench.contender import Job
from optreg.bench.devices import CUDA

Values: TypeAlias = Mapping[str, Any]
Table: TypeAlias = Mapping[str, tuple[str, Callable[[Values], dict[str, Any]]]]


def _moments(values: Values) -> dict[str, Any]:
    return {"lr": values["lr"], "betas": (values["beta1"], values["beta2"]), "eps": values["eps"]}


def _rprop(values: Values) -> dict[str, Any]:
    return {
        "lr": values["lr"],
        "etas": (values["eta_minus"], values["eta_plus"]),
        "step_sizes": (values["min_step"], values["max_step"]),
    }


TORCH: Table = {
    "sgd": ("SGD", lambda h: {"lr": h["lr"]}),
    "momentum_sgd": ("SGD", lambda h: {"lr": h["lr"], "momentum": h["momentum"]}),
    "nesterov_ag": ("SGD", lambda h: {"lr": h["lr"], "momentum": h["momentum"], "nesterov": True}),
    "adagrad": ("Adagrad", lambda h: {"lr": h["lr"], "eps": h["eps"]}),
    "adadelta": ("Adadelta", lambda h: {"lr": h["lr"], "rho": h["rho"], "eps": h["eps"]}),
    "rmsprop": ("RMSprop", lambda h: {"lr": h["lr"], "alpha": h["alpha"], "eps": h["eps"]}),
    "adam": ("Adam", _moments),
    "adamw": ("AdamW", _moments),
    "amsgrad": ("Adam", lambda h: {**_moments(h), "amsgrad": True}),
    "adamax": ("Adamax", _moments),
    "nadam": ("NAdam", lambda h: {**_moments(h), "momentum_decay": h["momentum_decay"]}),
    "radam": ("RAdam", _moments),
    "rprop": ("Rprop", _rprop),
    "asgd": ("ASGD", lambda h: {name: h[name] for name in ("lr", "lambd", "alpha", "t0")}),
}
"""The class of torch.optim that is the same method, and its arguments."""

PYTORCH_OPTIMIZER: Table = {
    "adabelief": ("AdaBelief", _moments),
    "adan": ("Adan", lambda h: {**_moments(h), "betas": (h["beta1"], h["beta2"], h["beta3"])}),
    "ademamix": (
        "AdEMAMix",
        lambda h: {
            **_moments(h),
            "betas": (h["beta1"], h["beta2"], h["beta3"]),
            "alpha": h["alpha"],
            "weight_decouple": True,
        },
    ),
    "adopt": ("ADOPT", lambda h: {**_moments(h), "weight_decouple": True}),
    "lion": ("Lion", lambda h: {"lr": h["lr"], "betas": (h["beta1"], h["beta2"])}),
    "stable_adamw": ("StableAdamW", _moments),
    "msvag": ("MSVAG", lambda h: {"lr": h["lr"], "beta": h["beta"]}),
}
"""The class of pytorch_optimizer. What torch.optim has is not here, nor is another method by the same name."""

MODES: Mapping[str, Mapping[str, Any]] = {
    "torch-single": {"foreach": False},
    "torch-foreach": {"foreach": True},
    "torch-fused": {"fused": True},
}


def why_not(name: str, job: Job) -> str | None:
    """Why one of these peers cannot do a job; None if it can."""
    package, table = _home(name)
    if job.device == CUDA and not import_module("torch").cuda.is_available():
        return "was built without CUDA, or finds no GPU"
    if job.optimizer not in table:
        return f"has no {job.optimizer}"
    cls = table[job.optimizer][0]
    known = inspect.signature(getattr(import_module(package), cls)).parameters
    if missing := [argument for argument in MODES.get(name, {}) if argument not in known]:
        return f"has no {missing[0]} {cls}"
    if job.variant.decay and "weight_decay" not in known:
        return f"has no weight decay in {cls}"
    return None


def _home(name: str) -> tuple[str, Table]:
    return ("torch.optim", TORCH) if name in MODES else ("pytorch_optimizer", PYTORCH_OPTIMIZER)


class Torch:
    """An optimizer of PyTorch's kind, with ``clip_grad_norm_`` before it where gradients are clipped."""

    def __init__(self, name: str, job: Job) -> None:
        self.name = name
        self._job = job

    def start(self, values: Sequence[Array]) -> None:
        self._torch = torch = import_module("torch")
        # Not without need: after the call, even the smallest operations wait for all threads, and for seconds together
        # where these do not get a processor at once.
        if torch.get_num_threads() != self._job.threads:
            torch.set_num_threads(self._job.threads)
        package, table = _home(self.name)
        cls, arguments = table[self._job.optimizer]
        made = getattr(import_module(package), cls)
        given = {**arguments(self._job.values()), **MODES.get(self.name, {})}
        if "weight_decay" in inspect.signature(made).parameters:
            given["weight_decay"] = self._job.variant.decay
        self._parameters = [torch.nn.Parameter(self._tensor(value)) for value in values]
        self._optimizer = made(self._parameters, **given)

    def renew_gradients(self, gradients: Sequence[Array]) -> None:
        self.drop_gradients()
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = self._tensor(gradient)
        self._wait()

    def _tensor(self, array: Array) -> Any:
        return self._torch.tensor(array, device=self._job.device)

    def _wait(self) -> None:
        if self._job.device == CUDA:
            self._torch.cuda.synchronize()

    def step(self) -> None:
        if self._job.variant.threshold is not None:
            # With lists of tensors unless all is done singly: nowhere slower, and twice as fast for a large tensor.
            self._torch.nn.utils.clip_grad_norm_(
                self._parameters, self._job.variant.threshold, foreach=self.name != "torch-single"
            )
        self._optimizer.step()
        self._wait()

    def drop_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def values(self) -> list[Array]:
        return [parameter.detach().cpu().numpy().copy() for parameter in self._parameters]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        yield
