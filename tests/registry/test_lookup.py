from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import optreg
from optreg import registry
from optreg.errors import UnknownNameError

OWN_ADAMW = """
    import optreg

    @optreg.hookimpl
    def optreg_optimizers():
        return [
            optreg.OptimizerSpec("adamw", "optreg.optimizers.sgd:SGD", "Not what you think.", aliases=("adam",)),
            optreg.OptimizerSpec("zephyr", "optreg.optimizers.sgd:SGD", "Another Zephyr."),
        ]

    @optreg.hookimpl
    def optreg_hooks():
        return [optreg.HookSpec("zephyr", "own_optim:hook", "A hook of the same name.", aliases=["hook_only"])]

    def hook(optimizer): pass
"""


@pytest.fixture
def installed(site):
    site.install_acme()
    site.install("own-optim", "2.0", {"own": "own_optim"}, {"own_optim": OWN_ADAMW})
    return site


def test_installing_a_package_never_changes_what_a_bare_name_means(installed):
    assert optreg.names("own/*") == ["own/adamw", "own/zephyr"]
    assert optreg.get("adamw").__name__ == "AdamW"
    assert optreg.get("optreg/adamw") is optreg.get("adamw")
    assert optreg.get("own/adamw").__name__ == "SGD"


def test_names_are_bare_for_the_built_ins_and_come_first(installed):
    names = optreg.names()
    others = ["acme/zephyr", "own/adamw", "own/zephyr"]
    assert names[-3:] == others
    assert names[:-3] == sorted(names[:-3])
    assert not any("/" in name for name in names[:-3])


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("adamw", ["adamw", "own/adamw"]),
        ("optreg/adam", ["adam"]),
        ("*/zeph??", ["acme/zephyr", "own/zephyr"]),
        ("acme/*", ["acme/zephyr"]),
        ("nothing*", []),
        ("ADAM*", []),
    ],
)
def test_a_pattern_is_compared_with_the_full_name_and_with_its_last_part(installed, pattern, expected):
    assert optreg.names(pattern) == expected


def test_an_alias_means_the_same_and_is_not_listed(installed):
    assert optreg.get("acme/zeph") is optreg.get("acme/zephyr")
    assert optreg.names("acme/zeph") == []
    assert optreg.info("acme/zeph").full_name == "acme/zephyr"
    assert optreg.info("acme/zephyr").aliases == ("zeph",)


def test_an_alias_counts_only_in_its_own_namespace(installed):
    assert optreg.get("own/adam").__name__ == "SGD"
    assert optreg.get("adam").__name__ == "Adam"
    with pytest.raises(UnknownNameError):
        optreg.get("own/zeph")


def test_a_hook_and_an_optimizer_may_have_the_same_name(installed):
    import own_optim

    assert optreg.create_hook("own/zephyr") is own_optim.hook
    assert optreg.get("own/zephyr").__name__ == "SGD"


def test_an_unknown_bare_name_says_who_offers_it(installed):
    with pytest.raises(UnknownNameError) as caught:
        optreg.create("zephyr")
    message = str(caught.value)
    assert message.startswith("there is no built-in optimizer 'zephyr'.")
    assert "'acme/zephyr' is offered by acme-optim 1.2" in message
    assert "'own/zephyr' is offered by own-optim 2.0" in message


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("adamm", "'adam'"),
        ("zephr", "'acme/zephyr' or 'own/zephyr'"),
        ("Adam", "'adam'"),
        ("nesterov-ag", "'nesterov_ag'"),
        ("acme/zefyr", "'acme/zephyr'"),
        ("acne/zephyr", "'acme'"),
    ],
)
def test_a_misspelling_is_answered_with_what_was_meant(installed, name, suggestion):
    with pytest.raises(UnknownNameError, match=f"Did you mean {suggestion}|'acme/zephyr' is offered by") as caught:
        optreg.create(name)
    assert suggestion in str(caught.value)


def test_an_unknown_name_of_a_known_package_names_distribution_and_version(installed):
    with pytest.raises(
        UnknownNameError, match=r"^acme-optim 1\.2 offers no optimizer 'lion'\. 'lion' is offered by optreg"
    ):
        optreg.create("acme/lion")


def test_a_name_of_another_kind_is_told(installed):
    with pytest.raises(UnknownNameError, match=r"no built-in optimizer 'weight_decay'.* That name is a hook"):
        optreg.create("weight_decay")
    with pytest.raises(UnknownNameError, match=r"no built-in hook 'adam'.* That name is an optimizer"):
        optreg.create_hook("adam")


@pytest.mark.parametrize("name", ["", "/", "acme/", "/zephyr", "a/b/c", "Adam W", "adam\n"])
def test_what_cannot_be_a_name_is_told_with_what_names_look_like(installed, name):
    with pytest.raises(UnknownNameError, match="names look like 'adamw' or 'acme/sophia'"):
        optreg.get(name)


@pytest.mark.parametrize("name", [None, 3, ["adam"], b"adam"])
def test_what_is_no_text_is_told_as_well(name):
    with pytest.raises(UnknownNameError, match="names look like"):
        optreg.get(name)


def test_info_says_what_is_declared_and_what_the_class_tells(installed):
    info = optreg.info("acme/zephyr")
    assert (info.name, info.full_name) == ("acme/zephyr", "acme/zephyr")
    assert (info.distribution, info.version) == ("acme-optim", "1.2")
    assert info.summary == "Second-order steps."
    assert info.target == "acme_optim_impl:Zephyr"
    assert info.slots == ("m",)
    assert [(each.name, each.default) for each in info.hyperparameters] == [("lr", 0.1), ("master_weights", False)]
    assert optreg.info("adamw").full_name == "optreg/adamw"


def test_info_knows_names_of_every_kind(installed):
    hook = optreg.info("gradient_clipping")
    assert (hook.kind, hook.hyperparameters[0].name, hook.slots) == ("hook", "threshold", ())
    assert optreg.info("own/hook_only").kind == "hook"
    assert optreg.info("own/zephyr").kind == "optimizer"
    assert {optreg.info(name).kind for name in ("numpy", "digits-softmax", "doctor")} == {"backend", "task", "command"}
    with pytest.raises(UnknownNameError, match="Did you mean 'weight_decay'"):
        optreg.info("weight_decy")


def test_the_name_of_a_class_is_what_create_takes(installed):
    import acme_optim_impl

    assert registry.name_of(optreg.get("adamw")) == "adamw"
    assert registry.name_of(optreg.WeightDecay) == "weight_decay"
    assert registry.name_of(acme_optim_impl.Zephyr) == "acme/zephyr"
    assert registry.name_of(int) is None
    assert registry.name_of(type("AdamW", (optreg.get("adamw"),), {})) is None


def test_the_name_of_a_class_is_found_without_importing_other_packages(installed):
    installed.install("loud", "1.0", {"loud": "loud_optim"}, {"loud_optim": "raise SystemExit('imported')"})
    import acme_optim_impl

    with optreg.temporary():
        assert registry.name_of(type("Mine", (), {"__module__": "__main__"})) is None
        assert optreg.create("acme/zephyr").config()["name"] == "acme/zephyr"
        assert registry.name_of(acme_optim_impl.Zephyr) == "acme/zephyr"
        assert "loud_optim" not in sys.modules


def test_a_class_that_its_package_reexports_has_its_declared_name(site):
    declared = """
        import optreg

        @optreg.hookimpl
        def optreg_optimizers():
            return [optreg.OptimizerSpec("mine", "facade:Mine", "Reexported.")]
    """
    modules = {"facade": "from acme_optim_impl import Zephyr as Mine\n" + declared.replace("\n        ", "\n")}
    site.install_acme()
    site.install("facade", "1.0", {"facade": "facade"}, modules)
    with optreg.temporary():
        assert optreg.create("facade/mine").config()["name"] == "facade/mine"


def test_many_threads_can_ask_at_once(installed):
    installed.install_many(20)
    names = ["acme/zephyr", "own/adamw", "adam", *[f"many-{i}/opt" for i in range(20)]] * 5

    def ask(name: str) -> bool:
        return registry.lookup.find("optimizer", name).shown_name == name

    with optreg.temporary(), ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, names))


READS_NOTHING = """
import sys, importlib.metadata

class Watch:
    asked = 0
    def find_spec(self, *args, **kwds): return None
    def find_distributions(self, context=importlib.metadata.DistributionFinder.Context()):
        Watch.asked += 1
        return []

import numpy
sys.meta_path.append(Watch())
import optreg
optimizer = optreg.create("adamw", hooks=[("gradient_clipping", {"threshold": 1.0})], options={"/w": {"lr": 0.5}})
optimizer.setup({"w": numpy.zeros(3)}).apply_gradients({"w": numpy.ones(3)})
optimizer.add_hook("weight_decay", rate=1e-4)
assert optreg.create(optimizer.config()).config() == optimizer.config()
optreg.get("optreg/adamw")
assert Watch.asked == 0, "a built-in made somebody read entry points"
optreg.names()
assert Watch.asked > 0
"""


def test_a_built_in_is_found_without_reading_a_single_entry_point(site):
    site.install_acme()
    result = site.run("-c", READS_NOTHING)
    assert result.returncode == 0, result.stderr


def test_why_tells_how_a_name_was_resolved(installed):
    assert "it can only mean a built-in" in registry.why("adamw")[0]
    sentences = " ".join(registry.why("acme/zeph"))
    assert "belongs to acme-optim 1.2" in sentences
    assert "names the module 'acme_optim'" in sentences
    assert "the optimizer 'zephyr', of which 'acme/zeph' is an alias, at 'acme_optim_impl:Zephyr'" in sentences
    assert "'own/zephyr' (own-optim 2.0)" in sentences


def test_why_tells_what_is_wrong(installed):
    installed.install("broken", "0.3", {"broken": "broken"}, {"broken": "1 / 0"})
    with optreg.temporary():
        assert "broken 0.3 cannot be loaded: ZeroDivisionError" in registry.why("broken/x")[-1]
        assert "no built-in optimizer 'adamm'" in registry.why("adamm")[-1]


def test_the_public_functions_work_in_a_fresh_process():
    code = "import optreg; assert 'adam' in optreg.names(); assert optreg.info('adam').slots == ('m', 'v')"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
