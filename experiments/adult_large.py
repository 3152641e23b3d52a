"""The modified Adult data, larger network (Venkatesh et al. 2021, §4.2; Figs. 15 and 17; Fig. 6a uses linear SVMs).

    python experiments/adult_large.py [--seeds 100] [--data-dir DIR] [--out DIR]

Two embedded categories join the numeric features; paths join nodes and edges; factors go on below zero.
"""

from steps import draw, mean_curve, paper_run

CURVES = [("node", 2), ("edge", 6), ("path", 2)]


def main() -> None:
    """Run the experiment and answer from its tables."""
    # 1.–4. data → 100 networks (5, 3, 3, 2) → flows on the other half → every edge removed, every strategy swept
    config, results = paper_run("adult-large")

    # Fig. 9: the more an edge carries, the more its removal changes, but for the last layer (Table 2)
    print(results.table("correlations").to_string(index=False))

    # Fig. 17: does turning weights round (factors below 0) raise the bias again?
    for method, level in CURVES:
        bias = mean_curve(results, "bias/acc", method, level)["bias"]
        ends = f"{bias.loc[1.0]:.1f} → {bias.loc[0.0]:.1f} → {bias.loc[-1.0]:.1f} %"
        print(f"{level} {method}s, factor 1 → 0 → −1: bias {ends}, lowest at factor {bias.idxmin():.1f}")

    # Figs. 6a, 15 and 17: a white diamond marks complete removal
    draw(config, results, "paper_tradeoff", CURVES, ["bias/acc", "acc/bias"])


if __name__ == "__main__":
    main()
