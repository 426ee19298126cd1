"""What the commands print, run in this process on installed distributions."""

from __future__ import annotations

import json

import pytest

import optreg
from cli.in_process import run
from optreg import builtins

COMMANDS = {spec.name: spec.summary for spec in builtins.optreg_commands()}

LOUD = """
    import optreg
    print("hello from an import")

    @optreg.hookimpl
    def optreg_optimizers():
        print("hello from a declaration")
        return [optreg.OptimizerSpec("loud", "loud_impl:Loud", "Prints.")]
"""


@pytest.fixture
def installed(site):
    site.install_acme()
    site.install("broken-optim", "0.3", {"broken": "broken_optim"}, {"broken_optim": "import not_there"})
    return site


BROKEN = "broken: broken-optim 0.3 cannot be loaded: ModuleNotFoundError: No module named 'not_there'"


def test_list_shows_every_optimizer_and_tells_on_stderr_what_is_broken(installed):
    result = run("list")
    assert result.exit_code == 0
    names = [line.split()[0] for line in result.stdout.splitlines()[1:]]
    assert names == optreg.names()
    assert "acme/zephyr" in names
    assert BROKEN in result.stderr
    assert "broken" not in result.stdout


def test_list_takes_a_pattern(installed):
    result = run("list", "zeph*")
    assert result.stdout.splitlines() == [
        "NAME         SUMMARY",
        "acme/zephyr  Second-order steps.",
    ]


def test_list_of_nothing_says_so(site):
    result = run("list", "nothing*")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No name matches 'nothing*'" in result.stderr


def test_nothing_is_cut_or_wrapped_in_a_pipe(site):
    summary = "A summary of many words, " * 20
    declared = f"""
        import optreg

        @optreg.hookimpl
        def optreg_optimizers():
            return [optreg.OptimizerSpec("{"n" * 100}", "a:B", {summary!r})]
    """
    site.install("wide", "1.0", {"wide": "wide"}, {"wide": declared})
    (line,) = run("list", "wide/*").stdout.splitlines()[1:]
    assert line == f"wide/{'n' * 100}  {summary}".rstrip()


@pytest.mark.parametrize("kind", ["hooks", "hook-sets", "backends", "targets", "tasks"])
def test_list_shows_the_other_kinds(site, kind):
    result = run("list", "--kind", kind, "--json")
    assert {each["kind"] for each in json.loads(result.stdout)} <= {kind.removesuffix("s").replace("-", " ")}


def test_list_of_all_says_the_kind_of_each(site):
    rows = [line.split() for line in run("list", "--kind", "all").stdout.splitlines()]
    assert rows[0] == ["KIND", "NAME", "SUMMARY"]
    assert {"optimizer", "hook", "backend", "task"} <= {row[0] for row in rows}


def test_list_as_json_has_what_was_declared(installed):
    listed = json.loads(run("list", "acme/*", "--json").stdout)
    assert listed == [
        {
            "name": "acme/zephyr",
            "full_name": "acme/zephyr",
            "kind": "optimizer",
            "summary": "Second-order steps.",
            "paper": "",
            "aliases": ["zeph"],
            "distribution": "acme-optim",
            "version": "1.2",
            "target": "acme_optim_impl:Zephyr",
        }
    ]


@pytest.mark.parametrize("command", [("list", "--json"), ("plugins", "--json"), ("info", "loud/loud", "--json")])
def test_a_package_that_prints_while_it_is_imported_does_not_spoil_json(site, command):
    site.install("loud", "1.0", {"loud": "loud"}, {"loud": LOUD, "loud_impl": IMPLEMENTATION})
    result = run(*command)
    assert json.loads(result.stdout)
    assert "hello from an import" in result.stderr


IMPLEMENTATION = """
    import optreg

    class Loud(optreg.GradientMethod):
        def __init__(self, lr): self.lr = lr
        def rule(self, param, grad, m, v): ...
"""


def test_info_shows_hyperparameters_with_defaults_and_bounds(site):
    lines = run("info", "adamw").stdout.splitlines()
    assert lines[0].startswith("adamw: ")
    rows = [line.split(maxsplit=2) for line in lines if line.startswith(("lr ", "beta1 ", "eps "))]
    assert rows == [["lr", "0.001", "> 0"], ["beta1", "0.9", ">= 0 and < 1"], ["eps", "1e-08", "> 0"]]
    text = "\n".join(lines)
    for expected in ("arXiv:1711.05101", "m, v", "optreg.optimizers.adam:AdamW", 'optreg.create("adamw", lr=0.001)'):
        assert expected in text


def test_info_shows_the_defaults_of_other_libraries(site):
    lines = run("info", "adamw").stdout.splitlines()
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in lines if line.startswith(("optax ", "keras "))}
    assert rows["optax"] == "lr=..., beta1=0.9, beta2=0.999, eps=1e-08, weight_decay=0.0001 optax.adamw, optax 0.2.8"
    assert "eps=1e-07" in rows["keras"]
    assert "; but eps is added to √v before v is corrected" in rows["keras"]
    read = json.loads(run("info", "lion", "--json").stdout)
    assert read["defaults"]["paper"]["values"] == {"beta1": 0.9, "beta2": 0.99}


def test_info_of_another_package_shows_its_name_and_version(installed):
    text = run("info", "acme/zeph").stdout
    assert "acme/zephyr: Second-order steps." in text
    assert "distribution  acme-optim" in text
    assert "version       1.2" in text
    assert "aliases       zeph" in text


def test_info_as_json_can_be_read_back(site):
    read = json.loads(run("info", "adamw", "--json").stdout)
    assert read["slots"] == ["m", "v"]
    assert read["hyperparameters"][0] == {"name": "lr", "required": False, "default": 0.001, "bound": "> 0", "doc": ""}


@pytest.mark.parametrize("name", [*optreg.names("optreg/*"), *optreg.hook_names("optreg/*"), "numpy", "digits-softmax"])
def test_info_works_for_every_built_in(site, name):
    assert run("info", name).stdout.startswith(f"{name}: ")
    assert json.loads(run("info", name, "--json").stdout)["name"] == name


def test_an_error_is_one_sentence_and_exit_code_1(installed):
    result = run("info", "adm")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: there is no built-in optimizer 'adm'. Did you mean 'adam'")
    assert run("info", "broken/x").stderr.startswith("Error: 'broken/x' cannot be used: broken-optim 0.3 ")


def test_wrong_usage_is_exit_code_2(site):
    assert run("info").exit_code == 2
    assert run("list", "--kind", "nonsense").exit_code == 2
    assert run("nonsense").exit_code == 2


def test_plugins_shows_each_package_with_its_state(installed):
    rows = [line.split(maxsplit=4) for line in run("plugins").stdout.splitlines()]
    assert ["acme", "acme-optim", "1.2", "ok", "1 optimizer"] in rows
    assert ["broken", "broken-optim", "0.3", "broken", "nothing"] in rows


def test_plugins_as_json_has_the_problem(installed):
    read = {each["namespace"]: each for each in json.loads(run("plugins", "--json").stdout)}
    assert read["acme"]["error"] is None
    assert read["acme"]["counts"] == {"optimizers": 1}
    assert read["broken"]["error"].startswith("broken-optim 0.3 cannot be loaded")


def test_why_tells_how_a_name_was_resolved(installed):
    result = run("why", "acme/zephyr")
    assert result.exit_code == 0
    assert "belongs to acme-optim 1.2" in result.stdout
    assert run("why", "adam").exit_code == 0


@pytest.mark.parametrize("name", ["adm", "broken/x", "nobody/x", "No Name"])
def test_why_of_a_name_without_meaning_has_exit_code_1(installed, name):
    result = run("why", name)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2


def test_doctor_of_a_healthy_installation_finds_nothing(site):
    site.install_acme()
    result = run("doctor")
    assert result.exit_code == 0, result.output
    assert "Nothing is broken." in result.stdout


def test_doctor_tells_what_is_broken_and_exits_with_1(installed):
    result = run("doctor")
    assert result.exit_code == 1
    assert BROKEN in result.stdout


UNHEALTHY = """
    import optreg

    @optreg.hookimpl
    def optreg_optimizers():
        return [
            optreg.OptimizerSpec("lost", "not_there:Lost", "A missing module."),
            optreg.OptimizerSpec("fake", "ill_impl:Fake", "No optimizer."),
            optreg.OptimizerSpec("needy", "not_there:Needy", "Needs something.", requires=("package-of-tomorrow",)),
            optreg.OptimizerSpec("healthy", "optreg.optimizers.sgd:SGD", "Fine."),
        ]

    @optreg.hookimpl
    def optreg_hook_sets():
        return [optreg.HookSetSpec("orphan", ["not_there"], "A missing hook.")]

    @optreg.hookimpl
    def optreg_colours():
        return []
"""


def test_doctor_finds_what_only_breaks_on_use(site):
    site.install("ill-optim", "4.2", {"ill": "ill"}, {"ill": UNHEALTHY, "ill_impl": "class Fake: pass"})
    lines = run("doctor").stdout.splitlines()
    broken = [line for line in lines if line.startswith("broken: ")]
    assert len(broken) == 4
    assert any(
        "ill/lost" in line and "ill-optim 4.2" in line and "No module named 'not_there'" in line for line in broken
    )
    assert any("ill/fake is not an optimizer" in line for line in broken)
    assert any("'not_there'" in line and "hook" in line for line in broken)
    assert any("implements 'optreg_colours', a hook that nobody calls" in line for line in broken)
    assert "note: ill/needy needs package-of-tomorrow, which is not installed" in lines


def test_doctor_tells_of_settings_without_effect(site, monkeypatch):
    monkeypatch.setenv("OPTREG_PLUGINS", "nobody")
    monkeypatch.setenv("OPTREG_BACKEND", "abacus")
    result = run("doctor")
    assert result.exit_code == 1
    assert "note: OPTREG_PLUGINS lists 'nobody', but no installed package has that namespace" in result.stdout
    assert "broken: OPTREG_BACKEND='abacus': there is no built-in backend 'abacus'" in result.stdout


def test_something_switched_off_is_a_note_and_not_broken(site, monkeypatch):
    site.install_acme()
    monkeypatch.setenv("OPTREG_PLUGINS", "other")
    result = run("doctor")
    assert result.exit_code == 0
    assert "note: acme-optim 1.2 is switched off" in result.stdout
    assert run("list").stderr == ""


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_every_command_has_help(command):
    result = run(*([command] if command else []), "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: optreg")


def test_the_line_of_help_of_a_command_is_the_first_of_its_own_help():
    for name, line in COMMANDS.items():
        if name != "compare":
            text = " ".join(run(name, "--help").stdout.split())
            assert line.rstrip(".").partition(";")[0].partition(":")[0].split()[0] in text
