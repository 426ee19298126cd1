"""PyTorch's optimizers, one tensor after another, with lists of tensors, and fused; and those of pytorch_optimizer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeAlias

import attrs

from optreg.bench.cases import Array
from optreg.bench.contender import Job
from optreg.bench.devices import CUDA

Values: TypeAlias = Mapping[str, Any]


@attrs.frozen
class Method:
    """What a package has of a method.

    Attributes:
        cls: its class.
        arguments: of the class, from our hyperparameters.
        differs: in what the formula is another one, to follow "its muon"; empty where it is the same.
        overwrites: whether a step leaves other gradients than it found.
        group: what is said of a group of parameters.
        vectors: what is used for parameters of fewer than two axes, where that is another class or group.
    """

    cls: str
    arguments: Callable[[Values], dict[str, Any]]
    differs: str = attrs.field(default="", kw_only=True)
    overwrites: bool = attrs.field(default=False, kw_only=True)
    group: Mapping[str, Any] = attrs.field(factory=dict, kw_only=True)
    vectors: Method | None = attrs.field(default=None, kw_only=True)


Table: TypeAlias = Mapping[str, Method]


def _moments(values: Values) -> dict[str, Any]:
    return {"lr": values["lr"], "betas": (values["beta1"], values["beta2"]), "eps": values["eps"]}


def _rprop(values: Values) -> dict[str, Any]:
    return {
        "lr": values["lr"],
        "etas": (values["eta_minus"], values["eta_plus"]),
        "step_sizes": (values["min_step"], values["max_step"]),
    }


def _only(*names: str) -> Callable[[Values], dict[str, Any]]:
    return lambda values: {name: values[name] for name in names}


def _lion(values: Values) -> dict[str, Any]:
    return {"lr": values["lr"], "betas": (values["beta1"], values["beta2"])}


def _muon(values: Values) -> dict[str, Any]:
    return {**_only("lr", "momentum", "nesterov", "ns_steps")(values)}


def _adamw_of_muon(values: Values) -> dict[str, Any]:
    return {
        "lr": values["adamw_lr"],
        "betas": (values["adamw_beta1"], values["adamw_beta2"]),
        "eps": values["adamw_eps"],
    }


IN_BFLOAT16 = "makes its Newton–Schulz steps in bfloat16"

TORCH: Table = {
    "sgd": Method("SGD", _only("lr")),
    "momentum_sgd": Method("SGD", _only("lr", "momentum")),
    "nesterov_ag": Method("SGD", lambda h: {"lr": h["lr"], "momentum": h["momentum"], "nesterov": True}),
    "adagrad": Method("Adagrad", _only("lr", "eps")),
    "adadelta": Method("Adadelta", _only("lr", "rho", "eps")),
    "rmsprop": Method("RMSprop", _only("lr", "alpha", "eps")),
    "adam": Method("Adam", _moments),
    "adamw": Method("AdamW", _moments),
    "amsgrad": Method("Adam", lambda h: {**_moments(h), "amsgrad": True}),
    "adamax": Method("Adamax", _moments),
    "nadam": Method("NAdam", lambda h: {**_moments(h), "momentum_decay": h["momentum_decay"]}),
    "radam": Method("RAdam", _moments),
    "rprop": Method("Rprop", _rprop),
    "asgd": Method("ASGD", _only("lr", "lambd", "alpha", "t0")),
    "adafactor": Method(
        "Adafactor",
        lambda h: {"lr": h["lr"], "beta2_decay": h["beta2_decay"], "eps": (h["eps1"], h["eps2"]), "d": h["d"]},
    ),
    "matrix/muon": Method(
        "Muon",
        lambda h: {**_muon(h), "ns_coefficients": h["ns_coefficients"], "eps": h["eps"]},
        differs=IN_BFLOAT16,
        vectors=Method("AdamW", _adamw_of_muon),
    ),
}
"""The class of torch.optim that is the method."""

PYTORCH_OPTIMIZER: Table = {
    "adabelief": Method("AdaBelief", _moments),
    "adan": Method("Adan", lambda h: {**_moments(h), "betas": (h["beta1"], h["beta2"], h["beta3"])}),
    "ademamix": Method(
        "AdEMAMix",
        lambda h: {
            **_moments(h),
            "betas": (h["beta1"], h["beta2"], h["beta3"]),
            "alpha": h["alpha"],
            "weight_decouple": True,
        },
    ),
    "adopt": Method(
        "ADOPT",
        lambda h: {**_moments(h), "weight_decouple": True},
        differs="clips to ±t^¼, and decays at its first step",
    ),
    "lion": Method("Lion", _lion),
    "lamb": Method(
        "Lamb",
        lambda h: {**_moments(h), "max_grad_norm": 0.0, "weight_decouple": False},
        differs="corrects no average for its start and takes no norm for more than 10",
    ),
    "stable_adamw": Method("StableAdamW", _moments),
    "msvag": Method("MSVAG", _only("lr", "beta")),
    "adafactor": Method(
        "AdaFactor",
        lambda h: {
            "lr": h["lr"],
            "betas": (None, 0.999),
            "decay_rate": h["beta2_decay"],
            "clip_threshold": h["d"],
            "eps2": h["eps2"],
            "relative_step": False,
        },
        differs="shrinks small parameters less by weight decay, and adds an eps to the squares",
    ),
    "matrix/muon": Method(
        "Muon",
        lambda h: {**_muon(h), "ns_coeffs": h["ns_coefficients"]},
        differs=IN_BFLOAT16,
        overwrites=True,
        group={"use_muon": True},
        vectors=Method("Muon", _adamw_of_muon, group={"use_muon": False}),
    ),
}
"""The class of pytorch_optimizer. What torch.optim has as well is here only where it is measured for its speed."""

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
    cls = table[job.optimizer].cls
    known = inspect.signature(getattr(import_module(package), cls)).parameters
    if missing := [mode for mode, wanted in MODES.get(name, {}).items() if wanted and mode not in known]:
        return f"has no {missing[0]} {cls}"
    if job.variant.decay and "weight_decay" not in known:
        return f"has no weight decay in {cls}"
    return None


def remark(name: str, job: Job) -> str:
    """What has to be known of one of these peers; it may be nothing."""
    method = _home(name)[1][job.optimizer]
    return " and ".join(filter(None, [method.differs, "overwrites the gradients" if method.overwrites else ""]))


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
        method = table[self._job.optimizer]
        self._parameters = [torch.nn.Parameter(self._tensor(value)) for value in values]
        parts: dict[bool, list[Any]] = {}
        for parameter in self._parameters:
            parts.setdefault(method.vectors is not None and parameter.ndim < 2, []).append(parameter)
        self._optimizers = [
            self._made(package, method.vectors if are_vectors and method.vectors else method, members)
            for are_vectors, members in parts.items()
        ]

    def _made(self, package: str, method: Method, parameters: Sequence[Any]) -> Any:
        made = getattr(import_module(package), method.cls)
        known = inspect.signature(made).parameters
        given = method.arguments(self._job.values())
        given |= {mode: wanted for mode, wanted in MODES.get(self.name, {}).items() if mode in known}
        if "weight_decay" in known:
            given["weight_decay"] = self._job.variant.decay
        return made([{"params": parameters, **method.group}], **given)

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
        for optimizer in self._optimizers:
            optimizer.step()
        self._wait()

    def drop_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def values(self) -> list[Array]:
        return [parameter.detach().cpu().numpy().copy() for parameter in self._parameters]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        yield
