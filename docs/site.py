"""A hook of MkDocs: the pages are written for GitHub, and the site shows them as GitHub does.

README.md is the home page. A link that leaves ``docs/`` leads to the file on GitHub; it must exist. Lists are indented as
CommonMark allows, and Python-Markdown wants four spaces.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File
from pymdownx.slugs import slugify
from pymdownx.superfences import fence_code_format

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

_LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]+)?(?=\))")
_ITEM = re.compile(r"( *)([-*]|\d+\.) +(?=\S)")
_FENCE = re.compile(r" *(```+|~~~+)")


def on_config(config: Any) -> Any:
    """Name headings as GitHub does, draw Mermaid's diagrams, and list the pages of folders in the navigation."""
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")
    mermaid = {"name": "mermaid", "class": "mermaid", "format": fence_code_format}
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [mermaid]}
    config.nav = _listed(config.nav)
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the home page."""
    home = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=home))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """The text with links and lists as the site needs them."""
    is_home = page.file.src_uri == "index.md"
    folder = ROOT if is_home else (DOCS / page.file.src_uri).parent
    source = config.repo_url.rstrip("/")

    def target(link: re.Match[str]) -> str:
        file = Path(os.path.normpath(folder / link[1]))
        anchor = link[2] or ""
        if file.is_relative_to(DOCS) and file.is_file():
            start = PurePosixPath(page.file.src_uri).parent
            return os.path.relpath(file.relative_to(DOCS), start) + anchor
        if not file.exists():
            return link[0]  # MkDocs reports it
        kind = "tree" if file.is_dir() else "blob"
        return f"{source}/{kind}/main/{file.relative_to(ROOT).as_posix()}{anchor}"

    return _indented(_LINK.sub(target, markdown))


def _listed(nav: Any) -> Any:
    if isinstance(nav, list):
        return [_listed(one) for one in nav]
    if isinstance(nav, dict):
        return {title: _listed(one) for title, one in nav.items()}
    if not nav.endswith("/"):
        return nav
    pages = sorted(one.relative_to(DOCS).as_posix() for one in (DOCS / nav).glob("*.md"))
    return sorted(pages, key=lambda one: not one.endswith("/README.md"))


def _indented(markdown: str) -> str:
    """The text with four spaces for each list that a line is in."""
    found: list[str] = []
    items: list[int] = []  # the columns where the texts of the open items begin
    fence = ""
    after_blank = False
    for line in markdown.split("\n"):
        column = len(line) - len(line.lstrip(" "))
        if not line.strip():
            found.append(line)
            after_blank = True
            continue
        item = None if fence else _ITEM.match(line)
        if not fence:
            while items and column < items[-1] and (item or after_blank or _FENCE.match(line)):
                items.pop()
        own = items[-1] if items else 0
        found.append(" " * (4 * len(items)) + line[min(column, own) :])
        if item:
            items.append(item.end())
            if (space := re.match(r" *(?:[-*]|\d+\.) +", found[-1])) and space.end() % 4:
                found[-1] = (
                    found[-1][: space.end()].ljust(-(-space.end() // 4) * 4) + found[-1][space.end() :]
                )
        if opened := _FENCE.match(line):
            if not fence:
                fence = opened[1]
            elif line.strip().startswith(fence):
                fence = ""
        after_blank = False
    return "\n".join(found)
