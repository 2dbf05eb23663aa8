"""The TokenTrie, against a naive model: the set of distinct prefixes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsa.trie.trie import TokenTrie, size

sequences = st.lists(st.lists(st.integers(0, 3), max_size=6).map(tuple), max_size=12)


def prefixes(several):
    return {tuple(s[: n + 1]) for s in several for n in range(len(s))}


def spelled(trie, node):
    return tuple(int(token) for token in trie.tokens[trie.path(node)])


@given(sequences)
def test_nodes_are_the_distinct_prefixes(several):
    trie = TokenTrie.build(several)
    naive = prefixes(several)
    assert len(trie) == len(naive) == size(several)
    by_node = [spelled(trie, node) for node in range(len(trie))]
    assert set(by_node) == naive
    index = {prefix: node for node, prefix in enumerate(by_node)}
    for node, prefix in enumerate(by_node):
        assert trie.tokens[node] == prefix[-1]
        assert trie.depth[node] == len(prefix) - 1
        assert trie.parent[node] == index.get(prefix[:-1], -1)
        below = [n for n, other in enumerate(by_node) if other[: len(prefix)] == prefix]
        assert below == list(range(node, trie.end[node]))  # a subtree is one run of nodes
    for array in (trie.tokens, trie.depth, trie.parent, trie.end, trie.leaf):
        assert array.dtype == np.int64


@given(sequences)
def test_mask_is_the_ancestor_relation(several):
    trie = TokenTrie.build(several)
    mask = trie.mask()
    assert mask.shape == (len(trie), len(trie))
    for query in range(len(trie)):
        assert list(np.flatnonzero(mask[query])) == trie.path(query)


@given(sequences)
def test_the_path_to_a_leaf_spells_its_sequence(several):
    trie = TokenTrie.build(several)
    assert len(trie.leaf) == len(several)
    for ids, leaf in zip(several, trie.leaf, strict=True):
        assert spelled(trie, int(leaf)) == ids
        assert (leaf == -1) == (ids == ())


@given(sequences, st.randoms(use_true_random=False))
def test_the_order_of_sequences_changes_nothing_but_the_leaves(several, random):
    order = list(range(len(several)))
    random.shuffle(order)
    one, other = TokenTrie.build(several), TokenTrie.build([several[i] for i in order])
    for name in ("tokens", "depth", "parent", "end"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert np.array_equal(one.leaf[order], other.leaf)


@pytest.mark.parametrize(
    ("several", "tokens", "depth", "parent", "end", "leaf"),
    [
        ([], [], [], [], [], []),
        ([()], [], [], [], [], [-1]),
        ([(5,), (), (5,)], [5], [0], [-1], [1], [0, -1, 0]),
        ([(5, 6, 7), (5, 6)], [5, 6, 7], [0, 1, 2], [-1, 0, 1], [3, 3, 3], [2, 1]),
        ([(2, 9), (1,), (2, 8)], [1, 2, 8, 9], [0, 0, 1, 1], [-1, -1, 1, 1], [1, 4, 3, 4], [3, 0, 2]),
    ],
)
def test_small_tries_by_hand(several, tokens, depth, parent, end, leaf):
    trie = TokenTrie.build(several)
    found = [list(x) for x in (trie.tokens, trie.depth, trie.parent, trie.end, trie.leaf)]
    assert found == [tokens, depth, parent, end, leaf]
    assert size(several) == len(tokens)


def test_lists_serve_as_well_as_tuples():
    trie = TokenTrie.build([[1, 2], [1, 3], [1, 2]])
    assert list(trie.tokens) == [1, 2, 3]
    assert size([[1, 2], [1, 3], [1, 2]]) == 3


def test_size_leaves_its_input_as_it_was():
    several = [(3,), (1,), (2,)]
    size(several)
    TokenTrie.build(several)
    assert several == [(3,), (1,), (2,)]
