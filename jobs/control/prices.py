"""What a step may cost: hourly prices from a file that a user can edit, each with its source and date.

The file: ``$SEATRIAL_PRICES``, else ``<home>/prices.yaml``, else the one in this package. Plans know no prices: the cost is
added to a finished plan, so that a plan's requests never depend on this file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from jobs.contracts.errors import InputError, SpecError, from_os_error
from jobs.control.home import Home
from jobs.control.plan import Plan, Price
from jobs.control.request_facts import machines
from jobs.control.spec import Resources, Step, memory_bytes, seconds

VARIABLE, FILE = "SEATRIAL_PRICES", "prices.yaml"
_SHORTEST, _HOUR = 60, 3600  # seconds: clouds bill at least a minute; the assumed end of a step without a time limit
_GIB = 2**30  # bytes


class HourlyPrice(BaseModel):
    """One price. ``gpu-hour`` may name an accelerator, ``instance-hour`` must name an instance."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str = Field(min_length=1)
    what: Literal["cpu-hour", "gib-hour", "gpu-hour", "instance-hour"]
    accelerator: str = ""
    instance: str = ""
    price: float = Field(ge=0, allow_inf_nan=False)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    source: str = Field(min_length=1, pattern=r"\S")
    date: date

    @model_validator(mode="after")
    def _names_its_thing(self) -> HourlyPrice:
        if (self.what == "instance-hour") != bool(self.instance):
            raise ValueError("instance-hour, and nothing else, needs `instance`: the machine's type")
        if self.accelerator and self.what != "gpu-hour":
            raise ValueError("only gpu-hour takes `accelerator`")
        return self

    @property
    def key(self) -> tuple[str, str, str]:
        return self.target, self.what, (self.accelerator or self.instance).lower()


@dataclass(frozen=True)
class Prices:
    entries: Mapping[tuple[str, str, str], HourlyPrice]

    def find(self, target: str, what: str, name: str = "") -> HourlyPrice | None:
        """The price of a thing of this name, else of a thing of any name."""
        return self.entries.get((target, what, name.lower())) or self.entries.get((target, what, ""))


def load_prices(home: Home) -> Prices:
    """The user's price file, else the packaged one.

    Errors: InputError when the named file is not there, SpecError with the line of a price that is not acceptable.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen and not Path(chosen).is_file():
        raise InputError("no such price file", where=chosen, hint=f"correct {VARIABLE}, or unset it")
    own = home.root / FILE
    return _read(Path(chosen) if chosen else own if own.is_file() else Path(__file__).with_name(FILE))


def price_of(target: str, step: Step, prices: Prices, *, instance: str = "") -> Price | None:
    """From one minute to the time limit of a step's workers; None when something that it asks for has no price.

    ``instance``: the type of machine where the target rents whole ones, one per worker.
    """
    parts = list(_parts(target, step.resources, prices, instance))
    known = [price for _, price in parts if price is not None]
    if len(known) < len(parts):
        return None
    hourly = sum(amount * price.price for (amount, _), price in zip(parts, known, strict=True))
    fewest, most = _workers(step.resources)
    longest = seconds(step.time_limit) if step.time_limit else _HOUR
    return Price(
        low=_rounded(fewest * hourly * min(_SHORTEST, longest) / _HOUR),
        high=_rounded(most * hourly * longest / _HOUR),
        currency=known[0].currency,
        basis=f"{_multiplied(step, [amount for amount, _ in parts], known)}; {_sources(known)}",
    )


def with_price(plan: Plan, step: Step, prices: Prices) -> Plan:
    """The same plan with its cost. The requests stay as they are."""
    return replace(plan, cost=price_of(plan.target, step, prices, instance=next(machines([request.body for request in plan.requests]), "")))


def _parts(target: str, resources: Resources, prices: Prices, instance: str) -> Iterator[tuple[float, HourlyPrice | None]]:
    """What one worker takes, each with its hourly price."""
    if instance:
        yield 1, prices.entries.get((target, "instance-hour", instance.lower()))
        return
    yield resources.cpu, prices.find(target, "cpu-hour")
    yield memory_bytes(resources.memory) / _GIB, prices.find(target, "gib-hour")
    if resources.gpu:
        yield resources.gpu, prices.find(target, "gpu-hour", resources.accelerator)


def _workers(resources: Resources) -> tuple[int, int]:
    """Fewest and most processes; 0 workers are one process, the step's own."""
    workers = resources.workers
    return (max(1, workers), max(1, workers)) if isinstance(workers, int) else (workers.min, workers.max)


def _multiplied(step: Step, amounts: Sequence[float], known: Sequence[HourlyPrice]) -> str:
    fewest, most = _workers(step.resources)
    workers = f"{fewest} to {most} workers" if fewest != most else f"{most} worker{'s' if most > 1 else ''}"
    things = " + ".join(f"{amount:g} {price.instance or price.what} at {price.price:g}" for amount, price in zip(amounts, known, strict=True))
    until = f"its time limit of {step.time_limit}" if step.time_limit else "one hour, for it has no time limit"
    return f"{workers} x ({things} {known[0].currency}) x one minute to {until}{', as if not on spot capacity' if step.spot else ''}"


def _sources(known: Sequence[HourlyPrice]) -> str:
    return "; ".join(dict.fromkeys(f"{price.source} ({price.date.isoformat()})" for price in known))


def _rounded(amount: float) -> float:
    return float(f"{amount:.4g}")  # four digits: more would claim a precision that nobody has


def _read(path: Path) -> Prices:
    try:
        text = path.read_text()
        values, root = yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader)
    except OSError as error:
        raise from_os_error(error, str(path)) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"not a YAML file: {error}", where=str(path)) from error
    rows = values.get("prices") if isinstance(values, dict) else None
    if not isinstance(rows, list | None) or not isinstance(values, dict) or set(values) != {"prices"}:
        raise SpecError("a price file is a mapping with one list, `prices`", where=str(path), hint="see docs/job-file.md for its form")
    lines = _lines(root) if rows else []
    return Prices(_checked([_entry(row, f"{path}:{line}") for row, line in zip(rows or [], lines, strict=True)], path))


def _lines(root: yaml.Node | None) -> list[int]:
    """Lines (from 1) at which the prices of a file begin."""
    assert isinstance(root, yaml.MappingNode)
    return [node.start_mark.line + 1 for node in root.value[0][1].value]


def _entry(row: object, where: str) -> HourlyPrice:
    try:
        return HourlyPrice.model_validate(row)
    except ValidationError as error:
        # A misspelt key also makes "Field required" of the right one.
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        field = ".".join(str(part) for part in first["loc"]) or "this price"
        hint = "a price needs target, what, price, currency, source and date"
        raise SpecError(f"{field}: {first['msg'].removeprefix('Value error, ')}", where=where, hint=hint) from error


def _checked(entries: Sequence[HourlyPrice], path: Path) -> dict[tuple[str, str, str], HourlyPrice]:
    """One price for each thing, and one currency for each target: amounts are added up."""
    found: dict[tuple[str, str, str], HourlyPrice] = {}
    currencies: dict[str, str] = {}
    for entry in entries:
        if entry.key in found:
            raise SpecError(f"two prices for {' '.join(filter(None, entry.key))}", where=str(path), hint="keep one of them")
        if currencies.setdefault(entry.target, entry.currency) != entry.currency:
            raise SpecError(
                f"{entry.target} has prices in {currencies[entry.target]} and {entry.currency}", where=str(path), hint="use one currency for a target"
            )
        found[entry.key] = entry
    return found
