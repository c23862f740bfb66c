#!/usr/bin/env python
"""Runs MXNet 1.9.1's nd.save on small arrays, and stores the files: data/nd_*.nd.

Run from this directory, like make_golden.py.
"""
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


if __name__ == '__main__':
    files()
