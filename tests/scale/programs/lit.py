"""Trains with Lightning: FOLDER RECORDS INDEX DEVICES.

Lightning starts the other processes itself. Each process writes the labels that it got.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch

import gpuio as mx
import gpuio.torch

GLOBAL_BATCH = 6
EPOCHS = 3


class Data(lightning.LightningDataModule):
    """Images of a record file, and the same again for validation."""

    def __init__(self, path_imgrec: str, path_imgidx: str) -> None:
        super().__init__()
        self.files = {"path_imgrec": path_imgrec, "path_imgidx": path_imgidx}

    def images(self, **options: Any) -> mx.io.ImageRecordIter:
        _, size = mx.io.rank_and_size()
        return mx.io.ImageRecordIter(
            **self.files,
            data_shape=(3, 8, 8),
            batch_size=GLOBAL_BATCH // size,
            scale=1 / 255,
            num_parts="auto",
            preprocess_threads=1,
            verbose=False,
            **options,
        )

    def train_dataloader(self) -> Any:
        # Epochs of equal length: Lightning asks for it once.
        return gpuio.torch.loader(self.images(shuffle=True, seed=3, last_batch_handle="discard"))

    def val_dataloader(self) -> Any:
        return gpuio.torch.loader(self.images(round_batch=False), drop_pad=True)


class Model(lightning.LightningModule):
    """A linear model, which notes what it is given."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3 * 8 * 8, 1)
        self.labels: list[list[int]] = []
        self.validated: list[int] = []

    def training_step(self, batch: Any, number: int) -> torch.Tensor:
        data, label = batch
        assert isinstance(batch, gpuio.torch.Batch) and batch.index is not None
        self.labels.append(label.int().tolist())
        return torch.nn.functional.mse_loss(self.layer(data.flatten(1))[:, 0], label)

    def validation_step(self, batch: Any, number: int) -> None:
        self.validated += batch.label.int().tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1e-3)


class Save(lightning.Callback):
    """Saves a checkpoint after each training batch, and at the end of each epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: Any, *rest: Any) -> None:
        trainer.save_checkpoint(self.folder / f"step{trainer.global_step}.ckpt")

    def on_train_epoch_end(self, trainer: Any, model: Any) -> None:
        trainer.save_checkpoint(self.folder / f"epoch{trainer.current_epoch}.ckpt")


def fit(
    folder: Path, files: list[str], devices: int, checkpoint: str | None = None, **options: Any
) -> Model:
    """Train, and return the model with what it was given."""
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        max_epochs=EPOCHS,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[] if checkpoint else [Save(folder)],
        **options,
    )
    model = Model()
    trainer.fit(model, Data(*files), ckpt_path=checkpoint, weights_only=False)
    return model


def main() -> None:
    folder, path_imgrec, path_imgidx, devices = sys.argv[1:]
    # What is said about the loader is to be seen.
    warnings.filterwarnings("error", message="(?i).*(loader|sampler|batch|rank)")
    model = fit(Path(folder), [path_imgrec, path_imgidx], int(devices))
    rank, size = mx.io.rank_and_size()
    found = {"size": size, "labels": model.labels, "validated": model.validated}
    Path(folder, f"{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
