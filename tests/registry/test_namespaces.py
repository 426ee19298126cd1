from __future__ import annotations

import pytest

import optreg
from optreg.errors import PluginError, UnknownNameError


@pytest.fixture
def rivals(site):
    """Two distributions that claim the namespace acme, and a bystander."""
    site.install_acme("acme-optim", "1.2", "acme_optim")
    site.install_acme("acme-fork", "0.3", "acme_fork")
    site.install("bystander", "1.0", {"bystander": "bystander"}, {"bystander": site_source("bystander")})
    return site


def site_source(module: str) -> str:
    return f"""
        import optreg

        @optreg.hookimpl
        def optreg_optimizers():
            return [optreg.OptimizerSpec("calm", "acme_optim_impl:Zephyr", "From {module}.")]
    """


def status_of(namespace: str) -> set[str]:
    return {info.status for info in optreg.plugins() if info.namespace == namespace}


def test_two_distributions_with_one_namespace_are_an_error_only_when_it_is_used(rivals):
    assert "adam" in optreg.names()
    assert optreg.names("*/calm") == ["bystander/calm"]
    assert optreg.create("bystander/calm").lr == 0.1
    assert not optreg.names("acme/*")
    with pytest.raises(PluginError) as caught:
        optreg.create("acme/zephyr")
    message = str(caught.value)
    assert "acme-optim 1.2" in message
    assert "acme-fork 0.3" in message
    assert "both claim the namespace 'acme'" in message
    assert "uninstall" in message


def test_a_conflict_is_listed_with_both_distributions(rivals):
    conflict = [info for info in optreg.plugins() if info.namespace == "acme"]
    assert sorted(info.distribution for info in conflict) == ["acme-fork", "acme-optim"]
    assert {info.status for info in conflict} == {"conflict"}


@pytest.mark.parametrize("chosen", ["acme-optim", "Acme.Optim"])
def test_the_allowlist_chooses_between_two_distributions(rivals, monkeypatch, chosen):
    monkeypatch.setenv("OPTREG_PLUGINS", f"*,acme={chosen}")
    assert optreg.info("acme/zephyr").distribution == "acme-optim"
    assert optreg.names("*/calm") == ["bystander/calm"]


def test_the_choice_that_the_message_suggests_works(rivals, monkeypatch):
    with pytest.raises(PluginError) as caught:
        optreg.create("acme/zephyr")
    suggested = str(caught.value).partition('OPTREG_PLUGINS="')[2].partition('"')[0]
    monkeypatch.setenv("OPTREG_PLUGINS", suggested)
    with optreg.temporary():
        assert optreg.create("acme/zephyr").lr == 0.1


def test_the_allowlist_switches_the_other_namespaces_off(rivals, monkeypatch):
    monkeypatch.setenv("OPTREG_PLUGINS", " bystander , elsewhere")
    assert optreg.names("*/*") == [f"{name}" for name in optreg.names("optreg/*")] + ["bystander/calm"]
    assert status_of("acme") == {"disabled"}
    with pytest.raises(PluginError, match=r"'acme/zephyr' cannot be used: .* OPTREG_PLUGINS does not list"):
        optreg.create("acme/zephyr")


def test_an_allowlist_that_wants_another_distribution_switches_the_namespace_off(site, monkeypatch):
    site.install_acme()
    monkeypatch.setenv("OPTREG_PLUGINS", "acme=acme-fork")
    with pytest.raises(
        PluginError, match=r"acme-optim 1\.2 is switched off: OPTREG_PLUGINS wants 'acme' from 'acme-fork'"
    ):
        optreg.create("acme/zephyr")


def test_an_empty_allowlist_allows_everything(site, monkeypatch):
    site.install_acme()
    monkeypatch.setenv("OPTREG_PLUGINS", "")
    assert "acme/zephyr" in optreg.names()


def test_without_autoload_no_entry_point_is_read(site, monkeypatch):
    site.install_acme()
    monkeypatch.setenv("OPTREG_DISABLE_PLUGIN_AUTOLOAD", "1")
    assert [info.namespace for info in optreg.plugins()] == ["optreg"]
    with pytest.raises(UnknownNameError, match="OPTREG_DISABLE_PLUGIN_AUTOLOAD is set"):
        optreg.create("acme/zephyr")


def test_autoload_can_be_disabled_by_a_word_and_not_by_zero(site, monkeypatch):
    site.install_acme()
    monkeypatch.setenv("OPTREG_DISABLE_PLUGIN_AUTOLOAD", "0")
    assert "acme/zephyr" in optreg.names()


def test_what_was_registered_by_hand_works_without_autoload(site, monkeypatch):
    monkeypatch.setenv("OPTREG_DISABLE_PLUGIN_AUTOLOAD", "1")
    with optreg.temporary():
        optreg.register("my/sgd", optreg.get("sgd"))
        assert optreg.create("my/sgd").lr == 0.01


def test_the_namespace_of_the_built_ins_is_reserved(site):
    site.install("impostor", "6.6", {"optreg": "impostor"}, {"impostor": site_source("impostor")})
    assert optreg.names("*/calm") == []
    (impostor,) = [info for info in optreg.plugins() if info.distribution == "impostor"]
    assert "impostor 6.6 claims the namespace 'optreg', which is reserved" in impostor.error
    with pytest.raises(UnknownNameError):
        optreg.create("optreg/calm")


def test_one_module_for_two_namespaces_is_told(site):
    site.install("twice", "1.0", {"one": "twice", "two": "twice"}, {"twice": site_source("twice")})
    assert optreg.names("*/calm") == ["one/calm"]
    (second,) = [info for info in optreg.plugins() if info.namespace == "two"]
    assert "registered as 'one' already" in second.error
