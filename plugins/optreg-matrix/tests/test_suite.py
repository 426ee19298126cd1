"""Every check of optreg.testing."""

from __future__ import annotations

from optreg.testing import optimizer_suite

TestMuon = optimizer_suite("matrix/muon")
TestNorMuon = optimizer_suite("matrix/normuon")
TestScion = optimizer_suite("matrix/scion")
