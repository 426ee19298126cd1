"""Installed distributions for tests: directories such as pip leaves behind, on ``sys.path`` or a child's PYTHONPATH."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

import optreg

ZEPHYR = """
    import optreg

    @optreg.hookimpl
    def optreg_optimizers():
        return [optreg.OptimizerSpec("zephyr", "{module}_impl:Zephyr", "Second-order steps.", aliases=("zeph",))]
"""

ZEPHYR_IMPLEMENTATION = """
    from optreg import GradientMethod

    class Zephyr(GradientMethod):
        def __init__(self, lr=0.1):
            self.lr = lr

        def rule(self, param, grad, m):
            m += grad
            param -= self.lr * m
"""


class Site:
    """A directory of installed distributions."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def install(
        self,
        distribution: str,
        version: str,
        entry_points: Mapping[str, str],
        modules: Mapping[str, str],
        group: str = "optreg.v1",
    ) -> None:
        """Put a distribution there: its metadata, with entry points in one group, and its modules."""
        lines = [f"[{group}]", *(f"{name} = {value}" for name, value in entry_points.items())]
        self.install_text(distribution, version, "\n".join(lines) + "\n", modules)

    def install_text(self, distribution: str, version: str, entry_points: str, modules: Mapping[str, str]) -> None:
        """Put a distribution there whose entry_points.txt has this text."""
        metadata = self.path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n\nAbout.\n"
        )
        (metadata / "INSTALLER").write_text("pip\n")
        (metadata / "entry_points.txt").write_text(entry_points)
        for module, source in modules.items():
            (self.path / f"{module}.py").write_text(dedent(source))
        importlib.invalidate_caches()

    def install_acme(self, distribution: str = "acme-optim", version: str = "1.2", module: str = "acme_optim") -> None:
        """Put a healthy package there, which offers acme/zephyr."""
        modules = {module: ZEPHYR.replace("{module}", module), f"{module}_impl": ZEPHYR_IMPLEMENTATION}
        self.install(distribution, version, {"acme": module}, modules)

    def install_many(self, number: int) -> None:
        """Put that many distributions there, each with one optimizer: many-0/opt, many-1/opt, …"""
        for i in range(number):
            source = f"""
                import optreg

                @optreg.hookimpl
                def optreg_optimizers():
                    return [optreg.OptimizerSpec("opt", "many_{i}_impl:Opt", "Optimizer number {i}.")]
            """
            self.install(f"many-{i}", f"1.{i}", {f"many-{i}": f"many_{i}"}, {f"many_{i}": source})

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a new Python that finds these distributions, and the optreg that is tested."""
        paths = [str(self.path), str(Path(optreg.__file__).parents[1])]
        return subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run such a Python to its end."""
        with self.start(*arguments, **environment) as process:
            output, errors = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def optreg(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line in a new process."""
        return self.run("-m", "optreg", *arguments, **environment)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Installed distributions that this process finds, with nothing else known but the built-ins."""
    path = tmp_path / "site"
    path.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(path)
    monkeypatch.delenv("OPTREG_PLUGINS", raising=False)
    monkeypatch.delenv("OPTREG_DISABLE_PLUGIN_AUTOLOAD", raising=False)
    with optreg.temporary():
        yield Site(path)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(path)):
            del sys.modules[name]
