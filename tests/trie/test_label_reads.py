"""What is read of a model for a label list."""

from gsa.trie.label_reads import label_reads


def test_labels_of_one_token_need_one_read() -> None:
    assert label_reads([(5,), (3,), (9,)]) == {(): [5, 3, 9]}


def test_every_token_of_longer_labels_is_read_once_after_what_precedes_it() -> None:
    reads = label_reads([(1, 2), (1, 3, 2), (4, 2), (1, 3, 5)])
    assert reads == {(): [1, 4], (1,): [2, 3], (4,): [2], (1, 3): [2, 5]}
    assert list(reads) == [(), (1,), (4,), (1, 3)], "the shortest first"


def test_a_closed_label_reads_its_end() -> None:
    assert label_reads([(1, 0), (1, 2, 0)]) == {(): [1], (1,): [0, 2], (1, 2): [0]}
