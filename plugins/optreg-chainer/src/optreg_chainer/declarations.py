"""What this package offers; the entry point names this module."""

from __future__ import annotations

import optreg


@optreg.hookimpl
def optreg_optimizers() -> list[optreg.OptimizerSpec]:
    """The nine methods of Chainer 1.24."""
    return [
        _method("sgd", "SGD", "A step down the gradient.", "Robbins & Monro 1951"),
        _method("momentum_sgd", "MomentumSGD", "Momentum that sums steps, not gradients.", "Polyak 1964"),
        _method("nesterov_ag", "NesterovAG", "Nesterov's momentum with Chainer's coefficients.", "Nesterov 1983"),
        _method("adagrad", "AdaGrad", "Steps divided by the root of the sum of all squares.", "Duchi et al. 2011"),
        _method("adadelta", "AdaDelta", "Steps in the parameter's own units.", "Zeiler 2012, arXiv:1212.5701"),
        _method("rmsprop", "RMSprop", "Steps divided by a running root mean square.", "Tieleman & Hinton 2012"),
        _method("rmsprop_graves", "RMSpropGraves", "RMSprop, centered, with momentum.", "Graves 2013, arXiv:1308.0850"),
        _method("adam", "Adam", "Adam whose eps is added before the correction.", "Kingma & Ba 2015, arXiv:1412.6980"),
        _method("smorms3", "SMORMS3", "RMSprop with longer averages where the gradient is noisy.", "Funk 2015"),
    ]


def _method(name: str, cls: str, summary: str, paper: str) -> optreg.OptimizerSpec:
    return optreg.OptimizerSpec(name, f"optreg_chainer.optimizers:{cls}", summary, paper)
