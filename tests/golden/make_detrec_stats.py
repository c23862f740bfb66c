"""How MXNet's ImageDetRecordIter draws, written to detrec_stats.json.

Run it beside make_golden.py, with the same Python. The picture's red says where a pixel lies from
left to right, its green from top to bottom; `measure` says what is read off each sample. Of each of
its columns every eighth value is kept, in ascending order.
"""

import json
import os
import tempfile

WIDTH, HEIGHT = 100, 80
COUNT, EVERY = 1600, 8

# Header's width, object's width; class, left, top, right, bottom, of two objects.
LABEL = [2, 5, 0, 0.2, 0.3, 0.5, 0.7, 1, 0.55, 0.1, 0.9, 0.5]

SHAPES = {"min_crop_aspect_ratios": "(0.5,)", "max_crop_aspect_ratios": "(2.0,)"}
CROP = {"rand_crop_prob": 1, "min_crop_scales": "(0.3,)", **SHAPES}
CASES = {
    "mirror": {"rand_mirror_prob": 0.5},
    "pad": {"rand_pad_prob": 1, "max_pad_scale": 3},
    "pad a little": {"rand_pad_prob": 0.7, "max_pad_scale": 1.2},
    "crop": {"rand_crop_prob": 1},
    "crop of any shape": CROP,
    "crop by overlap": {**CROP, "min_crop_overlaps": "(0.1,)", "max_crop_overlaps": "(0.5,)"},
    "crop by sample": {**CROP, "min_crop_sample_coverages": "(0.2,)"},
    "crop by object": {**CROP, "min_crop_object_coverages": "(0.6,)"},
    "crop by object, at most": {**CROP, "max_crop_object_coverages": "(0.6,)"},
    "crop, few trials": {**CROP, "min_crop_overlaps": "(0.4,)", "max_crop_trials": "(2,)"},
    "crop by overlap of boxes": {**CROP, "crop_emit_mode": "overlap", "emit_overlap_thresh": 0.5},
    "two samplers": {
        "rand_crop_prob": 0.8,
        "num_crop_sampler": 2,
        "min_crop_scales": "(0.3,0.7)",
        "max_crop_scales": "(0.5,0.9)",
        "min_crop_aspect_ratios": "(0.5,1.0)",
        "max_crop_aspect_ratios": "(1.0,2.0)",
        "min_crop_overlaps": "(0.0,0.3)",
        "max_crop_overlaps": "(1.0,1.0)",
        "min_crop_sample_coverages": "(0.0,0.0)",
        "max_crop_sample_coverages": "(1.0,1.0)",
        "min_crop_object_coverages": "(0.0,0.0)",
        "max_crop_object_coverages": "(1.0,1.0)",
        "max_crop_trials": "(25,25)",
    },
    "all": {**CROP, "rand_mirror_prob": 0.5, "rand_pad_prob": 0.5, "max_pad_scale": 2},
    "hue": {"max_random_hue": 36, "random_hue_prob": 0.5},
    "saturation": {"max_random_saturation": 50, "random_saturation_prob": 0.5},
    "illumination": {"max_random_illumination": 50, "random_illumination_prob": 0.5},
    "contrast": {"max_random_contrast": 0.5, "random_contrast_prob": 0.5},
}


def picture(case):
    """(height, width, 3), RGB."""
    import numpy as np

    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    if set(case) & {"max_random_hue", "max_random_saturation", "max_random_illumination",
                    "max_random_contrast"}:  # fmt: skip
        pixels[:] = 100, 150, 60
        return pixels
    pixels[:, :, 0] = (np.arange(WIDTH) * 2)[None]
    pixels[:, :, 1] = (np.arange(HEIGHT) * 3)[:, None]
    return pixels


def measure(pixels, label):
    """What is read off a sample: the first and the last pixel, how many boxes there are, and the
    sum of each of their sides, to three digits.
    """
    boxes = label[6 : 4 + int(label[3])].reshape(-1, 5)
    corners = [*pixels[:, 0, 0], *pixels[:2, -1, -1]]
    sums = boxes[:, 1:].astype(float).sum(0)
    return [*(int(each) for each in corners), len(boxes), *(round(each, 3) for each in sums)]


def write(folder, case, recordio):
    """A record file of one picture, a hundred times, with MXNet's modules or gpuio's."""
    import cv2

    path = os.path.join(folder, "x.rec")
    writer = recordio.MXIndexedRecordIO(os.path.join(folder, "x.idx"), path, "w")
    encoded = cv2.imencode(".png", picture(case)[:, :, ::-1])[1].tobytes()
    for number in range(100):
        writer.write_idx(number, recordio.pack(recordio.IRHeader(0, LABEL, number, 0), encoded))
    writer.close()
    return path


def main():
    """Write the file."""
    import mxnet as mx

    found = {}
    for name, case in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            iterator = mx.io.ImageDetRecordIter(
                path_imgrec=write(folder, case, mx.recordio), data_shape=(3, HEIGHT, WIDTH),
                batch_size=100, inter_method=0, preprocess_threads=1, verbose=False, **case)
            rows = []
            while len(rows) < COUNT:
                iterator.reset()
                for batch in iterator:
                    pixels, labels = batch.data[0].asnumpy(), batch.label[0].asnumpy()
                    rows += [measure(*sample) for sample in zip(pixels, labels)]
        found[name] = [sorted(column)[EVERY // 2 :: EVERY] for column in zip(*rows[:COUNT])]
    with open("detrec_stats.json", "w") as file:
        json.dump(dict(mxnet=mx.__version__, cases=found), file, separators=(",", ":"))


if __name__ == "__main__":
    main()
