"""What installed packages declare, and when it is read."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import optreg
from optreg.errors import OptregError, PluginError, UnknownNameError

HEADER = "import optreg\n"


def declaring(body: str, function: str = "optreg_optimizers") -> str:
    return f"{HEADER}\n@optreg.hookimpl\ndef {function}():\n    {body}\n"


def spec(name: str, target: str = "acme_optim_impl:Zephyr") -> str:
    return f'optreg.OptimizerSpec("{name}", "{target}", "A summary.")'


def info_of(namespace: str) -> optreg.registry.PluginInfo:
    (found,) = [info for info in optreg.plugins() if info.namespace == namespace]
    return found


def test_an_entry_point_may_name_an_object_with_hook_implementations(site):
    source = """
        import optreg

        class Declarations:
            @staticmethod
            @optreg.hookimpl
            def optreg_hooks():
                return [optreg.HookSpec("clip", "objects:clip", "A hook.")]

        def clip(optimizer): pass

        plugin = Declarations
    """
    site.install("objects", "1.0", {"objects": "objects:plugin [extra]"}, {"objects": source})
    assert "objects/clip" in optreg.hook_names()


def test_a_stopped_import_is_tried_again_when_the_package_itself_is_asked_for(site, monkeypatch):
    source = "import sys\nif sys.ready is False: raise KeyboardInterrupt\n" + declaring(f"return [{spec('zephyr')}]")
    site.install_acme()
    site.install("slow-optim", "1.0", {"slow": "slow_optim"}, {"slow_optim": source})
    monkeypatch.setattr(sys, "ready", False, raising=False)
    assert info_of("slow").status == "broken"
    with pytest.raises(KeyboardInterrupt):
        optreg.create("slow/zephyr")
    monkeypatch.setattr(sys, "ready", True)
    assert optreg.create("slow/zephyr").lr == 0.1
    assert info_of("slow").status == "ok"


def test_a_declaration_that_is_stopped_is_asked_for_again(site, monkeypatch):
    source = declaring(f"if sys.ready is False: raise KeyboardInterrupt\n    return [{spec('zephyr')}]")
    site.install_acme()
    site.install("slow-optim", "1.0", {"slow": "slow_optim"}, {"slow_optim": "import sys\n" + source})
    monkeypatch.setattr(sys, "ready", False, raising=False)
    assert "stopped by the user" in info_of("slow").error
    monkeypatch.setattr(sys, "ready", True)
    assert optreg.create("slow/zephyr").lr == 0.1


def test_what_is_right_among_what_is_wrong_can_be_used(site):
    site.install_acme()
    body = f"yield {spec('good')}\n    yield 'bad'\n    yield {spec('better')}\n    raise OSError('disk')"
    hooks = declaring('return [optreg.HookSpec("clip", "wrong_optim:clip", "A hook.")]', "optreg_hooks")
    site.install("wrong-optim", "2.0", {"wrong": "wrong_optim"}, {"wrong_optim": declaring(body) + hooks})
    assert optreg.names("wrong/*") == ["wrong/better", "wrong/good"]
    assert optreg.hook_names("wrong/*") == ["wrong/clip"]
    assert optreg.create("wrong/good").lr == 0.1
    assert "type str among the OptimizerSpecs" in info_of("wrong").error
    assert "OSError: disk" in info_of("wrong").error


def test_a_declaration_of_a_missing_module_fails_when_it_is_used(site):
    source = declaring(f"return [{spec('zephyr', 'not_there:Zephyr')}, {spec('other', 'acme_optim_impl:Other')}]")
    site.install_acme()
    site.install("lost-optim", "1.0", {"lost": "lost_optim"}, {"lost_optim": source})
    assert "lost/zephyr" in optreg.names()
    with pytest.raises(
        PluginError, match=r"lost/zephyr cannot be used: lost-optim 1\.0 .*'not_there:Zephyr'.*No module"
    ):
        optreg.create("lost/zephyr")
    with pytest.raises(PluginError, match=r"lost-optim 1\.0 .* has no attribute 'Other'"):
        optreg.get("lost/other")


def test_a_name_declared_twice_fails_when_it_is_used_and_only_then(site):
    site.install_acme()
    body = f"return [{spec('twin')}, {spec('twin', 'elsewhere:Twin')}, {spec('single')}]"
    site.install("twin-optim", "1.0", {"twin": "twin_optim"}, {"twin_optim": declaring(body)})
    assert optreg.names("twin/*") == ["twin/single"]
    assert optreg.create("twin/single").lr == 0.1
    with pytest.raises(PluginError, match=r"'twin/twin' is ambiguous: twin-optim 1\.0 .*acme_optim_impl.*elsewhere"):
        optreg.create("twin/twin")
    assert "more than once" in info_of("twin").error


def test_the_same_declaration_twice_is_one(site):
    site.install_acme()
    source = declaring(f"return [{spec('same')}, {spec('same')}]")
    site.install("same-optim", "1.0", {"same": "same_optim"}, {"same_optim": source})
    assert optreg.names("same/*") == ["same/same"]
    assert info_of("same").status == "ok"


def test_an_implementation_of_an_unknown_hook_is_told_with_a_suggestion(site):
    source = declaring("return []", "optreg_optimizer") + declaring(f"return [{spec('good')}]")
    site.install("typo-optim", "1.0", {"typo": "typo_optim"}, {"typo_optim": source})
    assert optreg.names("typo/*") == ["typo/good"]
    info = info_of("typo")
    assert info.status == "faulty"
    assert "typo-optim 1.0 implements 'optreg_optimizer', a hook that nobody calls." in info.error
    assert "Did you mean 'optreg_optimizers'" in info.error


def test_an_optional_implementation_of_an_unknown_hook_is_no_problem(site):
    source = HEADER + "@optreg.hookimpl(optionalhook=True)\ndef optreg_of_tomorrow():\n    return []\n"
    site.install("modern", "1.0", {"modern": "modern"}, {"modern": source})
    assert info_of("modern").status == "ok"


def test_a_package_can_have_hooks_of_its_own_that_others_implement(site):
    specs = """
        import pluggy
        hookspec = pluggy.HookspecMarker("optreg")

        @hookspec
        def acme_colours(): ...
    """
    host = """
        import optreg

        @optreg.hookimpl
        def optreg_addhooks(pluginmanager):
            import host_specs
            pluginmanager.add_hookspecs(host_specs)
    """
    guest = "import optreg\n\n@optreg.hookimpl\ndef acme_colours():\n    return 'green'\n"
    site.install("a-guest", "1.0", {"guest": "guest"}, {"guest": guest})
    site.install("host", "1.0", {"host": "host"}, {"host": host, "host_specs": specs})
    assert {info.status for info in optreg.plugins()} == {"ok"}
    assert optreg.lookup.discovery().manager.hook.acme_colours() == ["green"]


def test_an_older_group_is_told_and_not_loaded(site):
    site.install("old-optim", "0.1", {"old": "old_optim"}, {"old_optim": "1 / 0"}, group="optreg.v0")
    info = info_of("old")
    assert info.status == "broken"
    assert "old-optim 0.1 declares its names for 'optreg.v0', but this optreg reads 'optreg.v1'" in info.error
    with pytest.raises(PluginError, match=r"'optreg\.v0'"):
        optreg.create("old/zephyr")


def test_a_package_for_several_versions_of_the_group_is_read_by_ours(site):
    source = declaring(f"return [{spec('both')}]")
    groups = "[optreg.v0]\nboth = not_there\n[optreg.v1]\nboth = both\n[optreg.v2]\nboth = not_there\n"
    site.install_text("both", "1.0", groups, {"both": source})
    assert optreg.names("both/*") == ["both/both"]
    assert info_of("both").status == "ok"


def test_damaged_entry_points_are_told_only_if_they_concern_optreg(site):
    site.install_acme()
    site.install_text("damaged", "1.0", "[optreg.v1]\nno equals sign here\n", {})
    site.install_text("unrelated", "1.0", "[console_scripts]\nno equals sign here\n", {})
    assert "acme/zephyr" in optreg.names()
    assert [info.distribution for info in optreg.plugins() if info.status == "broken"] == ["damaged"]
    assert "damaged 1.0 has an entry_points.txt that cannot be read" in info_of("").error


def test_entry_points_of_other_groups_are_not_looked_at(site):
    site.install("cli", "1.0", {"adam": "not_there"}, {}, group="console_scripts")
    assert [info.namespace for info in optreg.plugins()] == ["optreg"]


def test_a_distribution_that_is_installed_twice_counts_once(site, tmp_path, monkeypatch):
    site.install_acme()
    older = type(site)(tmp_path / "older")
    older.path.mkdir()
    older.install("Acme.Optim", "0.9", {"acme": "not_there"}, {})
    monkeypatch.syspath_prepend(older.path)
    monkeypatch.syspath_prepend(site.path)
    with optreg.temporary():
        assert info_of("acme").version == "1.2"
        assert optreg.create("acme/zephyr").lr == 0.1


def test_a_plugin_that_asks_for_names_while_it_is_imported_is_complete_afterwards(site):
    source = "import optreg\nseen = optreg.names()\n" + declaring(f"return [{spec('zephyr')}]")
    site.install("curious", "1.0", {"curious": "curious"}, {"curious": source})
    site.install_acme()
    import curious

    assert "adam" in curious.seen
    assert "curious/zephyr" not in curious.seen
    assert optreg.create("curious/zephyr").lr == 0.1


def test_a_plugin_that_asks_for_names_while_it_declares_does_not_loop(site):
    source = declaring(f"optreg.names(); return [{spec('zephyr')}]")
    site.install("curious", "1.0", {"curious": "curious"}, {"curious": source})
    assert optreg.names("curious/*") == ["curious/zephyr"]


def test_looking_up_one_package_imports_no_other(site):
    site.install_acme()
    site.install("loud", "1.0", {"loud": "loud_optim"}, {"loud_optim": "raise SystemExit('imported')"})
    assert optreg.create("acme/zephyr").lr == 0.1
    assert "loud_optim" not in sys.modules


def test_declarations_import_no_implementation(site):
    site.install_acme()
    assert "acme/zephyr" in optreg.names()
    assert "acme_optim_impl" not in sys.modules


def test_an_optimizer_of_an_installed_package_optimizes(site):
    site.install_acme()
    w = np.array([1.0, 2.0])
    optimizer = optreg.create("acme/zephyr", lr=0.5).setup({"w": w})
    optimizer.apply_gradients({"w": np.array([2.0, 2.0])})
    np.testing.assert_array_equal(w, [0.0, 1.0])


def test_a_class_that_is_no_optimizer_is_told_with_who_declared_it(site):
    source = declaring(f"return [{spec('fake', 'fake_optim:Fake')}]") + "class Fake: pass\n"
    site.install("fake-optim", "1.0", {"fake": "fake_optim"}, {"fake_optim": source})
    with pytest.raises(PluginError, match=r"fake/fake is not an optimizer: fake-optim 1\.0 .*'fake_optim:Fake'"):
        optreg.create("fake/fake")


def test_a_requirement_that_is_not_installed_is_told_with_what_to_install(site):
    requires = 'optreg.OptimizerSpec("kron", "not_there:Kron", "A summary.", requires=("numpy", "psgd-of-tomorrow"))'
    site.install("needy", "1.0", {"needy": "needy"}, {"needy": declaring(f"return [{requires}]")})
    with pytest.raises(PluginError, match=r"needy/kron needs psgd-of-tomorrow.*pip install psgd-of-tomorrow"):
        optreg.create("needy/kron")


def test_every_problem_is_an_optreg_error(site):
    site.install("broken-optim", "0.3", {"broken": "broken_optim"}, {"broken_optim": "raise MemoryError"})
    for name in ("broken/x", "nobody/x", "x", "A", ""):
        with pytest.raises(OptregError):
            optreg.create(name)


def test_five_hundred_packages_are_found_and_one_broken_among_them_is_told(site):
    site.install_many(500)
    site.install("broken-optim", "0.3", {"broken": "broken_optim"}, {"broken_optim": "1 / 0"})
    assert len(optreg.names("many-*/opt")) == 500
    assert [info.distribution for info in optreg.plugins() if info.error] == ["broken-optim"]
    with pytest.raises(UnknownNameError, match="1 installed package could not be asked; see `optreg doctor`"):
        optreg.create("nothing_like_it")
