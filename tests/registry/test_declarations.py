from __future__ import annotations

import pickle

import pytest

from optreg import BackendSpec, HookSetSpec, HookSpec, OptimizerSpec, TargetSpec, TaskSpec
from optreg.declarations import KINDS
from optreg.errors import PluginError


@pytest.mark.parametrize("name", ["adamw", "zephyr_g", "x", "adam2"])
def test_a_name_is_snake_case(name):
    assert OptimizerSpec(name, "acme:Zephyr", "A summary.").name == name


@pytest.mark.parametrize("name", ["", "AdamW", "adam-w", "2adam", "_adam", "acme/adam", "ädam", "adam\n", None, 3])
def test_any_other_name_is_refused_with_what_is_accepted(name):
    with pytest.raises(
        PluginError, match=r"OptimizerSpec: name must be a name \(a lower-case letter.* but it is"
    ) as caught:
        OptimizerSpec(name, "acme:Zephyr", "A summary.")
    assert repr(name) in str(caught.value)


def test_a_task_may_have_hyphens():
    assert TaskSpec("breast-cancer", "acme:Task").name == "breast-cancer"


@pytest.mark.parametrize("target", ["acme:Zephyr", "acme.impl:Zephyr", "acme.impl:Outer.Inner", "_acme:_x"])
def test_a_target_is_a_module_and_an_attribute(target):
    assert HookSpec("clip", target, "A summary.").target == target


@pytest.mark.parametrize("target", ["acme", "acme.Zephyr", "acme:", ":Zephyr", "acme:So phia", "acme:1", "a b:C", None])
def test_any_other_target_is_refused(target):
    with pytest.raises(PluginError, match="HookSpec 'clip': target must be text of the form \"module:Class\""):
        HookSpec("clip", target, "A summary.")


def test_a_summary_of_two_lines_is_refused():
    with pytest.raises(PluginError, match="summary must be one line of text"):
        OptimizerSpec("zephyr", "acme:Zephyr", "One line.\nAnother.")


def test_aliases_and_requirements_may_be_lists_and_become_tuples():
    spec = OptimizerSpec("zephyr", "acme:Zephyr", "A summary.", aliases=["zeph"], requires=["torch", "cupy-cuda12x"])
    assert (spec.aliases, spec.requires) == (("zeph",), ("torch", "cupy-cuda12x"))


def test_a_text_in_place_of_a_list_of_aliases_is_refused():
    with pytest.raises(PluginError, match="aliases must be a tuple of texts"):
        OptimizerSpec("zephyr", "acme:Zephyr", "A summary.", aliases="zeph")


def test_a_requirement_with_a_version_is_refused():
    with pytest.raises(PluginError, match="without a version"):
        BackendSpec("fast", "acme:Fast", "A summary.", requires=("torch>=2",))


def test_the_types_of_a_target_are_full_names():
    assert TargetSpec("model", "acme:adapt", types=["torch.nn.modules.module.Module"]).types == (
        "torch.nn.modules.module.Module",
    )
    with pytest.raises(PluginError, match=r'"module\.Class"'):
        TargetSpec("model", "acme:adapt", types=("torch nn",))


@pytest.mark.parametrize(
    "name", ["builtins.object", "builtins.dict", "collections.OrderedDict", "collections.abc.Mapping"]
)
def test_no_package_can_take_the_types_that_setup_knows_itself(name):
    with pytest.raises(PluginError, match="not of one of Python's own"):
        TargetSpec("everything", "acme:adapt", types=(name,))


def test_a_hook_set_keeps_the_order_and_the_arguments_of_its_hooks():
    spec = HookSetSpec("stable", ["skip_nonfinite", ("acme/clip", {"threshold": 1.0})], extends=["base"])
    assert spec.hooks == (("skip_nonfinite", {}), ("acme/clip", {"threshold": 1.0}))
    assert spec.extends == ("base",)


@pytest.mark.parametrize("hooks", ["clip", {"clip": {}}, [("clip", 1.0)], [3], ["Clip"], [("a/b/c", {})]])
def test_a_hook_set_of_anything_else_is_refused(hooks):
    with pytest.raises(PluginError, match="hooks must be a sequence of"):
        HookSetSpec("stable", hooks)


def test_declarations_cannot_be_changed():
    spec = OptimizerSpec("zephyr", "acme:Zephyr", "A summary.")
    with pytest.raises(AttributeError):
        spec.name = "other"


def test_declarations_can_be_compared_and_pickled():
    spec = OptimizerSpec("zephyr", "acme:Zephyr", "A summary.", "Liu 2023", ("zeph",))
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert spec != OptimizerSpec("zephyr", "acme:Zephyr", "Another summary.", "Liu 2023", ("zeph",))


def test_every_kind_of_declaration_has_a_name_of_its_own():
    assert list(KINDS) == ["optimizer", "hook", "hook set", "backend", "target", "task", "command"]
