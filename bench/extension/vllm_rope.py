"""The table of angles that vLLM computes for rope parameters: rows, frequencies (from its first position), factor.

    echo '[{"max_position_embeddings": 8192, "rope_parameters": {...}}]' | python bench/extension/vllm_rope.py 64 4096

Arguments: channels of a head, positions of the model without an override. Reads a JSON list of overrides, writes a JSON
list; runs without a server, in the environment that vLLM is installed in.
"""

import contextlib
import json
import sys


def main():
    with contextlib.redirect_stdout(sys.stderr):
        import torch
        from vllm.config import VllmConfig, set_current_vllm_config
        from vllm.model_executor.layers.rotary_embedding import get_rope

        tables = []
        with set_current_vllm_config(VllmConfig()):
            for one in json.load(sys.stdin):
                stated = one.get("max_position_embeddings", int(sys.argv[2]))
                rope = get_rope(int(sys.argv[1]), max_position=stated, is_neox_style=True,
                                rope_parameters=one["rope_parameters"], dtype=torch.float32)
                cache = rope.cos_sin_cache.double()
                half = cache.shape[1] // 2
                cosines, sines = cache[1, :half], cache[1, half:]
                tables.append({"rows": cache.shape[0], "frequencies": torch.atan2(sines, cosines).tolist(),
                               "factor": float(torch.sqrt(cosines[-1] ** 2 + sines[-1] ** 2))})
    print(json.dumps(tables))


main()
