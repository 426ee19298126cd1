"""Without Numba, or with one that does not work, NumPy does the work, and one warning says why."""

from __future__ import annotations

import pytest

from backends.processes import leftovers, run

BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""


@pytest.mark.parametrize("blocked", [["numba", "llvmlite"], ["numba"], ["llvmlite"]])
def test_without_numba_numpy_works_and_one_warning_says_why(tmp_path, blocked):
    program = """
    one, other = optimizer(), optimizer(name="adam")
    steps(one, 3)
    steps(other, 3)
    print(right(one), right(other, name="adam"))
    """
    out, err = run(program, tmp_path, first=f"BLOCKED = {blocked}" + BLOCKER)
    assert out == "True True"
    assert err.count("Warning") == 1
    assert "Numba is not installed, so NumPy runs the rules: pip install 'optreg[fast]'" in err


def test_without_numba_nobody_is_warned_who_has_not_asked_for_it(tmp_path):
    program = """
    one = optimizer()
    steps(one, 3)
    print(right(one))
    """
    blocked = "BLOCKED = ['numba', 'llvmlite']" + BLOCKER
    assert run(program, tmp_path, first=blocked, OPTREG_BACKEND="") == ("True", "")


def test_a_numba_that_does_not_work_leaves_the_rules_to_numpy(tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "numba.py").write_text("raise ImportError('libsomething.so: cannot open shared object file')\n")
    program = """
    one, other = optimizer(), optimizer(name="adam")
    steps(one, 3)
    steps(other, 3)
    print(right(one), right(other, name="adam"))
    """
    out, err = run(program, tmp_path / "kernels", PYTHONPATH=str(broken))
    assert out == "True True"
    assert "the compiler failed: ImportError: libsomething.so: cannot open shared object file" in err
    assert leftovers(tmp_path / "kernels") == []


@pytest.mark.parametrize("python", ["", "/nowhere/python"])
def test_an_interpreter_that_cannot_be_started_leaves_the_rules_to_numpy(tmp_path, python):
    program = f"""
    sys.executable = {python!r}
    one = optimizer()
    steps(one, 3)
    print(right(one), compiled(one))
    """
    out, err = run(program, tmp_path)
    assert out == "True False"
    assert err.count("Warning") == 1
    assert "rules cannot be compiled" in err
    assert leftovers(tmp_path) == []


def test_warnings_that_are_errors_reach_neither_the_compiler_nor_a_good_program(tmp_path):
    program = """
    one = optimizer()
    steps(one, 3)
    print(right(one), compiled(one))
    """
    assert run(program, tmp_path, "-W", "error", PYTHONWARNINGS="error") == ("True True", "")


def test_a_warning_that_is_an_error_comes_before_anything_is_changed(tmp_path):
    program = """
    class Picky(optreg.GradientMethod):
        def rule(self, param, grad):
            param -= 0.1 * np.interp(grad, [-1, 1], [-1, 1])

    one = Picky().setup({"w": np.linspace(-1, 1, 5)})
    before = one.target["w"].data.copy()
    try:
        steps(one, 1)
    except RuntimeWarning as error:
        print("np.interp" in str(error), one.t, (one.target["w"].data == before).all())
    steps(one, 1)
    print(one.t)
    """
    assert run(program, tmp_path, "-W", "error") == ("True 0 True\n1", "")
