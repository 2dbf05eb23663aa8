"""Principal angles and cosines, against constructed directions."""

import numpy as np
import pytest
from gradient_similarity.directions import cosine, halves_cosine, product_cosine, subspace_overlap

RNG = np.random.default_rng(3)


def test_equal_spaces_share_all_and_orthogonal_ones_nothing() -> None:
    space = RNG.normal(size=(40, 4))
    same = subspace_overlap(space, space @ RNG.normal(size=(4, 4)))
    assert same
    assert same.shared == pytest.approx(1)
    assert same.angle == pytest.approx(0, abs=1e-5)
    apart = subspace_overlap(np.eye(40)[:, :4], np.eye(40)[:, 4:9])
    assert apart
    assert apart.shared == pytest.approx(0, abs=1e-12)
    assert apart.angle == pytest.approx(90)
    half = subspace_overlap(np.eye(40)[:, :4], np.eye(40)[:, 2:6])
    assert half
    assert half.shared == pytest.approx(0.5)


def test_random_spaces_share_what_chance_says() -> None:
    found = [subspace_overlap(RNG.normal(size=(40, 4)), RNG.normal(size=(40, 6))) for _ in range(200)]
    whole = [each for each in found if each]
    assert len(whole) == 200
    assert whole[0].chance_shared == 6 / 40
    assert np.mean([each.shared for each in whole]) == pytest.approx(6 / 40, rel=0.05)
    assert np.mean([each.angle for each in whole]) == pytest.approx(whole[0].chance_angle, rel=0.05)


def test_a_link_of_zeros_has_no_space_and_no_direction() -> None:
    zeros, space = np.zeros((40, 4)), RNG.normal(size=(40, 4))
    assert subspace_overlap(zeros, space) is None
    assert product_cosine((space.T, zeros), (space.T, space)) is None


def test_the_cosine_of_products_is_that_of_the_dense_matrices() -> None:
    (a, b), (c, d) = ((RNG.normal(size=(4, 30)), RNG.normal(size=(20, 4))) for _ in range(2))
    x, y = b @ a, d @ c
    expected = np.sum(x * y) / np.linalg.norm(x) / np.linalg.norm(y)
    assert product_cosine((a, b), (c, d)) == pytest.approx(expected)
    assert product_cosine((a, b), (a, -2 * b)) == pytest.approx(-1)


def gram_of(parts: np.ndarray) -> np.ndarray:
    """Inner products of vectors (draws, parts, numbers)."""
    return parts @ parts.swapaxes(1, 2)


def test_the_same_sample_twice_and_orthogonal_ones() -> None:
    one = np.tile(RNG.normal(size=(1, 1, 50)), (2, 4, 1))
    assert cosine(gram_of(np.concatenate([one, one], 1)), range(4), range(4, 8)).value == pytest.approx(1)
    across = np.zeros((2, 8, 50))
    across[:, :4, 0] = across[:, 4:, 1] = 1.0
    found = cosine(gram_of(across), range(4), range(4, 8))
    assert (found.value, found.corrected) == (0.0, 0.0)
    assert halves_cosine(gram_of(across), range(4)) == pytest.approx(1)


def test_the_correction_takes_out_the_noise_of_small_samples() -> None:
    truth = np.zeros((2, 400))
    truth[0, :2], truth[1, :2] = (8.0, 0.0), (4.0, 4.0 * np.sqrt(3))  # at 60 degrees
    rng, raw, corrected, errors = np.random.default_rng(4), [], [], []
    for _ in range(40):
        parts = np.repeat(truth, 8, axis=0) + rng.normal(size=(16, 400))
        found = cosine(gram_of(parts[None]), range(8), range(8, 16))
        assert found.value is not None
        assert found.corrected is not None
        assert found.error is not None
        raw.append(found.value)
        corrected.append(found.corrected)
        errors.append(found.error)
    assert np.mean(raw) < 0.35
    assert np.mean(corrected) == pytest.approx(0.5, abs=0.04)
    assert np.std(corrected) == pytest.approx(np.mean(errors), rel=0.4)


def test_noise_alone_has_nothing_to_say() -> None:
    opposite = np.asarray([[[1.0, 0], [-1.0, 0], [0, 1.0], [0, 1.0]]])
    found = cosine(gram_of(opposite), (0, 1), (2, 3))
    assert (found.value, found.corrected, found.error) == (None, None, None)
    assert halves_cosine(gram_of(opposite), (0, 1)) == pytest.approx(-1)
    two = cosine(gram_of(np.ones((1, 4, 5))), (0, 1), (2, 3))
    assert two.corrected == pytest.approx(1)
    assert two.error is None, "one part left has no noise to be known from"
