#!/usr/bin/env python3
"""Trains a small particle transformer in PyTorch: which jets are heavy, from their constituents.

    train_pytorch.py aoj.pando --checkpoint run.pt
    torchrun --nproc_per_node 2 train_pytorch.py aoj.pando --checkpoint run.pt

Stopped in any way, the same command goes on with exactly the next batch; with another number of processes too. What a jet is told
apart by is its soft-drop mass, which every dataset of AspenOpenJets has: above the median, or below.
"""
import argparse
import os
import signal
import sys

import torch
import torch.distributed as dist
from torch import nn

import pando


class ParticleTransformer(nn.Module):
    """A token a constituent, two layers of attention, the mean over real constituents."""

    def __init__(self, features, width=32):
        super().__init__()
        self.embed = nn.Linear(features, width)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 1)

    def forward(self, features, mask):
        """One number a jet from [jets, constituents, features]."""
        # A jet without constituents attends to its padding, so that nothing is divided by zero.
        hidden = mask.logical_not() & mask.any(1, keepdim=True)
        x = self.layers(self.embed(features), src_key_padding_mask=hidden)
        weights = mask.unsqueeze(2).to(x.dtype)
        return self.head((x * weights).sum(1) / weights.sum(1).clamp(min=1)).squeeze(1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=64, help="jets of a step, over all processes")
    parser.add_argument("--split", default="train")
    parser.add_argument("--threads", type=int, help="threads that PyTorch computes with")
    parser.add_argument("--kill-after", type=int, help="end by SIGKILL after so many steps, to see it go on")
    return parser.parse_args()


def save(path, **state):
    """Writes a checkpoint so that there is always a whole one."""
    torch.save(state, path + ".new")
    os.replace(path + ".new", path)


def main():
    asked = arguments()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    torch.manual_seed(1)
    # A GPU's matrix products are repeatable only so.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    is_many = "WORLD_SIZE" in os.environ and int(os.environ["WORLD_SIZE"]) > 1
    if is_many:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"

    # Rank and world size come from torch.distributed; the batch is the same for any number of processes.
    loader = pando.Loader(
        asked.dataset, asked.batch_size, features="released", pad_length=64, columns=["jet_msoftdrop"], split=asked.split,
        device=device, pin_memory=device != "cpu",
    )
    statistics = pando.Dataset(asked.dataset).read(columns=["jet_msoftdrop"])["jet_msoftdrop"]
    median = float(torch.from_numpy(statistics).median())

    plain = model = ParticleTransformer(len(loader.feature_names)).to(device)
    if is_many:
        model = nn.parallel.DistributedDataParallel(plain)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-3)
    steps = 0
    if os.path.exists(asked.checkpoint):
        found = torch.load(asked.checkpoint, map_location=device)
        plain.load_state_dict(found["model"])
        optimizer.load_state_dict(found["optimizer"])
        loader.load_state_dict(found["loader"])
        steps = found["steps"]

    done = 0
    for epoch in range(loader.epoch, asked.epochs):
        total = torch.zeros(2)
        for batch in loader:
            target = (batch["jet_msoftdrop"] > median).float()
            logits = model(batch.features, batch.mask)
            loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps, done = steps + 1, done + 1
            total += torch.tensor([float(((logits > 0) == (target > 0.5)).sum()), float(len(batch))])
            if loader.rank.rank == 0:
                save(
                    asked.checkpoint, model=plain.state_dict(), optimizer=optimizer.state_dict(), loader=loader.state_dict(),
                    steps=steps,
                )
            if done == asked.kill_after:
                os.kill(os.getpid(), signal.SIGKILL)
        if loader.rank.rank == 0:
            print(f"epoch {epoch}: step {steps}, loss {float(loss):.4f}, {100 * float(total[0] / max(1, total[1])):.1f}% right")
    if loader.rank.rank == 0:
        weights = sum(float(value.double().sum()) for value in plain.state_dict().values())
        print(f"{steps} steps, sum of the weights {weights:.12g}")
    if is_many:
        dist.destroy_process_group()
        # PyTorch 1.13 can wait for itself for ever while it takes the model's reducer apart; all is saved, so leave as it is.
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
