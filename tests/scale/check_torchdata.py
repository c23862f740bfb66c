"""torchdata: its Stateful protocol, its nodes, and its StatefulDataLoader."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchdata import nodes
from torchdata.stateful_dataloader import StatefulDataLoader
from torchdata.stateful_dataloader.stateful import Stateful

import gpuio as mx
import gpuio.torch
from tests.scale.processes import images

NUMBERS = np.arange(20, dtype=np.float32)


def loader() -> Any:
    train = mx.io.NDArrayIter(NUMBERS, NUMBERS, 4, shuffle=True, seed=1)
    return gpuio.torch.loader(train)


def labels(batches: Any) -> list[list[float]]:
    return [batch.label.tolist() for batch in batches]


def test_a_loader_is_stateful() -> None:
    assert isinstance(loader(), Stateful) and isinstance(loader().iterator, Stateful)


def test_nodes_resume_in_the_middle() -> None:
    def pipeline() -> Any:
        node = nodes.IterableWrapper(loader())
        return nodes.Loader(nodes.Mapper(node, lambda batch: batch.label.tolist()))

    whole = pipeline()
    expected = [list(whole), list(whole)]
    assert expected == [labels(each) for each in [loader()] * 2]
    first = pipeline()
    list(first)
    batches = iter(first)
    given = [next(batches), next(batches)]
    state = json.loads(json.dumps(first.state_dict()))
    other = pipeline()
    other.load_state_dict(state)
    assert given + list(other) == expected[1]


# torchdata's own.
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")
def test_a_stateful_loader_over_record_files(tmp_path: Path) -> None:
    path_imgrec, path_imgidx = images(tmp_path, 12)

    def batches(seed: int) -> StatefulDataLoader:
        dataset = gpuio.torch.RecordDataset(path_imgrec, path_imgidx)
        generator = torch.Generator().manual_seed(seed)
        return StatefulDataLoader(dataset, 4, shuffle=True, generator=generator, num_workers=1)

    def found(each: Any) -> list[list[int]]:
        return [label.tolist() for _, label in each]

    expected = found(batches(1))
    first = batches(1)
    for _ in first:
        state = first.state_dict()
        break
    other = batches(2)
    other.load_state_dict(state)
    assert found(other) == expected[1:]
