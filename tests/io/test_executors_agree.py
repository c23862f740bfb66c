"""The host executor and the DALI graph agree, sample by sample."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gpuio.tools.samples import make_samples
from tests.close import GPU_DECODER, Tolerance, assert_images_close
from tests.io.records import (
    RUNS,
    TRAIN,
    jpeg,
    open_iter,
    write_records,
)

# What is compared with the host executor.
OTHERS = ["dali", pytest.param("gpu", marks=pytest.mark.gpu)]

CMYK = jpeg(6, mode="CMYK")
EXIF = Image.Exif()
EXIF[0x0112] = 6
KINDS = {
    "colour": jpeg(1, 160, 120),
    "large": jpeg(2, 640, 480),
    "444": jpeg(3, subsampling=0),
    "gray": jpeg(4, mode="L"),
    "progressive": jpeg(5, 120, 90, progressive=True),
    "odd": jpeg(7, 61, 47),
    "exif": jpeg(8, 70, 50, exif=EXIF.tobytes()),
    "small": jpeg(9, 20, 16),
    "one pixel": jpeg(10, 1, 1),
    "thin": jpeg(11, 7, 90),
    "truncated": jpeg(12, 200, 160)[:-900],
    "tail": jpeg(13) + b"\0 something after the end",
    "cmyk": CMYK,
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_records(tmp_path_factory.mktemp("kinds") / "kinds", list(KINDS.values()))


CONFIGURATIONS = {
    "crop": {},
    "resize": {"resize": 40},
    "enlarge": {"data_shape": (3, 90, 100)},
    "gray": {"data_shape": (1, 24, 28), "resize": 30},
    "random crop": {"rand_crop": True, "resize": 40, "rand_mirror": True},
    "resized crop": TRAIN,
    "resize and resized crop": {**TRAIN, "resize": 33},
    "normalised": {**TRAIN, "mean_r": 100.0, "std_g": 50.0, "scale": 0.5},
    "nhwc half": {**TRAIN, "layout": "NHWC", "dtype": "float16"},
    "antialias": {"resize": 30, "antialias": True},
    "antialias resized crop": {**TRAIN, "antialias": True},
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_executors_agree(name: str, other: str, kinds: dict[str, Path]) -> None:
    changes = {**kinds, "batch_size": len(KINDS), **CONFIGURATIONS[name]}
    batches = {}
    for executor in ("host", other):
        with open_iter(**changes, **RUNS[executor]) as iterator:
            batches[executor] = iterator.next()
    host, dali = batches["host"], batches[other]
    np.testing.assert_array_equal(host.index, dali.index)
    np.testing.assert_array_equal(host.label[0].asnumpy(), dali.label[0].asnumpy())
    for row, key in enumerate(host.index.tolist()):
        kind = list(KINDS)[key // 10]
        # OpenCV's bilinear weights have 11 bits, DALI's are floats: one level. Pillow rounds
        # between its two passes: up to three. CMYK is converted to RGB with another rounding: one
        # more.
        # A window off the pixel grid goes through warpAffine, which in OpenCV 4 is coarser: two.
        tolerance = Tolerance(3, 0.3) if "antialias" in name else Tolerance(1, 0.2)
        if name == "resize and resized crop":
            tolerance = Tolerance(2, 0.3)
        if kind == "cmyk":
            tolerance = Tolerance(tolerance.largest + 1, 1.6)
        if other == "gpu":
            tolerance = tolerance.widened(GPU_DECODER)
        assert_images_close(
            dali.data[0].asnumpy()[row].astype(np.float32),
            host.data[0].asnumpy()[row].astype(np.float32),
            tolerance,
        )


# ---------------------------------------------------------------- real photographs

PHOTOGRAPHIC = {
    "eval": {"resize": 256},
    "train": {
        "random_resized_crop": True,
        "min_random_area": 0.08,
        "min_aspect_ratio": 3 / 4,
        "max_aspect_ratio": 4 / 3,
        "rand_mirror": True,
        "shuffle": True,
    },
    "crop": {"rand_crop": True, "rand_mirror": True},
}


@pytest.fixture(scope="module")
def sample_photographs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Photographs that come with scikit-image and scikit-learn."""
    folder = tmp_path_factory.mktemp("samples")
    make_samples(folder / "photographs", per_class=2)
    paths = sorted(folder.glob("photographs/*/*.*"))
    return write_records(folder / "samples", [path.read_bytes() for path in paths])


@pytest.fixture(scope="module")
def imagenet_photographs(
    photos: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Photographs of ImageNet that lie beside the checkout."""
    folder = tmp_path_factory.mktemp("photos")
    return write_records(folder / "photos", [path.read_bytes() for path in photos[:24]])


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("task", PHOTOGRAPHIC)
@pytest.mark.parametrize("source", ["sample_photographs", "imagenet_photographs"])
def test_executors_agree_on_photographs(
    source: str, task: str, other: str, request: pytest.FixtureRequest
) -> None:
    arguments = {
        **request.getfixturevalue(source),
        "data_shape": (3, 224, 224),
        "batch_size": 8,
        "round_batch": False,
        **PHOTOGRAPHIC[task],
    }
    with (
        open_iter(**arguments, **RUNS["host"]) as host,
        open_iter(**arguments, **RUNS[other]) as dali,
    ):
        for left, right in zip(host, dali, strict=True):
            np.testing.assert_array_equal(left.index, right.index)
            # On the CPU the decoders are the same library; OpenCV's bilinear weights have 11 bits,
            # DALI's are floats.
            tolerance = Tolerance(1, 0.15)
            if other == "gpu":
                tolerance = tolerance.widened(GPU_DECODER)
            assert_images_close(right.data[0].asnumpy(), left.data[0].asnumpy(), tolerance)


SIZES = [(1, 1), (2, 300), (300, 2), (60, 50), (64, 64), (200, 150), (33, 77), (1, 40)]


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Smooth images of all kinds of sizes."""
    generator = np.random.default_rng(0)
    payloads = []
    for width, height in SIZES:
        noise = generator.integers(0, 256, (height, width, 3), np.uint8)
        payloads.append(cv2.imencode(".png", cv2.GaussianBlur(noise, (0, 0), 3))[1].tobytes())
    return write_records(tmp_path_factory.mktemp("sizes") / "sizes", payloads)


def optional(name: str, *values: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Nothing, or one of some values of an option."""
    return st.sampled_from([{}, *({name: value} for value in values)])


RANGES = st.sampled_from([(0.01, 0.6), (0.5, 3.0), (0.6, 50.0), (0.1, 10.0)])
OPTIONS = st.tuples(
    st.tuples(st.sampled_from([1, 8, 31, 64]), st.sampled_from([1, 8, 30, 64])).map(
        lambda size: {"data_shape": (3, *size)}
    ),
    optional("resize", 1, 5, 40, 90),
    optional("max_rotate_angle", 5, 180),
    optional("max_shear_ratio", 0.1, 3.0),
    st.none() | RANGES,
    st.none() | RANGES,
    st.sampled_from([{}, {"max_img_size": 1}, {"max_img_size": 20}, {"min_img_size": 500}]),
    optional("pad", 1, 4, 100),
    optional("fill_value", 0, 77),
    optional("rand_crop", True),
    optional("rand_mirror", True),
    optional("inter_method", 0),
    optional("brightness", 0.4),
    optional("pca_noise", 0.2),
    optional("random_h", 30),
    optional("max_random_contrast", 0.3),
    optional("dtype", "uint8", "int8", "float16"),
    st.integers(0, 1000).map(lambda seed: {"seed": seed}),
)


@pytest.mark.parametrize("other", OTHERS)
@given(parts=OPTIONS)
@settings(max_examples=40)
def test_executors_agree_on_any_options(
    other: str, sizes: dict[str, Path], parts: tuple[Any, ...]
) -> None:
    options: dict[str, Any] = {**sizes, "batch_size": len(SIZES)}
    for name, part in zip([*"abcd", "random_scale", "aspect_ratio", *"efghijklmnop"], parts,
                          strict=True):  # fmt: skip
        if isinstance(part, tuple):
            options[f"min_{name}"], options[f"max_{name}"] = part
        else:
            options.update(part or {})
    made = []
    for executor in ("host", other):
        with open_iter(**options, **RUNS[executor], max_pixels=1 << 40) as iterator:
            made.append(iterator.next().data[0].asnumpy().astype(float))
    assert np.isfinite(made).all()
    # A pixel whose center is on a border, or on one between two pixels, may be on either side: a
    # tenth of an image's, or one if that is more.
    apart = (np.abs(made[0] - made[1]) > 12).any(axis=1)
    allowed = max(1, 0.1 * apart[0].size)
    assert apart.sum(axis=(1, 2)).max() <= allowed
