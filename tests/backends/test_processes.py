"""Programs that fork, use threads, are interrupted, or end while something is compiled."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from backends.processes import leftovers, run, start
from optreg.backends.workers import Workers

WITHOUT_WAITING = """
import os
os.environ["OPTREG_COMPILE"] = ""
import optreg.backends.numba
optreg.backends.numba.WORTH_COMPILING = 0.0
"""
can_fork = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("kernels")


def test_the_process_that_trains_does_not_import_numba(cache):
    program = """
    one = optimizer()
    steps(one, 3)
    print(compiled(one), "numba" in sys.modules)
    """
    assert run(program, cache) == ("True False", "")


# Forks


@can_fork
def test_parent_and_child_go_on_after_a_fork_between_steps(cache):
    program = """
    one = optimizer(size=600_000)
    steps(one, 3)
    assert compiled(one)
    for _ in range(3):
        child = os.fork()
        steps(one, 3)
        other = optimizer(name="adam")
        steps(other, 3)
        if not child:
            os._exit(0 if right(one, size=600_000) and right(other, name="adam") and compiled(other) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert right(one, size=600_000) and right(other, name="adam") and compiled(other)
    print("done")
    """
    # Python 3.12 and newer do not like forks of processes with threads.
    assert run(program, cache, "-W", "ignore::DeprecationWarning", OPTREG_NUM_THREADS="3") == ("done", "")


@can_fork
def test_a_fork_while_a_kernel_is_compiled(tmp_path):
    program = """
    one = optimizer()
    steps(one, 2)
    child = os.fork()
    for _ in range(3000):
        steps(one, 1)
        if compiled(one):
            break
        time.sleep(0.01)
    fine = compiled(one) and right(one)
    if not child:
        os._exit(0 if fine else 1)
    assert os.waitpid(child, 0)[1] == 0
    print(fine)
    """
    assert run(program, tmp_path, first=WITHOUT_WAITING) == ("True", "")
    assert leftovers(tmp_path) == []


@can_fork
def test_a_child_whose_parent_ends_while_a_kernel_is_compiled_asks_itself(tmp_path):
    program = """
    one = optimizer()
    steps(one, 2)
    child = os.fork()
    if child:
        print(child, flush=True)
        sys.exit()
    for _ in range(3000):
        steps(one, 1)
        if compiled(one):
            break
        time.sleep(0.01)
    print(compiled(one) and right(one), flush=True)
    os._exit(0)
    """
    process = start(program, tmp_path, first=WITHOUT_WAITING)
    out, err = process.communicate(timeout=120)  # until the child, which has the same pipe, has ended, too
    assert process.returncode == 0
    assert out.split()[-1] == "True"
    assert err == ""


# Threads


def test_threads_update_optimizers_of_their_own(cache):
    program = """
    names = ["sgd", "adam", "nadam", "sgd"]
    sizes = [5, 300_000, 1000, 400_000]
    optimizers = [optimizer(size, name) for size, name in zip(sizes, names)]
    failed = []
    def work(one):
        try:
            steps(one, 40)
        except BaseException as error:
            failed.append(error)
    threads = [threading.Thread(target=work, args=(one,)) for one in optimizers]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(failed, all(map(compiled, optimizers)))
    print(all(right(one, size, name) for one, size, name in zip(optimizers, sizes, names)))
    """
    assert run(program, cache, OPTREG_NUM_THREADS="2") == ("[] True\nTrue", "")


def test_threads_that_meet_while_kernels_are_made(tmp_path):
    program = """
    optimizers = [optimizer(5, name) for name in ["sgd", "adam", "sgd", "adam"]]
    failed = []
    def work(one):
        try:
            for _ in range(3000):
                steps(one, 1)
                if compiled(one):
                    break
                time.sleep(0.005)
        except BaseException as error:
            failed.append(error)
    threads = [threading.Thread(target=work, args=(one,)) for one in optimizers]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(failed, all(map(compiled, optimizers)))
    print(all(right(one, 5, name) for one, name in zip(optimizers, ["sgd", "adam"] * 2)))
    """
    assert run(program, tmp_path, first=WITHOUT_WAITING) == ("[] True\nTrue", "")


# The end


@pytest.mark.parametrize(
    "end", ["", "sys.exit(0)", "raise SystemExit", "import atexit; atexit.register(steps, one, 2)"]
)
def test_a_program_that_ends_while_a_kernel_is_compiled_ends_well(tmp_path, end):
    program = f"""
    one = optimizer()
    steps(one, 2)
    assert not compiled(one)
    print("done", flush=True)
    {end}
    """
    assert run(program, tmp_path, first=WITHOUT_WAITING) == ("done", "")
    assert leftovers(tmp_path) == []


def test_the_compiler_ends_with_the_program_even_if_that_is_killed(tmp_path):
    program = """
    from optreg.backends.compiler_process import COMPILER
    one = optimizer()
    steps(one, 2)
    print(COMPILER.number, flush=True)
    time.sleep(60)
    """
    process = start(program, tmp_path, first=WITHOUT_WAITING)
    assert process.stdout is not None
    compiler = Path("/proc") / process.stdout.readline().strip()
    if not Path("/proc/self").exists():
        pytest.skip("processes are seen in /proc")
    assert compiler.exists()
    process.kill()
    process.communicate()
    for _ in range(3000):
        if not compiler.exists() or "Z (zombie)" in (compiler / "status").read_text():
            return
        time.sleep(0.01)
    pytest.fail("the compiler is still there")


# Interrupts


LISTENS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
"""A process that was started in the background does not listen to interrupts by itself, nor do its children."""


def test_an_interrupt_waits_for_the_threads_that_work():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    workers, ended, meeting = Workers(), [], threading.Barrier(2)

    def task() -> None:
        meeting.wait()
        if threading.current_thread() is threading.main_thread():
            return
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.2)
        ended.append(True)

    try:
        with pytest.raises(KeyboardInterrupt):
            workers.run([task, task], threads=2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == [True]
    done: list[int] = []
    workers.run([lambda: done.append(1)] * 9, threads=3)
    assert sum(done) == 9


def test_an_error_in_a_thread_reaches_the_one_that_waits():
    workers = Workers()

    def fail() -> None:
        raise ZeroDivisionError("in a thread")

    with pytest.raises(ZeroDivisionError, match="in a thread"):
        workers.run([fail] * 4, threads=3)


def test_a_program_that_is_interrupted_again_and_again_goes_on_well(cache):
    program = """
    import signal
    one = optimizer(size=3_000_000, name="adam")
    steps(one, 2)
    interrupted = 0
    for number in range(60):
        one.target["w"].grad = np.ones(3_000_000)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0005 * (number % 20 + 1))
            one.update()
            time.sleep(0.02)
        except KeyboardInterrupt:
            interrupted += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(interrupted > 0, np.isfinite(one.target["w"].data).all())
    """
    handler = "import signal; signal.signal(signal.SIGALRM, signal.default_int_handler)\n"
    assert run(program, cache, first=handler, OPTREG_NUM_THREADS="3") == ("True True", "")


def test_a_program_stops_at_an_interrupt_while_it_waits_for_the_compiler(tmp_path, compiler_script):
    cache = tmp_path / "kernels"
    program = f"sys.executable = {compiler_script('exec sleep 1000')!r}\nsteps(optimizer(), 1)"
    process = start(program, cache, first=LISTENS)
    while not (cache.exists() and leftovers(cache)):
        assert process.poll() is None, "it ended before the compiler was asked"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, 130, 1)
    assert "KeyboardInterrupt" in err
    assert leftovers(cache) == []
