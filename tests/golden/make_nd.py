#!/usr/bin/env python
"""Runs MXNet 1.9.1's functions on small arrays, and stores the results: nd.json, and the files of nd.save: data/nd_*.nd.

Run from this directory, like make_golden.py. In a case "@x" is the array x of INPUTS; a function "x.sum" is the method
sum, "image.resize" is nd.image.resize.
"""
import json
import os
import struct

import mxnet as mx
import numpy as np
from mxnet import nd

HERE = os.path.dirname(os.path.abspath(__file__))
os.chdir(os.path.join(HERE, 'data'))

DTYPES = ['float32', 'float64', 'float16', 'uint8', 'int32', 'int8', 'int64', 'bool']


def files():
    nd.save('nd_single.nd', nd.array([[1, 2], [3, 4]]))
    nd.save('nd_list.nd', [nd.array([[0, 1, 2]], dtype=t) for t in DTYPES])
    nd.save('nd_dict.nd', {'arg:fc_weight': nd.array(np.arange(6).reshape(2, 3)), 'aux:\u00e9': nd.array([7], dtype='uint8')})
    nd.save('nd_none.nd', [])
    nd.save('nd_csr.nd', {'m': nd.sparse.csr_matrix(([7, 8, 9], [0, 2, 1], [0, 2, 2, 3]), shape=(3, 3)),
                          'empty': nd.sparse.zeros('csr', (2, 5))})
    nd.save('nd_row_sparse.nd', [nd.sparse.row_sparse_array(([[1, 2], [3, 4]], [1, 3]), shape=(5, 2))])
    mx.npx.set_np()
    mx.npx.save('nd_np_shape.nd', [mx.np.array(3.5), mx.np.zeros((2, 0)), mx.np.array([True])])
    mx.npx.reset_np()
    # Earlier formats, which 1.9.1 reads and does not write.
    values = struct.pack('<iii', 1, 0, 0) + struct.pack('<6f', *range(6))
    head, tail = struct.pack('<QQQ', 0x112, 0, 1), struct.pack('<QQ', 1, 1) + b'w'
    for name, start in [('nd_v0.nd', struct.pack('<III', 2, 2, 3)), ('nd_v1.nd', struct.pack('<Iiqq', 0xf993fac8, 2, 2, 3))]:
        with open(name, 'wb') as f:
            f.write(head + start + values + tail)
        read = nd.load(name)
        assert list(read) == ['w'] and (read['w'].asnumpy() == np.arange(6).reshape(2, 3)).all(), name


INPUTS = {
    'f': ([[1, 2, 3], [4, 5, 6]], 'float32'),
    'g': ([[0.5, -1.5, 2.5], [-0.25, 3, -4.75]], 'float32'),
    'row': ([[10, 20, 30]], 'float32'),
    'v': ([1, 2, 0], 'float32'),
    'w': ([3, -1, 2], 'float32'),
    'ties': ([3, 1, 3, 2, 1, 3], 'float32'),
    'nan': ([[1, float('nan'), 3], [4, 5, 6]], 'float32'),
    'd': ([[1.5, -2.5], [0.25, 8]], 'float64'),
    'h': ([[1.5, -2.5], [0.25, 8]], 'float16'),
    'i': ([[1, -2, 3], [4, 5, -7]], 'int32'),
    'l': ([[1, -2, 3], [4, 5, -7]], 'int64'),
    'u': ([[1, 2, 3], [200, 255, 6]], 'uint8'),
    'unit': ([[0.1, 0.5, 0.9], [0.25, 0.75, 1]], 'float32'),
    'c': (list(np.arange(24).reshape(2, 3, 4).tolist()), 'float32'),
    'c2': (list(np.arange(40).reshape(2, 4, 5).tolist()), 'float32'),
    'one': ([[[1], [2]]], 'float32'),
    'q': (list(np.arange(32).reshape(2, 2, 2, 4).tolist()), 'float32'),
    'at': ([[0, 1, 1], [2, 0, 1]], 'float32'),
    'flat': ([5, 0, 3], 'float32'),
    'mask': ([1, 0], 'float32'),
    'ix': ([[0, 1, 1], [2, 0, 1]], 'float32'),
    'mi': ([1, 0], 'int32'),
    'mask2': ([[1, 0, 2], [0, 0, -1]], 'float32'),
    'img': (np.random.RandomState(0).randint(0, 256, (5, 6, 3)).tolist(), 'uint8'),
    'imgs': (np.random.RandomState(1).randint(0, 256, (2, 5, 6, 3)).tolist(), 'uint8'),
    'even': (np.random.RandomState(3).randint(0, 256, (4, 6, 3)).tolist(), 'float32'),
    'imgf': (np.random.RandomState(2).randint(0, 256, (5, 6, 3)).tolist(), 'float32'),
}

UNARY = ('abs ceil cos exp expm1 fix floor negative radians degrees relu rint round sigmoid sign sin sinh cosh square tan tanh '
         'trunc arcsinh arctan cbrt softmax log_softmax logical_not identity zeros_like ones_like flatten shape_array size_array').split()
UNIT = 'arccos arcsin log log10 log1p log2 sqrt rsqrt rcbrt reciprocal'.split()
BINARY = ('add subtract multiply divide true_divide modulo power maximum minimum equal not_equal greater greater_equal lesser '
          'lesser_equal logical_and logical_or logical_xor broadcast_add broadcast_plus broadcast_sub broadcast_minus '
          'broadcast_mul broadcast_div broadcast_mod broadcast_power broadcast_maximum broadcast_minimum broadcast_hypot '
          'broadcast_equal broadcast_not_equal broadcast_greater broadcast_greater_equal broadcast_lesser '
          'broadcast_lesser_equal broadcast_logical_and broadcast_logical_or broadcast_logical_xor').split()
REDUCE = 'sum mean max min prod nansum nanprod'.split()

CASES = []


def case(function, *args, **kwargs):
    CASES.append((function, args, kwargs))


def cases():
    for n in UNARY:
        case(n, '@g')
    for n in UNIT:
        case(n, '@unit')
    case('arccosh', '@f')
    for n in ('abs', 'sign', 'square', 'negative', 'round', 'rint', 'fix', 'floor', 'ceil', 'trunc', 'zeros_like', 'relu'):
        case(n, '@i')
        case(n, '@d')
    for n in BINARY:
        case(n, '@f', '@row')
        if not n.startswith('broadcast'):
            case(n, '@g', 2)
            case(n, '@i', '@i') if n not in ('divide', 'true_divide', 'power') else None  # see tests/nd/test_binary.py
            case(n, '@u', '@u') if n in ('equal', 'greater', 'maximum') else None
        if n in ('add', 'subtract', 'multiply', 'divide', 'power', 'modulo', 'maximum', 'minimum', 'greater', 'lesser', 'equal'):
            case(n, 2, '@f')
            case(n, 2, 3)
    for n in ('add', 'sub', 'mul', 'div'):
        case('elemwise_' + n, '@f', '@g')
    case('add_n', '@f', '@g', '@f')
    case('ElementWiseSum', '@f', '@g')
    for n in REDUCE:
        for kw in ({}, dict(axis=0), dict(axis=1, keepdims=True), dict(axis=(0, 2)), dict(axis=-1), dict(axis=0, exclude=True),
                   dict(axis=(1, 2), keepdims=True), dict(keepdims=True), dict(axis=(0, 1, 2))):
            case(n, '@c', **kw)
        case('x.' + n, '@f')
        case('x.' + n, '@f', 1)
        case('x.' + n, '@f', axis=0, keepdims=True)
        case(n, '@h')
    case('nansum', '@nan', axis=1)
    case('nanprod', '@nan')
    case('max', '@u'), case('min', '@i', axis=0)
    case('sum_axis', '@f', axis=1), case('max_axis', '@f', axis=1), case('min_axis', '@f', axis=1)
    for kw in ({}, dict(axis=1), dict(ord=1), dict(ord=1, axis=0), dict(ord=2, axis=1, keepdims=True), dict(axis=(0, 1)), dict(ord=1, axis=(0, 1))):
        case('norm', '@g', **kw)
    case('x.norm', '@g')
    for n in ('argmax', 'argmin'):
        for a in ('@g', '@i', '@d', '@c', '@l'):
            case(n, a)
            case(n, a, axis=1)
            case(n, a, axis=0, keepdims=True)
        case('x.' + n, '@g', axis=-1)
        case(n, '@ties', axis=0)
    case('argmax_channel', '@g')
    case('moments', '@c', axes=(0, 2)), case('moments', '@c', axes=(1,), keepdims=True)
    case('cumsum', '@f', axis=1), case('cumsum', '@f')
    for axis in (0, 1, -1):
        for up in (True, False):
            case('sort', '@g', axis=axis, is_ascend=up)
            case('argsort', '@g', axis=axis, is_ascend=up)
            case('topk', '@g', axis=axis, k=2, ret_typ='both', is_ascend=up)
            case('topk', '@g', axis=axis, k=1, ret_typ='mask', is_ascend=up)
    case('sort', '@g', axis=None), case('argsort', '@g', axis=None), case('argsort', '@g', dtype='int32')
    case('topk', '@g'), case('topk', '@g', k=2, ret_typ='value'), case('topk', '@g', axis=None, k=3), case('topk', '@g', k=2, dtype='int32')
    case('topk', '@g', axis=None, k=2, ret_typ='mask')
    case('x.sort', '@w'), case('x.argsort', '@w'), case('x.topk', '@w', k=2), case('argsort', '@ties')
    # shapes
    for shape in ((3, 2), (-1,), (0, -1), (-2,), (-3,), (0, 1, -1), (-4, 1, 2, 0), (-1, 1)):
        case('reshape', '@f', shape=shape)
        case('x.reshape', '@f', shape)
    case('reshape', '@c', shape=(-3, 0)), case('reshape', '@c', shape=(0, -3)), case('reshape', '@c', shape=(-4, 1, -1, -2))
    case('reshape', '@c', shape=(-1, 0), reverse=True), case('reshape', '@c', shape=(6, 0), reverse=True)
    case('Reshape', '@c', shape=(4, 6)), case('x.reshape', '@f', shape=(3, 2)), case('x.reshape', '@f', 3, 2)
    case('reshape_like', '@f', '@at'), case('reshape_like', '@c', '@q', lhs_begin=0, lhs_end=1, rhs_begin=0, rhs_end=1)
    case('flatten', '@c'), case('Flatten', '@v'), case('x.flatten', '@c')
    for axis in (0, 1, -1, 2):
        case('expand_dims', '@f', axis=axis)
    case('squeeze', '@one'), case('squeeze', '@one', axis=0), case('squeeze', '@one', axis=(0, 2)), case('squeeze', '@one', axis=-1)
    case('transpose', '@c'), case('transpose', '@c', axes=(1, 2, 0)), case('transpose', '@c', (0, 2, 1)), case('x.transpose', '@c', (2, 0, 1))
    case('x.transpose', '@c', axes=(1, 0, 2)), case('x.T', '@f')
    case('swapaxes', '@c', 0, 2), case('SwapAxis', '@c', dim1=1, dim2=2), case('moveaxis', '@c', 0, 2), case('moveaxis', '@c', [0, 1], [1, 2])
    case('flip', '@c', axis=1), case('flip', '@c', axis=(0, 2)), case('reverse', '@c', axis=0), case('x.flip', '@f', 1)
    case('tile', '@f', reps=(2, 1)), case('tile', '@f', reps=2), case('tile', '@f', (2, 1, 2)), case('x.tile', '@v', 2)
    case('repeat', '@f', repeats=2), case('repeat', '@f', 2, axis=1), case('x.repeat', '@v', 3)
    case('broadcast_to', '@row', (2, 3)), case('broadcast_to', '@row', shape=(4, 0)), case('broadcast_axis', '@one', axis=(0, 2), size=(2, 3))
    case('broadcast_axes', '@one', axis=0, size=2), case('broadcast_like', '@row', '@f'), case('x.broadcast_to', '@row', (2, 3))
    case('broadcast_like', '@row', '@c', lhs_axes=(0,), rhs_axes=(2,))
    case('pad', '@q', mode='constant', pad_width=(0, 0, 0, 0, 1, 2, 3, 0), constant_value=5), case('Pad', '@q', mode='edge', pad_width=(0, 0, 0, 0, 1, 2, 3, 0))
    case('pad', '@q', mode='reflect', pad_width=(0, 0, 0, 0, 1, 1, 1, 2))
    case('slice', '@c', begin=(0, 1), end=(1, 3)), case('slice', '@c', begin=(None, 2), end=(None, 0), step=(1, -1)), case('slice', '@v', begin=1, end=3)
    case('crop', '@c', begin=(0, 0, 1), end=(2, 2, 3)), case('x.slice', '@f', (0, 1), (2, 3)), case('slice', '@c', (1, None, -2), (2, None, None))
    case('slice_axis', '@c', axis=1, begin=0, end=2), case('slice_axis', '@c', axis=-1, begin=-3, end=None), case('x.slice_axis', '@c', 2, 1, -1)
    case('slice_like', '@q', '@c2', axes=(0,)), case('slice_like', '@c', '@one', axes=(0, 1))
    case('diag', '@f'), case('diag', '@v'), case('diag', '@f', k=1), case('diag', '@c', axis1=0, axis2=2)
    # joining
    case('concat', '@f', '@g'), case('concat', '@f', '@row', dim=0), case('Concat', '@c', '@c', dim=2), case('concatenate', ['@f', '@g']), case('concatenate', ['@f', '@g'], axis=1)
    case('stack', '@f', '@g'), case('stack', '@f', '@g', axis=1), case('stack', '@v', '@w', axis=-1)
    case('split', '@f', num_outputs=3), case('split', '@f', num_outputs=3, squeeze_axis=True), case('SliceChannel', '@c', num_outputs=2, axis=0, squeeze_axis=1)
    case('split', '@f', 1), case('x.split', '@c', num_outputs=2, axis=2), case('split_v2', '@c', 2, axis=2), case('split_v2', '@c', (1, 3), axis=2), case('split_v2', '@f', 2, squeeze_axis=True)
    # indexing
    for mode in ('clip', 'wrap'):
        case('take', '@f', '@at', mode=mode), case('take', '@f', '@flat', axis=1, mode=mode), case('pick', '@f', '@flat', axis=0, mode=mode)
        case('take', '@f', '@w', axis=1, mode=mode)
    case('x.take', '@f', '@v'), case('pick', '@f', '@mask'), case('pick', '@f', '@mask', axis=1, keepdims=True), case('x.pick', '@f', '@mask'), case('batch_take', '@f', '@mi')
    case('choose_element_0index', '@f', '@mask')
    case('one_hot', '@v', 3), case('one_hot', '@at', depth=3), case('one_hot', '@w', depth=4, on_value=2, off_value=-1, dtype='int32'), case('x.one_hot', '@v', 3)
    case('where', '@mask2', '@f', '@g'), case('where', '@mask', '@f', '@g')
    case('clip', '@g', -1, 2), case('clip', '@g', a_min=0, a_max=1), case('x.clip', '@u', 2, 100), case('clip', '@i', 0.0, 4.0)
    case('cast', '@g', dtype='int32'), case('Cast', '@f', dtype='uint8'), case('cast', '@i', dtype='float64'), case('x.astype', '@g', 'int32'), case('x.astype', '@i', 'float16')
    case('ravel_multi_index', '@at', shape=(3, 4)), case('unravel_index', '@flat', shape=(3, 4))
    # products
    case('dot', '@f', '@at', transpose_b=True), case('dot', '@f', '@g', transpose_a=True), case('dot', '@v', '@w'), case('dot', '@f', '@v')
    case('batch_dot', '@c', '@c2'), case('batch_dot', '@c', '@c', transpose_b=True), case('batch_dot', '@c', '@c', transpose_a=True)
    # creation
    case('arange', 5), case('arange', 1, 4), case('arange', 0, 1, 0.25), case('arange', 5, 1, -2), case('arange', 3, repeat=2), case('arange', 3, dtype='int32'), case('arange', 0.5, 3)
    case('linspace', 0, 1, 5), case('linspace', 0, 1, 4, endpoint=False), case('eye', 3), case('eye', 2, 3, 1), case('eye', 2, 3, -1, dtype='int32')
    case('full', (2, 3), 7), case('zeros', (2, 3)), case('ones', (2,), dtype='uint8'), case('zeros', 3), case('full', 2, 1.5, dtype='float64')
    # operators of Python: dunder methods
    for n in ('add', 'sub', 'mul', 'truediv', 'mod', 'pow', 'eq', 'ne', 'lt', 'le', 'gt', 'ge'):
        case('x.__%s__' % n, '@g', '@f'), case('x.__%s__' % n, '@f', '@row'), case('x.__%s__' % n, '@g', 2), case('x.__%s__' % n, '@d', 2)
    for n in ('eq', 'ne', 'lt', 'le', 'gt', 'ge'):
        case('x.__%s__' % n, '@i', 3), case('x.__%s__' % n, '@u', '@u'), case('x.__%s__' % n, '@h', 1)
    for n in ('radd', 'rsub', 'rmul', 'rtruediv', 'rmod', 'rpow'):
        case('x.__%s__' % n, '@f', 2)
    for key in (0, -1, [1, 0], '@mask'):
        case('x.__getitem__', '@c', key)
    case('x.__getitem__', '@v', 1), case('gather_nd', '@f', '@ix'), case('scatter_nd', '@v', '@ix', shape=(2, 3)), case('take', '@f', '@mi', mode='raise'), case('x.__getitem__', '@v', '@at')
    # images
    case('image.to_tensor', '@img'), case('image.to_tensor', '@imgs'), case('image.to_tensor', '@imgf')
    for kw in (dict(size=4), dict(size=(4, 3)), dict(size=(8, 7), interp=0), dict(size=4, keep_ratio=True), dict(size=3, keep_ratio=True, interp=0)):
        case('image.resize', '@img', **kw), case('image.resize', '@imgf', **kw), case('image.resize', '@imgs', **kw)
    case('image.crop', '@img', 1, 2, 3, 2), case('image.crop', '@imgs', x=0, y=0, width=2, height=2)
    case('image.flip_left_right', '@img'), case('image.flip_top_bottom', '@even')  # of an odd height MXNet forgets the middle row
    for n in ('brightness', 'contrast', 'hue'):
        for a in ('@img', '@imgf'):
            case('image.random_' + n, a, 0.3, 0.3), case('image.random_' + n, a, 1.5, 1.5)
    case('image.adjust_lighting', '@imgf', alpha=(0.1, 0.2, 0.3)), case('image.adjust_lighting', '@img', (0.1, -0.2, 0.3))


def stored(x):
    if isinstance(x, nd.NDArray):
        a = x.asnumpy()
        return dict(dtype=a.dtype.name, shape=list(a.shape), values=a.ravel().tolist())
    if isinstance(x, (list, tuple)):
        return [stored(each) for each in x]
    return x


def results():
    arrays = {name: nd.array(values, dtype=dtype) for name, (values, dtype) in INPUTS.items()}

    def filled(x):
        if isinstance(x, list):
            return [filled(each) for each in x]
        return arrays[x[1:]] if isinstance(x, str) and x.startswith('@') else x

    made = []
    for function, args, kwargs in CASES:
        values = [filled(a) for a in args]
        f = nd
        if function.startswith('x.'):
            f, function_name = values.pop(0), function[2:]
        else:
            function_name = function
        for name in function_name.split('.'):
            f = getattr(f, name)
        r = f(*values, **kwargs) if callable(f) else f
        made.append(dict(function=function, args=args, kwargs=kwargs, result=stored(r)))
    with open(os.path.join(HERE, 'nd.json'), 'w') as f:
        f.write('{"inputs": {\n')
        f.write(',\n'.join('"%s": %s' % (n, json.dumps(dict(dtype=t, values=v))) for n, (v, t) in INPUTS.items()))
        f.write('\n},\n"cases": [\n')
        f.write(',\n'.join(map(json.dumps, made)))
        f.write('\n]}\n')
    print(len(made), 'cases')


if __name__ == '__main__':
    files()
    cases()
    results()
