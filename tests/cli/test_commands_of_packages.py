"""Commands that packages add to ``optreg``: found by name, imported when called, and never in the way."""

from __future__ import annotations

import json

import pytest

from cli.in_process import run

DECLARED = """
    import optreg

    @optreg.hookimpl
    def optreg_commands():
        return [
            optreg.CommandSpec("list", "own_commands:own", "Not what you think."),
            optreg.CommandSpec("group", "own_commands:group", "More than one."),
            optreg.CommandSpec("needy", "not_there:x", "Needs something.", requires=("package-of-tomorrow",)),
            optreg.CommandSpec("lost", "not_there:x", "A missing module."),
            optreg.CommandSpec("fake", "own_commands:fake", "No command."),
            optreg.CommandSpec("raises", "own_commands:raises", "Raises."),
        ]
"""

COMMANDS = """
    import click
    print("hello from an import")

    @click.command()
    def own():
        click.echo("[1]")

    @click.group()
    def group():
        pass

    @group.command()
    @click.option("--times", type=int, default=1)
    def inner(times):
        click.echo("inner" * times)

    @click.command()
    def raises():
        import optreg
        optreg.get("adm")

    def fake():
        pass
"""


@pytest.fixture
def own(site):
    # The name of its namespace is that of a built-in command.
    site.install("list-optim", "1.3", {"list": "own"}, {"own": DECLARED, "own_commands": COMMANDS})
    return site


def test_a_bare_name_is_a_built_in_command_whatever_is_installed(own):
    assert run("list", "adam").stdout.startswith("NAME")
    assert run("list/list").stdout == "[1]\n"
    assert run("optreg/list", "adam").stdout == run("list", "adam").stdout


def test_what_a_package_prints_while_it_is_imported_does_not_spoil_what_its_command_prints(own):
    result = run("list/list")
    assert json.loads(result.stdout) == [1]
    assert "hello from an import" in result.stderr


def test_a_group_has_commands_and_options_of_its_own(own):
    assert run("list/group", "inner", "--times", "2").stdout == "innerinner\n"
    assert run("list/group", "inner", "--help").stdout.startswith("Usage: optreg list/group inner [OPTIONS]")


def test_neither_help_nor_another_command_imports_an_implementation(own):
    for arguments in (("--help",), ("list",), ("info", "list/list")):
        result = run(*arguments)
        assert result.exit_code == 0
        assert "hello from an import" not in result.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("list/needy", "list/needy needs package-of-tomorrow, which is not installed: pip install package-of-tomorrow"),
        (
            "list/lost",
            "list/lost cannot be used: list-optim 1.3 declares it as 'not_there:x', which",
        ),
        ("list/fake", "list/fake is not a command: list-optim 1.3 declares it as 'own_commands:fake'"),
        ("list/raises", "there is no built-in optimizer 'adm'. Did you mean 'adam'"),
    ],
)
def test_a_command_that_fails_says_why_in_a_sentence(own, name, message):
    result = run(name)
    assert result.exit_code == 1
    assert f"Error: {message}" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lst", "there is no built-in command 'lst'. Did you mean 'list/lost' or 'list' or 'list/list'?"),
        ("group", "'list/group' is offered by list-optim 1.3; ask for it by that name."),
        ("list/gruop", "list-optim 1.3 offers no command 'gruop'. Did you mean 'list/group'?"),
        ("nobody/x", "no installed package has the namespace 'nobody'."),
        ("a/b/c", "there is no command 'a/b/c'"),
    ],
)
def test_an_unknown_command_is_wrong_usage_and_told_what_was_meant(own, name, message):
    result = run(name)
    assert result.exit_code == 2
    assert message in result.stderr


def test_doctor_finds_commands_that_lead_nowhere(own):
    lines = run("doctor").stdout.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("broken: ")] == ["list/fake", "list/lost"]
    assert "note: list/needy needs package-of-tomorrow, which is not installed" in lines


def test_a_shell_completes_the_names_of_commands_though_some_are_broken(own):
    result = own.optreg(_OPTREG_COMPLETE="bash_complete", COMP_WORDS="optreg list", COMP_CWORD="1")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["plain,list", "plain,list/list", "plain,list/group", "plain,list/raises"]
