"""The synthetic experiment (Venkatesh et al. 2021, §4.1; Figs. 2, 3 and 8, there by kernel SVMs, here quadratic).

    python experiments/synthetic.py [--seeds 100] [--data-dir DIR] [--out DIR]

X1 and X2 tell Y only where Z = 1, X3 tells it always. Does pruning by bias-to-accuracy flow take the bias off?
"""

from steps import draw, mean_curve, paper_run

CURVES = [("node", 2), ("node", 3), ("edge", 3), ("edge", 6)]


def main() -> None:
    """Run the experiment and answer from its tables."""
    # 1.–4. data → 100 networks (3, 3, 2) → flows on the other half → every edge removed, every strategy swept
    config, results = paper_run("synthetic")

    # Fig. 8: which features carry which flow? Mean over networks of the widest edge out of each
    edges = results.table("edge_flows").query("layer == 0")
    widest = edges.groupby(["network", "message", "source"])["flow"].max()
    print("Mean widest edge flow (bits) leaving X1, X2, X3; y is accuracy, z is bias")
    print(widest.groupby(["message", "source"]).mean().unstack().to_string(float_format="{:.4f}".format))

    # Fig. 2: the more an edge carries, the more its removal changes (correlations, Table 2)
    print(results.table("correlations").to_string(index=False))

    # Fig. 3: the tradeoff; what the best strategy takes off for at most 2 points of accuracy
    accuracy, bias = results.table("networks")[["output_accuracy", "output_bias"]].mean()
    for method, level in CURVES:
        curve = mean_curve(results, "bias/acc", method, level)
        cheap = curve[curve["accuracy"] >= accuracy - 2]
        print(f"{level} {method}s: {bias - cheap['bias'].min():.1f} points of bias for at most 2 of accuracy")
    draw(config, results, "paper_tradeoff", CURVES, ["bias/acc", "acc/bias"])


if __name__ == "__main__":
    main()
