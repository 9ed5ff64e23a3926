"""Looks for the weights of src/compress/fusion.ts: coordinate search over a grid on training questions only."""

import argparse
import json
from pathlib import Path

import numpy as np

GRID = [0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1, 1.3, 1.6, 2, 2.5]
# Low rates: at the usual ones every mixture keeps nearly all answers of these questions.
RATES = {"fit_squad": [0.1, 0.06, 0.04, 0.025], "fit_selqa": [0.33, 0.2, 0.1, 0.05], "fit_qmsum": [0.5, 0.33, 0.2, 0.1]}
START = {"bm25": 1, "document": 0.6, "best": 0.4, "facts": 0.2}
TIERS = {
    "rules": ["document", "best", "facts"],
    "express": ["document", "best", "facts", "table_near", "table_best", "late"],
    "balanced": ["document", "best", "facts", "vectors", "vectors_near", "vectors_best"],
    "turns-express": ["facts", "late_near", "table_near"],
    "turns-balanced": ["facts", "late_near", "vectors_near"],
}


def z(values):
    values = np.asarray(values, float)
    deviation = values.std()
    return (values - values.mean()) / deviation if deviation > 1e-12 else np.zeros(len(values))


class Item:
    def __init__(self, record):
        self.set, self.asked, self.total = record["set"], record["asked"], record["total"]
        self.document = np.array(record["document"])
        self.turn = np.array([kind == "turn" for kind in record["kind"]])
        self.heading = np.array([kind == "heading" for kind in record["kind"]])
        self.cost = np.array(record["cost"]) + 1
        self.answer, self.evidence = np.array(record["answer"]), np.array(record["evidence"])
        bm25, late = np.array(record["bm25"]), np.array(record["late"])
        self.features = {
            "bm25": z(self.near(bm25)),
            "document": z(np.array(record["whole"])[self.document]),
            "best": z(self.best(bm25)),
            "facts": z(record["facts"]),
            "late": z(late),
            "late_near": z(self.near(self.above(late))),
        }
        for name in ("table", "vectors"):
            values = np.array(record[name])
            self.features[name] = z(values)
            self.features[f"{name}_near"] = z(self.near(self.above(values)))
            self.features[f"{name}_best"] = z(self.best(values))

    def above(self, values):
        return np.maximum(values - np.sort(values)[len(values) // 2], 0)

    def best(self, values):
        return np.array([values[self.document == document].max() for document in self.document])

    def near(self, values, neighbour=0.3, fade=0.7, reach=4):
        """What src/compress/relevance.ts calls inheritance."""
        out = values.astype(float).copy()
        last = len(values)
        for i in range(last):
            for far in range(1, reach + 1 if self.turn[i] else 2):
                around = [values[j] for j in (i - far, i + far) if 0 <= j < last and self.document[j] == self.document[i]]
                if self.turn[i]:
                    out[i] += fade**far * sum(around)
                else:
                    out[i] += neighbour * max(around, default=0)
        return out

    def score(self, weights):
        return sum(weight * self.features[name] for name, weight in weights.items() if weight)

    def kept(self, weights, rate):
        keep = np.zeros(len(self.cost), bool)
        left = int(self.total * rate)
        for unit in np.argsort(-self.score(weights), kind="stable"):
            if not self.heading[unit] and self.cost[unit] <= left:
                keep[unit] = True
                left -= self.cost[unit]
        return keep

    def value(self, weights, rate):
        """Survival of the answer, or recall of the evidence's tokens."""
        keep = self.kept(weights, rate)
        if self.asked:
            return float((keep & self.answer).any())
        return self.cost[keep & self.evidence].sum() / max(1, self.cost[self.evidence].sum())

    def rank(self, weights):
        """Smooth stand-in for survival: how much text is ranked above the best answer, as a logarithm."""
        score = self.score(weights)
        gold = self.answer if self.asked else self.evidence
        if not gold.any():
            return None
        above = self.cost[score > score[gold].max()].sum() / self.cost.sum()
        return -np.log1p(50 * above)


def means(items, weights):
    return {name: np.mean([[i.value(weights, r) for r in RATES[name]] for i in items if i.set == name], 0).round(3).tolist() for name in sorted({i.set for i in items})}


def objective(items, weights):
    found = [item.rank(weights) for item in items]
    return np.mean([value for value in found if value is not None])


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--work", required=True, help="folder of features-*.jsonl")
    a.add_argument("--tier", choices=TIERS, required=True)
    a.add_argument("--rounds", type=int, default=3)
    args = a.parse_args()
    names = ["qmsum"] if args.tier.startswith("turns") else ["squad", "selqa"]
    items = [Item(json.loads(line)) for name in names for line in (Path(args.work) / f"features-{name}.jsonl").open()]
    weights = {**START, **{name: 0 for name in TIERS[args.tier] if name not in START}}
    best = objective(items, weights)
    print(json.dumps({"start": weights, "objective": round(best, 4), "kept": means(items, weights)}))
    for _ in range(args.rounds):
        before = best
        for name in TIERS[args.tier]:
            for value in GRID:
                tried = {**weights, name: value}
                now = objective(items, tried)
                if now > best + 1e-4:
                    best, weights = now, tried
        print(json.dumps({"weights": weights, "objective": round(best, 4), "kept": means(items, weights)}), flush=True)
        if best - before < 1e-4:
            break


if __name__ == "__main__":
    main()
