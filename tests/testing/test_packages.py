"""Installed packages: what is checked of their declarations, and their own test files under pytest, as it comes."""

from __future__ import annotations

import json
import sys

import pytest

from optreg.testing import check_namespace, check_optimizer

DECLARATIONS = """
    import optreg
    {imports}

    @optreg.hookimpl
    def optreg_optimizers():
        return [optreg.OptimizerSpec("heavy_ball", "acme_impl:HeavyBall", "Momentum.")]

    @optreg.hookimpl
    def optreg_hooks():
        return [optreg.HookSpec("halve", "acme_impl:halve", "Halve gradients.")]

    @optreg.hookimpl
    def optreg_hook_sets():
        return [optreg.HookSetSpec("careful", ["halve", ("gradient_clipping", {{"threshold": 1.0}})], "Both.")]
"""

IMPLEMENTATION = '''
    import attrs
    import optreg
    from optreg.hyperparameters import fraction, positive


    @attrs.define(eq=False)
    class HeavyBall(optreg.GradientMethod):
        """Momentum."""

        lr: float = positive(0.1)
        momentum: float = fraction(0.9)

        def rule(self, param, grad, v):
            v *= self.momentum
            v -= self.lr * grad
            param += v


    def halve(optimizer):
        """Halve every gradient."""
        for param in optimizer.target.params():
            param.grad *= 0.5
'''

SUITES = """
from optreg.testing import hook_suite, optimizer_suite
TestHeavyBall = optimizer_suite("acme/heavy_ball", expected_failures={}, level="1")
TestHalve = hook_suite("acme/halve")
"""


@pytest.fixture
def acme(site):
    def install(imports: str = "") -> None:
        modules = {"acme_optim": DECLARATIONS.format(imports=imports), "acme_impl": IMPLEMENTATION}
        site.install("acme-optim", "1.2", {"acme": "acme_optim"}, modules)

    return install


def failures(results):
    return {result.check: result.text for result in results if result.outcome == "failed"}


def test_a_healthy_package_passes_whole(acme):
    acme()
    results = check_namespace("acme")
    assert failures(results) == {}
    assert {result.kind for result in results} == {"optimizer", "hook", "hook set"}
    assert {result.name for result in results} == {"acme/heavy_ball", "acme/halve", "acme/careful"}


@pytest.mark.parametrize("imported", ["acme_impl", "scipy"])
def test_a_declaration_that_imports_what_is_heavy_fails(acme, site, imported):
    if imported == "scipy":  # as if it were installed, which takes long
        (site.path / "scipy.py").write_text("")
    acme(f"import {imported}")
    found = failures(check_optimizer("acme/heavy_ball"))
    assert found.keys() == {"check_declaration_is_cheap"}
    assert f"declaring acme/heavy_ball imports {imported}" in found["check_declaration_is_cheap"]


def test_names_given_for_a_namespace_must_be_its_own(acme):
    acme()
    with pytest.raises(ValueError, match="the namespace 'acme' offers no 'heavy_ball'"):
        check_namespace("acme", arguments={"heavy_ball": {"lr": 0.1}})


def test_what_else_is_installed_is_neither_imported_nor_compared_with(acme, site):
    acme()
    backend = "import optreg\n@optreg.hookimpl\ndef optreg_backends():\n    raise SystemExit"
    site.install("other", "1.0", {"other": "other_backend"}, {"other_backend": backend})
    assert failures(check_namespace("acme")) == {}
    assert "other_backend" not in sys.modules


@pytest.mark.parametrize("name", ["ill", "ill/sophia"])
def test_a_broken_package_is_named_with_its_cause(site, name):
    site.install("ill-optim", "4.2", {"ill": "ill_optim"}, {"ill_optim": "import not_there"})
    result = site.optreg("check", name)
    assert result.returncode == 1
    assert "the namespace 'ill' cannot be checked: ill-optim 4.2 cannot be loaded: ModuleNotFound" in result.stderr


def run_pytest(site, tmp_path, source, *arguments, settings=""):
    (tmp_path / "test_acme.py").write_text(source)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{settings}")
    return site.run("-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(tmp_path), *arguments)


SETTINGS = {
    "none": "",
    "other names": "python_classes = Check\npython_functions = it_*\n",
    "strict": "filterwarnings = error\nxfail_strict = true\naddopts = --strict-markers --strict-config\n",
    "import mode": "addopts = --import-mode=importlib\n",
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_test_file_of_three_lines_is_collected_under_any_settings(acme, site, tmp_path, settings):
    acme()
    result = run_pytest(site, tmp_path, SUITES, "--collect-only", "-q", settings=settings)
    assert "test_acme.py::TestHeavyBall::test_check_float16" in result.stdout
    assert "test_acme.py::TestHalve::test_check_hook_runs" in result.stdout


def test_at_the_end_it_is_said_what_was_run_skipped_and_expected(acme, site, tmp_path):
    acme()
    result = run_pytest(site, tmp_path, SUITES, "-q", settings=SETTINGS["strict"])
    assert result.returncode == 0, result.stdout
    lines = result.stdout.splitlines()
    assert "optimizer acme/heavy_ball: 37 checks run; 1 skipped" in lines
    assert "hook acme/halve: 14 checks run; 3 skipped" in lines
    assert any("check_hook_cost: skipped: it is not an elementwise rule" in line for line in lines)
    cost = "  check_step_cost: passed: reads 3 and writes 2 arrays of the parameter's size, one pass"
    assert cost in lines
    assert not any("minimizes" in line for line in lines)


LION = """
from optreg.testing import optimizer_suite
TestLion = optimizer_suite("lion", expected_failures={"check_float16": "no reason at all"})
"""


def test_an_expected_failure_that_passes_fails(site, tmp_path):
    result = run_pytest(site, tmp_path, LION, "-q", "-k", "float16")
    assert result.returncode == 1
    assert "lion: it passes, but is an expected failure (no reason at all); take it out of" in result.stdout


BROKEN = """
import optreg
from optreg.testing import optimizer_suite

class Wrong(optreg.GradientMethod):
    def rule(self, param, grad):
        raise RuntimeError("what is wrong")

optreg.register("my/wrong", Wrong)
TestWrong = optimizer_suite("my/wrong", expected_failures={"check_description": "to come"})
"""


def test_a_failure_is_a_sentence_or_a_traceback_with_the_authors_line(site, tmp_path):
    result = run_pytest(site, tmp_path, BROKEN, "-q", "-k", "description or zero_size or step_count")
    assert result.returncode == 1
    assert "my/wrong fails on a parameter without elements: RuntimeError: what is wrong;" in result.stdout
    assert 'raise RuntimeError("what is wrong")' in result.stdout
    assert "2 failed, 35 deselected, 1 xfailed" in result.stdout
    assert "optimizer my/wrong: 3 checks run; 2 failed; 1 failure expected" in result.stdout


def test_a_run_in_which_everything_was_skipped_fails(acme, site, tmp_path):
    acme()
    result = run_pytest(site, tmp_path, SUITES, "-q", "-k", "hook_cost")
    assert result.returncode == 1
    assert "hook acme/halve: no check was run; 1 skipped" in result.stdout


def test_a_misspelled_expected_failure_stops_pytest_with_what_was_meant(site, tmp_path):
    result = run_pytest(site, tmp_path, LION.replace("check_float16", "check_flaot16"), "-q")
    assert result.returncode == 2
    assert "the optimizers have no check 'check_flaot16' in level 1; did you mean 'check_float16'?" in result.stdout


def test_the_processes_of_xdist_agree_on_the_names(acme, site, tmp_path):
    acme()
    result = run_pytest(site, tmp_path, SUITES, "-q", "-n", "2", "-k", "not minimizes and not learns")
    assert result.returncode == 0, result.stdout
    assert "48 passed, 4 skipped" in result.stdout


def test_without_pytest_the_checks_run_and_the_suites_say_what_to_install(acme, site):
    acme()
    (site.path / "pytest.py").write_text('raise ModuleNotFoundError("No module named \'pytest\'", name="pytest")')
    program = "from optreg.testing import check_hook; print({each.outcome for each in check_hook('acme/halve')})"
    result = site.run("-c", program)
    assert "'passed'" in result.stdout, result.stderr
    assert "failed" not in result.stdout
    refused = site.run("-c", "from optreg.testing import optimizer_suite")
    assert "tests for pytest, which is not installed: pip install 'optreg[testing]'" in refused.stderr
    told = site.optreg("check", "acme/halve")
    assert told.returncode == 0
    assert "hook acme/halve: 14 checks run; 3 skipped" in told.stdout


def test_the_command_tells_by_its_status_whether_something_failed(acme, site):
    acme("import acme_impl")
    result = site.optreg("check", "acme", "--json")
    assert result.returncode == 1, result.stderr
    found = json.loads(result.stdout)
    assert {each["check"] for each in found if each["outcome"] == "failed"} == {"check_declaration_is_cheap"}
    assert found[0].keys() == {"kind", "name", "check", "outcome", "text", "seconds"}
    assert result.stderr == ""
