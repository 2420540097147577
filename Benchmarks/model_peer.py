"""A plain PyTorch transcription of OmniJet-alpha's backbone and tokenizer, as the original computes them: all 128 positions, all logits, no cache.

Prints jets a second of training, generation and tokenising as JSON. Needs PyTorch (Debian's python3-torch).
"""
import argparse
import json
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


def fastest(rounds, work):
    best = float("inf")
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--mean-length", type=float, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--generate", type=int, default=16, help="jets to generate: each takes 128 steps over the whole prefix")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    lengths = torch.distributions.Gamma(4.0, 4.0 / options.mean_length).sample((options.batch,)).long().clamp(1, 127)
    mask = (torch.arange(LENGTH) < lengths[:, None] + 1).float()
    tokens = torch.randint(1, VOCABULARY - 1, (options.batch, LENGTH)) * mask.long()
    model = Backbone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def train():
        optimizer.zero_grad()
        logits = model(tokens, mask)
        F.cross_entropy(logits.reshape(-1, VOCABULARY), tokens.reshape(-1)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5)
        optimizer.step()

    @torch.no_grad()
    def generate():
        ids = torch.zeros(options.generate, 1, dtype=torch.long)
        for _ in range(LENGTH - 1):
            p = F.softmax(model(ids)[:, -1, 1:], -1)
            ids = torch.cat([ids, torch.multinomial(p, 1) + 1], 1)

    encoder = Encoder().eval()
    features, real = torch.randn(options.batch, LENGTH, 3), (torch.arange(LENGTH) < lengths[:, None]).float()

    @torch.no_grad()
    def tokenise():
        encoder(features, real)

    print(json.dumps({
        "training": options.batch / fastest(options.rounds, train),
        "generation": options.generate / fastest(1, generate),
        "tokenising": options.batch / fastest(options.rounds, tokenise),
        "torch": torch.__version__,
    }))


if __name__ == "__main__":
    main()
