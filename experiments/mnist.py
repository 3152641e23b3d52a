"""Skewed MNIST digits, a deep network (Venkatesh et al. 2021, §4.2, Fig. 6b), Gaussian as in the paper.

    python experiments/mnist.py [--seeds 100] [--data-dir DIR] [--out DIR]

Y tells 5, 8 from 4, 9; Z is odd. Five hidden layers of six nodes: do larger networks need more pruning?
"""

from steps import draw, mean_curve, paper_run

CURVES = [("node", 6), ("node", 12), ("edge", 18), ("edge", 36), ("path", 6)]


def main() -> None:
    """Run the experiment and answer from its tables."""
    # 1.–4. data → 100 networks (784, 6, 6, 6, 6, 6, 2) → flows from the first hidden layer on → interventions there
    config, results = paper_run("mnist")

    # The paper's networks reach about 98 % accuracy and 65 % bias
    networks = results.table("networks")
    accuracy, bias = networks[["argmax_accuracy", "output_bias"]].mean()
    print(f"argmax accuracy {accuracy:.1f} %, output bias {bias:.1f} %")

    # Table 2: the information about Y is clipped at 1 bit, so few removals change the output accuracy at all
    print(results.table("correlations").to_string(index=False))

    # Fig. 6b: how far each strategy goes
    for method, level in CURVES:
        end = mean_curve(results, "bias/acc", method, level).iloc[-1]
        print(f"{level} {method}s removed: accuracy {end['accuracy']:.1f} %, bias {end['bias']:.1f} %")
    draw(config, results, "paper_tradeoff", CURVES, ["bias/acc", "acc/bias"])


if __name__ == "__main__":
    main()
