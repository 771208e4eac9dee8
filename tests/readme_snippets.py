"""README's Python: where a snippet stands, what it needs, and what it shows over the emulator."""

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"

# A text that stands in one snippet alone, and what that snippet prints.
SHOWN = {
    "print(model.invoke(": "haiku about trains",
    "create_agent(": "Sunny in Kazan",
    "VectorStoreIndex.from_documents(": "leaves at noon",
    "client = YandexClient()": "Hello",
    "LocalCluster(": "['You said: Hello', 'You said: Good evening']",
}


@dataclass(frozen=True)
class Snippet:
    """A program that README shows."""

    line: int
    code: str

    @property
    def needs(self) -> set[str]:
        """The packages that it imports, but for Python's own."""
        imported: set[str] = set()
        for node in ast.walk(ast.parse(self.code)):
            if isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
        return {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names)

    @property
    def shown(self) -> str:
        """What it prints; LookupError where SHOWN does not tell it."""
        known = [text for text in SHOWN if text in self.code]
        if len(known) != 1:
            raise LookupError(
                f"The snippet in line {self.line} of README has {len(known)} rows in SHOWN of "
                f"{Path(__file__).name}, which tells what a snippet prints: it needs one."
            )
        return SHOWN[known[0]]


def snippets(text: str | None = None) -> list[Snippet]:
    """All that stand in a text; by default, in README."""
    text = README.read_text(encoding="utf-8") if text is None else text
    return [
        Snippet(text.count("\n", 0, found.start()) + 1, found[1])
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]
