"""A JSON object that is read with suspicion: every complaint names the field and what is expected there."""

from pathlib import PurePosixPath
from typing import Any

from mobigen.errors import BundleError

__all__ = ["REPAIR", "Record"]

REPAIR = "fetch a clean copy of the bundle or export it again"


class Record:
    """A JSON object that knows its place in the file, so that every complaint names the field."""

    def __init__(self, values: Any, place: str) -> None:
        if not isinstance(values, dict):
            raise BundleError(f"{place} is not a JSON object; {REPAIR}")
        self.values = values
        self.place = place

    def field(self, key: str, accepted: type | tuple[type, ...], description: str) -> Any:
        value = self.values.get(key)
        if not isinstance(value, accepted) or isinstance(value, bool):
            found = "missing" if key not in self.values else f"{value!r:.60}"
            raise self.complaint(key, f"is {found}, {description} is expected")
        return value

    def complaint(self, key: str, what: str) -> BundleError:
        return BundleError(f"{self.place}: {key} {what}; {REPAIR}")

    def text(self, key: str) -> str:
        return self.field(key, str, "a string")

    def count(self, key: str) -> int:
        value = self.field(key, int, "a positive integer")
        if value < 1:
            raise self.complaint(key, f"is {value}, a positive integer is expected")
        return value

    def number(self, key: str) -> float:
        return float(self.field(key, (int, float), "a number"))

    def numbers(self, key: str) -> tuple[float, ...]:
        values = self.field(key, list, "a list of numbers")
        if not all(isinstance(value, (int, float)) for value in values):
            raise self.complaint(key, f"is {values!r:.60}, a list of numbers is expected")
        return tuple(values)

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.field(key, list, "a list of strings")
        if not values or not all(isinstance(value, str) for value in values):
            raise self.complaint(key, f"is {values!r:.60}, a list of strings is expected")
        return tuple(values)

    def record(self, key: str) -> "Record":
        return Record(self.field(key, dict, "an object"), f"{self.place}: {key}")

    def records(self, key: str) -> tuple["Record", ...]:
        values = self.field(key, list, "a list of objects")
        return tuple(Record(value, f"{self.place}: {key}[{index}]") for index, value in enumerate(values))

    def each(self, key: str) -> dict[str, "Record"]:
        """A non-empty object whose values are objects."""
        group = self.record(key)
        if not group.values:
            raise self.complaint(key, "is empty")
        return {name: group.record(name) for name in group.values}

    def path(self, key: str) -> str:
        """A relative path that stays inside the bundle's folder."""
        value = self.text(key)
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or "\\" in value or ":" in value or not path.parts:
            raise self.complaint(key, f"is {value!r}, a path inside the bundle's folder is expected")
        return value
