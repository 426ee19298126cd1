"""Optimizers for optreg that treat matrices as matrices, as ``matrix/muon`` and so on.

Nothing is imported here, so that declaring them stays cheap.
"""
