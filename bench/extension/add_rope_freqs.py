"""Copies a GGUF file with divisors of its rotary frequencies and another context length: what a conversion of a model
with rope type llama3 writes.

    echo '[1.0, 1.0, ...]' | python bench/extension/add_rope_freqs.py IN.gguf OUT.gguf CONTEXT_LENGTH

Needs the packages gguf and numpy.
"""

import json
import sys

import gguf
import numpy as np


def value_of(field):
    kind = field.types[0]
    if kind == gguf.GGUFValueType.ARRAY:
        inner = field.types[-1]
        if inner == gguf.GGUFValueType.STRING:
            return [str(bytes(field.parts[at]), "utf-8") for at in field.data]
        return [field.parts[at][0].item() for at in field.data]
    part = field.parts[field.data[0]]
    return str(bytes(part), "utf-8") if kind == gguf.GGUFValueType.STRING else part[0].item()


def main():
    source, target, length = sys.argv[1], sys.argv[2], int(sys.argv[3])
    divisors = np.array(json.load(sys.stdin), dtype=np.float32)
    reader = gguf.GGUFReader(source)
    architecture = value_of(reader.fields["general.architecture"])
    writer = gguf.GGUFWriter(target, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = length if name == f"{architecture}.context_length" else value_of(field)
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, field.types[0], sub_type=inner)
    writer.add_tensor("rope_freqs.weight", divisors)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
