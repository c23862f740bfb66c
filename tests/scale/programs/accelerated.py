"""Trains with Accelerate, by torchrun: FOLDER RECORDS INDEX. The second half is trained by a copy
that loads what the first has saved.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

import gpuio as mx
import gpuio.torch

GLOBAL_BATCH = 6


def objects(accelerator: Accelerator, path_imgrec: str, path_imgidx: str) -> tuple[Any, ...]:
    """What a script prepares: model, optimizer and loader."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    train = mx.io.ImageRecordIter(
        path_imgrec=path_imgrec,
        path_imgidx=path_imgidx,
        data_shape=(3, 8, 8),
        batch_size=GLOBAL_BATCH // accelerator.num_processes,
        scale=1 / 255,
        shuffle=True,
        seed=3,
        num_parts="auto",
        preprocess_threads=1,
        verbose=False,
    )
    loader = gpuio.torch.loader(train)
    *prepared, same = accelerator.prepare(model, optimizer, loader)
    assert same is loader, "the loader's batches are this process's already"
    accelerator.register_for_checkpointing(loader)
    return (*prepared, loader)


def epoch(accelerator: Accelerator, parts: tuple[Any, ...], save: str | None = None) -> list[int]:
    """Train until the end of the epoch, and return the labels; with a state in the middle."""
    model, optimizer, loader = parts
    found: list[int] = []
    for data, label in loader:
        with accelerator.accumulate(model):
            loss = torch.nn.functional.mse_loss(model(data)[:, 0], label)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
        found += accelerator.gather(label).int().tolist()
        if save is not None and len(found) == GLOBAL_BATCH:
            accelerator.save_state(save)
    return found


def weights(model: torch.nn.Module) -> list[float]:
    return torch.cat([each.detach().flatten() for each in model.parameters()]).tolist()


def main() -> None:
    folder, *files = sys.argv[1:]
    accelerator = Accelerator(cpu=True)
    save = str(Path(folder, "saved"))
    whole = objects(accelerator, *files)
    labels = epoch(accelerator, whole, save) + epoch(accelerator, whole)
    accelerator.free_memory()
    other_accelerator = Accelerator(cpu=True)
    other = objects(other_accelerator, *files)
    other_accelerator.load_state(save)
    resumed = epoch(other_accelerator, other) + epoch(other_accelerator, other)
    rank = accelerator.process_index
    found = {
        "labels": labels,
        "resumed": resumed,
        "weights": weights(whole[0]),
        "resumed weights": weights(other[0]),
    }
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    accelerator.end_training()


if __name__ == "__main__":
    # What is said about the loader is to be seen.
    warnings.filterwarnings("error", message="(?i).*(loader|sampler|batch)")
    main()
