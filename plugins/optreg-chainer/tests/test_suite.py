"""Every check of optreg.testing."""

from __future__ import annotations

from optreg.testing import optimizer_suite

TestSGD = optimizer_suite("chainer/sgd")
TestMomentumSGD = optimizer_suite("chainer/momentum_sgd")
TestNesterovAG = optimizer_suite("chainer/nesterov_ag")
TestAdaGrad = optimizer_suite("chainer/adagrad")
TestAdaDelta = optimizer_suite("chainer/adadelta")
TestRMSprop = optimizer_suite("chainer/rmsprop")
TestRMSpropGraves = optimizer_suite("chainer/rmsprop_graves")
TestAdam = optimizer_suite("chainer/adam")
TestSMORMS3 = optimizer_suite("chainer/smorms3")
