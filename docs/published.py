"""Pages of the site that lie outside docs/, and the links that lead there from docs/ and back."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

import plotly
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PUBLISHED = ("CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/*.md", "benchmarks/*.svg")
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Publish them under the names that they have in the repository."""
    for path in (path for pattern in PUBLISHED for path in sorted(ROOT.glob(pattern))):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    library = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    files.append(File.generated(config, "assets/plotly.min.js", abs_src_path=str(library)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let each link that holds in the repository hold on the site."""
    on_site = page.file.src_uri
    is_outside = page.file.generated_by is not None
    if is_outside:  # tables of measurements name every penalty, and explain none
        page.meta["search"] = {"boost": 0.2}
    in_repository = on_site if is_outside else f"docs/{on_site}"

    def moved(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(in_repository), match[1]))
        return posixpath.relpath(target.removeprefix("docs/"), posixpath.dirname(on_site) or ".")

    return LINK.sub(moved, markdown)
