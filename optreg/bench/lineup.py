"""Who takes part: backends and peers that are installed and can do the job; and who is left out, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from fnmatch import fnmatchcase

import attrs

from optreg import lookup
from optreg.bench import optax_peer, torch_peers
from optreg.bench.contender import Contender, Job, Ours
from optreg.bench.devices import CPU, CUDA
from optreg.bench.limit import DeviceLimit, Limit
from optreg.errors import ConfigError, did_you_mean

LIMIT = Limit.name
PEERS = {
    "torch-single": ("torch", "PyTorch"),
    "torch-foreach": ("torch", "PyTorch"),
    "torch-fused": ("torch", "PyTorch"),
    "optax": ("optax", "optax"),
    "pytorch-optimizer": ("pytorch_optimizer", "pytorch_optimizer"),
}
"""Each peer with the module that it needs, and what its package is called."""

NONE = "none"

ON_GPU, ON_HOST = ("cupy",), ("numba",)
"""Backends that leave the arrays of another device to others."""


@attrs.frozen
class Lineup:
    """The names of those who take part, and a sentence for each who does not.

    Attributes:
        backends: of optreg.
        peers: of other packages.
        left_out: why the others are not measured, by name.
        remarks: what has to be known of peers who are, by name.
    """

    backends: tuple[str, ...]
    peers: tuple[str, ...]
    left_out: dict[str, str]
    remarks: dict[str, str] = attrs.field(factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """All, the limit first."""
        return (LIMIT, *self.but_the_limit)

    @property
    def but_the_limit(self) -> tuple[str, ...]:
        """Those who do the job."""
        return (*self.backends, *self.peers)


def lineup(
    job: Job, backends: Sequence[str] = (), peers: Sequence[str] = (), *, named_must_work: bool = True
) -> Lineup:
    """Find out who can do a job.

    Args:
        job: to be done.
        backends: names or patterns of those wanted; all if empty.
        peers: likewise; ``none`` for none.
        named_must_work: raise an error for one who is wanted by name and cannot do the job.

    Raises:
        ConfigError: a name that nobody has, or of someone who cannot do the job.
    """
    named = {*backends, *peers} if named_must_work else set()
    left_out: dict[str, str] = {}
    offers = {offer.shown_name: offer for offer in lookup.offers("backend")}
    usable = []
    for name in _chosen("backend", backends, offers):
        missing = [each for each in getattr(offers[name].spec, "requires", ()) if not lookup.is_installed(each)]
        if missing:
            _leave_out(left_out, name, f"{' and '.join(missing)} is not installed", name in named)
        elif (name in ON_GPU and job.device == CPU) or (name in ON_HOST and job.device != CPU):
            _leave_out(left_out, name, f"it leaves arrays on {job.device} to others", name in named)
        else:
            usable.append(name)
    able = []
    for name in [] if list(peers) == [NONE] else _chosen("peer", peers, PEERS):
        module, package = PEERS[name]
        if not lookup.is_installed(module):
            _leave_out(left_out, name, f"{package} is not installed", name in named)
        elif reason := _why_not(name, job):
            _leave_out(left_out, name, f"{package} {reason}", name in named)
        else:
            able.append(name)
    remarks = {name: f"its {job.optimizer} {remark}" for name in able if (remark := _remark(name, job))}
    return Lineup(tuple(usable), tuple(able), left_out, remarks)


def _chosen(kind: str, wanted: Sequence[str], known: Collection[str]) -> list[str]:
    for word in wanted:
        if not any(fnmatchcase(name, word) for name in known):
            raise ConfigError(
                f"there is no {kind} {word!r} to measure; there are: {', '.join(known)}.{did_you_mean(word, known)}"
            )
    return [name for name in known if not wanted or any(fnmatchcase(name, word) for word in wanted)]


def _leave_out(left_out: dict[str, str], name: str, reason: str, was_named: bool) -> None:
    if was_named:
        raise ConfigError(f"{name} cannot be measured: {reason}")
    left_out[name] = reason


def _why_not(name: str, job: Job) -> str | None:
    return optax_peer.why_not(job) if name == "optax" else torch_peers.why_not(name, job)


def _remark(name: str, job: Job) -> str:
    return optax_peer.remark(job) if name == "optax" else torch_peers.remark(name, job)


def contender(name: str, job: Job) -> Contender:
    """Make a contender by its name."""
    special: dict[str, Callable[[Job], Contender]] = {
        LIMIT: DeviceLimit if job.device == CUDA else Limit,
        "optax": optax_peer.Optax,
    }
    if name in special:
        return special[name](job)
    return torch_peers.Torch(name, job) if name in PEERS else Ours(name, job)
