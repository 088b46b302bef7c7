"""A source of records that a test makes by hand."""

from __future__ import annotations

from compress.data.records import Category, Record


class Records:
    """Records made by hand, as a source."""

    def __init__(self, *records: Record) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Record:
        return self._records[index]

    def names(self) -> list[str]:
        return [record.name for record in self._records]

    def categories(self) -> list[Category]:
        return [record.category for record in self._records]

    def fingerprint(self) -> str:
        return "by hand"
