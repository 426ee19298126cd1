from optreg.testing import hook_suite, optimizer_suite

TestAddSign = optimizer_suite("example/addsign")
TestSparsify = hook_suite("example/sparsify")
