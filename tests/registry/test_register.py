from __future__ import annotations

import types

import pytest

import optreg
from optreg import BackendSpec, HookSetSpec, HookSpec, OptimizerSpec, TargetSpec, TaskSpec, adapters, registry
from optreg.errors import NameTakenError, PluginError, UnknownNameError


class Zephyr(optreg.GradientMethod):
    """Steps of the second order.

    More about them.
    """

    def __init__(self, lr=0.1):
        self.lr = lr

    def rule(self, param, grad):
        param -= self.lr * grad


class Clip(optreg.Hook):
    """Clip something."""

    def rule(self, param, grad):
        grad *= 0.5


def note(optimizer):
    """Note something."""


@pytest.fixture(autouse=True)
def _undone(site):
    """Every test of this file ends in the registry that it began with."""


def test_a_class_with_setup_and_update_is_registered_as_an_optimizer():
    assert optreg.register("my/zephyr", Zephyr, summary="Mine.", paper="Me 2024", aliases=["zeph"]) is Zephyr
    assert optreg.get("my/zephyr") is optreg.get("my/zeph") is Zephyr
    info = optreg.info("my/zephyr")
    assert (info.summary, info.paper, info.aliases) == ("Mine.", "Me 2024", ("zeph",))
    assert (info.distribution, info.version) == (None, None)
    assert info.target == f"{__name__}:Zephyr"
    assert optreg.names("my/*") == ["my/zephyr"]
    assert optreg.create("my/zephyr", lr=0.5).config() == {"name": "my/zephyr", "lr": 0.5}


def test_the_summary_is_the_first_line_of_the_docstring_unless_given():
    optreg.register("my/zephyr", Zephyr)
    assert optreg.info("my/zephyr").summary == "Steps of the second order."


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: [], r"has a function optreg_hooks\(\) without @optreg.hookimpl"),
        (optreg.hookimpl(lambda colour: []), "implements 'optreg_hooks' with 'colour', which that hook does not have"),
    ],
    ids=["not marked", "another argument"],
)
def test_a_module_with_a_function_that_nobody_would_call_is_refused(function, message):
    module = types.ModuleType("mine")
    module.optreg_hooks = function
    module.optreg_optimizers = optreg.hookimpl(lambda: [OptimizerSpec("zephyr", f"{__name__}:Zephyr", "Mine.")])
    with pytest.raises(PluginError, match=message):
        optreg.register(module, namespace="my")
    assert optreg.names("my/*") == []


def test_a_decorator_registers_and_returns_the_class():
    @optreg.register("my/local", paper="Me 2024")
    class Local(Zephyr):
        pass

    assert optreg.get("my/local") is Local
    assert optreg.info("my/local").paper == "Me 2024"
    assert "<locals>" in optreg.info("my/local").target


@pytest.mark.parametrize("hook", [Clip, note])
def test_a_class_of_hooks_or_a_function_is_registered_as_a_hook(hook):
    optreg.register("my/hook", hook)
    assert optreg.hook_names("my/*") == ["my/hook"]
    assert optreg.names("my/*") == []
    assert optreg.create("sgd", hooks=["my/hook"])._hooks.keys() == {"my/hook"}


def test_a_text_target_is_imported_at_once(site):
    site.install_acme()
    optreg.register("my/zephyr", "acme_optim_impl:Zephyr")
    assert optreg.info("my/zephyr").target == "acme_optim_impl:Zephyr"
    with pytest.raises(
        PluginError, match="cannot register 'my/lost': 'not_there:X' cannot be imported: ModuleNotFound"
    ):
        optreg.register("my/lost", "not_there:X")
    with pytest.raises(UnknownNameError):
        optreg.get("my/lost")


@pytest.mark.parametrize("name", ["zephyr", "adam"])
def test_a_bare_name_is_refused_with_what_to_write(name):
    with pytest.raises(PluginError, match=f"add a namespace, as in 'my/{name}'"):
        optreg.register(name, Zephyr)


@pytest.mark.parametrize("name", ["My/zephyr", "my/Zephyr", "my/", "/zephyr", "a/b/c", "my/so phia"])
def test_an_odd_name_is_refused(name):
    with pytest.raises(PluginError):
        optreg.register(name, Zephyr)


def test_the_namespace_of_the_built_ins_is_refused():
    with pytest.raises(PluginError, match="'optreg' is reserved"):
        optreg.register("optreg/zephyr", Zephyr)
    with pytest.raises(PluginError, match="'optreg' is reserved"):
        optreg.register(OptimizerSpec("zephyr", "a:B", "x"), namespace="optreg")


def test_a_name_that_is_taken_is_refused_with_whose_it_is(site):
    site.install_acme()
    with pytest.raises(
        NameTakenError, match=r"'acme/zephyr' is taken: acme-optim 1\.2 offers it as 'acme_optim_impl:Zeph"
    ):
        optreg.register("acme/zephyr", Zephyr)
    with pytest.raises(NameTakenError, match="'acme/zeph' is taken"):
        optreg.register("acme/new", Zephyr, aliases=("zeph",))
    optreg.register("my/zephyr", Zephyr)
    with pytest.raises(NameTakenError, match="'my/zephyr' is taken: this process offers it"):
        optreg.register("my/zephyr", Zephyr)
    assert optreg.names("*/new") == []


def test_an_installed_namespace_can_be_added_to(site):
    site.install_acme()
    optreg.register("acme/other", Zephyr)
    assert optreg.names("acme/*") == ["acme/other", "acme/zephyr"]
    assert optreg.get("acme/other") is Zephyr


def test_a_hook_may_have_the_name_of_an_optimizer():
    optreg.register("my/same", Zephyr)
    optreg.register("my/same", Clip)
    assert optreg.get("my/same") is Zephyr
    assert isinstance(optreg.create_hook("my/same"), Clip)


@pytest.mark.parametrize("thing", [int, 3, object(), types.ModuleType("empty")])
def test_what_is_neither_an_optimizer_nor_a_hook_is_refused(thing):
    with pytest.raises(PluginError, match=r"neither an optimizer .* nor a hook"):
        optreg.register("my/thing", thing)


def test_any_declaration_can_be_registered(site):
    site.install_acme()
    optreg.register(OptimizerSpec("zephyr", "acme_optim_impl:Zephyr", "Steps."), namespace="my")
    optreg.register(HookSpec("note", f"{__name__}:note", "A note."), namespace="my")
    optreg.register(HookSetSpec("set", ["note"], "A set."), namespace="my")
    optreg.register(BackendSpec("fast", f"{__name__}:Zephyr"), namespace="my")
    optreg.register(TaskSpec("hard-task", f"{__name__}:Zephyr"), namespace="my")
    assert optreg.create("my/zephyr").lr == 0.1
    assert registry.hook_set("my/set") == [("my/note", {})]
    assert registry.backend("my/fast") is Zephyr
    assert registry.task("my/hard-task") is Zephyr


def test_a_declaration_needs_a_namespace():
    with pytest.raises(PluginError, match=r"register\(\.\.\., namespace='acme'\)"):
        optreg.register(OptimizerSpec("zephyr", "a:B", "x"))
    with pytest.raises(PluginError, match="leave namespace='my' out"):
        optreg.register("my/zephyr", Zephyr, namespace="my")


class Declarations:
    @optreg.hookimpl
    def optreg_optimizers(self):
        return [OptimizerSpec("zephyr", f"{__name__}:Zephyr", "Steps.")]

    @optreg.hookimpl
    def optreg_hooks(self):
        return [HookSpec("clip", f"{__name__}:Clip", "Clipping.")]


def test_an_object_with_hook_implementations_can_be_registered():
    optreg.register(Declarations(), namespace="my")
    assert optreg.get("my/zephyr") is Zephyr
    assert optreg.hook_names("my/*") == ["my/clip"]
    (info,) = [info for info in optreg.plugins() if info.namespace == "my"]
    assert (info.distribution, info.status, info.counts) == (None, "ok", {"optimizers": 1, "hooks": 1})


class Wrong:
    @optreg.hookimpl
    def optreg_optimizers(self):
        return [OptimizerSpec("good", f"{__name__}:Zephyr", "Steps."), 3]


def test_an_object_with_a_problem_is_refused_as_a_whole():
    with pytest.raises(PluginError, match="a value of type int among the OptimizerSpecs"):
        optreg.register(Wrong(), namespace="my")
    assert optreg.names("my/*") == []
    assert [info.namespace for info in optreg.plugins()] == ["optreg"]


def test_an_object_that_declares_nothing_is_refused():
    with pytest.raises(PluginError, match="declares nothing"):
        optreg.register(types.ModuleType("empty"), namespace="my")


def test_an_object_whose_names_are_taken_is_refused_as_a_whole():
    optreg.register("my/clip", Clip)
    with pytest.raises(NameTakenError, match="'my/clip' is taken"):
        optreg.register(Declarations(), namespace="my")
    assert optreg.names("my/*") == []
    optreg.register(Declarations(), namespace="other")
    assert optreg.names("other/*") == ["other/zephyr"]


def test_temporary_undoes_registrations_also_after_an_exception():
    with optreg.temporary():
        optreg.register("my/zephyr", Zephyr)
        assert optreg.names("my/*") == ["my/zephyr"]
    assert optreg.names("my/*") == []
    with pytest.raises(ZeroDivisionError):
        fails_after_registering()
    assert optreg.names("my/*") == []


@optreg.temporary()
def fails_after_registering():
    optreg.register("my/zephyr", Zephyr)
    raise ZeroDivisionError


def test_temporary_scopes_nest_and_see_what_was_registered_before():
    optreg.register("my/outer", Zephyr)
    optreg.register(Declarations(), namespace="objects")
    with optreg.temporary():
        optreg.register("my/inner", Zephyr)
        with optreg.temporary():
            optreg.register("my/innermost", Zephyr)
            assert optreg.names("my/*") == ["my/inner", "my/innermost", "my/outer"]
            assert optreg.names("objects/*") == ["objects/zephyr"]
        assert optreg.names("my/*") == ["my/inner", "my/outer"]
    assert optreg.names("my/*") == ["my/outer"]


def test_temporary_is_a_decorator_as_well():
    @optreg.temporary()
    def registers():
        optreg.register("my/zephyr", Zephyr)
        return optreg.names("my/*")

    assert registers() == registers() == ["my/zephyr"]
    assert optreg.names("my/*") == []


def test_temporary_reads_entry_points_afresh(site):
    assert "acme/zephyr" not in optreg.names()
    with optreg.temporary():
        site.install_acme()
        assert "acme/zephyr" in optreg.names()
    assert "acme/zephyr" not in optreg.names()


class Model:
    def __init__(self, w):
        self.w = w


class SpecialModel(Model):
    pass


class Adapted:
    def __init__(self, model):
        self.model = model

    def namedparams(self):
        return []


class SpecialAdapted(Adapted):
    pass


def test_a_target_adapter_is_found_by_the_names_of_the_classes_of_an_object():
    assert adapters.adapt(Model(3)) is None
    optreg.register(TargetSpec("model", f"{__name__}:Adapted", types=[f"{__name__}.Model"]), namespace="my")
    model = SpecialModel(3)
    assert type(adapters.adapt(model)) is Adapted
    assert optreg.create("sgd").setup(model).target.model is model


def test_the_adapter_of_the_nearest_class_is_taken():
    optreg.register(TargetSpec("model", f"{__name__}:Adapted", [f"{__name__}.Model"]), namespace="my")
    optreg.register(
        TargetSpec("special", f"{__name__}:SpecialAdapted", [f"{__name__}.SpecialModel"]), namespace="other"
    )
    assert type(adapters.adapt(SpecialModel(3))) is SpecialAdapted
    assert type(adapters.adapt(Model(3))) is Adapted


def test_two_adapters_for_one_class_are_an_error_that_names_both():
    for namespace in ("one", "two"):
        optreg.register(TargetSpec("model", f"{__name__}:Adapted", [f"{__name__}.Model"]), namespace=namespace)
    with pytest.raises(PluginError, match=r"more than one adapter .*Model: one/model .* and two/model"):
        adapters.adapt(Model(3))
