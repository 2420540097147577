"""Makes the checkpoints beside this file, with a real PyTorch (2.15.0): python make.py. The tests only read them.

Each holds few numbers; what is in them, and expected.json, is written down here.
"""
import collections
import functools
import json
import pathlib

import numpy
import torch

HERE = pathlib.Path(__file__).resolve().parent
TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
         torch.uint8, torch.bool]


def tensors():
    """Tensors that look at their storages in all kinds of ways."""
    found = collections.OrderedDict()
    for kind in TYPES:
        found["type." + str(kind).removeprefix("torch.")] = (torch.arange(6) - 2).reshape(2, 3).abs().to(kind)
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    found["view.base"] = base
    found["view.transposed"] = base.permute(2, 0, 1)
    found["view.row"] = base[1, 2]
    found["view.column"] = base[:, 1, 3]
    found["view.every_second"] = base[:, :, ::2]
    found["view.diagonal"] = torch.diagonal(base[0, :, :3])
    found["view.expanded"] = torch.tensor([1.5, -2.5]).unsqueeze(1).expand(2, 3)
    found["scalar"] = torch.tensor(0.25)
    found["view.scalar"] = base[1, 0, 2]
    found["empty"] = torch.zeros(0, 5)
    found["parameter"] = torch.nn.Parameter(torch.tensor([3.0, 1.0]))
    with_attribute = torch.tensor([7.0])
    with_attribute.note = "kept by PyTorch, of no use here"
    found["attribute"] = with_attribute
    found["names.\u00e9\u4e2d"] = torch.tensor([4.0])
    return found


def values():
    """What stands beside tensors in checkpoints."""
    shared = [1, 2]
    cycle = {"name": "cycle"}
    cycle["self"] = cycle
    return {
        "epoch": 3, "global_step": 2 ** 40, "pytorch-lightning_version": "2.6.6", "state_dict": tensors(),
        "hyper_parameters": {
            "none": None, "yes": True, "no": False, "small": 7, "word": 65535, "negative": -5, "int": 2 ** 31 - 1,
            "wide": -2 ** 63, "long": 2 ** 70, "float": 0.1, "text": "caf\u00e9", "bytes": b"\x00\xff", "list": [1, [2.5, "x"]],
            "tuple": (), "one": (1,), "two": (1, 2), "three": (1, 2, 3), "four": (1, 2, 3, 4), "set": {5},
            "numbers": {0: "zero", 1: "one"}, "path": pathlib.PurePosixPath("/a/b"), "complex": 1 + 2j,
            "partial": functools.partial(torch.optim.AdamW, lr=0.01), "numpy": numpy.float64(0.5), "shared": [shared, shared],
            "default": collections.defaultdict(list, {"a": [1]}), "cycle": cycle, "type": torch.float32,
        },
        "optimizer_states": [{"state": {0: {"step": torch.tensor(8.0), "exp_avg": torch.tensor([0.5, -0.5])}},
                              "param_groups": [{"lr": 0.001, "betas": (0.9, 0.999), "params": [0]}]}],
    }


class Module(torch.nn.Module):
    def forward(self, x):
        return x + 1


def main():
    torch.save(values(), HERE / "lightning.ckpt")
    torch.save(tensors(), HERE / "plain.pt")
    torch.save({"model": {"w": torch.tensor([1.0]), "u16": torch.tensor([1], dtype=torch.uint16)}}, HERE / "other_key.pt")
    torch.save(values(), HERE / "protocol4.pt", pickle_protocol=4)
    torch.save({"w": torch.tensor([1.0, 2.0])}, HERE / "old.pt", _use_new_zipfile_serialization=False)
    torch.serialization.set_crc32_options(False)
    torch.save({"w": torch.tensor([1.0, 2.0])}, HERE / "no_sums.pt")
    torch.serialization.set_crc32_options(True)
    torch.jit.save(torch.jit.script(Module()), str(HERE / "script.pt"))
    expected = []
    for name, tensor in tensors().items():
        expected.append({"name": name, "shape": list(tensor.shape), "strides": list(tensor.stride()),
                         "type": str(tensor.dtype).removeprefix("torch."),
                         "values": tensor.detach().double().flatten().tolist()})
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


main()
