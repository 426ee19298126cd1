"""Everything that a package can add without forking optreg, each from an installed distribution, in a new process."""

from __future__ import annotations

import json

import pytest

from registry.distributions import Site

ACME = """
    import optreg

    @optreg.hookimpl
    def optreg_hooks():
        return [
            optreg.HookSpec("centralize", "acme_hooks:Centralize", "Gradients without their mean."),
            optreg.HookSpec("count", "acme_hooks:count", "Count the steps."),
        ]

    @optreg.hookimpl
    def optreg_hook_sets():
        return [
            optreg.HookSetSpec("safe", ["skip_nonfinite", ("gradient_clipping", {"threshold": 1.0})], "For a start."),
            optreg.HookSetSpec(
                "recipe", [("centralize", {"rate": 0.5}), ("weight_decay", {"rate": 0.1})], "What we use.", ["safe"]
            ),
        ]

    @optreg.hookimpl
    def optreg_backends():
        return [optreg.BackendSpec("loud", "acme_backend:Loud", "NumPy, and says so.")]

    @optreg.hookimpl
    def optreg_targets():
        return [optreg.TargetSpec("model", "acme_target:arrays_of", ["acme_target.Model"], "Acme's models.")]

    @optreg.hookimpl
    def optreg_tasks():
        return [optreg.TaskSpec("long-valley", "acme_task:LongValley", "A valley, longer than others.")]

    @optreg.hookimpl
    def optreg_commands():
        return [
            optreg.CommandSpec("lr-find", "acme_commands:lr_find", "Look for a learning rate."),
            optreg.CommandSpec("list", "acme_commands:own_list", "Acme's own list."),
        ]

    @optreg.hookimpl
    def optreg_addhooks(pluginmanager):
        import acme_specs
        pluginmanager.add_hookspecs(acme_specs)
"""

MODULES = {
    "acme": ACME,
    "acme_hooks": """
        import attrs
        import optreg
        from optreg.hyperparameters import fraction

        @attrs.define(eq=False)
        class Centralize(optreg.Hook):
            rate: float = fraction(0.5)

            def rule(self, param, grad):
                grad -= self.rate * grad.mean()

        def count(optimizer):
            print("step", optimizer.t)
    """,
    "acme_backend": """
        from optreg.backends.numpy import NumpyBackend

        class Loud(NumpyBackend):
            name = "loud"

            def run(self, work):
                print("loud")
                super().run(work)
    """,
    "acme_target": """
        class Model:
            def __init__(self, w):
                self.w = w

        def arrays_of(model):
            from optreg.targets import ArrayTarget
            return ArrayTarget({"w": model.w})
    """,
    "acme_task": """
        from optreg.compare.surfaces import Rosenbrock

        class LongValley(Rosenbrock):
            start = (-2.0, 2.0)
    """,
    "acme_commands": """
        import click

        @click.command()
        @click.argument("name")
        def lr_find(name):
            '''Look for a learning rate for NAME.'''
            import optreg
            click.echo(f"{optreg.info(name).name}: 0.1")

        @click.command()
        def own_list():
            click.echo("acme's")
    """,
    "acme_specs": """
        import pluggy

        @pluggy.HookspecMarker("optreg")
        def acme_colours(light): ...
    """,
}

BERTA = """
    import optreg

    @optreg.hookimpl
    def acme_colours(light):
        return "light green" if light else "green"

    @optreg.hookimpl
    def optreg_hook_sets():
        return [optreg.HookSetSpec("calmer", ["acme/count"], "Acme's, and a count.", ["acme/safe"])]
"""


@pytest.fixture
def acme(site) -> Site:
    site.install("acme-tools", "2.1", {"acme": "acme"}, MODULES)
    return site


def output(site: Site, program: str) -> list[str]:
    """What a program prints that runs with these distributions."""
    result = site.run("-c", "import numpy as np, optreg\n" + program)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def command_output(site: Site, *arguments: str) -> str:
    result = site.optreg(*arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


STEP = """
w = np.array([1.0, 2.0])
optimizer.setup({"w": w}).apply_gradients({"w": np.array([0.5, 0.25])})
print(w.tolist())
"""


def test_a_hook(acme):
    program = 'optimizer = optreg.create("sgd", lr=1.0, hooks=["acme/centralize", "acme/count"])' + STEP
    assert output(acme, program) == ["step 0", "[0.6875, 1.9375]"]


def test_a_hook_set_with_order_arguments_and_another_set(acme):
    expected = ["skip_nonfinite", "gradient_clipping", "acme/centralize", "weight_decay"]
    for make in (
        'optimizer = optreg.create("sgd", lr=1.0, hooks=["acme/recipe"])',
        'optimizer = optreg.create("sgd", lr=1.0); optimizer.add_hook("acme/recipe")',
    ):
        names, step = output(acme, f"{make}\nprint(*[hook['name'] for hook in optimizer.config()['hooks']]){STEP}")
        assert names.split() == expected
        decayed = [1 - (0.5 - 0.1875 + 0.1), 2 - (0.25 - 0.1875 + 0.2)]
        assert json.loads(step) == pytest.approx(decayed)


def test_a_hook_set_that_extends_another_packages(acme):
    acme.install("berta-extras", "0.4", {"berta": "berta"}, {"berta": BERTA})
    hooks = output(acme, "print(*[name for name, _ in optreg.info('berta/calmer').hooks])")
    assert hooks == ["skip_nonfinite gradient_clipping acme/count"]


def test_hook_sets_are_listed_and_described(acme):
    assert "acme/recipe  What we use." in command_output(acme, "list", "--kind", "hook-sets")
    described = command_output(acme, "info", "acme/recipe")
    hooks = "skip_nonfinite, gradient_clipping(threshold=1.0), acme/centralize(rate=0.5), weight_decay(rate=0.1)"
    assert hooks in described
    assert 'optimizer.add_hook("acme/recipe")' in described
    assert output(acme, "print(optreg.info('acme/safe').hooks[1])") == ["('gradient_clipping', {'threshold': 1.0})"]


def test_a_backend(acme):
    program = 'optimizer = optreg.create("sgd", lr=1.0)\nwith optreg.use_backend("acme/loud"):' + STEP.replace(
        "\n", "\n    "
    )
    assert output(acme, program) == ["loud", "[0.5, 1.75]"]


def test_a_target(acme):
    program = """
import acme_target
model = acme_target.Model(np.ones(2))
optreg.create("sgd", lr=1.0).setup(model).apply_gradients({"w": np.array([0.5, 0.25])})
print(model.w.tolist())
"""
    assert output(acme, program) == ["[0.5, 0.75]"]


def test_a_task(acme, tmp_path):
    stem = tmp_path / "comparison"
    arguments = ("--task", "acme/long-valley", "--steps", "3", "--seeds", "1", "--output", str(stem))
    assert "wrote" in command_output(acme, "compare", "sgd", *arguments)
    assert "acme/long-valley" in stem.with_suffix(".json").read_text()


def test_a_command(acme):
    assert command_output(acme, "acme/lr-find", "adamw") == "adamw: 0.1\n"
    assert command_output(acme, "acme/lr-find", "--help").startswith("Usage: optreg acme/lr-find [OPTIONS] NAME")
    text = command_output(acme, "--help")
    built_in, _, its_own = text.partition("Commands of acme-tools 2.1:\n")
    assert "  list " in built_in
    assert [line.split()[0] for line in its_own.splitlines() if line] == ["acme/lr-find", "acme/list"]
    assert command_output(acme, "why", "acme/lr-find").count("acme_commands:lr_find") == 1


def test_hook_specifications_that_another_package_implements(acme):
    acme.install("berta-extras", "0.4", {"berta": "berta"}, {"berta": BERTA})
    assert output(acme, "print(optreg.plugin_manager().hook.acme_colours(light=True))") == ["['light green']"]
    assert "Nothing is broken." in command_output(acme, "doctor")


def test_all_of_it_is_counted_and_nothing_is_broken(acme):
    assert "2 hooks, 2 hook sets, 1 backend, 1 target, 1 task, 2 commands" in command_output(acme, "plugins")
    assert "Nothing is broken." in command_output(acme, "doctor")
