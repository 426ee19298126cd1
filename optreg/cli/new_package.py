"""A new package with an optimizer, a hook and their tests, from the templates that lie beside this file."""

from __future__ import annotations

import keyword
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import attrs

from optreg import lookup
from optreg.declarations import WITH_HYPHENS, is_namespace
from optreg.entry_points import same_distribution
from optreg.errors import ConfigError
from optreg.offers import BUILTIN

_DISTRIBUTION = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


@attrs.frozen
class NewPackage:
    """The names of a package that is to be written.

    Attributes:
        distribution: what is installed, ``acme-optim``.
        package: what is imported, ``acme_optim``.
        namespace: the first part of its names in optreg, ``acme``.
    """

    distribution: str
    package: str
    namespace: str

    def text(self, template: str) -> str:
        """A template with these names in their places."""
        for name, value in attrs.asdict(self).items():
            template = template.replace(f"@{name}@", value)
        return template


def named(distribution: str, namespace: str | None) -> NewPackage:
    """The names of a package, checked.

    Args:
        distribution: lower case, with hyphens.
        namespace: None for the distribution's name without "optreg-" before and "-optim" or the like behind it.

    Raises:
        ConfigError: a name that cannot be used, or is used already; says which would do.
    """
    if _DISTRIBUTION.fullmatch(distribution) is None:
        proposed = re.sub(r"[^a-z0-9]+", "-", distribution.lower()).strip("-0123456789")
        instead = f", such as {proposed!r}" if proposed else ", such as 'acme-optim'"
        raise ConfigError(
            f"{distribution!r} cannot be a package's name here: use lower-case letters, digits and single hyphens, "
            f"with a letter first{instead}"
        )
    package = distribution.replace("-", "_")
    if keyword.iskeyword(package) or package in sys.stdlib_module_names or package == BUILTIN:
        raise ConfigError(
            f"a package {distribution!r} would be imported as {package!r}, which is Python's or optreg's own name; "
            f"choose another, such as '{distribution}-optim'"
        )
    if find_spec(package) is not None and not _is_claimed_by(distribution):
        raise ConfigError(f"a module {package!r} is installed already, and would hide the new one; choose another name")
    if namespace is None:
        namespace = re.sub(r"-(optim|optims|optimizer|optimizers|optreg)$", "", distribution.removeprefix("optreg-"))
    return NewPackage(distribution, package, _free(namespace, distribution))


def _is_claimed_by(distribution: str) -> bool:
    claims = [claim for plugin in lookup.discovery().installed() for claim in plugin.claims]
    return any(same_distribution(claim.distribution, distribution) for claim in claims)


def _free(namespace: str, distribution: str) -> str:
    if not is_namespace(namespace):
        raise ConfigError(f"the namespace {namespace!r} cannot be used: it must be {WITH_HYPHENS}; give --namespace")
    if namespace == BUILTIN:
        raise ConfigError(f"the namespace {namespace!r} is reserved for the built-ins; give another with --namespace")
    for plugin in lookup.discovery().installed():
        others = [str(claim) for claim in plugin.claims if not same_distribution(claim.distribution, distribution)]
        if plugin.namespace == namespace and others:
            raise ConfigError(
                f"the namespace {namespace!r} is that of {' and '.join(others)}, which is installed here, and two "
                "packages cannot share one; give another with --namespace"
            )
    return namespace


def write(new: NewPackage, directory: Path) -> list[Path]:
    """Write the package into a directory of its own inside of ``directory``.

    Returns:
        The files that were written, in order.

    Raises:
        ConfigError: there is something already, or it cannot be written. Nothing was changed.
    """
    place = directory / new.distribution
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise ConfigError(f"{str(place)!r} exists already, and is not overwritten; choose another name or --directory")
    if not directory.is_dir():
        raise ConfigError(f"there is no directory {str(directory)!r}; create it, or choose another --directory")
    try:
        unfinished = Path(mkdtemp(prefix=f".{new.distribution}-", dir=directory))
    except OSError as error:
        raise ConfigError(f"nothing can be written to {str(directory)!r}: {error}") from error
    try:
        written = []
        for path, template in _templates(files("optreg.cli") / "templates"):
            file = Path(*[part.replace("PACKAGE", new.package) for part in path])
            (unfinished / file).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / file).write_text(new.text(template), encoding="utf-8", newline="\n")
            written.append(place / file)
        unfinished.chmod(0o755)  # mkdtemp's is for its user only
        unfinished.rename(place)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise ConfigError(f"the package could not be written to {str(place)!r}: {error}") from error
    return written


def _templates(directory: Traversable, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each template with the parts of its path. Their names end in .txt, so that no tool takes them for Python."""
    for each in sorted(directory.iterdir(), key=lambda each: each.name):
        if each.is_dir():
            yield from _templates(each, (*before, each.name))
        else:
            yield (*before, each.name.removesuffix(".txt")), each.read_text(encoding="utf-8")
