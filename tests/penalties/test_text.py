"""Penalties as text, both ways."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import Case
from penalties.laws import each, each_kind
from shrinkage import L1, L2, ElasticNet, GroupLasso, Sum, Toward, Weighted, parse, to_text
from shrinkage.penalties.base import terms
from shrinkage.penalties.layout import Layout
from shrinkage.penalties.text import normalized, split_how

strengths = st.floats(0, allow_infinity=False)
block = st.integers(1, 64)
axis = st.integers(-4, 4)
groups = (
    st.sampled_from(["out", "in"])
    | axis
    | st.lists(axis, min_size=1, max_size=3)
    | st.tuples(block, block).map(lambda sizes: f"{sizes[0]}x{sizes[1]}")
)
single = (
    st.builds(L1, strengths)
    | st.builds(L2, strengths)
    | st.builds(ElasticNet, strengths, st.floats(0, 1))
    | st.builds(GroupLasso, strengths, groups, st.sampled_from(["sqrt", "none"]))
)


@given(single | st.lists(single, min_size=2, max_size=4).map(Sum))
@settings(max_examples=200)
def test_there_and_back(penalty: Any) -> None:
    assert parse(to_text(penalty)) == penalty
    assert parse(to_text(penalty).replace(" ", "")) == penalty
    assert parse(to_text(penalty).upper().replace("GROUPS=", "groups=").lower()) == penalty


GOOD = [
    ("l1:1e-4", L1(1e-4)),
    ("L1: 1", L1(1)),
    (" l1:1e+3+l2:1E+2 ", L1(1e3) + L2(1e2)),
    ("l1:1.e+3+l2:1", L1(1e3) + L2(1)),
    ("l1:1 +l2:2+ l1:3", L1(1) + L2(2) + L1(3)),
    ("ElasticNet:0.1, l1_ratio = 0.3", ElasticNet(0.1, 0.3)),
    ("elastic-net:0.1,l1-ratio=0.3", ElasticNet(0.1, 0.3)),
    ("group_lasso:1,groups=2x3,weight=none+l1:1", GroupLasso(1, "2x3", "none") + L1(1)),
    ("group_lasso:1,groups=0/1", GroupLasso(1, (0, 1))),
    ("group_lasso:1,groups=-1", GroupLasso(1, -1)),
]


def test_good_text() -> None:
    for text, penalty in each(GOOD):
        assert parse(text) == penalty


def test_a_strength_for_those_that_state_none() -> None:
    assert parse("l1 + l2:2", lam=0.5) == L1(0.5) + L2(2)
    assert parse("elastic_net,l1_ratio=0.9", lam=0.1) == ElasticNet(0.1, 0.9)
    assert parse("elastic_net:l1_ratio=0.9", lam=0.1) == ElasticNet(0.1, 0.9)
    assert parse("l1 + group_lasso:groups=in", lam=0.1) == L1(0.1) + GroupLasso(0.1, "in")


FOR_A_GRID = [
    ("lasso", "l1"),
    ("Bridge:p=0.5", "lp:p=0.5"),
    ("Ridge + lasso:1", "l2 + l1:1"),
    ("group_lasso,groups=in", "group_lasso:groups=in"),
    ("group-lasso: groups = heads:64 , weight=none", "group_lasso:groups=heads:64,weight=none"),
    ("group_lasso:groups=0/1", "group_lasso:groups=0/1"),
    ("ElasticNet:l1_ratio=.90", "elastic_net:l1_ratio=0.9"),
    ("elastic_net:l1_ratio=0.5", "elastic_net"),
    ("sparse_group_lasso:groups=in,l1_ratio=0.3", "sparse_group_lasso:l1_ratio=0.3,groups=in"),
    ("l_inf:groups=in", "l_inf:groups=in"),
    ("mcp:gamma=2", "mcp:gamma=2"),
    ("scad:a=3", "scad:a=3"),
    ("capped_l1:theta=1", "capped_l1:theta=1"),
    ("log_sum:eps=0.1", "log_sum:eps=0.1"),
    ("lp:p=0.5", "lp:p=0.5"),
    ("l1:lam=1e-3", "l1:0.001"),
    ("box:low=-1,high=1", "box:-1,high=1"),
    ("max_norm:radius=3,groups=in", "max_norm:3,groups=in"),
    ("n_of_m:m=8", "n_of_m:2,m=8"),
]


def test_one_spelling_for_a_grid() -> None:
    for text, spelled in each(FOR_A_GRID):
        assert normalized(text) == spelled
        assert normalized(spelled) == spelled
        assert parse(spelled, lam=0.25) == parse(text, lam=0.25)


BAD = [
    ("l3:1", "'l3:1': unknown penalty 'l3'; did you mean l"),
    ("elastic:1", "did you mean elastic_net? (there are l1, l2, elastic_net, group_lasso, sparse_"),
    ("grouplaso:1", "did you mean group_lasso?"),
    ("laso:1", "did you mean lasso?"),
    ("xyz:1", "unknown penalty 'xyz' (there are l1,"),
    ("xyz:1", "n_of_m, lasso, ridge, bridge)"),
    ("", "unknown penalty ''"),
    ("l1:1 + ", "unknown penalty ''"),
    ("l1", "'l1': l1 has no strength; write for example l1:1e-4"),
    ("l1:", "the strength of l1 must be a number, got ''"),
    ("l1:abc", "the strength of l1 must be a number, got 'abc'"),
    ("l1:1:2", "the strength of l1 must be a number, got '1:2'"),
    ("l1:-1", "'l1:-1': lam must be >= 0 and finite, got -1.0"),
    ("l1:nan", "lam must be >= 0 and finite, got nan"),
    ("l1:inf + l2:1", "lam must be >= 0 and finite, got inf"),
    ("l1:1,groups=in", "l1 has no 'groups' (it takes a strength alone)"),
    ("elastic_net:1,ratio=0.5", "elastic_net has no 'ratio'; did you mean l1_ratio?"),
    ("elastic_net:1,l1_ratio", "l1_ratio needs a value, l1_ratio=..."),
    ("elastic_net:1,l1_ratio=x", "l1_ratio must be a number, got 'x'"),
    ("elastic_net:1,l1_ratio=2", "l1_ratio must be between 0 and 1, got 2.0"),
    ("elastic_net:1,l1_ratio=0.1,l1_ratio=0.2", "l1_ratio is given twice"),
    ("group_lasso:1,weight=x", 'weight must be "sqrt" or "none", got \'x\''),
    ("group_lasso:1,group=in", "group_lasso has no 'group'; did you mean groups?"),
    ("l1:1,lam=2", "lam is given twice"),
    ("group_lasso:groups=in", "group_lasso has no strength; write for example group_lasso:1e-4"),
    ("lasso:alpha=1", "l1 has no 'alpha'; did you mean lam?"),
    ("non_negative:1", "non_negative takes no number; write non_negative"),
    (
        "weight_decay:0.1",
        "torch's weight_decay=c is half of c·Σw²; write l2 with half its strength",
    ),
    ("group_lasso:1,groups=rows", 'groups must be "out", "in"'),
]


def test_bad_text() -> None:
    for text, message in each(BAD):
        with pytest.raises(ValueError) as error:  # noqa: PT011 - the next line matches it
            parse(text)
        assert message in str(error.value)


def test_a_text_is_a_text() -> None:
    with pytest.raises(TypeError, match="text must be a str such as"):
        parse(3)  # type: ignore[arg-type]


def test_what_has_no_text_says_so() -> None:
    said = "has no text form: a text can name axes and blocks only"
    for groups in ([[0, 1]], Layout((2, 2), (1,))):
        with pytest.raises(ValueError, match=said):
            to_text(L1(1) + GroupLasso(1, groups))


def has_text(penalty: Any) -> bool:
    groups = getattr(penalty, "groups", None)
    has_lists = isinstance(groups, tuple) and isinstance(groups[0], tuple)
    return not (has_lists or isinstance(groups, Layout) or isinstance(penalty, Toward | Weighted))


@each_kind()
def test_text_comes_back_or_says_why_not(cases: list[Case]) -> None:
    for case in each(cases):
        if all(map(has_text, terms(case.penalty))):
            assert parse(to_text(case.penalty)) == case.penalty
        else:
            with pytest.raises(ValueError, match="has no text form"):
                to_text(case.penalty)


def test_the_how_after_the_at_sign() -> None:
    assert split_how("l1:1e-3@proximal") == ("l1:1e-3", "proximal")
    assert split_how(" l1:1 + l2:2 @ loss ") == ("l1:1 + l2:2", "loss")
    assert split_how("l1:1e-3") == ("l1:1e-3", None)
    for bad in ("l1:1@", "l1:1@prox", "l1:1@loss@loss"):
        with pytest.raises(ValueError, match="after @ comes one of loss, coupled, decoupled, prox"):
            split_how(bad)


def test_a_way_is_told_where_it_belongs() -> None:
    with pytest.raises(ValueError, match=r"'l1:1@proximal' says how the penalty acts.*attach\(opt"):
        parse("l1:1@proximal")
