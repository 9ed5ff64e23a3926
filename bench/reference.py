"""CPU seconds of a Python reference compressor on cases: `reference.py ORACLE_DIR METHOD MODEL_DIR CASES.jsonl`.

ORACLE_DIR holds oracle.py (offline stand-ins for what the references fetch). Prints one JSON object per case:
{id, cpu_s, tokens}; the first case is run once before, uncounted, to warm up.
"""
import json
import sys
import time

folder, method, model, path = sys.argv[1:]
sys.path.insert(0, folder)
import oracle  # noqa: E402

reference = oracle.MAKE[method](model)
with open(path, encoding="utf-8") as file:
    cases = [json.loads(line) for line in file]
reference.run(cases[0])
for case in cases:
    started = time.process_time()
    reference.run(case)
    print(json.dumps({"id": case["id"], "cpu_s": time.process_time() - started, "tokens": reference.tokens(case["context"])}), flush=True)
