"""What to read of a model for the probabilities of a label list, one token at a time."""

from collections.abc import Sequence

from gsa.data.token_counts import TokenIds


def label_reads(answers: Sequence[TokenIds]) -> dict[TokenIds, list[int]]:
    """Return the tokens whose probability is needed, by the tokens that they follow; the shortest first.

    The keys are prefixes of the answers, to be appended to a prompt; () is the prompt itself. Labels of one
    token each need a single read. A label's probability is the product of those of its tokens.
    """
    reads: dict[TokenIds, list[int]] = {}
    for answer in answers:
        for i, token in enumerate(answer):
            tokens = reads.setdefault(answer[:i], [])
            if token not in tokens:
                tokens.append(token)
    return dict(sorted(reads.items(), key=lambda read: len(read[0])))
