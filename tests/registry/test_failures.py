"""One broken package harms nobody else, and what is said of it names distribution, version and cause."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from cli.in_process import run

import optreg
from registry.distributions import ZEPHYR_IMPLEMENTATION, Site
from registry.failures import FAILURES, declaring, spec

HEALTHY = """
    import pluggy
    import optreg

    class Specs:
        @staticmethod
        @pluggy.HookspecMarker("optreg")
        def healthy_colours(light): ...

    @optreg.hookimpl
    def optreg_addhooks(pluginmanager):
        pluginmanager.add_hookspecs(Specs)

    @optreg.hookimpl
    def healthy_colours(light):
        return "green"

    @optreg.hookimpl
    def optreg_optimizers():
        return [optreg.OptimizerSpec("zephyr", "healthy_impl:Zephyr", "Second-order steps.")]

    @optreg.hookimpl
    def optreg_hook_sets():
        return [optreg.HookSetSpec("calm", ["skip_nonfinite"])]
"""


@pytest.fixture
def site(site) -> Site:
    """Installed distributions, a healthy one among them."""
    site.install(
        "healthy-optim", "1.2", {"healthy": "healthy"}, {"healthy": HEALTHY, "healthy_impl": ZEPHYR_IMPLEMENTATION}
    )
    return site


def stepped(name: str) -> np.ndarray:
    w = np.array([1.0, 2.0])
    optreg.create(name, lr=0.5).setup({"w": w}).apply_gradients({"w": np.ones(2)})
    return w


def blamed(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("broken: ")]


@pytest.mark.parametrize("failure", FAILURES.values(), ids=[re.sub(r"[^\x20-\x7e]", "?", name) for name in FAILURES])
def test_whatever_is_broken_all_else_goes_on_and_the_message_names_distribution_version_and_cause(site, failure):
    failure.install(site)
    assert optreg.create("adam").config() == optreg.create("adam").config()
    assert "adam" in optreg.names()
    assert "healthy/zephyr" in optreg.names()
    np.testing.assert_array_equal(stepped("healthy/zephyr"), [0.5, 1.5])
    assert list(optreg.create("sgd", hooks=["healthy/calm"])._hooks) == ["skip_nonfinite"]
    assert "green" in optreg.plugin_manager().hook.healthy_colours(light=True)

    listed = run("list")
    assert listed.exit_code == 0
    assert {"adam", "healthy/zephyr"} <= {line.split()[0] for line in listed.stdout.splitlines()}
    assert failure.on_use or failure.is_told(listed.stderr.splitlines()), listed.stderr

    doctor = run("doctor")
    assert doctor.exit_code == 1
    assert failure.is_told(doctor.stdout.splitlines()), doctor.stdout
    told = blamed(doctor.stdout.splitlines())
    assert not any("broken: healthy" in line for line in told)

    statuses = {each["namespace"]: each["status"] for each in json.loads(run("plugins", "--json").stdout)}
    assert statuses.pop("healthy") == "ok"
    assert run("--help").exit_code == 0


def test_five_hundred_healthy_packages_and_every_failure_at_once(site):
    site.install_many(500)
    at_once = {f"b{number}": failure for number, failure in enumerate(FAILURES.values()) if failure.also is None}
    for word, failure in at_once.items():
        failure.install(site, word)
    listed = site.optreg("list")
    assert listed.returncode == 0, listed.stderr
    names = {line.split()[0] for line in listed.stdout.splitlines()}
    assert {"adam", "healthy/zephyr", *(f"many-{number}/opt" for number in range(500))} <= names
    lines = listed.stderr.splitlines()
    untold = [word for word, failure in at_once.items() if not (failure.on_use or failure.is_told(lines, word))]
    assert untold == []
    assert not any("many-" in line or "healthy-optim" in line for line in lines)
    program = "import optreg; optreg.create('adam'); print(optreg.create('healthy/zephyr', lr=0.5).config())"
    assert site.run("-c", program).stdout.splitlines()[-1] == "{'name': 'healthy/zephyr', 'lr': 0.5}"


def test_a_package_that_implements_anothers_hook_wrongly_is_blamed_in_whatever_order_they_are_loaded(site):
    guest = declaring(f"return [{spec('fine')}]") + "\n@optreg.hookimpl\ndef healthy_colours(dark): ...\n"
    site.install("guest-optim", "0.1", {"guest": "guest"}, {"guest": guest})
    for order in (["guest/fine", "healthy/zephyr"], ["healthy/zephyr", "guest/fine"]):
        with optreg.temporary():
            for name in order:
                np.testing.assert_array_equal(stepped(name), [0.5, 1.5])
            assert {info.namespace: info.status for info in optreg.plugins()}["guest"] == "faulty"
            assert optreg.plugin_manager().hook.healthy_colours(light=False) == ["green"]


def test_the_cause_is_kept_for_whoever_looks_for_it(site):
    site.install("broken-optim", "0.3", {"broken": "broken_optim"}, {"broken_optim": "1 / 0"})
    with pytest.raises(optreg.errors.PluginError, match=r"'broken/x' cannot be used: broken-optim 0\.3 ") as caught:
        optreg.create("broken/x")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "(broken_optim.py, line 1)" in str(caught.value)
