"""mx.nd.image; deterministic results are compared with MXNet's in tests/nd/test_golden.py."""

import random

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.sampling.sample_rng import SampleRng, call_with_rng

I = mx.nd.image  # noqa: E741


def image(ctx: mx.Context | None = None, dtype: str = "uint8") -> mx.nd.NDArray:
    return mx.nd.array(np.random.RandomState(0).randint(0, 256, (6, 8, 3)), ctx, dtype)


def test_to_tensor_and_normalize_are_the_pipeline_of_gluon(ctx: mx.Context) -> None:
    given = image(ctx)
    made = I.normalize(I.to_tensor(given), (0.5, 0.4, 0.3), (0.1, 0.2, 0.3))
    assert made.context == ctx and made.dtype == np.float32 and made.shape == (3, 6, 8)
    wanted = (given.asnumpy().transpose(2, 0, 1) / 255 - [[[0.5]], [[0.4]], [[0.3]]]) / [
        [[0.1]],
        [[0.2]],
        [[0.3]],
    ]
    np.testing.assert_allclose(made.asnumpy(), wanted, rtol=1e-4, atol=1e-5)
    batch = mx.nd.stack(given, given)
    both = I.normalize(I.to_tensor(batch), 0.5, 2)
    assert both.shape == (2, 3, 6, 8)
    np.testing.assert_allclose(both[1].asnumpy(), I.normalize(I.to_tensor(given), 0.5, 2).asnumpy())


def test_results_are_written_to_out(ctx: mx.Context) -> None:
    given, out = image(ctx), mx.nd.zeros((2, 4, 3), ctx, "uint8")
    assert I.crop(given, 1, 2, 4, 2, out=out) is out
    np.testing.assert_array_equal(out.asnumpy(), given.asnumpy()[2:4, 1:5])


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_a_factor_of_one_changes_nothing(ctx: mx.Context, name: str) -> None:
    given = image(ctx, "float32")
    made = getattr(I, f"random_{name}")(given, 1, 1)
    assert made is not given
    np.testing.assert_allclose(made.asnumpy(), given.asnumpy(), atol=1e-3)


def test_saturation_is_a_mixture_with_the_luma(ctx: mx.Context) -> None:
    """MXNet takes the blue part of the luma only."""
    given = image(ctx, "float32")
    gray = given.asnumpy() @ np.array([[0.299], [0.587], [0.114]], np.float32)
    made = I.random_saturation(given, 0.25, 0.25)
    np.testing.assert_allclose(made.asnumpy(), given.asnumpy() * 0.25 + gray * 0.75, rtol=1e-5)


@pytest.mark.parametrize("turn", [-0.4, 0.1, 0.5, 3.2])
def test_hue_turns_the_circle_of_hls(turn: float) -> None:
    import colorsys

    given = image(dtype="float32")
    wanted = []
    for pixel in given.asnumpy().reshape(-1, 3) / 255:
        hue, lightness, saturation = colorsys.rgb_to_hls(*pixel.tolist())
        wanted.append(colorsys.hls_to_rgb((hue + turn) % 1, lightness, saturation))
    made = I.random_hue(given, turn, turn).asnumpy().reshape(-1, 3) / 255
    np.testing.assert_allclose(made, wanted, atol=1e-5)


def test_integers_are_limited_to_their_range(ctx: mx.Context) -> None:
    made = I.random_brightness(image(ctx), 2, 2)
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(
        made.asnumpy(), np.minimum(image().asnumpy().astype(int) * 2, 255)
    )


def test_random_choices_follow_pythons_generator() -> None:
    given = image(dtype="float32")
    drawn = []
    for seed in (1, 1, 2):
        random.seed(seed)
        np.random.seed(seed)
        drawn.append(
            [
                I.random_color_jitter(given, 0.4, 0.4, 0.4, 0.1).asnumpy().tolist(),
                I.random_lighting(given, 0.1).asnumpy().tolist(),
                [I.random_flip_left_right(given).asnumpy().tolist() for _ in range(8)],
                [I.random_flip_top_bottom(given).asnumpy().tolist() for _ in range(8)],
            ]
        )
    assert drawn[0] == drawn[1] != drawn[2]
    flips = {str(each) for each in drawn[0][2]}
    assert len(flips) == 2
    factors = [
        I.random_brightness(mx.nd.ones((1, 1, 3)), 0.5, 1.5)[0, 0, 0].asscalar() for _ in range(200)
    ]
    assert 0.5 <= min(factors) < 0.6 and 1.4 < max(factors) <= 1.5


def test_gray_images(ctx: mx.Context) -> None:
    gray = mx.nd.array(np.arange(12).reshape(3, 4, 1), ctx, "uint8")
    for name in ("saturation", "hue"):
        made = getattr(I, f"random_{name}")(gray, 0.5, 0.5)
        np.testing.assert_array_equal(made.asnumpy(), gray.asnumpy())
    assert I.resize(gray, (2, 2)).shape == (2, 2, 1)
    assert I.adjust_lighting(gray, (1, 2, 3)).asnumpy().tolist() == gray.asnumpy().tolist()


def test_mistakes_are_named() -> None:
    given = image()
    for call, text in (
        (lambda: I.to_tensor(mx.nd.ones((2, 2))), r"an image .*, not \(2, 2\)"),
        (lambda: I.normalize(given), "normalize takes .*after to_tensor"),
        (lambda: I.normalize(I.to_tensor(given), (1, 2)), "mean has 2 numbers, the image 3"),
        (lambda: I.normalize(mx.nd.ones((3, 2, 2), dtype="uint8")), "uint8 cannot hold"),
        (lambda: I.resize(given, (1, 2, 3)), "a size is one number, or"),
        (lambda: I.resize(given, 0), "size must be"),
        (lambda: I.crop(given, 5, 0, 4, 2), r"4 x 2 pixels at \(5, 0\).*image of 8 x 6"),
        (lambda: I.crop(given, 0, 0, 0, 2), "is empty"),
        (lambda: I.random_brightness(given, 2, 1), "min_factor must not be above"),
        (lambda: I.random_flip_left_right(mx.nd.stack(given, given)), "expected an image"),
        (lambda: I.random_hue(mx.nd.ones((2, 2, 4)), 1, 1), "1 or 3 channels"),
        (lambda: I.adjust_lighting(given, (1, 2)), "alpha has three numbers"),
    ):
        with pytest.raises(ArgumentError, match=text):
            call()


def test_the_names() -> None:
    assert set(dir(I)) >= {"resize", "crop", "to_tensor", "normalize"}
    assert all(callable(getattr(I, name)) for name in dir(I))


def test_gray_images_keep_their_bytes() -> None:
    gray = mx.nd.array(np.arange(256).reshape(16, 16, 1), dtype="uint8")
    for factor in np.linspace(0.1, 1.9, 19).tolist():
        kept = I.random_saturation(gray, factor, factor).asnumpy()
        np.testing.assert_array_equal(kept, gray.asnumpy())


def test_jitter_limits_bytes_after_each_step() -> None:
    """As in MXNet: 250 and 200, both limited to 255 by the brightness, stay equal."""
    image = mx.nd.array([[[250] * 3, [10] * 3, [200] * 3]], dtype="uint8")
    equal = 0
    for draw in range(60):
        jittered = call_with_rng(SampleRng(4, 0, draw), I.random_color_jitter, image, 1, 1)
        bright, _, less = jittered.asnumpy()[0, :, 0].tolist()
        equal += bright == less and 30 < bright < 255
    assert equal > 0
