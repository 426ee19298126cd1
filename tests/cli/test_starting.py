"""The command in a process of its own."""

from __future__ import annotations

import signal
import sys
import time

import pytest


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_its_libraries_the_command_says_what_to_install(site, missing):
    # As if it were not installed: an import of this name fails as an import of a missing module does.
    source = f'raise ModuleNotFoundError("No module named {missing!r}", name={missing!r})'
    (site.path / f"{missing}.py").write_text(source)
    result = site.optreg("list")
    assert result.returncode == 1
    assert result.stderr == (
        f"The optreg command needs {missing}, which the library does without: pip install 'optreg[cli]'\n"
    )


BREAKAGES = {
    "missing": "import not_there",
    "syntax": "def broken(:",
    "exits": "raise SystemExit('goodbye')",
    "stopped": "raise KeyboardInterrupt",
    "none": "import optreg\n\n@optreg.hookimpl\ndef optreg_optimizers():\n    pass\n",
}


def test_the_command_starts_when_every_plugin_is_broken(site):
    for name, source in BREAKAGES.items():
        site.install(f"{name}-optim", "0.3", {name: f"{name}_optim"}, {f"{name}_optim": source})
    for command, code in ((("list",), 0), (("plugins",), 0), (("doctor",), 1), (("info", "adam"), 0), (("--help",), 0)):
        result = site.optreg(*command)
        assert result.returncode == code, result.stderr
        assert "Traceback" not in result.stderr
    told = site.optreg("list").stderr
    assert all(f"broken: {name}-optim 0.3 " in told for name in BREAKAGES)


def test_five_hundred_packages_and_a_broken_one_are_listed(site):
    site.install_many(500)
    site.install("broken-optim", "0.3", {"broken": "broken_optim"}, {"broken_optim": "import not_there"})
    result = site.optreg("list")
    assert result.returncode == 0
    assert sum(line.startswith("many-") for line in result.stdout.splitlines()) == 500
    assert result.stderr.splitlines() == [
        "broken: broken-optim 0.3 cannot be loaded: ModuleNotFoundError: No module named 'not_there' "
        "(broken_optim.py, line 1)",
        "The other packages are not affected; `optreg doctor` says more.",
    ]


def test_a_terminal_that_lacks_a_letter_shows_a_question_mark(site):
    result = site.optreg("list", "--kind", "tasks", PYTHONIOENCODING="cp437")
    assert result.returncode == 0, result.stderr
    assert "8 ? 8 handwritten digits" in result.stdout


def test_the_version_is_shown(site):
    assert site.optreg("--version").stdout.startswith("optreg ")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_on_a_terminal_the_last_column_is_wrapped_to_its_width(site):
    site.install_acme()
    program = "import pty, sys; sys.exit(pty.spawn([sys.executable, '-m', 'optreg', 'list', 'adam*']) >> 8)"
    result = site.run("-c", program, COLUMNS="40")
    lines = result.stdout.replace("\r\n", "\n").splitlines()
    shown = [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in lines]
    assert shown[0] == "NAME    SUMMARY"
    assert max(len(line) for line in shown) <= 40
    assert " ".join(" ".join(shown[1:]).split()).startswith("adam Averaged gradients, divided by the root of their")


ENDLESS = """
    import pathlib, signal, time

    signal.signal(signal.SIGINT, signal.default_int_handler)
    pathlib.Path(__file__).with_suffix(".started").touch()
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent Ctrl-C")
def test_an_endless_import_can_be_stopped_by_the_user_and_the_listing_goes_on(site):
    site.install_acme()
    site.install("endless-optim", "9.9", {"endless": "endless_optim"}, {"endless_optim": ENDLESS})
    with site.start("-m", "optreg", "list") as process:
        while not (site.path / "endless_optim.started").exists():
            assert process.poll() is None, "it ended before the package was imported"
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "acme/zephyr" in output
    assert "broken: endless-optim 9.9 cannot be loaded: KeyboardInterrupt: stopped by the user" in errors
