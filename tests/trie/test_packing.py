"""Rows: what fits where, and what a row predicts."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tries import make_prompt

from gsa.data.encoder import Encoder, common_prefix_length
from gsa.data.layout import Layout
from gsa.data.task import EMOTION
from gsa.data.types import Dialogue, Example, Utterance
from gsa.trie.packing import (
    REPEATED,
    PackedRow,
    branches,
    cheapest_cuts,
    group,
    pack,
    split,
    steps_of,
)
from gsa.trie.trie import size

ANSWERS = ((7, 8, 9), (7, 5), (6,), (5, 5, 5, 5))


def prompt(ids, gold=0, answers=ANSWERS, dialogue="d", dataset="set"):
    return make_prompt(ids, answers, gold, dialogue=dialogue, dataset=dataset)


@st.composite
def talks(draw):
    """Prompts of a few dialogues; within one, each is a beginning of the same text plus something own."""
    prompts = []
    for number in range(draw(st.integers(0, 5))):
        trunk = (1, *draw(st.lists(st.integers(0, 2), max_size=12)))
        for _ in range(draw(st.integers(1, 6))):
            ids = trunk[: draw(st.integers(1, len(trunk)))] + tuple(
                draw(st.lists(st.integers(0, 2), max_size=3))
            )
            answers = draw(
                st.lists(
                    st.lists(st.integers(3, 5), min_size=1, max_size=4).map(tuple), min_size=1, max_size=4
                )
            )
            gold = draw(st.integers(0, len(answers) - 1))
            prompts.append(prompt(ids, gold, answers, dialogue=str(number)))
    return prompts


def nodes_of(prompts, score):
    return size([b for p in prompts for b in branches(p, score)])


def largest_row(prompts, score):
    """An upper bound of a dialogue's nodes, exact where prompts share most with their neighbours."""
    bound = nodes_of(prompts[:1], score)
    for before, after in pairwise(prompts):
        bound += nodes_of([after], score) - common_prefix_length(before.ids, after.ids)
    return bound


limits = st.integers(1, 60)


@given(talks(), limits, limits, st.booleans())
def test_rows_hold_every_prompt_once_in_order_within_the_bound(prompts, most, fill, score):
    rows = pack(group(prompts), score, most, fill)
    packed = [p for row in rows for p in row.prompts]
    assert len(packed) == len(prompts)
    assert all(a is b for a, b in zip(packed, prompts, strict=True))
    for row in rows:
        assert row.prompts
        assert row.score is score
        assert len(row.trie) == nodes_of(row.prompts, score)
        assert len(row.trie) <= most or len(row.prompts) == 1


@given(talks(), limits, st.booleans())
def test_a_dialogue_that_fits_a_filled_row_is_never_cut(prompts, fill, score):
    groups = group(prompts)
    rows = pack(groups, score, fill_tokens=fill)
    for talk in groups:
        if largest_row(talk, score) <= fill:
            (row,) = [row for row in rows if any(p is talk[0] for p in row.prompts)]
            at = next(i for i, p in enumerate(row.prompts) if p is talk[0])
            assert [id(p) for p in row.prompts[at : at + len(talk)]] == [id(p) for p in talk]


@given(talks(), limits, limits, st.booleans())
def test_a_dialogue_repeats_little_more_than_the_bound_forces(prompts, most, fill, score):
    for talk in group(prompts):
        parts = split(talk, score, most, min(fill, most))
        nodes = [largest_row(part, score) for part in parts]
        if largest_row(talk, score) <= most:
            assert sum(nodes) <= largest_row(talk, score) * (1 + REPEATED)
        assert [p for part in parts for p in part] == talk


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=8), st.integers(1, 30))
def test_cuts_repeat_the_fewest_nodes(prompts, limit):
    common = np.array([0, *(repeated for _, repeated in prompts[1:])])
    nodes = common + [own for own, _ in prompts]

    def fits(start, stop):
        return stop == start + 1 or common[start] + (nodes - common)[start:stop].sum() <= limit

    n = len(nodes)
    every = [(0, *inner) for k in range(n) for inner in combinations(range(1, n), k)]
    allowed = [cut for cut in every if all(fits(a, b) for a, b in pairwise([*cut, n]))]
    starts = cheapest_cuts(nodes, common, limit)
    assert tuple(starts) in allowed
    assert common[starts].sum() == min(common[list(cut)].sum() for cut in allowed)


@given(talks(), st.booleans())
def test_each_answer_token_is_predicted_where_its_own_sequence_predicts_it(prompts, score):
    if not prompts:
        return
    row = PackedRow(tuple(prompts), score)
    nodes, tokens, answer_index = row.predicted
    wanted = [(p, answer) for p in prompts for answer in (p.answers if score else [p.answers[p.gold]])]
    assert nodes.dtype == tokens.dtype == answer_index.dtype == np.int64
    assert list(tokens) == [token for _, answer in wanted for token in answer]
    assert list(answer_index) == [i for i, (_, answer) in enumerate(wanted) for _ in answer]
    at = 0
    for p, answer in wanted:
        for read in range(len(answer)):
            seen = tuple(int(t) for t in row.trie.tokens[row.trie.path(int(nodes[at]))])
            assert seen == p.ids + answer[:read]  # all that comes before the token, and nothing else
            at += 1
    assert at == len(nodes)


def test_the_last_answer_token_is_never_read():
    assert branches(prompt([1, 2], gold=1), score=False) == [(1, 2, 7)]
    assert branches(prompt([1, 2]), score=True) == [(1, 2, 7, 8), (1, 2, 7), (1, 2), (1, 2, 5, 5, 5)]
    assert len(PackedRow((prompt([1, 2]),), score=True).trie) == 2 + 2 + 3


def test_training_without_a_gold_label_is_refused():
    unlabelled = make_prompt((1,), ANSWERS, number=17)
    with pytest.raises(ValueError, match="'17' has no gold label"):
        branches(unlabelled, score=False)
    with pytest.raises(ValueError, match="'17' has no gold label"):
        pack([[unlabelled]], score=False)
    assert len(pack([[unlabelled]], score=True)) == 1


def test_nothing_makes_no_rows():
    assert group([]) == []
    assert pack([], score=True) == []


def test_a_group_is_one_dialogue_and_one_task():
    a, b, c, d = (
        prompt([1], dialogue="1"),
        prompt([2], dialogue="1"),
        prompt([3], dialogue="1", dataset="other"),
        prompt([4], dialogue="2", dataset="other"),
    )
    assert group(iter([a, b, c, d])) == [[a, b], [c], [d]]


def chat(blocks, turns):
    """Prompts of a chat whose history was dropped in blocks; each prompt has one token more than the last."""
    return [
        prompt([0, *(1000 * block + turn for turn in range(last + 1))], answers=[(7, 8), (7, 9)])
        for block in range(1, blocks + 1)
        for last in range(turns)
    ]


def test_a_long_chat_is_cut_where_its_history_was_dropped():
    prompts = chat(blocks=10, turns=20)
    rows = pack([prompts], score=False, fill_tokens=11, max_tokens=10**6)
    assert [len(row.prompts) for row in rows] == [20] * 10  # rows as short as can be without repeating much
    assert [len(row.trie) for row in rows] == [1 + 20 + 20] * 10


def test_a_conversation_that_shares_its_trunk_is_one_row_whatever_rows_are_filled_to():
    (row,) = pack([chat(blocks=1, turns=300)], score=False, fill_tokens=10)
    assert len(row.trie) == 1 + 300 + 300
    rows = pack([chat(blocks=1, turns=300)], score=False, max_tokens=450)
    assert len(rows) == 2
    assert all(len(row.trie) <= 450 for row in rows)


def test_a_prompt_beyond_the_bound_has_a_row_of_its_own():
    small, large = prompt([1, 2], dialogue="1"), prompt(range(50), dialogue="2")
    rows = pack(group([small, large, small]), score=True, max_tokens=20)
    assert [row.prompts for row in rows] == [(small,), (large,), (small,)]


def test_a_row_holds_at_most_so_many_prompts_of_several_dialogues():
    prompts = [prompt([1, i], dialogue=str(i // 3)) for i in range(9)]
    assert [len(row.prompts) for row in pack(group(prompts), score=False)] == [9]
    assert [len(row.prompts) for row in pack(group(prompts), score=False, max_prompts=7)] == [6, 3]
    assert [len(row.prompts) for row in pack(group(prompts), score=False, max_prompts=1)] == [3, 3, 3]


def test_a_step_has_the_rows_that_come_nearest_to_its_examples():
    def rows(*sizes):
        return [PackedRow((prompt([1]),) * n, score=False) for n in sizes]

    def sizes(steps):
        return [[len(row.prompts) for row in step] for step in steps]

    assert sizes(steps_of(rows(4, 4, 4, 4, 3), 8)) == [[4, 4], [4, 4], [3]]
    assert sizes(steps_of(rows(5, 4, 50, 1, 1), 8)) == [[5, 4], [50], [1, 1]]
    assert sizes(steps_of(rows(6, 3, 6, 5), 8)) == [[6, 3], [6], [5]]
    assert steps_of([], 8) == []


def test_a_shared_instruction_is_counted_once():
    prompts = [prompt([*range(10, 40), i], dialogue=str(i), answers=[(7,), (8,)]) for i in range(10)]
    assert [len(row.prompts) for row in pack(group(prompts), True, fill_tokens=40)] == [10]
    assert [len(row.prompts) for row in pack(group(prompts), True, fill_tokens=35)] == [5, 5]


def test_a_conversation_costs_its_text_once_and_its_answers(tokenizer):
    said = Dialogue("d", tuple(Utterance(f"turn number {i}", "AB"[i % 2]) for i in range(12)))
    examples = [Example(str(i), "set", said, i, "joy") for i in range(12)]
    prompts = Encoder(tokenizer, Layout(), EMOTION).encode(examples)
    (row,) = pack(group(prompts), score=False)
    longest = max(len(p.ids) for p in prompts)
    # Each target but the last branches off for " =>", a space and all but the last letter of the answer.
    assert len(row.trie) == longest + 2 + 11 * (len(" => ") + 2)
