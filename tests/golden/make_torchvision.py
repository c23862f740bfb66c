#!/usr/bin/env python
"""Stores what torchvision's transforms v2 return for uint8 tensors, and how the random ones are distributed.

Run from this directory with a Python that has torch and torchvision:
    python make_torchvision.py
It writes data/torchvision.npz. Names of results: image/space/interpolation/operation/magnitude/sign, image/hue/factor,
image/jitter/brightness,contrast,saturation,hue, and stats/transform/quantity: quantiles, in steps of 1 %.
"""
import os

import numpy as np
import torch
import torchvision
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from synth import photo

os.chdir(os.path.dirname(os.path.abspath(__file__)))
torch.manual_seed(0)
torch.set_num_threads(1)
DRAWS = 20000
BINS = 31

color = photo(3, 23, 19)
images = {'color': color, 'gray': color[:, :, 1:2].copy(), 'square': photo(4, 20, 20)}
out = {'version': np.array(torchvision.__version__), **images}


def tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1).contiguous()


def array(result):
    return result.permute(1, 2, 0).numpy()


for kind, image in images.items():
    for cls in (v2.RandAugment, v2.TrivialAugmentWide):
        for interpolation in ('nearest', 'bilinear'):
            transform = cls(interpolation=interpolation)
            for name, (magnitudes, signed) in cls._AUGMENTATION_SPACE.items():
                moves = name[:5] in ('Shear', 'Trans', 'Rotat')
                if (interpolation == 'bilinear' and not moves) or (kind == 'gray' and moves):
                    continue
                if kind == 'square' and name != 'Rotate':  # which torchvision rotates by 90 degrees exactly
                    continue
                table = magnitudes(BINS, *image.shape[:2])
                for number in (9, 20, 30) if table is not None else (0,):
                    for sign in (1, -1) if signed else (1,):
                        size = 0.0 if table is None else sign * float(table[number])
                        result = transform._apply_image_or_video_transform(
                            tensor(image), name, size, transform.interpolation, transform._fill)
                        key = '%s/%s/%s/%s/%d/%d' % (kind, cls.__name__, interpolation, name, number, sign)
                        out[key] = array(result)
for factor in (-0.5, -0.27, -0.001, 0.0, 0.1, 0.5):
    out['color/hue/%g' % factor] = array(F.adjust_hue(tensor(color), factor))
for factors in ((0.6, 1.3, 0.2, 0.1), (1.4, 0.5, 1.9, -0.2)):
    changed = tensor(color)
    for change, factor in zip((F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue), factors):
        changed = change(changed, factor)
    out['color/jitter/%g,%g,%g,%g' % factors] = array(changed)


def keep(transform, **values):
    for name, drawn in values.items():
        out['stats/%s/%s' % (transform, name)] = np.quantile(drawn, np.linspace(0, 1, 101), method='inverted_cdf')


plane = [torch.zeros(3, 160, 224, dtype=torch.uint8)]
erased = [v2.RandomErasing(p=1).make_params(plane) for _ in range(DRAWS)]
keep('RandomErasing', **{name: [each[name] for each in erased] for name in 'ijhw'})
for alpha in (0.2, 1.0, 3.0):
    mixed = [v2.MixUp(alpha=alpha, num_classes=2).make_params(plane)['lam'] for _ in range(DRAWS)]
    keep('MixUp%g' % alpha, lam=mixed)
cut = [v2.CutMix(num_classes=2).make_params(plane) for _ in range(DRAWS)]
for place, name in enumerate(('x1', 'y1', 'x2', 'y2')):
    keep('CutMix', **{name: [each['box'][place] for each in cut]})
keep('CutMix', lam=[each['lam_adjusted'] for each in cut])
jitter = v2.ColorJitter(0.4, (0.5, 2.0), 1.5, 0.1)
drawn = [jitter.make_params(plane) for _ in range(DRAWS)]
for name in ('brightness', 'contrast', 'saturation', 'hue'):
    keep('ColorJitter', **{name: [each[name + '_factor'] for each in drawn]})
np.savez_compressed('data/torchvision.npz', **out)
