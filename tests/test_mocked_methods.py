"""Methods that are replaced on an instance: Chainer's own tests do so, and so do its users'."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

import numpy as np
from links import Link

from optreg import GradientMethod


class Plain(GradientMethod):
    def rule(self, param, grad):
        param -= grad


def test_update_calls_the_methods_that_an_instance_was_given():
    optimizer = GradientMethod()
    optimizer.init_state_cpu = mock.MagicMock()
    optimizer.init_state_gpu = mock.MagicMock()
    optimizer.update_one_cpu = mock.MagicMock()
    optimizer.update_one_gpu = mock.MagicMock()
    link = Link(param=np.arange(3, dtype=np.float32))
    link.param.grad = np.arange(3, dtype=np.float32)
    optimizer.setup(link)
    optimizer.init_state_cpu.assert_called_once_with(link.param, {})
    assert optimizer.t == 0
    optimizer.update()
    assert optimizer.t == 1
    optimizer.update_one_cpu.assert_called_once_with(link.param, {})
    assert not optimizer.init_state_gpu.called
    assert not optimizer.update_one_gpu.called


def test_init_state_calls_the_method_of_the_device_even_without_a_target():
    optimizer = GradientMethod()
    optimizer.init_state_cpu = mock.MagicMock()
    param = SimpleNamespace(data=np.arange(3), grad=np.arange(3))
    optimizer.init_state(param, {})
    optimizer.init_state_cpu.assert_called_once_with(param, {})


def test_a_method_mocked_after_the_first_steps_is_called():
    optimizer = Plain().setup({"b": np.ones(2)})
    for _ in range(3):
        optimizer.apply_gradients({"b": np.zeros(2)})
    optimizer.update_one = mock.MagicMock()
    optimizer.update()
    optimizer.update_one.assert_called_once_with(optimizer.target["/b"], {})
    np.testing.assert_array_equal(optimizer.target["/b"].data, [1, 1])
