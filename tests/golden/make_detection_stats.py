"""Where MXNet 1.9.1's random detection augmenters put crops and canvases: detection_stats.json.

Run it beside make_golden.py, with the same Python. The picture's first two channels are its pixels'
columns and rows, so that what comes out tells where it was taken from.
"""
import json
import os
import random

import mxnet as mx
import numpy as np

WIDTH, HEIGHT, DRAWS = 200, 160, 3000
LABEL = [[0, 0.1, 0.1, 0.4, 0.5], [1, 0.5, 0.3, 0.9, 0.9], [2, 0.05, 0.7, 0.2, 0.95]]
CASES = {
    'crop': ('DetRandomCropAug', {}),
    'crop_strict': ('DetRandomCropAug', dict(min_object_covered=0.7, area_range=(0.3, 1.0))),
    'crop_aspect': ('DetRandomCropAug', dict(aspect_ratio_range=(1.5, 2.5), area_range=(0.1, 0.5), min_eject_coverage=0.6)),
    'pad': ('DetRandomPadAug', dict(pad_val=(255, 255, 255))),
    'pad_wide': ('DetRandomPadAug', dict(aspect_ratio_range=(1.0, 3.0), area_range=(2.0, 5.0), pad_val=(255, 255, 255))),
}


def picture():
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:, :, 0] = np.arange(WIDTH)
    pixels[:, :, 1] = np.arange(HEIGHT)[:, None]
    return pixels


def measure(made, label):
    """Width and height, where the picture lies in it (or it in the picture), and the boxes left."""
    height, width = made.shape[:2]
    rows, columns = np.nonzero(made[:, :, 2] == 0)
    y, x = int(rows[0]), int(columns[0])
    return [width, height, int(made[y, x, 0]) - x, int(made[y, x, 1]) - y, len(label)]


def main():
    random.seed(0)
    found = {}
    for name, (kind, options) in CASES.items():
        augment = getattr(mx.image, kind)(**options)
        draws = []
        for _ in range(DRAWS):
            made, label = augment(mx.nd.array(picture(), dtype='uint8'), np.array(LABEL))
            draws.append(measure(made.asnumpy(), label))
        columns = np.array(draws).T.tolist()
        found[name] = dict(zip(['width', 'height', 'x', 'y', 'boxes'], columns))
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'detection_stats.json'), 'w') as file:
        json.dump(dict(mxnet=mx.__version__, width=WIDTH, height=HEIGHT, label=LABEL, cases={n: c[1] for n, c in CASES.items()}, draws=found), file)


if __name__ == '__main__':
    main()
