"""How MXNet 1.9.1's ImageRecordIter draws, written to record_stats.json.

Run it beside make_golden.py, with the same Python. For each case there is an image that shows what
was done to it, and a function that measures it: `measure_affine` or `measure_colors`. Of each
measured column every eighth value is kept, in ascending order, and the columns' correlations.
"""

import json
import math
import os
import tempfile

COUNT, EVERY = 2000, 8

# Geometry: red tells a pixel's column, green its row; blue is 0, and 255 in the border.
WIDTH, HEIGHT = 60, 50
STEP_X, STEP_Y = 4, 5
SHAPE = (3, 24, 24)

# Colors, from left to right. Bright enough and dark enough that no step of the jitter clips.
PAIR = [(60, 110, 160), (120, 120, 60)]
# Of these, hue clamps at its lower end, at its upper end, and nowhere.
HUES = [(200, 70, 60), (200, 60, 75), (60, 170, 120), (120, 110, 100)]

ANGLE = {"max_rotate_angle": 40}
SHEAR = {"max_shear_ratio": 0.4}
SCALE = {"min_random_scale": 0.6, "max_random_scale": 1.6}
ASPECT = {"min_aspect_ratio": 0.5, "max_aspect_ratio": 2.0}
SQUARE = {"min_crop_size": 20, "max_crop_size": 45}
RESIZED = {"random_resized_crop": True, "min_random_area": 0.15, **ASPECT}
ALL = {
    "max_rotate_angle": 30,
    "max_shear_ratio": 0.2,
    "min_random_scale": 0.9,
    "max_random_scale": 1.5,
    "min_aspect_ratio": 0.7,
    "max_aspect_ratio": 1.4,
}
AFFINE_CASES = {
    "angle": ANGLE,
    "rotate_list": {"rotate_list": "0,90,-45"},
    "shear": SHEAR,
    "scale": SCALE,
    "aspect": {"max_aspect_ratio": 0.5},
    "aspect range": ASPECT,
    "angle and shear": {**ANGLE, **SHEAR},
    "scale and aspect": {**SCALE, **ASPECT},
    "affine": ALL,
    "affine, cropped at random": {**ALL, "rand_crop": True},
    "affine, mirrored at random": {**ALL, "rand_mirror": True},
    "scale, resize": {**SCALE, "resize": 40, "rand_crop": True},
    "scale within sizes": {
        **SCALE, "min_img_size": 42, "max_img_size": 66, "rand_crop": True,
    },
    "crop at random": {"rand_crop": True},
    "pad, crop at random": {"pad": 8, "rand_crop": True},
    "crop size": SQUARE,
    "crop size, at random": {**SQUARE, "rand_crop": True},
    "crop size, affine": {
        "max_rotate_angle": 20, "max_shear_ratio": 0.2, "rand_crop": True, **SQUARE,
    },
    "resized crop": RESIZED,
    "resized crop that often fails": {**RESIZED, "min_random_area": 0.8},
    "resized crop, aspect": {
        "random_resized_crop": True, "min_random_area": 0.4, "max_random_area": 0.6,
        "max_aspect_ratio": 0.5,
    },
    "resized crop, affine": {**RESIZED, "max_rotate_angle": 30, "max_shear_ratio": 0.3},
    "resized crop, pad": {**RESIZED, "pad": 5},
    "mirror": {"rand_mirror": True},
}  # fmt: skip
JITTER = {"brightness": 0.3, "contrast": 0.25, "saturation": 0.4}
HLS = {"random_h": 30, "random_s": 40, "random_l": 35}
OUTPUT = {"max_random_contrast": 0.3, "max_random_illumination": 20.0}
COLOR_CASES = {
    "brightness": {"brightness": 0.4},
    "contrast": {"contrast": 0.5},
    "saturation": {"saturation": 0.6},
    "jitter": JITTER,
    "random_h": {"random_h": 30},
    "random_s": {"random_s": 50},
    "random_l": {"random_l": 50},
    "random_h, much": {"random_h": 90},
    "random_h, random_s and random_l": HLS,
    "pca_noise": {"pca_noise": 0.3},
    "pca_noise, little": {"pca_noise": 0.01},
    "pca_noise, much": {"pca_noise": 1.0},
    "max_random_contrast": {"max_random_contrast": 0.3},
    "max_random_illumination": {"max_random_illumination": 20.0},
    "contrast and illumination": OUTPUT,
    "contrast and illumination, normalized": {
        **OUTPUT, "mean_r": 100.0, "mean_g": 50.0, "std_r": 4.0, "std_b": 2.0, "scale": 0.5,
    },
    "colors": {**JITTER, **HLS, "pca_noise": 0.2},
}  # fmt: skip
CASES = {**AFFINE_CASES, **COLOR_CASES}


def colors(case):
    """The colors of a case's image."""
    return HUES if any(name.startswith("random_") for name in CASES[case]) else PAIR


def picture(case):
    """uint8 (height, width, 3), RGB."""
    import numpy as np

    if case in COLOR_CASES:
        # The last color takes half of the image, so that the mean is not the colors' mean.
        listed = colors(case)
        return np.tile(np.array([*listed, *listed[-1:] * len(listed)], np.uint8), (8, 1, 1))
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:, :, 0] = (np.arange(WIDTH) * STEP_X)[None]
    pixels[:, :, 1] = (np.arange(HEIGHT) * STEP_Y)[:, None]
    return pixels


def shape(case):
    """The data_shape."""
    if case in AFFINE_CASES:
        return SHAPE
    return (3, *picture(case).shape[:2])


def measure(case, pixels):
    """What is measured of a sample of shape (3, height, width)."""
    return measure_affine(pixels) if case in AFFINE_CASES else measure_colors(case, pixels)


def measure_affine(pixels):
    """Whether the sample is mirrored; the affine map from image to sample, as angle in degrees,
    shear, scale and aspect ratio; and the column and row of the image in the sample's center.
    """
    import numpy as np

    red, green, blue = pixels.astype(np.float64)
    # Left out: the border, what is blended with it, and edges that are repeated.
    inside = (blue == 0) & (red > 3) & (red < (WIDTH - 1) * STEP_X - 3)
    inside &= (green > 3) & (green < (HEIGHT - 1) * STEP_Y - 3)
    y, x = np.nonzero(inside)
    places = np.stack([x, y, np.ones(len(x))], 1)
    sources = np.stack([red[inside] / STEP_X, green[inside] / STEP_Y], 1)
    back = np.linalg.lstsq(places, sources, rcond=None)[0].T
    center = back @ [(pixels.shape[2] - 1) / 2, (pixels.shape[1] - 1) / 2, 1]
    mirrored = np.linalg.det(back[:, :2]) < 0
    if mirrored:
        back[:, 0] *= -1
    forward = np.linalg.inv(back[:, :2])
    along_y = math.hypot(*forward[1])
    sin, cos = -forward[1, 0] / along_y, forward[1, 1] / along_y
    along_x = np.linalg.det(forward) / along_y
    shear = float(forward[0] @ [-sin, cos]) / along_y
    scale = (along_x + along_y) / 2
    # Angles are integers.
    angle = round(math.degrees(math.atan2(sin, cos)))
    ratio = along_y / along_x
    columns = shear, scale, ratio, *center
    return [int(mirrored), angle, *(round(float(each), 3) for each in columns)]


def measure_colors(case, pixels):
    """Each color's red, green and blue."""
    values = pixels[:, 0, : len(colors(case))].T.ravel()
    return [round(float(each), 2) for each in values]


def correlations(rows):
    """Of each two columns; 0 with a constant."""
    import numpy as np

    columns = np.array(rows, np.float64).T
    constant = columns.std(1) < 1e-3
    columns[constant] = np.arange(len(rows)) % 2
    matrix = np.corrcoef(columns)
    matrix[constant] = matrix[:, constant] = 0
    return np.round(matrix, 3)


def write(folder, case, recordio, copies):
    """A record file of so many copies of a case's image, with MXNet's module or gpuio's."""
    import cv2

    path = os.path.join(folder, "x.rec")
    writer = recordio.MXIndexedRecordIO(os.path.join(folder, "x.idx"), path, "w")
    encoded = cv2.imencode(".png", picture(case)[:, :, ::-1])[1].tobytes()
    for number in range(copies):
        writer.write_idx(number, recordio.pack(recordio.IRHeader(0, 0.0, number, 0), encoded))
    writer.close()
    return path


def main():
    """Write the file."""
    import mxnet as mx
    import numpy as np

    found = {}
    for case, options in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            # One thread: all draws are of one generator, one after the other.
            batches = mx.io.ImageRecordIter(
                path_imgrec=write(folder, case, mx.recordio, COUNT), data_shape=shape(case),
                batch_size=100, preprocess_threads=1, verbose=False, **options)  # fmt: skip
            rows = [
                measure(case, pixels) for batch in batches for pixels in batch.data[0].asnumpy()
            ]
        values = np.sort(np.array(rows), axis=0)[EVERY // 2 :: EVERY].T.tolist()
        found[case] = {
            "columns": [[int(each) if each % 1 == 0 else each for each in col] for col in values],
            "correlations": correlations(rows).tolist(),
        }
        print(case, len(rows))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "record_stats.json")
    with open(path, "w") as file:
        json.dump({"mxnet": mx.__version__, "cases": found}, file, separators=(",", ":"))


if __name__ == "__main__":
    main()
