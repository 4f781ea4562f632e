"""Each rule of the house finds what breaks it, in small packages made up for that, and no more."""

from __future__ import annotations

import sys
from collections.abc import Callable
from textwrap import dedent, indent

import pytest

from house_rules import RULES, Finding, Tree, check

Make = Callable[[dict[str, str]], Tree]


@pytest.fixture
def make(tmp_path, monkeypatch) -> Make:
    """Write a package ``made_up`` that holds these files."""

    def write(files: dict[str, str]) -> Tree:
        for name, text in {"__init__.py": "", **files}.items():
            path = tmp_path / "src" / "made_up" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
            (path.parent / "__init__.py").touch()
        monkeypatch.syspath_prepend(str(tmp_path / "src"))
        return Tree(tmp_path, "made_up")

    yield write
    for module in [name for name in sys.modules if name.split(".")[0] == "made_up"]:
        del sys.modules[module]


def findings(tree: Tree, rule: str) -> list[tuple[str, str]]:
    """The file, within the package, and the message of each finding."""
    return [
        (finding.file.removeprefix("src/made_up/"), finding.message)
        for finding in RULES[rule](tree)
    ]


def test_a_file_may_have_300_lines(make: Make) -> None:
    tree = make({"short.py": "x = 1\n" * 300, "long.py": "x = 1\n" * 301})
    assert findings(tree, "length") == [("long.py", "301 lines, but at most 300 are allowed")]


def test_a_body_may_have_40_lines_beside_its_docstring(make: Make) -> None:
    docstring = '    """A long\n' + "    story\n" * 50 + '    """\n'
    body = "    x = 1\n" * 40
    tree = make(
        {
            "a.py": f"def short():\n{docstring}{body}",
            "b.py": f"class A:\n    async def long(self):\n{indent(docstring + body, '    ')}"
            "        return 2\n",
            "c.py": f"def only_told():\n{docstring}",
        }
    )
    message = "long (line 2) has 41 lines after its docstring, but at most 40 are allowed"
    assert findings(tree, "body") == [("b.py", message)]


CIRCLES = {
    "at the top": "from made_up.b import g",
    "in a function": "def f():\n    import made_up.b",
    "for types alone": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
    "    from made_up import b",
    "relative": "from . import b",
}


@pytest.mark.parametrize("text", CIRCLES.values(), ids=CIRCLES)
def test_circles_are_found_and_printed(make: Make, text: str) -> None:
    files = {
        "a.py": text,
        "b.py": "from made_up.rooms import c",
        "rooms/c.py": "import made_up.a\nimport made_up.d",
        "d.py": "",
        "above.py": "import made_up.a",  # leads into the circle, but is not on it
    }
    [(file, message)] = findings(make(files), "circle")
    line = len(text.splitlines())
    assert file == "a.py"
    assert message.splitlines()[1:] == [
        f"    src/made_up/a.py:{line} imports made_up.b",
        "    src/made_up/b.py:1 imports made_up.rooms.c",
        "    src/made_up/rooms/c.py:1 imports made_up.a",
    ]


def test_a_circle_through_a_package_is_found(make: Make) -> None:
    tree = make({"__init__.py": "from made_up.a import x", "a.py": "from made_up import y"})
    assert [file for file, _ in findings(tree, "circle")] == ["__init__.py"]


def test_a_chain_is_no_circle(make: Make) -> None:
    tree = make({"a.py": "import made_up.b", "b.py": "import made_up.c", "c.py": ""})
    assert findings(tree, "circle") == []


PRIVATE = {
    "import torch._C": "torch._C",
    "import torch._C as c": "torch._C",
    "from torch._C import guards": "torch._C.guards",
    "from torch.optim.optimizer import _hooks": "torch.optim.optimizer._hooks",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from torch import _C": "torch._C",
    "import torch\ntorch._C._autograd()": "torch._C._autograd",
    "from torch import nn\nnn.modules.conv._ConvNd": "nn.modules.conv._ConvNd",
    "from torch import nn\nnn._own": "nn._own",  # theirs, although b.py has one of that name
    "def f(module):\n    return module._parameters": "module._parameters",
    "def f(module):\n    return module.weight._base.grad": "module.weight._base",
    "def f(module):\n    return getattr(module, '_buffers')": "getattr(module, '_buffers')",
    "from numba.core import types": "numba.core.types",
    "import numba\nnumba.core.types": "numba.core.types",
    "import llvmlite.ir": "llvmlite.ir",
}
PUBLIC = {
    "a foreach function": "import torch\ntorch._foreach_add_([])",
    "a dunder": "import torch\ntorch.__version__\ntorch.Tensor.__dict__",
    "a name of the package itself": "def f(x):\n    return x._own + x._set + getattr(x, '_own')",
    "a named tuple": "def f(x):\n    return x._replace(a=1)",
    "somebody else's": "import sys\nsys._getframe(1)",
    "a public name": "from numba import njit\nfrom torch.optim.optimizer import Optimizer",
    "a module whose name begins alike": "from torch_optimizer._x import y",
}


@pytest.mark.parametrize(("text", "name"), PRIVATE.items(), ids=range(len(PRIVATE)))
def test_private_names_of_dependencies_are_found(make: Make, text: str, name: str) -> None:
    own = "class A:\n    def _own(self):\n        self._set = 1"
    found = findings(make({"a.py": text, "b.py": own}), "private")
    line = len(text.splitlines())
    assert found == [("a.py", f"line {line}: {name} belongs to a dependency")]


@pytest.mark.parametrize("text", PUBLIC.values(), ids=PUBLIC)
def test_other_names_are_not_private(make: Make, text: str) -> None:
    own = "class A:\n    def _own(self):\n        self._set = 1"
    assert findings(make({"a.py": text, "b.py": own}), "private") == []


def test_private_names_have_two_homes(make: Make) -> None:
    text = "import torch._C\n"
    homes = {"torch/private.py": text, "kernels/private.py": text, "kernels/jit.py": text}
    assert [file for file, _ in findings(make(homes), "private")] == ["kernels/jit.py"]


def test_public_names_are_shown_in_an_example(make: Make) -> None:
    tree = make(
        {
            "__init__.py": """
                from made_up.functions import block, doctest, nothing, prose
                from made_up.classes import Shown
                __all__ = ["Shown", "block", "doctest", "nothing", "prose"]
                """,
            "functions.py": '''
                def doctest():
                    """Return 1.

                    >>> doctest()
                    1
                    """

                def block():
                    """Return 1, as in::

                        block()

                    and nothing else.
                    """

                def prose():
                    """Return 1:: without code below."""

                def nothing(): pass

                def hidden(): pass
                ''',
            "classes.py": '''
                """Shapes.

                >>> thing.by_module()
                """

                class Base:
                    """The base.

                    >>> Base().by_base()
                    """

                    def by_base(self):
                        """Shown above."""

                    def overridden(self):
                        """Return 1.

                        >>> Base().overridden()
                        """

                    def inherited(self):
                        """Mentioned, as ``thing.inherited()``, but not shown."""

                class Shown(Base, dict):
                    """A class.

                    >>> Shown().by_class()
                    """

                    def by_class(self):
                        """Shown above."""

                    @classmethod
                    def by_module(cls):
                        """Shown on top."""

                    def overridden(self):
                        pass

                    @staticmethod
                    def unshown():
                        """Not shown."""

                    def untold(self):
                        pass

                    def keys(self):
                        """Overrides dict's, and needs no example."""

                    @property
                    def told(self):
                        """Needs no example."""

                    @property
                    def silent(self):
                        pass

                    def _private(self):
                        pass
                ''',
        }
    )
    assert sorted(findings(tree, "example")) == [
        ("classes.py", "Base.inherited is shown in no example"),
        ("classes.py", "Shown.silent has no docstring"),
        ("classes.py", "Shown.unshown is shown in no example"),
        ("classes.py", "Shown.untold has no docstring"),
        ("functions.py", "nothing has no example in its docstring"),
        ("functions.py", "prose has no example in its docstring"),
    ]


def test_what_is_listed_passes_and_is_printed_as_left(make: Make) -> None:
    tree = make({"a.py": "x = 1\n" * 301, "rooms/b.py": "x = 1\n" * 302, "c.py": "x = 1\n" * 303})
    wrong, left = check(
        tree,
        {
            "length": {
                "src/made_up/a.py": "old",
                "src/made_up/rooms": "being divided",
                "src/made_up/room": "a folder's whole name counts",
            },
            "body": {"src/made_up/a.py": "nothing to allow"},
            "rhyme": {"src/made_up/a.py": "no such rule"},
        },
    )
    assert left == [
        "src/made_up/a.py: length: 1 left: old",
        "src/made_up/rooms: length: 1 left: being divided",
    ]
    assert wrong == [
        "tool.house-rules: there is no rule 'rhyme'",
        "src/made_up/c.py: length: 303 lines, but at most 300 are allowed",
        "src/made_up/room: length: keeps the rule now: remove it from tool.house-rules",
        "src/made_up/a.py: body: keeps the rule now: remove it from tool.house-rules",
    ]


def test_every_rule_is_checked(make: Make, monkeypatch) -> None:
    for rule in RULES:
        monkeypatch.setitem(RULES, rule, lambda tree, rule=rule: [Finding(rule, "f.py", "broken")])
    wrong, left = check(make({}), {})
    assert (wrong, left) == ([f"f.py: {rule}: broken" for rule in RULES], [])
