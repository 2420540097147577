#!/usr/bin/env python3
"""The same training as train_pytorch.py with Lightning, which keeps the loader's place in its checkpoints.

    train_lightning.py aoj.pando --checkpoint run.ckpt
    train_lightning.py aoj.pando --checkpoint run.ckpt --devices 2      two processes, each with its part of the same batches
"""
import argparse
import os

import lightning
import torch
from torch import nn

import pando
from train_pytorch import ParticleTransformer


class Task(lightning.LightningModule):
    """Whether a jet is heavier than the median."""

    def __init__(self, features, median):
        super().__init__()
        self.save_hyperparameters()
        self.model = ParticleTransformer(features)
        self.steps_seen = []

    def training_step(self, batch, _):
        """The loss of a batch, which Lightning has moved to its device."""
        self.steps_seen.append((batch.epoch, batch.step))
        target = (batch["jet_msoftdrop"] > self.hparams.median).float()
        return nn.functional.binary_cross_entropy_with_logits(self.model(batch.features, batch.mask), target)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


class Jets(lightning.LightningDataModule):
    """Makes the loader when Lightning asks for it: torch.distributed is ready then, and says which part is this process's."""

    def __init__(self, dataset, batch_size=64):
        super().__init__()
        self.dataset, self.batch_size = dataset, batch_size

    def train_dataloader(self):
        # The batch size is that of all processes together. Lightning moves the batches to its device.
        return pando.Loader(
            self.dataset, self.batch_size, features="released", pad_length=64, columns=["jet_msoftdrop"], split="train",
            as_torch=True,
        )


class Stop(lightning.Callback):
    """Saves after so many steps and stops there, in the middle of an epoch."""

    def __init__(self, path, steps):
        self.path, self.steps = path, steps

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.steps:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True


def main(*callbacks):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--devices", type=int, default=1, help="processes")
    parser.add_argument("--stop-after", type=int, help="stop after so many steps, to see it go on")
    asked = parser.parse_args()
    torch.manual_seed(1)
    masses = pando.Dataset(asked.dataset).read(columns=["jet_msoftdrop"])["jet_msoftdrop"]
    task = Task(features=3, median=float(torch.from_numpy(masses).median()))
    trainer = lightning.Trainer(
        max_epochs=asked.epochs, accelerator="cpu", devices=asked.devices, strategy="ddp" if asked.devices > 1 else "auto",
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[*callbacks, *([Stop(asked.checkpoint, asked.stop_after)] if asked.stop_after else [])],
    )
    known = asked.checkpoint if os.path.exists(asked.checkpoint) else None
    trainer.fit(task, datamodule=Jets(asked.dataset), ckpt_path=known)
    if not asked.stop_after:
        trainer.save_checkpoint(asked.checkpoint)
    if trainer.is_global_zero:
        weights = sum(float(value.double().sum()) for value in task.state_dict().values())
        first, last = task.steps_seen[0], task.steps_seen[-1]
        print(f"steps {first} to {last}, {trainer.global_step} in all, sum of the weights {weights:.12g}")


if __name__ == "__main__":
    main()
