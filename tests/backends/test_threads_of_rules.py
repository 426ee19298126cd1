"""Rules that run as written, on several tensors at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import optreg
from optreg.backends import shares
from optreg.backends.blas import BLAS
from optreg.testing import check_optimizer


def blas_threads():
    return max(each["num_threads"] or 0 for each in threadpool_info() if each["user_api"] == "blas")


class Noting(optreg.GradientMethod):
    """Notes, at each tensor, which thread it runs on, and how many threads BLAS has."""

    elementwise = False
    tensors_in_parallel = True
    multiplies_matrices = True

    def __init__(self, together=1):
        self.seen = []
        self.meeting = threading.Barrier(together)

    def rule(self, param, grad):
        self.seen.append((param.shape[0], threading.get_ident(), blas_threads()))
        if param.size >= shares.LARGE:
            self.meeting.wait(timeout=60)  # a BrokenBarrierError unless so many tensors are worked on at once
        param -= 0.1 * grad


@pytest.fixture(autouse=True)
def _two_threads(monkeypatch):
    monkeypatch.setenv("OPTREG_NUM_THREADS", "2")
    with threadpool_limits(2, user_api="blas"):
        yield


@pytest.fixture
def _another_blas():
    """What is found out of the BLAS is found out for the test, and again after it."""
    assert BLAS.can_be_limited
    del vars(BLAS)["_libraries"]
    yield
    vars(BLAS).pop("_libraries", None)


@pytest.fixture
def _without_threadpoolctl(_another_blas, monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)


def step(optimizer, *rows):
    arrays = {f"w{number}": np.ones((each, 256), np.float32) for number, each in enumerate(rows)}
    optimizer.setup(arrays)
    optimizer.apply_gradients({name: np.ones_like(array) for name, array in arrays.items()})
    for array in arrays.values():
        np.testing.assert_array_equal(array, np.float32(0.9))
    return optimizer.seen


def test_two_tensors_are_worked_on_at_once_each_with_one_thread_of_blas():
    seen = step(Noting(together=2), 256, 256)
    assert len({thread for _, thread, _ in seen}) == 2
    assert {threads for *_, threads in seen} == {1}


def test_afterwards_blas_has_its_threads_again():
    step(Noting(together=2), 256, 256)
    assert blas_threads() == 2


def test_blas_has_its_threads_again_when_a_rule_has_failed():
    optimizer = Noting()
    optimizer.meeting.abort()
    with pytest.raises(threading.BrokenBarrierError):
        step(optimizer, 256, 256)
    assert blas_threads() == 2


def test_a_tensor_larger_than_all_others_together_comes_first_with_all_threads_of_blas():
    seen = step(Noting(), 300, 1024, 257)
    assert (seen[0][0], seen[0][2]) == (1024, 2)
    assert sorted((rows, threads) for rows, _, threads in seen[1:]) == [(257, 1), (300, 1)]


def test_small_tensors_stay_on_one_thread():
    seen = step(Noting(), *[8] * 50)
    assert len({thread for _, thread, _ in seen}) == 1


@pytest.mark.parametrize(("matrices", "threads"), [(True, 1), (False, 2)])
def test_where_nothing_is_shared_small_matrices_are_multiplied_by_one_thread_of_blas(matrices, threads):
    class Some(Noting):
        multiplies_matrices = matrices

    assert {found for *_, found in step(Some(), 8, 9)} == {threads}


def test_a_rule_that_does_not_say_so_runs_on_the_calling_thread():
    class Silent(Noting):
        tensors_in_parallel = False

    assert {thread for _, thread, _ in step(Silent(), 256, 256)} == {threading.get_ident()}


def test_with_one_thread_nothing_is_shared_and_blas_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OPTREG_NUM_THREADS", "1")
    assert {(thread, threads) for _, thread, threads in step(Noting(), 256, 256)} == {(threading.get_ident(), 2)}


@pytest.mark.usefixtures("_without_threadpoolctl")
def test_without_threadpoolctl_products_leave_the_threads_to_blas():
    assert {(thread, threads) for _, thread, threads in step(Noting(), 256, 256)} == {(threading.get_ident(), 2)}


@pytest.mark.usefixtures("_without_threadpoolctl")
def test_without_threadpoolctl_the_check_of_what_multiplies_matrices_says_that_it_shows_nothing():
    with optreg.temporary():
        optreg.register("my/noting", Noting, summary="Notes.")
        (result,) = [each for each in check_optimizer("my/noting") if each.check == "check_tensors_in_parallel"]
    assert (result.outcome, "threadpoolctl" in result.text) == ("skipped", True)


@pytest.mark.usefixtures("_without_threadpoolctl")
def test_without_threadpoolctl_rules_without_products_share_tensors_all_the_same():
    class WithoutProducts(Noting):
        multiplies_matrices = False

    assert len({thread for _, thread, _ in step(WithoutProducts(together=2), 256, 256)}) == 2


def test_a_hook_that_cannot_be_traced_keeps_tensors_on_one_thread():
    class Counting(optreg.Hook):
        calls = 0

        def rule(self, param, grad):
            self.calls += 1

    optimizer = Noting()
    optimizer.add_hook(Counting())
    assert {thread for _, thread, _ in step(optimizer, 256, 256)} == {threading.get_ident()}


def test_a_hook_that_can_be_traced_does_not():
    class Scaling(optreg.Hook):
        def rule(self, param, grad):
            grad *= 1.0

    optimizer = Noting(together=2)
    optimizer.add_hook(Scaling())
    assert len({thread for _, thread, _ in step(optimizer, 256, 256)}) == 2


def test_threads_change_no_bit(monkeypatch):
    class Multiplying(Noting):
        def rule(self, param, grad, product):
            product += grad.T @ grad
            param -= 0.1 * grad @ product

        def init_state(self, param, state):
            state["product"] = np.zeros((param.data.shape[1],) * 2, param.data.dtype)

    def result(threads):
        monkeypatch.setenv("OPTREG_NUM_THREADS", threads)
        rng = np.random.default_rng(0)
        arrays = {f"w{number}": rng.standard_normal((300, 256), np.float32) for number in range(4)}
        optimizer = Multiplying().setup(arrays)
        with threadpool_limits(1, user_api="blas"):
            for _ in range(3):
                optimizer.apply_gradients({name: array / 7 for name, array in arrays.items()})
        return arrays

    for one, two in zip(result("1").values(), result("2").values(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_last_of_several_steps_on_whatever_thread_gives_blas_its_threads_back():
    """Since threadpoolctl 3.8, the first thread that limits OpenBLAS is the only one that can."""
    entered, left = threading.Event(), threading.Event()

    def first():
        with BLAS.one_thread_each():
            entered.set()
            left.wait(60)

    step(Noting(together=2), 256, 256)
    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(60)
    assert blas_threads() == 1
    with BLAS.one_thread_each():
        left.set()
        thread.join()
        assert blas_threads() == 1
    assert blas_threads() == 2


def test_who_limits_blas_on_another_thread_is_heeded_after_a_step():
    step(Noting(together=2), 256, 256)
    with ThreadPoolExecutor(1) as pool:

        def limited():
            with threadpool_limits(1, user_api="blas"):
                return blas_threads()

        assert pool.submit(limited).result() == 1
        assert pool.submit(lambda: {threads for *_, threads in step(Noting(together=2), 256, 256)}).result() == {1}
    assert blas_threads() == 2


def test_an_interrupt_while_the_limit_is_taken_leaves_blas_its_threads(monkeypatch):
    setting = BLAS._set

    def interrupted(numbers):
        monkeypatch.undo()
        setting(numbers)
        raise KeyboardInterrupt

    monkeypatch.setattr(BLAS, "_set", interrupted)
    with pytest.raises(KeyboardInterrupt), BLAS.one_thread_each():
        pass
    assert blas_threads() == 2


@pytest.mark.usefixtures("_another_blas")
@pytest.mark.parametrize("blas", ["accelerate", "openmp"])
def test_a_blas_that_cannot_be_limited_as_a_whole_shares_products_by_itself(blas, monkeypatch):
    if blas == "accelerate":
        found = {"Build Dependencies": {"blas": {"name": "accelerate"}}}
        monkeypatch.setattr(np, "show_config", lambda mode: found)
    else:
        monkeypatch.setattr("threadpoolctl.OpenBLASController._get_threading_layer", lambda library: "openmp")
    assert not BLAS.can_be_limited
    assert {thread for _, thread, _ in step(Noting(), 256, 256)} == {threading.get_ident()}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_process_forked_in_the_middle_of_a_step_can_make_steps_of_its_own_and_has_its_threads_back():
    code = """
import os, numpy as np, optreg, warnings
from threadpoolctl import threadpool_info, threadpool_limits
from optreg.backends.blas import BLAS
from optreg.testing import check_optimizer
warnings.simplefilter("ignore")  # Python 3.12 does not like forks of processes with threads
threadpool_limits(2, user_api="blas")
with BLAS.one_thread_each():
    BLAS._lock.acquire()
    child = os.fork()
    if not child:
        arrays = {name: np.ones((512, 256)) for name in "ab"}
        optimizer = optreg.create("adafactor").setup(arrays)
        optimizer.apply_gradients({name: np.ones((512, 256)) for name in "ab"})
        ended = (arrays["a"] != 1).all() and {each["num_threads"] for each in threadpool_info()} == {2}
        os._exit(0 if ended else 1)
    status = os.waitpid(child, 0)[1]
    BLAS._lock.release()
raise SystemExit(status)
"""
    environment = {**os.environ, "OPTREG_NUM_THREADS": "2"}
    assert subprocess.run([sys.executable, "-c", code], timeout=120, env=environment, check=False).returncode == 0
