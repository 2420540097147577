"""A plain PyTorch transcription of OmniJet-alpha's backbone and tokenizer, as the original computes them: all 128 positions, all logits, no cache.

Prints jets a second of training, generation and tokenising as JSON. Needs PyTorch (Debian's python3-torch).
"""
import argparse
import json
import resource
import time

import torch
from torch import nn
from torch.nn import functional as F

LENGTH, VOCABULARY, WIDTH = 128, 8194, 256


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.key, self.query, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.proj = nn.Linear(width, width)
        self.register_buffer("tril", torch.tril(torch.ones(LENGTH, LENGTH)))

    def forward(self, x, mask):
        jets, length, width = x.shape
        q, k, v = (f(x).view(jets, length, self.heads, -1).transpose(1, 2) for f in (self.query, self.key, self.value))
        scores = q @ k.transpose(-2, -1) * (width // self.heads) ** -0.5
        scores = scores.masked_fill(self.tril[:length, :length] == 0, float("-inf"))
        if mask is not None:
            scores = scores.masked_fill(mask[:, None, None, :] == 0, float("-inf"))
        return self.proj((F.softmax(scores, -1) @ v).transpose(1, 2).reshape(jets, length, width))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.mha_block = Attention(width, heads)
        self.ff_block = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        self.layernorm_1, self.layernorm_2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x, mask):
        x = self.layernorm_1(x + self.mha_block(x, mask))
        return self.layernorm_2(x + self.ff_block(x))


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.ModuleList([Block(WIDTH, 8) for _ in range(3)])
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, tokens, mask=None):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(x)


class NormFormer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Dropout(0.1), nn.Linear(width, width))

    def forward(self, x, mask):
        x = x * mask.unsqueeze(-1)
        u = self.norm1(x)
        r = self.norm2(self.attn(u, u, u, key_padding_mask=mask != 1)[0]) + x
        return r + self.mlp(r)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.input, self.latent = nn.Linear(3, 128), nn.Linear(128, 4)
        self.blocks = nn.ModuleList([NormFormer(128, 8) for _ in range(4)])
        self.codebook = nn.Parameter(torch.randn(8192, 4))

    def forward(self, x, mask):
        x = self.input(x)
        for block in self.blocks:
            x = block(x, mask)
        z = self.latent(x * mask.unsqueeze(-1)) * mask.unsqueeze(-1)
        # In pieces of 1,024 rows, as the library of the original does.
        return torch.cat([torch.cdist(rows, self.codebook).argmin(-1) for rows in z.reshape(-1, 4).split(1024)])


def fastest(rounds, jets, work, wait):
    """The fastest of some rounds behind a first one, which takes memory and fills caches; `wait` is until a GPU has done its work."""
    wall = processor = float("inf")
    for number in range(rounds + 1):
        wait()
        begin, used = time.perf_counter(), time.process_time()
        work()
        wait()
        if number or not rounds:
            wall, processor = min(wall, time.perf_counter() - begin), min(processor, time.process_time() - used)
    return {"jets": jets, "seconds": wall, "processorSeconds": processor, "jetsPerSecond": jets / wall}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--part", type=int, default=0, help="jets that are computed at once in training; 0: the batch, as the original does")
    parser.add_argument("--mean-length", type=float, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--generate", type=int, default=32, help="jets to generate: each takes 128 steps over the whole prefix")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    parser.add_argument("--bfloat16", action="store_true", help="training with products in bfloat16, by autocast")
    parser.add_argument("--only", choices=["training", "generation", "tokenising"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    lengths = torch.distributions.Gamma(4.0, 4.0 / options.mean_length).sample((options.batch,)).long().clamp(1, 127)
    mask = (torch.arange(LENGTH) < lengths[:, None] + 1).float()
    tokens = torch.randint(1, VOCABULARY - 1, (options.batch, LENGTH)) * mask.long()
    part, device = options.part or options.batch, torch.device(options.device)
    tokens, mask = tokens.to(device), mask.to(device)

    def wait():
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def training():
        model = Backbone().to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

        def step():
            optimizer.zero_grad()
            for some, seen in zip(tokens.split(part), mask.split(part)):
                with torch.autocast(device.type, torch.bfloat16, enabled=options.bfloat16):
                    logits = model(some, seen)
                loss = F.cross_entropy(logits.float().reshape(-1, VOCABULARY), some.reshape(-1))
                (loss * (len(some) / options.batch)).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5)
            optimizer.step()

        return fastest(options.rounds, options.batch, step, wait)

    @torch.no_grad()
    def generation():
        model = Backbone().to(device)

        def draw():
            ids = torch.zeros(options.generate, 1, dtype=torch.long, device=device)
            for _ in range(LENGTH - 1):
                p = F.softmax(model(ids)[:, -1, 1:], -1)
                ids = torch.cat([ids, torch.multinomial(p, 1) + 1], 1)

        return fastest(0, options.generate, draw, wait)

    @torch.no_grad()
    def tokenising():
        encoder = Encoder().eval().to(device)
        features = torch.randn(options.batch, LENGTH, 3).to(device)
        real = (torch.arange(LENGTH) < lengths[:, None]).float().to(device)
        return fastest(options.rounds, options.batch, lambda: encoder(features, real), wait)

    works = {work.__name__: work for work in (training, generation, tokenising)}
    rates = [{"work": name} | work() for name, work in works.items() if options.only in (None, name)]
    print(json.dumps({
        "rates": rates, "peakBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "devicePeakBytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None}))


if __name__ == "__main__":
    main()
