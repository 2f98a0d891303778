"""Pages: the register tables of an assembly behind one address space. Pure Python, like the tables themselves."""

from __future__ import annotations

from dataclasses import dataclass

from .registers import ADDRESS_BITS, RegisterMap

PAGE_BYTES = 1 << ADDRESS_BITS


@dataclass(frozen=True)
class PageMap:
    """The registers of an assembly: page n, of one part, begins at n times 4 KiB.

    Attributes:
        name: of the assembly.
        pages: name of each part, lower case and unique, and its table. Parts of one kind may share a table.
    """

    name: str
    pages: tuple[tuple[str, RegisterMap], ...]

    def __post_init__(self) -> None:
        names = [name for name, _ in self.pages]
        if not names:
            raise ValueError(f"{self.name} has no page")
        for name in names:
            if not name.isidentifier() or name != name.lower():
                raise ValueError(f"page name {name!r} is not a lower-case identifier")
            if names.count(name) > 1:
                raise ValueError(f"{self.name} has two pages {name}")

    def __getitem__(self, page: str) -> RegisterMap:
        """The table of this page; KeyError if there is none."""
        return self.pages[self._number(page)][1]

    def base(self, page: str) -> int:
        """Offset of the page's first byte; KeyError if there is no such page."""
        return self._number(page) * PAGE_BYTES

    def offset(self, page: str, register: str) -> int:
        """Offset of a register in the assembly, in bytes; KeyError if there is no such page or register."""
        return self.base(page) + self[page][register].offset

    @property
    def address_bits(self) -> int:
        """Width of the address of a byte."""
        return ADDRESS_BITS + (len(self.pages) - 1).bit_length()

    def markdown(self) -> str:
        """The documentation's page: where each table begins, and the tables."""
        lines = [f"# Registers of {self.name}", "", "| base | page | registers of |", "|---|---|---|"]
        lines += [f"| {self.base(name):#07x} | {name} | {page.name} |" for name, page in self.pages]
        for name, page in self.pages:
            lines += ["", f"## {name}, at {self.base(name):#07x}", "", page.table().rstrip()]
        return "\n".join(lines) + "\n"

    def _number(self, page: str) -> int:
        for number, (name, _) in enumerate(self.pages):
            if name == page:
                return number
        raise KeyError(f"{self.name} has no page {page}")
