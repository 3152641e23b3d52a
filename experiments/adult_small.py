"""The modified Adult data, small network (Venkatesh et al. 2021, §4.2; Figs. 14 and 16; Figs. 4, 5 use linear SVMs).

    python experiments/adult_small.py [--seeds 100] [--data-dir DIR] [--out DIR]

Three numeric features of a person; Y is an income above 50K, Z is sex. Does a flow tell more than chance?
"""

from steps import draw, mean_curve, paper_run

CURVES = [("node", 2), ("node", 3), ("edge", 3), ("edge", 6)]


def main() -> None:
    """Run the experiment and answer from its tables."""
    # 1.–4. data → 100 networks (3, 3, 2) → flows on the other half → every edge removed, every strategy swept
    config, results = paper_run("adult-small")

    # Fig. 4: the more an edge carries, the more its removal changes (correlations, Table 2)
    print(results.table("correlations").to_string(index=False))

    # Fig. 16: at equal accuracy, is the bias lower than after random pruning?
    for method, level in CURVES:
        print(f"{level} {method}s removed")
        for metric in ("bias/acc", "random", "acc/bias"):
            end = mean_curve(results, metric, method, level).iloc[-1]
            print(f"  {metric:8}  accuracy {end['accuracy']:.1f} %, bias {end['bias']:.1f} %")

    # Figs. 14 and 16: ratios and control
    draw(config, results, "paper_tradeoff", CURVES, ["bias/acc", "acc/bias", "random"])


if __name__ == "__main__":
    main()
