"""Every way in which an installed package can fail that we could think of. Each is put beside healthy packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import dedent
from typing import Any

import attrs

from registry.distributions import Site

NAME, VERSION = "broken-optim", "0.3"


@attrs.frozen
class Failure:
    """A distribution that fails.

    Attributes:
        says: what the message says of it, after the distribution's name and version.
        source: of its module ``broken_optim``.
        modules: further ones.
        entry_points: the text of its entry_points.txt.
        also: what else is done to make it fail.
        who: the distribution and version that the message names.
        on_use: whether nothing of it is wrong before a name of it is used, so that only ``doctor`` tells.
    """

    says: str
    source: str = ""
    modules: Mapping[str, str] = attrs.Factory(dict)
    entry_points: str = "[optreg.v1]\nbroken = broken_optim\n"
    also: Callable[[Site], None] | None = None
    who: str = f"{NAME} {VERSION}"
    on_use: bool = False

    def install(self, site: Site, word: str = "broken") -> None:
        """Install it, with another word in place of "broken" in all names."""
        sources = {"broken_optim": self.source, **self.modules} if self.source else self.modules
        modules = {name.replace("broken", word): source.replace("broken", word) for name, source in sources.items()}
        entry_points = self.entry_points.replace("broken", word)
        site.install_text(NAME.replace("broken", word), VERSION, entry_points, modules)
        if self.also is not None:
            self.also(site)

    def is_told(self, lines: list[str], word: str = "broken") -> bool:
        """Whether one of the lines says whose failure it is, and what is wrong."""
        parts = ["broken: ", self.who.replace("broken", word), self.says.replace("broken", word)]
        return any(all(part in line for part in parts) for line in lines)


def _metadata(file: str, content: str | bytes | None) -> Callable[[Site], None]:
    """Replace a file of the distribution's metadata, or remove it."""

    def change(site: Site) -> None:
        path = site.path / f"broken_optim-{VERSION}.dist-info" / file
        path.unlink()
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return change


def declaring(body: str, function: str = "optreg_optimizers", arguments: str = "") -> str:
    """A module with one hook implementation of this body."""
    lines = "\n".join("    " + line for line in dedent(body).strip().splitlines())
    return f"import optreg\n\n@optreg.hookimpl\ndef {function}({arguments}):\n{lines}\n"


def spec(name: str, target: str = "optreg.optimizers.sgd:SGD", **others: Any) -> str:
    """The text of a declaration."""
    return f"optreg.OptimizerSpec({name!r}, {target!r}, 'A summary.', **{others!r})"


def offering(declared: str, function: str = "optreg_optimizers") -> str:
    return declaring(f"return [{declared}]", function)


def _second_distribution(namespace: str) -> Callable[[Site], None]:
    return lambda site: site.install("rival-optim", "7.1", {namespace: "rival"}, {"rival": "raise SystemExit"})


def _second_adapter(site: Site) -> None:
    declared = offering('optreg.TargetSpec("model", "a:b", ["broken_target.Model"])', "optreg_targets")
    site.install("rival-optim", "7.1", {"rival": "rival"}, {"rival": declared})


_SPECIFYING = """
    import pluggy
    import optreg

    class Specs:
        @staticmethod
        @pluggy.HookspecMarker("optreg")
        def broken_colours(light): ...

    @optreg.hookimpl
    def optreg_addhooks(pluginmanager):
        pluginmanager.add_hookspecs({0})
        {1}
"""

IMPORTS = {
    "a missing module of the entry point": Failure("cannot be loaded: ModuleNotFoundError: No module named 'broken_"),
    "a missing attribute of the entry point": Failure(
        "cannot be loaded: AttributeError: module 'broken_optim' has no attribute 'plugin'",
        "import optreg",
        entry_points="[optreg.v1]\nbroken = broken_optim:plugin\n",
    ),
    "an import error": Failure(
        "cannot be loaded: ModuleNotFoundError: No module named 'does_not_exist' (broken_optim.py, line 1)",
        "import does_not_exist",
    ),
    "a name that another module lacks": Failure(
        "cannot be loaded: ImportError: cannot import name 'Zephie'", "from healthy_impl import Zephie"
    ),
    "an exception": Failure("cannot be loaded: ZeroDivisionError: division by zero (broken_optim.py, line 1)", "1 / 0"),
    "a syntax error": Failure("cannot be loaded: SyntaxError: ", "def broken(:"),
    "a source that is no text": Failure(
        "cannot be loaded: ",
        "import broken_bytes",
        also=lambda site: (site.path / "broken_bytes.py").write_bytes(b"\x00\xff\xfe"),
    ),
    "sys.exit at import": Failure("cannot be loaded: SystemExit: goodbye", "import sys; sys.exit('goodbye')"),
    "an import that the user stops": Failure(
        "cannot be loaded: KeyboardInterrupt: stopped by the user", "raise KeyboardInterrupt"
    ),
    "an import without an end": Failure(
        "cannot be loaded: RecursionError: maximum recursion depth exceeded",
        "def deeper(): return deeper()\ndeeper()",
    ),
    "two modules that import each other": Failure(
        "cannot be loaded: ImportError: cannot import name 'first' from partially initialized module",
        "from broken_other import second\nfirst = 1",
        {"broken_other": "from broken_optim import first\nsecond = 2"},
    ),
    "no memory": Failure("cannot be loaded: MemoryError", "raise MemoryError"),
    "a generator's end": Failure("cannot be loaded: StopIteration", "next(iter(()))"),
    "an exception of no usual class": Failure(
        "cannot be loaded: Odd: its message cannot be shown",
        "class Odd(BaseException):\n    def __str__(self): raise RuntimeError\nraise Odd",
    ),
    "several exceptions at once": Failure(
        "cannot be loaded: ExceptionGroup: two (2 sub-exceptions)",
        "raise ExceptionGroup('two', [ValueError(1), ValueError(2)])",
    ),
    "an import that prints and fails": Failure(
        "cannot be loaded: ValueError: after printing", "print('[loud]'); raise ValueError('after printing')"
    ),
    "an import that removes itself": Failure(
        "cannot be loaded: KeyError: 'broken_optim'", "import sys; del sys.modules[__name__]"
    ),
    "an entry point that names a value": Failure(
        "declares nothing: it has no function that is marked with @optreg.hookimpl",
        "plugin = 3",
        entry_points="[optreg.v1]\nbroken = broken_optim:plugin\n",
    ),
    "an object that equals any other": Failure(
        "cannot be loaded: PluginError: its Same says that it equals any other object",
        "class Same:\n    def __eq__(self, other): return True\nplugin = Same()",
        entry_points="[optreg.v1]\nbroken = broken_optim:plugin\n",
    ),
    "an object that cannot be compared": Failure(
        "cannot be loaded: TypeError: not comparable",
        "class Odd:\n    def __eq__(self, other): raise TypeError('not comparable')\nplugin = Odd()",
        entry_points="[optreg.v1]\nbroken = broken_optim:plugin\n",
    ),
    "an object whose attributes cannot be read": Failure(
        "cannot be loaded: OSError: no such thing",
        "class Odd:\n    @property\n    def optreg_hooks(self): raise OSError('no such thing')\nplugin = Odd()",
        entry_points="[optreg.v1]\nbroken = broken_optim:plugin\n",
    ),
}

_ODD_NAMESPACES = ("Broken", "bro ken", "broken/optim", "b.roken", "bröken", "-broken", "1broken", "broken\u200b")

METADATA = {
    **{
        f"an entry point {value!r}": Failure(
            "cannot be loaded: PluginError: the entry point", entry_points=f"[optreg.v1]\nbroken = {value}\n"
        )
        for value in ("", "broken_optim:", "broken optim", "broken_optim:1 2", "broken_optim.py:x:y")
    },
    **{
        f"a namespace {namespace!r}": Failure(
            f"claims the namespace {namespace!r}, but a namespace must be",
            "raise SystemExit",
            entry_points=f"[optreg.v1]\n{namespace} = broken_optim\n",
        )
        for namespace in (
            "Broken",
            "bro ken",
            "broken/optim",
            "b.roken",
            "bröken",
            "-broken",
            "1broken",
            "brøken\u200b",
        )
    },
    "the namespace of the built-ins": Failure(
        "claims the namespace 'optreg', which is reserved for the built-ins",
        offering(spec("adam")),
        entry_points="[optreg.v1]\noptreg = broken_optim\n",
    ),
    "an older group": Failure(
        "declares its names for 'optreg.v0', but this optreg reads 'optreg.v1': install a version of it that fits",
        "raise SystemExit",
        entry_points="[optreg.v0]\nbroken = broken_optim\n",
    ),
    "a newer group": Failure(
        "declares its names for 'optreg.v2', but this optreg reads 'optreg.v1'",
        "raise SystemExit",
        entry_points="[optreg.v2]\nbroken = broken_optim\n",
    ),
    "two modules for one namespace": Failure(
        "names more than one module for the namespace 'broken': broken_optim and other",
        "raise SystemExit",
        entry_points="[optreg.v1]\nbroken = broken_optim\nbroken = other\n",
    ),
    "one module for two namespaces": Failure(
        "cannot be loaded: PluginError: the same object is registered as 'broken' already",
        offering(spec("fine")),
        entry_points="[optreg.v1]\nbroken = broken_optim\nbroken2 = broken_optim\n",
    ),
    "two distributions with one namespace": Failure(
        "both claim the namespace 'broken': uninstall all but one of them",
        "raise SystemExit",
        also=_second_distribution("broken"),
        who="rival-optim 7.1",
    ),
    "entry points without an equals sign": Failure(
        "has an entry_points.txt that cannot be read", entry_points="[optreg.v1]\nno equals sign here\n"
    ),
    "entry points that are no UTF-8": Failure(
        "has an entry_points.txt that cannot be read",
        also=_metadata("entry_points.txt", b"[optreg.v1]\nbr\xf6ken = a\n"),
    ),
    "no METADATA": Failure(
        "cannot be loaded: ZeroDivisionError",
        "1 / 0",
        also=_metadata("METADATA", None),
        who="broken_optim of unknown version",
    ),
    "an empty METADATA": Failure(
        "cannot be loaded: ZeroDivisionError",
        "1 / 0",
        also=_metadata("METADATA", ""),
        who="broken_optim of unknown version",
    ),
    "a METADATA without a version": Failure(
        "cannot be loaded: ZeroDivisionError",
        "1 / 0",
        also=_metadata("METADATA", "Metadata-Version: 2.1\nName: broken-optim\n"),
        who="broken-optim of unknown version",
    ),
    "a METADATA that is no UTF-8": Failure(
        "cannot be loaded: ZeroDivisionError",
        "1 / 0",
        also=_metadata("METADATA", b"Name: \xff\xfe\n"),
        who="broken_optim of unknown version",
    ),
}

RETURNS = {
    "nothing": Failure("returns None (is a return missing?) from optreg_optimizers()", declaring("pass")),
    "a text": Failure(
        "returns a value of type str from optreg_optimizers() instead of a list of OptimizerSpec",
        declaring("return 'zephyr'"),
    ),
    "a mapping": Failure("returns a value of type dict", declaring("return {'zephyr': 1}")),
    "a number": Failure("returns a value of type int", declaring("return 3")),
    "a class": Failure("returns a value of type type", declaring("return optreg.OptimizerSpec")),
    "one declaration without a list": Failure(
        "returns a value of type OptimizerSpec", declaring(f"return {spec('alone')}")
    ),
    "a declaration of another kind": Failure(
        "returns a value of type HookSpec among the OptimizerSpecs", offering("optreg.HookSpec('clip', 'a:b', 'x')")
    ),
    "an exception": Failure("fails in optreg_optimizers(): ValueError: no", declaring("raise ValueError('no')")),
    "sys.exit": Failure("fails in optreg_optimizers(): SystemExit: 3", declaring("raise SystemExit(3)")),
    "a generator that raises half-way": Failure(
        "fails in optreg_optimizers(): OSError: disk", declaring(f"yield {spec('early')}\nraise OSError('disk')")
    ),
    "what raises when it is counted": Failure(
        "fails in optreg_optimizers(): KeyError: 0",
        declaring("class Odd:\n    def __iter__(self): raise KeyError(0)\nreturn Odd()"),
    ),
    "a coroutine": Failure(
        "returns a value of type coroutine",
        declaring("async def later(): ...\nfound = later()\nfound.close()\nreturn found"),
    ),
    "a call that the user stops": Failure(
        "cannot be loaded: KeyboardInterrupt: stopped by the user", declaring("raise KeyboardInterrupt")
    ),
    "a declaration with an odd name": Failure(
        "fails in optreg_optimizers(): PluginError: OptimizerSpec: name must be a name (a lower-case letter",
        offering(spec("Odd Name")),
    ),
    "a declaration with an odd target": Failure(
        "OptimizerSpec 'odd': target must be text of the form \"module:Class\"", offering(spec("odd", "no target"))
    ),
    "a declaration without a summary": Failure(
        "fails in optreg_optimizers(): TypeError", offering("optreg.OptimizerSpec('odd', 'a:B')")
    ),
    "a name declared twice": Failure(
        "declares the optimizer 'twin' more than once: optreg.optimizers.sgd:SGD and elsewhere:Twin",
        offering(f"{spec('twin')}, {spec('twin', 'elsewhere:Twin')}"),
    ),
    "a name that is the alias of another": Failure(
        "declares the optimizer 'twin' more than once: optreg.optimizers.sgd:SGD and elsewhere:Twin",
        offering(f"{spec('twin')}, {spec('other', 'elsewhere:Twin', aliases=('twin',))}"),
    ),
}

HOOKS = {
    "a hook and a hook set of one name": Failure(
        "declares 'calm' both as a hook and as a hook set: where either can stand, the hook is meant",
        offering('optreg.HookSpec("calm", "optreg.hooks.nonfinite:SkipNonfinite", "A hook.")', "optreg_hooks")
        + offering('optreg.HookSetSpec("calm", ["skip_nonfinite"])', "optreg_hook_sets"),
    ),
    "an implementation of an unknown hook": Failure(
        "implements 'optreg_optimizer', a hook that nobody calls. Did you mean 'optreg_optimizers'",
        declaring("return []", "optreg_optimizer"),
    ),
    "a function that is not marked": Failure(
        "has a function optreg_hooks() without @optreg.hookimpl, so that nobody calls it",
        offering(spec("fine")) + "\ndef optreg_hooks():\n    return []\n",
    ),
    "a mark of another project": Failure(
        "has a function optreg_hooks() without @optreg.hookimpl",
        "import pluggy\n\n@pluggy.HookimplMarker('pytest')\ndef optreg_hooks():\n    return []\n",
    ),
    "a module without any declaration": Failure("declares nothing: it has no function that is marked", "import optreg"),
    "an implementation with arguments that the hook does not have": Failure(
        "implements 'optreg_optimizers' with 'colour', which that hook does not have",
        declaring("return []", arguments="colour"),
    ),
    "a wrapper around what others declare": Failure(
        "marks optreg_optimizers() as a wrapper, but nobody can change what others declare",
        "import optreg\n\n@optreg.hookimpl(wrapper=True)\ndef optreg_optimizers():\n    yield\n    return []\n",
    ),
    "a wrapper that is no generator": Failure(
        "cannot be loaded: PluginValidationError",
        "import optreg\n\n@optreg.hookimpl(wrapper=True)\ndef optreg_optimizers():\n    return []\n",
    ),
    "a specification that is optreg's": Failure(
        "cannot be loaded: ValueError: Hook 'optreg_hooks' is already registered",
        dedent(_SPECIFYING.format("Specs", "")).replace("broken_colours", "optreg_hooks"),
    ),
    "a module without specifications": Failure(
        "cannot be loaded: ValueError: did not find any 'optreg' hooks in",
        dedent(_SPECIFYING.format("object()", "")),
    ),
    "an exception while specifying": Failure(
        "cannot be loaded: ZeroDivisionError", dedent(_SPECIFYING.format("Specs", "1 / 0"))
    ),
    "addhooks with an argument of another name": Failure(
        "implements 'optreg_addhooks' with 'manager', which that hook does not have",
        declaring("manager.add_hookspecs(3)", "optreg_addhooks", "manager"),
    ),
    "an implementation of another package's hook with arguments that it does not have": Failure(
        "implements 'healthy_colours' with 'dark', which that hook does not have",
        offering(spec("fine")) + "\n@optreg.hookimpl\ndef healthy_colours(dark):\n    return 'black'\n",
    ),
}

NAMES = {
    "a missing module": Failure(
        "declares it as 'not_there:Zephyr', which cannot be imported: ModuleNotFoundError: No module named 'not_there'",
        offering(spec("lost", "not_there:Zephyr")),
        on_use=True,
    ),
    "a missing attribute": Failure(
        "declares it as 'healthy_impl:Lost', which cannot be imported: AttributeError",
        offering(spec("lost", "healthy_impl:Lost")),
        on_use=True,
    ),
    **{
        f"a module that {what}": Failure(
            f"declares it as 'broken_impl:B', which cannot be imported: {cause}",
            offering(spec("lost", "broken_impl:B")),
            {"broken_impl": source},
            on_use=True,
        )
        for what, source, cause in (
            ("cannot be compiled", "def broken(:", "SyntaxError"),
            ("exits", "raise SystemExit(2)", "SystemExit: 2"),
            ("raises what is no Exception", "class Odd(BaseException): ...\nraise Odd('odd')", "Odd: odd"),
            ("prints and raises", "print('[loud]'); 1 / 0", "ZeroDivisionError"),
        )
    },
    "a module that the user stops": Failure(
        "cannot be used: KeyboardInterrupt: stopped by the user",
        offering(spec("lost", "broken_impl:B")),
        {"broken_impl": "raise KeyboardInterrupt"},
        who=f"broken/lost ({NAME} {VERSION})",
        on_use=True,
    ),
    "a class that is no optimizer": Failure(
        "declares it as 'broken_optim:Fake', which is not a class with setup() and update()",
        offering(spec("fake", "broken_optim:Fake")) + "class Fake: pass\n",
        on_use=True,
    ),
    "a class whose attributes cannot be read": Failure(
        "cannot be used: OSError: unreadable",
        offering(spec("fake", "broken_optim:Fake"))
        + "class Meta(type):\n    def __getattr__(self, name): raise OSError('unreadable')\n"
        + "class Fake(metaclass=Meta): pass\n",
        who=f"broken/fake ({NAME} {VERSION})",
        on_use=True,
    ),
    "a hook set of an unknown hook": Failure(
        "no built-in hook 'not_there'",
        offering('optreg.HookSetSpec("orphan", ["not_there"])', "optreg_hook_sets"),
        who=f"broken/orphan ({NAME} {VERSION})",
        on_use=True,
    ),
    "a hook set of a hook's wrong arguments": Failure(
        "cannot be used: WeightDecay has no hyperparameter 'speed'",
        offering('optreg.HookSetSpec("odd", [("weight_decay", {"speed": 1})])', "optreg_hook_sets"),
        who=f"broken/odd ({NAME} {VERSION})",
        on_use=True,
    ),
    "hook sets in a circle": Failure(
        "hook sets extend each other in a circle: broken/a → broken/b → broken/a",
        offering('optreg.HookSetSpec("a", extends=["b"]), optreg.HookSetSpec("b", extends=["a"])', "optreg_hook_sets"),
        who=f"broken/a ({NAME} {VERSION})",
        on_use=True,
    ),
    "two adapters of one class": Failure(
        "more than one adapter makes a target of broken_target.Model",
        offering('optreg.TargetSpec("model", "healthy_impl:Zephyr", ["broken_target.Model"])', "optreg_targets"),
        {"broken_target": "class Model: pass"},
        also=_second_adapter,
        on_use=True,
    ),
    "a command that is none": Failure(
        "declares it as 'healthy_impl:Zephyr', which is not a click command or group",
        offering('optreg.CommandSpec("fake", "healthy_impl:Zephyr")', "optreg_commands"),
        on_use=True,
    ),
}

FAILURES = {
    f"{theme}: {name}": failure
    for theme, failures in (
        ("import", IMPORTS),
        ("metadata", METADATA),
        ("returns", RETURNS),
        ("hooks", HOOKS),
        ("names", NAMES),
    )
    for name, failure in failures.items()
}
