"""Rows: what fits where, and what a row predicts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tries import make_prompt

from gsa.data.encoder import Encoder
from gsa.data.layout import Layout
from gsa.data.task import EMOTION
from gsa.data.types import Dialogue, Example, Utterance
from gsa.trie.packing import PackedRow, branches, group, pack, split
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


@given(talks(), st.integers(1, 60), st.booleans())
def test_rows_hold_every_prompt_once_in_order_within_the_budget(prompts, budget, score):
    rows = pack(group(prompts), budget, score)
    found = [p for row in rows for p in row.prompts]
    assert len(found) == len(prompts)
    assert all(a is b for a, b in zip(found, prompts, strict=True))
    for row in rows:
        assert row.prompts
        assert row.score is score
        assert len(row.trie) == nodes_of(row.prompts, score)
        assert len(row.trie) <= budget or len(row.prompts) == 1


@given(talks(), st.integers(1, 60), st.booleans())
def test_rows_are_filled_with_whole_dialogues_where_they_fit(prompts, budget, score):
    groups = group(prompts)
    rows = pack(groups, budget, score)
    for talk in groups:
        if nodes_of(talk, score) <= budget:
            assert sum(any(p is talk[0] for p in row.prompts) for row in rows) == 1
            (row,) = [row for row in rows if any(p is talk[0] for p in row.prompts)]
            at = next(i for i, p in enumerate(row.prompts) if p is talk[0])
            assert [id(p) for p in row.prompts[at : at + len(talk)]] == [id(p) for p in talk]


@given(talks(), st.booleans())
def test_each_answer_token_is_predicted_where_its_own_sequence_predicts_it(prompts, score):
    if not prompts:
        return
    row = PackedRow(tuple(prompts), score)
    nodes, tokens, owner = row.predicted
    wanted = [(p, answer) for p in prompts for answer in (p.answers if score else [p.answers[p.gold]])]
    assert nodes.dtype == tokens.dtype == owner.dtype == np.int64
    assert list(tokens) == [token for _, answer in wanted for token in answer]
    assert list(owner) == [i for i, (_, answer) in enumerate(wanted) for _ in answer]
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
        pack([[unlabelled]], 10, score=False)
    assert len(pack([[unlabelled]], 10, score=True)) == 1


def test_nothing_makes_no_rows():
    assert group([]) == []
    assert pack([], 10, score=True) == []


def test_a_group_is_one_dialogue_and_one_task():
    a, b, c, d = (
        prompt([1], dialogue="1"),
        prompt([2], dialogue="1"),
        prompt([3], dialogue="1", dataset="other"),
        prompt([4], dialogue="2", dataset="other"),
    )
    assert group(iter([a, b, c, d])) == [[a, b], [c], [d]]


def test_a_large_dialogue_is_split_its_trunk_repeated():
    trunk = tuple(range(10, 30))
    prompts = [prompt(trunk[: 5 + i], answers=[(7, 8), (7, 9)]) for i in range(16)]
    parts = split(prompts, 15, score=False)
    assert [p for part in parts for p in part] == prompts
    assert all(nodes_of(part, False) <= 15 or len(part) == 1 for part in parts)
    assert len(parts) > 1
    rows = pack([prompts], 15, score=False)
    assert [p for row in rows for p in row.prompts] == prompts
    assert sum(len(row.trie) for row in rows) > nodes_of(prompts, False)  # the trunk is there again


def test_a_prompt_beyond_the_budget_has_a_row_of_its_own():
    small, large = prompt([1, 2], dialogue="1"), prompt(range(50), dialogue="2")
    rows = pack(group([small, large, small]), 20, score=True)
    assert [row.prompts for row in rows] == [(small,), (large,), (small,)]


def test_a_shared_instruction_is_counted_once():
    prompts = [prompt([*range(10, 40), i], dialogue=str(i), answers=[(7,), (8,)]) for i in range(10)]
    assert [len(row.prompts) for row in pack(group(prompts), 40, score=True)] == [10]
    assert [len(row.prompts) for row in pack(group(prompts), 35, score=True)] == [5, 5]


def test_a_conversation_costs_its_text_once_and_its_answers(tokenizer):
    said = Dialogue("d", tuple(Utterance(f"turn number {i}", "AB"[i % 2]) for i in range(12)))
    examples = [Example(str(i), "set", said, i, "joy") for i in range(12)]
    prompts = Encoder(tokenizer, Layout(), EMOTION).encode(examples)
    (row,) = pack(group(prompts), 4096, score=False)
    longest = max(len(p.ids) for p in prompts)
    # Each target but the last branches off for " =>", a space and all but the last letter of the answer.
    assert len(row.trie) == longest + 2 + 11 * (len(" => ") + 2)
