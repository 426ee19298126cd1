"""Names, defaults and attributes are Chainer's."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import optreg_chainer.optimizers
import pytest

import optreg

ARGUMENTS = {
    "SGD": {"lr": 0.01},
    "MomentumSGD": {"lr": 0.01, "momentum": 0.9},
    "NesterovAG": {"lr": 0.01, "momentum": 0.9},
    "AdaGrad": {"lr": 0.001, "eps": 1e-8},
    "AdaDelta": {"rho": 0.95, "eps": 1e-6},
    "RMSprop": {"lr": 0.01, "alpha": 0.99, "eps": 1e-8},
    "RMSpropGraves": {"lr": 1e-4, "alpha": 0.95, "momentum": 0.9, "eps": 1e-4},
    "Adam": {"alpha": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    "SMORMS3": {"lr": 0.001, "eps": 1e-16},
}


def test_the_nine_methods_are_found_by_name_as_the_classes_of_this_package():
    classes = {optreg.get(name).__name__: optreg.get(name) for name in optreg.names("chainer/*")}
    assert classes == {name: getattr(optreg_chainer.optimizers, name) for name in ARGUMENTS}
    (plugin,) = [each for each in optreg.plugins() if each.namespace == "chainer"]
    assert (plugin.distribution, plugin.status, plugin.counts) == ("optreg-chainer", "ok", {"optimizers": 9})


@pytest.mark.parametrize(("name", "defaults"), ARGUMENTS.items(), ids=ARGUMENTS.keys())
def test_arguments_come_in_chainers_order_with_its_defaults_and_are_attributes(name, defaults):
    cls = getattr(optreg_chainer.optimizers, name)
    optimizer = cls()
    assert {key: getattr(optimizer, key) for key in defaults} == defaults
    given = [value / 2 for value in defaults.values()]
    assert [getattr(cls(*given), key) for key in defaults] == given
    info = optreg.info(optimizer.config()["name"])
    own = [each for each in info.hyperparameters if not each.is_common]
    assert {each.name: each.default for each in own} == defaults
    assert all(each.doc for each in own)


def test_the_rate_of_adam_is_chainers():
    adam = optreg.create("chainer/adam", alpha=0.5).setup({"w": np.ones(1)})
    with pytest.raises(ZeroDivisionError):
        _ = adam.lr
    for t in (1, 2):
        adam.apply_gradients({"w": np.ones(1)})
        assert adam.lr == pytest.approx(0.5 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t), rel=1e-15)


def test_a_rate_may_be_changed_at_any_time_as_chainers_extensions_do():
    sgd = optreg.create("chainer/sgd", lr=1.0).setup({"w": np.ones(1)})
    for rate in (0.5, 0.0):
        sgd.lr = rate
        sgd.apply_gradients({"w": np.ones(1)})
    assert sgd.target["/w"].data == 0.5


def test_declaring_imports_no_numpy():
    program = "import sys, optreg; optreg.names('chainer/*'); print('numpy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
