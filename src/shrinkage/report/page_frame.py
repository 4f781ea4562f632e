"""The frame of a page: one file, with its style, its script and plotly.js inside."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from string import Template

from plotly.offline import get_plotlyjs

from shrinkage.figures.style import Figure, Trace
from shrinkage.report.page_text import escape, script_json

# Nothing but the two scripts whose digests are named may run, and nothing may be fetched.
POLICY = (
    "default-src 'none'; script-src $scripts; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)

LEVEL = 5  # of compression; a higher one takes longer for a hundredth of the size

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<link rel="icon" href="data:,">
<style>
$style</style>
</head>
<body>
<button type="button" id="scheme" aria-label="Switch between light and dark">◐</button>
<main>
$body
</main>
<noscript><p class="trouble">The figures are drawn by a script inside this page.</p></noscript>
<script type="application/json" id="figures">$figures</script>
<script type="text/plain" id="plotly">$plotly</script>
<script>$script</script>
</body>
</html>
""")


def render_page(
    title: str,
    body: str,
    figures: Sequence[Figure],
    shared: Mapping[str, Sequence[Trace]] | None = None,
) -> str:
    """The page.

    `body` is HTML, already escaped. Each figure is drawn into the element whose `data-figure` is
    its name. `shared` holds traces that several figures have in front of their own, by the name
    that `Figure.background` gives.
    """
    plots = {
        figure.name: {
            "traces": figure.traces,
            "layout": figure.layout,
            "background": figure.background,
        }
        for figure in figures
    }
    script = _read_resource("page.js")
    library = get_plotlyjs()
    allowed = f"{_hash_script(script)} {_hash_script(library)}"
    page = PAGE.substitute(
        policy=escape(Template(POLICY).substitute(scripts=allowed)),
        title=escape(title),
        style=_read_resource("page.css"),
        body=body,
        figures=script_json({"plots": plots, "shared": shared or {}}),
        plotly=_compress(library) if figures else "",
        script=script,
    )
    # Half a surrogate pair, as odd file names have, is no text that can be written.
    return page.encode("utf-8", errors="replace").decode("utf-8")


def _read_resource(name: str) -> str:
    return files("shrinkage.report").joinpath(name).read_text(encoding="utf-8")


def _hash_script(script: str) -> str:
    """The digest by which a Content-Security-Policy allows a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@cache
def _compress(library: str) -> str:
    """plotly.js compressed, as text: two megabytes instead of five; the browser unpacks it."""
    return base64.b64encode(gzip.compress(library.encode(), LEVEL, mtime=0)).decode()
