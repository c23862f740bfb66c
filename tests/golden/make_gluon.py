#!/usr/bin/env python
"""Stores what MXNet 1.9.1's gluon.data.vision.transforms return, and how the random ones are distributed.

Run from this directory with a Python that has mxnet==1.9.1 and numpy<1.24:
    python make_gluon.py
It writes data/gluon.npz (inputs and outputs by name) and gluon_stats.json.
"""
import json
import os
import random

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.gluon.data import BatchSampler, DataLoader, RandomSampler
from mxnet.gluon.data.vision import transforms as T

os.chdir(os.path.dirname(os.path.abspath(__file__)))
DRAWS = 4000

rng = np.random.RandomState(7)
color = mx.image.imresize(nd.array(rng.randint(0, 256, (5, 6, 3)), dtype='uint8'), 23, 19, 2).asnumpy()
color[:2] = rng.randint(0, 256, color[:2].shape)                         # also strong colors
gray = color[:, :, :1].copy()
images = {'color': color, 'gray': gray, 'float': color.astype(np.float32) * 1.25 - 20}
several = np.stack([color, color[::-1, ::-1]])
out = dict(images, several=several)


def keep(name, array):
    out[name] = array.asnumpy()


def of(image, dtype=None):
    return nd.array(image, dtype=dtype or image.dtype)


for name in ('color', 'gray', 'float'):
    image = of(images[name])
    keep(name + '/ToTensor', T.ToTensor()(image))
    keep(name + '/Resize', T.Resize((17, 29))(image))
    keep(name + '/Resize1', T.Resize(11)(image))
    keep(name + '/ResizeKeep', T.Resize(11, True)(image))
    keep(name + '/CenterCrop', T.CenterCrop((12, 9))(image))
    keep(name + '/CenterCropLarge', T.CenterCrop((40, 9))(image))
    keep(name + '/CropResize', T.CropResize(3, 4, 11, 8)(image))
    keep(name + '/CropResizeTo', T.CropResize(3, 4, 11, 8, (6, 10), 1)(image))
    for factor in (0.3, 1.7):
        keep('%s/brightness%g' % (name, factor), nd.image.random_brightness(image, factor, factor))
        keep('%s/contrast%g' % (name, factor), nd.image.random_contrast(image, factor, factor))
    if name != 'gray':
        for factor in (0.3, 0.9, 1.45):
            keep('%s/hue%g' % (name, factor), nd.image.random_hue(image, factor, factor))
        for alpha in ((0.5, -1, 2), (-0.2, 0.1, 0.05)):
            keep('%s/lighting%g' % (name, alpha[0]), nd.image.adjust_lighting(image, alpha))
for interpolation in (0, 1, 2, 3, 4):
    keep('color/Resize interpolation %d' % interpolation, T.Resize((30, 12), interpolation=interpolation)(of(color)))
keep('several/ToTensor', T.ToTensor()(of(several)))
keep('several/Resize', T.Resize((17, 29))(of(several)))
keep('several/CropResize', T.CropResize(3, 4, 11, 8)(of(several)))
tensor = T.ToTensor()(of(color))
keep('color/Normalize', T.Normalize((0.4, 0.5, 0.6), (0.1, 0.2, 0.3))(tensor))
keep('color/Normalize one', T.Normalize(0.4, 0.1)(tensor))
keep('several/Normalize', T.Normalize((0.4, 0.5, 0.6), 0.2)(T.ToTensor()(of(several))))
for angle, zoom_in, zoom_out in ((30., False, False), (-75., True, False), (200., False, True)):
    keep('color/Rotate%g' % angle, T.Rotate(angle, zoom_in, zoom_out)(tensor))
np.savez_compressed('data/gluon', **out)

# The order of shuffled epochs after np.random.seed(5): a list of batches for each of two epochs.
np.random.seed(5)
orders = {}
for last_batch in ('keep', 'discard', 'rollover'):
    loader = DataLoader(list(range(11)), 4, shuffle=True, last_batch=last_batch)
    orders[last_batch] = [[batch.asnumpy().tolist() for batch in loader] for _ in range(3)]

# The mean of each channel of a random transform's result: its mean and standard deviation over many draws.
mx.random.seed(3)
random.seed(3)
np.random.seed(3)
flat = np.zeros((4, 4, 3), np.float32)
flat[:] = (120, 60, 90)
flat[:2] = (20, 100, 150)
tall = np.zeros((40, 30, 3), np.float32)
tall[:, :, 0] = np.arange(40)[:, None]
tall[:, :, 1] = np.arange(30)
tall[:, :, 2] = 255
plane = np.ascontiguousarray(tall.transpose(2, 0, 1))
CASES = {
    'RandomBrightness(0.4)': (T.RandomBrightness(0.4), flat),
    'RandomBrightness(1.5)': (T.RandomBrightness(1.5), flat),
    'RandomContrast(0.4)': (T.RandomContrast(0.4), flat),
    'RandomHue(0.2)': (T.RandomHue(0.2), flat),
    'RandomColorJitter(0.4)': (T.RandomColorJitter(0.4), flat),
    'RandomColorJitter(contrast=0.5)': (T.RandomColorJitter(contrast=0.5), flat),
    'RandomColorJitter(hue=0.3)': (T.RandomColorJitter(hue=0.3), flat),
    'RandomColorJitter(0.3, 0.3, 0, 0.1)': (T.RandomColorJitter(0.3, 0.3, 0, 0.1), flat),
    'RandomLighting(0.3)': (T.RandomLighting(0.3), flat),
    'RandomFlipLeftRight()': (T.Compose([T.RandomFlipLeftRight(), T.CropResize(0, 0, 5, 5)]), tall),
    'RandomFlipTopBottom()': (T.Compose([T.RandomFlipTopBottom(), T.CropResize(0, 0, 5, 5)]), tall),
    'RandomResizedCrop(8, (0.1, 0.6), (0.5, 1.5))': (T.RandomResizedCrop(8, (0.1, 0.6), (0.5, 1.5)), tall),
    'RandomRotation((-40, 80), rotate_with_proba=0.6)': (T.RandomRotation((-40., 80.), rotate_with_proba=0.6), plane),
}
stats = {}
for name, (transform, image) in CASES.items():
    axes = (1, 2) if image is plane else (0, 1)
    means = np.array([transform(nd.array(image)).asnumpy().mean(axes) for _ in range(DRAWS)])
    stats[name] = dict(mean=means.mean(0).tolist(), std=means.std(0).tolist())
with open('gluon_stats.json', 'w') as file:
    json.dump(dict(draws=DRAWS, orders=orders, stats=stats), file, indent=1)
    file.write('\n')
