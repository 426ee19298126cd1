"""The optimizers of Chainer 1.24 for optreg, as ``chainer/sgd``, ``chainer/adam`` and so on.

The classes are in :mod:`optreg_chainer.optimizers`. Nothing is imported here, so that declaring them stays cheap.
"""
