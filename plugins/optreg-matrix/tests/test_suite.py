"""Every check of optreg.testing."""

from __future__ import annotations

from optreg.testing import optimizer_suite

TestMuon = optimizer_suite("matrix/muon")
TestNorMuon = optimizer_suite("matrix/normuon")
TestScion = optimizer_suite("matrix/scion")
TestShampoo = optimizer_suite("matrix/shampoo", hyperparameters={"precondition_frequency": 4})
TestSOAP = optimizer_suite("matrix/soap", hyperparameters={"precondition_frequency": 4})
TestPSGDKron = optimizer_suite("matrix/psgd_kron", hyperparameters={"seed": 0})
TestGaLore = optimizer_suite("matrix/galore", hyperparameters={"rank": 2, "update_proj_gap": 4})
TestAPOLLOMini = optimizer_suite("matrix/apollo_mini", hyperparameters={"update_proj_gap": 4})
