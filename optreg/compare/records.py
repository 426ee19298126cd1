"""A comparison as JSON text: everything needed to run it again, and to draw its plot without running it."""

from __future__ import annotations

import json
import math
from typing import Any

import attrs

from optreg.compare.comparison import Candidate, Comparison, Result
from optreg.compare.contestants import Contestant, LeftOut
from optreg.compare.experiment import Experiment
from optreg.compare.summary import summary
from optreg.compare.task import Measure
from optreg.compare.training import Run
from optreg.errors import ConfigError

FORMAT = "optreg comparison 2"


def to_json(comparison: Comparison) -> str:
    """Write a comparison down; numbers that are not finite become "NaN", "Infinity" and "-Infinity"."""
    settings = attrs.asdict(comparison, filter=lambda field, _: field.name not in ("results", "contestants"))
    lines = [f"{_text(name)}: {_text(value)}" for name, value in {"format": FORMAT, **settings}.items()]
    results = [
        _text({**attrs.asdict(each), "summary": attrs.asdict(summary(comparison, each))}) for each in comparison.results
    ]
    # A line for each setting and each optimizer: a person can look into the file, and it stays small.
    return "{\n" + ",\n".join([*lines, '"results": [\n' + ",\n".join(results) + "\n]"]) + "\n}\n"


def from_json(text: str) -> Comparison:
    """Read what ``to_json`` wrote."""
    try:
        record = json.loads(text)
        if record["format"] != FORMAT:
            raise ConfigError(f"the record is of format {record['format']!r}; this optreg reads {FORMAT!r}")
        results = tuple(_result(each) for each in record["results"])
        settings = record["experiment"]
        if settings["lr_range"] is not None:
            settings["lr_range"] = tuple(settings["lr_range"])
        settings["left_out"] = tuple(LeftOut(**each) for each in settings["left_out"])
        return Comparison(
            experiment=Experiment(contestants=tuple(each.contestant for each in results), **settings),
            metric=Measure(**record["metric"]),
            loss=Measure(**record["loss"]),
            selection=tuple(Measure(**each) for each in record["selection"]),
            results=results,
            versions=record["versions"],
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"this is not a record that `optreg compare` wrote ({error})") from error


def _result(record: dict[str, Any]) -> Result:
    runs = [
        {
            **run,
            "curve": {name: [_number(value) for value in column] for name, column in run["curve"].items()},
        }
        for run in record["runs"]
    ]
    candidates = [
        {**each, "medians": {name: _number(value) for name, value in each["medians"].items()}}
        for each in record["candidates"]
    ]
    return Result(
        contestant=Contestant(**record["contestant"]),
        config=record["config"],
        lr=record["lr"],
        candidates=tuple(Candidate(**each) for each in candidates),
        runs=tuple(Run(**run) for run in runs),
    )


def _number(value: float | str) -> float:
    return float(value) if isinstance(value, str) else value


def _text(value: Any) -> str:
    return json.dumps(_strict(value), allow_nan=False)


def _strict(value: Any) -> Any:
    """``value`` in what every JSON parser reads."""
    if isinstance(value, dict):
        return {str(key): _strict(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
