import Evaluation
import Foundation

extension TokenizerEvaluation {
    /// Resolutions of constituents and jets, and how often codes are used, from the most frequent on.
    public func figure() throws -> Figure {
        var panels = try (resolutions + jetResolutions).map { resolution -> FigurePanel in
            // All but the far tails; these go into the outermost bins.
            let sizes = resolution.differences.map { Double(abs($0)) }.filter(\.isFinite).sorted()
            let most = max(sizes.isEmpty ? 1 : sizes[min(sizes.count - 1, sizes.count * 99 / 100)], 1e-9)
            let histogram = try Histogram(
                resolution.differences.map(Double.init), edges: Histogram.edges(-most...most, bins: 80), clipping: true)
            let unit = ["relative", "feature", "1"].contains(resolution.unit) ? "" : resolution.unit
            let kind = resolution.unit == "relative" ? " (relative)" : ""
            return FigurePanel(
                x: Axis("\(resolution.feature): reconstructed - original\(kind)", unit: unit), y: Axis("normalised"),
                layers: [
                    .histogram(
                        histogram,
                        FigureStyle(
                            "rms \(String(format: "%.3g", resolution.rms))", color: .blue, isFilled: true))
                ], legend: .topRight)
        }
        let frequent = uses.filter { $0 > 0 }.sorted(by: >)
        panels.append(
            FigurePanel(
                x: Axis("code, by frequency", isLogarithmic: true), y: Axis("constituents", isLogarithmic: true),
                layers: [
                    .curve(
                        frequent.enumerated().map { FigurePoint(Double($0.offset + 1), Double($0.element)) },
                        FigureStyle("\(used) of \(codes) codes", color: .vermillion))
                ], legend: .bottomLeft))
        let rows = stride(from: 0, to: panels.count, by: 3).map { Array(panels[$0..<min(panels.count, $0 + 3)]) }
        return Figure(
            "tokenizer",
            caption:
                "What comes back from codes, of \(jets) jets with \(constituents) constituents; perplexity of the codes "
                + String(format: "%.4g", perplexity) + ".", rows: rows)
    }
}
